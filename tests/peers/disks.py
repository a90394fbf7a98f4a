#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Disk images with QEMU's tools on the other side, and the block stack over NBD with libnbd's and fio.

usage: disks.py TARN_BLK

Skipped (status 77) where qemu-img is not installed; the rest says what it leaves out.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
TOOL = os.path.abspath(sys.argv[1])


def sh(*command, status=0, seconds=60):
    result = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    if result.returncode != status:
        raise AssertionError(f'{" ".join(command)}: status {result.returncode}, not {status}\n'
                             f'{result.stdout}{result.stderr}')
    return result.stdout


def tarn(*arguments, status=0):
    return sh(TOOL, *arguments, status=status)


def qemu_io(image, *commands):
    sh('qemu-io', *[word for c in commands for word in ('-c', c)], image)


def same(a, b):
    sh('qemu-img', 'compare', a, b)
    tarn('compare', a, b)


def sound(image):
    sh('qemu-img', 'check', image)
    tarn('check', image)


def raw_file(path, size, seed):
    """A file with runs of data and of nothing."""
    dice = random.Random(seed)
    with open(path, 'wb') as f:
        f.truncate(size)
        for _ in range(size >> 18):
            f.seek(dice.randrange(size // 512) * 512)
            f.write(dice.randbytes(min(512 * dice.randrange(1, 300), size - f.tell())))


def convert_both_ways():
    raw_file('a.raw', 6 << 20, 1)
    tarn('convert', 'a.raw', 'qcow2', 'a.qcow2')
    sound('a.qcow2')
    same('a.raw', 'a.qcow2')
    assert os.path.getsize('a.qcow2') < 5 << 20, 'what is zero takes no room'
    tarn('convert', 'a.qcow2', 'raw', 'back.raw')
    assert open('a.raw', 'rb').read() == open('back.raw', 'rb').read()
    for options in ('compat=0.10', 'compat=1.1,lazy_refcounts=on', 'cluster_size=512',
                    'cluster_size=2M', 'refcount_bits=1', 'refcount_bits=64', 'refcount_bits=8'):
        sh('qemu-img', 'convert', '-O', 'qcow2', '-o', options, 'a.raw', 'theirs.qcow2')
        tarn('check', 'theirs.qcow2')
        tarn('compare', 'a.raw', 'theirs.qcow2')


def write_to_each_others_images():
    """Both write by turns to one image; a raw file is the model."""
    dice = random.Random(2)
    for bits, version in ((9, 3), (12, 2), (16, 3)):
        size = 2 << 20
        tarn('create', 'qcow2', 'turns.qcow2', str(size), f'cluster_bits={bits}',
             f'version={version}')
        raw_file('model.raw', size, 9)
        for turn in range(3):
            at, n = dice.randrange(size // 1024) * 512, dice.randrange(1, 300) * 512
            qemu_io('turns.qcow2', f'write -P {turn + 1} {at} {n}',
                    f'discard {at // 2 // 65536 * 65536} 65536')
            sound('turns.qcow2')
            with Served('turns.qcow2') as uri:
                sh('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', 'model.raw', uri)
            sound('turns.qcow2')
            same('model.raw', 'turns.qcow2')


def backing_images():
    raw_file('base.raw', 6 << 20, 3)
    tarn('create', 'qcow2', 'over.qcow2', str(8 << 20), 'backing=base.raw')
    qemu_io('over.qcow2', 'read 0 8M', 'write -P 7 1M 300K')
    sound('over.qcow2')
    sh('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'over.qcow2', '-F', 'qcow2', 'top.qcow2')
    qemu_io('top.qcow2', 'write -P 8 1100K 100K', 'discard 2M 1M')
    same('top.qcow2', 'top.qcow2')
    sh('qemu-img', 'convert', '-O', 'raw', 'top.qcow2', 'flat.raw')
    tarn('compare', 'flat.raw', 'top.qcow2')


def snapshots_stay():
    raw_file('s.raw', 4 << 20, 4)
    sh('qemu-img', 'convert', '-O', 'qcow2', '-o', 'cluster_size=4096', 's.raw', 's.qcow2')
    sh('qemu-img', 'snapshot', '-c', 'before', 's.qcow2')
    raw_file('t.raw', 4 << 20, 5)
    with Served('s.qcow2') as uri:
        sh('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', 't.raw', uri)
    sound('s.qcow2')
    same('t.raw', 's.qcow2')
    sh('qemu-img', 'convert', '-l', 'before', '-O', 'raw', 's.qcow2', 'before.raw')
    assert open('s.raw', 'rb').read() == open('before.raw', 'rb').read()
    sh('qemu-img', 'snapshot', '-d', 'before', 's.qcow2')
    sound('s.qcow2')


def vhd():
    raw_file('v.raw', 7 << 20, 8)
    for ours, theirs in (('vhd', 'subformat=dynamic'), ('vhd-fixed', 'subformat=fixed')):
        tarn('convert', 'v.raw', ours, 'v.vhd')
        sh('qemu-img', 'compare', '-f', 'raw', '-F', 'vpc', 'v.raw', 'v.vhd')
        sh('qemu-img', 'convert', '-O', 'vpc', '-o', theirs + ',force_size=on', 'v.raw', 'w.vhd')
        tarn('compare', 'v.raw', 'w.vhd')
        for image in ('v.vhd', 'w.vhd'):
            sh('qemu-io', '-f', 'vpc', '-c', 'write -P 5 3M 600K', image)
            with Served(image) as uri:
                sh('qemu-io', '-f', 'raw', '-c', 'read -P 5 3M 600K', '-c', 'write -P 6 100K 3000K',
                   '-c', 'flush', uri)
            sh('qemu-io', '-f', 'vpc', '-c', 'read -P 6 100K 3000K', '-c', 'read -P 5 3100K 500K',
               image)
        sh('qemu-img', 'compare', '-f', 'vpc', '-F', 'vpc', 'v.vhd', 'w.vhd')


def partitions():
    if not shutil.which('sfdisk'):
        print('left out: sfdisk is not installed (apt install fdisk)')
        return

    def theirs():
        table = json.loads(sh('sfdisk', '--json', 'p.img'))['partitiontable']
        return {int(p['node'][len('p.img'):]): (p['start'], p['size'])
                for p in table['partitions'] if p['type'] not in ('5', 'f')}

    def ours():
        return {int(line.split()[0]): tuple(map(int, line.split()[1].split('+')))
                for line in tarn('parts', 'p.img').splitlines()[1:]}

    for label in ('gpt', 'dos'):
        tarn('create', 'raw', 'p.img', str(64 << 20))
        script = f'label: {label}\n2048 4096\n8192 1000\n' + (
            '20480 60000 5\n90000 300\n22528 2048\n30000 5000\n' if label == 'dos' else '70000 900\n')
        subprocess.run(['sfdisk', '-q', 'p.img'], input=script, text=True, check=True,
                       capture_output=True)
        assert ours() == theirs() and len(ours()) >= 3, (ours(), theirs())
    for scheme, parts in (('gpt', {1: (2048, 4096), 7: (70000, 900), 128: (10000, 1)}),
                          ('mbr', {1: (2048, 4096), 5: (22528, 2048), 6: (30000, 5000)})):
        tarn('create', 'raw', 'p.img', str(64 << 20))
        tarn('mkparts', 'p.img', scheme, *(f'{n}:{first}+{size}' for n, (first, size) in parts.items()))
        assert ours() == parts == theirs(), (ours(), theirs())
        sh('sfdisk', '--verify', 'p.img')


def compact_and_grow():
    raw_file('c.raw', 8 << 20, 6)
    sh('qemu-img', 'convert', '-O', 'qcow2', '-S', '0', 'c.raw', 'c.qcow2')
    full = os.path.getsize('c.qcow2')
    with Served('c.qcow2') as uri:
        sh('qemu-io', '-f', 'raw', '-c', 'discard 0 5M', uri)
    qemu_io('c.qcow2', 'read -P 0 0 5M')
    tarn('compact', 'c.qcow2')
    assert os.path.getsize('c.qcow2') < full * 2 // 3
    sound('c.qcow2')
    with open('c.raw', 'r+b') as f:
        f.write(bytes(5 << 20))
    same('c.raw', 'c.qcow2')
    tarn('grow', 'c.qcow2', str(3 << 30))
    sound('c.qcow2')
    qemu_io('c.qcow2', 'read -P 0 16M 1M', f'write -P 3 {3 << 30 - 10} 512', 'read -P 0 2047M 2M')
    sound('c.qcow2')


def damage_is_seen():
    tarn('create', 'qcow2', 'd.qcow2', str(1 << 20), 'cluster_bits=9')
    qemu_io('d.qcow2', 'write -P 1 0 64K')
    with open('d.qcow2', 'r+b') as f:
        f.seek(2 * 512 + 2 * 60)
        f.write(b'\0\2')
    tarn('check', 'd.qcow2', status=2)
    tarn('check', 'd.qcow2', 'repair', status=2)
    sound('d.qcow2')


class Served:
    """An image served over NBD while it is in use."""

    def __init__(self, image):
        self.image, self.socket = image, os.path.abspath('nbd.sock')

    def __enter__(self):
        self.server = subprocess.Popen([TOOL, 'serve', self.image, self.socket])
        while not os.path.exists(self.socket):
            if self.server.poll() is not None:
                raise AssertionError('the server ended')
        return f'nbd+unix:///?socket={self.socket}'

    def __exit__(self, kind, *_):
        self.server.kill() if kind else self.server.terminate()
        status = self.server.wait(30)
        if not kind and status != 0:
            raise AssertionError(f'the server ended with status {status}')


def nbd():
    raw_file('n.raw', 4 << 20, 7)
    tarn('create', 'qcow2', 'n.qcow2', str(4 << 20))
    if shutil.which('nbdcopy'):
        with Served('n.qcow2') as uri:
            sh('nbdcopy', '--flush', 'n.raw', uri)
        sound('n.qcow2')
        same('n.raw', 'n.qcow2')
        with Served('n.qcow2') as uri:
            sh('nbdcopy', uri, 'n2.raw')
        assert open('n.raw', 'rb').read() == open('n2.raw', 'rb').read()
    else:
        print('left out: nbdcopy is not installed (apt install libnbd-bin)')


def fio():
    if not shutil.which('fio') or 'nbd' not in sh('fio', '--enghelp').split():
        print('left out: fio with its nbd engine is not installed')
        return
    for bits in (9, 16):
        tarn('create', 'qcow2', 'f.qcow2', str(2 << 20), f'cluster_bits={bits}')
        with Served('f.qcow2') as uri:
            sh('fio', '--name=v', '--ioengine=nbd', f'--uri={uri}', '--rw=randrw',
               '--bssplit=512/20:4k/50:64k/30', '--size=2M', '--io_size=3M', '--verify=crc32c',
               '--iodepth=8', '--fsync=50', '--verify_fatal=1', '--randseed=1')
        sound('f.qcow2')


def main():
    if not shutil.which('qemu-img') or not shutil.which('qemu-io'):
        print('skipped: qemu-img and qemu-io are not installed (apt install qemu-utils)')
        sys.exit(SKIPPED)
    # In memory where there is such a place: each side flushes often, and nobody pulls the plug.
    memory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix='tarn-disks-', dir=memory) as folder:
        os.chdir(folder)
        for case in (convert_both_ways, backing_images, damage_is_seen, write_to_each_others_images,
                     snapshots_stay, compact_and_grow, partitions, vhd, nbd,
                     fio):
            start = time.monotonic()
            case()
            print(f'good: {case.__name__}, {time.monotonic() - start:.1f} s', flush=True)
        os.chdir('/')


if __name__ == '__main__':
    main()
