#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""FAT volumes with mkfs.fat, fsck.fat, mtools and (where it may) the Linux kernel on the other side.

usage: fat.py TARN_KV FAT_POWER

FAT_POWER is the test of losses of power: fsck.fat looks at some of the volumes that it comes to.

Skipped (status 77) where dosfstools or mtools are not installed.
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOOL, POWER = map(os.path.abspath, sys.argv[1:3])
SIZES = {12: 2 << 20, 16: 16 << 20, 32: 48 << 20}
FILES = {
    'README.TXT': b'short', 'lower.txt': b'l' * 3000, 'A long name, with spaces.text': b'x' * 100000,
    'dir/Sub Directory/deep.bin': os.urandom(70000), 'dir/empty': b'', 'dir/' + 'n' * 200: b'long',
    'été/ß.txt': 'é'.encode(), 'many/last': b'z',
}
FILES.update({f'many/file number {i}': b'%d' % i for i in range(20)})


def sh(*command, data=None, status=0):
    env = {**os.environ, 'MTOOLS_SKIP_CHECK': '1', 'LC_ALL': 'C.UTF-8'}
    done = subprocess.run(command, input=data, capture_output=True, env=env, timeout=60)
    if done.returncode != status:
        raise AssertionError(f'{" ".join(command)}: {done.returncode}\n'
                             f'{done.stdout.decode()}{done.stderr.decode()}')
    return done.stdout


def tarn(*words, data=None):
    return sh(TOOL, *words, data=data)


def sound(image):
    """Nothing that fsck.fat would repair."""
    sh('fsck.fat', '-n', '-v', image)


def blank(name, size):
    with open(name, 'wb') as f:
        f.truncate(size)
    return name


def ours_read_by_others(kind):
    image = f'ours{kind}'
    tarn('mkfs', image, f'--fat={kind}', f'--size={SIZES[kind]}')
    sound(image)
    for name, data in FILES.items():
        tarn('set', image, name, data=data)
    sound(image)
    for name, data in FILES.items():
        got = sh('mtype', '-i', image, f'::/{name}')
        assert got == data, f'FAT{kind} {name}: {len(got)} bytes'
    listed = sh('mdir', '-b', '-i', image, '::/many').decode().splitlines()
    assert len(listed) == 21, listed[:3]
    for name in list(FILES)[:4]:
        tarn('rm', image, name)
    tarn('mv', image, 'many', 'Elsewhere/with a name')
    tarn('set', image, 'lower.txt', 'again')
    sound(image)
    assert sh('mtype', '-i', image, '::/Elsewhere/with a name/last') == b'z'
    tarn('rm', image, 'Elsewhere')
    sound(image)


def theirs_read_by_us(kind):
    image = blank(f'theirs{kind}', SIZES[kind])
    sh('mkfs.fat', '-F', str(kind), '-n', 'THEIRS', image)
    for folder in ('dir', 'dir/Sub Directory', 'été', 'many'):
        sh('mmd', '-i', image, f'::/{folder}')
    for name, data in FILES.items():
        with open('file', 'wb') as f:
            f.write(data)
        sh('mcopy', '-i', image, 'file', f'::/{name}')
    for name, data in FILES.items():
        assert tarn('get', image, name) == data, f'FAT{kind} {name}'
    assert tarn('ls', image).decode().split('\n')[:-1] == sorted(
        {n.split('/')[0] + ('/' if '/' in n else '') for n in FILES}, key=str.encode)
    assert len(tarn('ls', image, 'many').splitlines()) == 21
    # And changed by us, among theirs.
    for name, data in FILES.items():
        tarn('set', image, name, data=data[::-1])
    sound(image)
    for name, data in FILES.items():
        assert sh('mtype', '-i', image, f'::/{name}') == data[::-1], name


def changed_in_turn(kind):
    """Both write to one volume, again and again."""
    dice, want = random.Random(kind), {}
    image = blank(f'turns{kind}', SIZES[kind])
    sh('mkfs.fat', '-F', str(kind), image)
    for turn in range(40):
        name, data = f'file {dice.randrange(15)} of both', dice.randbytes(dice.randrange(9000))
        if turn % 5 == 4 and name in want:
            tarn('rm', image, name) if turn % 2 else sh('mdel', '-i', image, f'::/{name}')
            del want[name]
        elif turn % 2:
            tarn('set', image, name, data=data)
            want[name] = data
        else:
            with open('file', 'wb') as f:
                f.write(data)
            sh('mcopy', '-o', '-i', image, 'file', f'::/{name}')
            want[name] = data
    sound(image)
    assert tarn('ls', image).decode().splitlines() == sorted(want)
    for name, data in want.items():
        assert tarn('get', image, name) == data == sh('mtype', '-i', image, f'::/{name}'), name


def sectors_and_clusters():
    for sector, cluster in ((1024, 4), (4096, 1), (512, 64)):
        image = blank('odd', 24 << 20)
        sh('mkfs.fat', '-S', str(sector), '-s', str(cluster), image)
        for name, data in FILES.items():
            if len(data) < 100000:
                tarn('set', image, name, data=data)
        sound(image)
        assert sh('mtype', '-i', image, '::/dir/Sub Directory/deep.bin') == FILES[
            'dir/Sub Directory/deep.bin']


def lost_power():
    """Clusters without a name, tables of which one was not written, and pieces of the longest name: this
    is all that fsck.fat may find."""
    harmless = re.compile(r'\s*$|fsck.fat |Leaving filesystem|Reclaimed \d+ unused cluster'
                          r'|FATs differ but appear to be intact|  Using first FAT|.*: \d+ files, '
                          r'|Orphaned long file name part|  Auto-deleting'
                          r'|Long filename fragment .* found outside a LFN sequence'
                          r'|  \(Maybe the start bit is missing|  Not auto-correcting this')
    os.mkdir('crashes')
    subprocess.run([POWER], env={**os.environ, 'TARN_FAT_CRASHES': 'crashes'}, capture_output=True,
                   check=True)
    images = os.listdir('crashes')
    assert len(images) > 50, images
    for image in images:
        done = subprocess.run(['fsck.fat', '-n', f'crashes/{image}'], capture_output=True, text=True)
        for line in (done.stdout + done.stderr).splitlines():
            assert harmless.match(line), f'{image}: {line}'


def main():
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    for tool in ('mkfs.fat', 'fsck.fat', 'mcopy'):
        if not shutil.which(tool):
            print(f'skipped: no {tool}')
            sys.exit(77)
    with tempfile.TemporaryDirectory(prefix='tarn-fat-') as folder:
        os.chdir(folder)
        for kind in SIZES:
            for case in (ours_read_by_others, theirs_read_by_us, changed_in_turn):
                case(kind)
                print(f'FAT{kind} {case.__name__}: ok', flush=True)
        lost_power()
        print('lost power: ok', flush=True)
        sectors_and_clusters()
        print('sectors and clusters: ok')


main()
