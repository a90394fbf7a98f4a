#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""tarn-kv as a person uses it: every command, its errors, and GNU tar on both sides of it.

usage: tool.py TARN-KV
"""
import os
import subprocess
import sys
import tempfile

TOOL = os.path.abspath(sys.argv[1])


def run(*args, status=0, data=b''):
    result = subprocess.run([TOOL, *args], input=data, capture_output=True, check=False)
    assert result.returncode == status, (args, result.returncode, result.stderr)
    assert status == 0 or result.stderr or args[0] == 'check', (args, 'fails and says nothing')
    return result.stdout


def refused(*args, says, status=1):
    result = subprocess.run([TOOL, *args], input='', capture_output=True, text=True, check=False)
    assert result.returncode == status, (args, result.returncode, result.stderr)
    assert says in result.stderr, (args, result.stderr)


def everyday():
    run('mkfs', 'image', '--size=4M')
    assert os.path.getsize('image') == 4 << 20
    refused('mkfs', 'image', says='--force')
    run('set', 'image', 'a/b', 'value')
    run('set', 'image', 'a/c', data=b'from standard input')
    assert run('get', 'image', 'a/b') == b'value'
    assert run('get', 'image', '/a/c') == b'from standard input'
    assert run('ls', 'image') == b'a/\n'
    assert run('ls', 'image', 'a') == b'b\nc\n'
    run('mv', 'image', 'a', 'd')
    assert run('ls', 'image', 'd') == b'b\nc\n'
    run('rm', 'image', 'd/b')
    large = bytes(range(256)) * 2000
    run('set', 'image', 'large', data=large)
    assert run('get', 'image', 'large') == large
    run('set', 'image', 'large', data=large[1:])
    assert run('get', 'image', 'large') == large[1:]
    assert b'good' in run('check', 'image')
    assert b'generation' in run('stat', 'image')


def errors():
    refused('get', 'image', 'nothing', says='no such key')
    refused('get', 'image', 'd', says='a dictionary')
    refused('set', 'image', 'd', 'x', says='a dictionary')
    refused('set', 'image', 'a/../b', 'x', says='not a key')
    refused('ls', 'image', 'large', says='not a key, or a dictionary where')
    refused('get', 'nowhere', 'a', says='No such file')
    open('zeroes', 'wb').write(bytes(1 << 20))
    refused('ls', 'zeroes', says='tarn-kv mkfs')
    refused('mkfs', 'small', '--size=100K', says='1 MiB')
    refused('mkfs', 'small', '--size=much', says='not a number of bytes', status=64)
    refused('mkfs', 'small', '--sise=1M', says='--sise', status=64)
    refused('bake', 'image', says='bake', status=64)
    refused('get', 'image', says='--help', status=64)
    refused(says='--help', status=64)
    out = run('--help').decode()
    for command in ('mkfs', 'get', 'set', 'rm', 'mv', 'ls', 'check', 'stat', 'dump', 'load',
                    'settle', 'shrink'):
        assert f'  {command} ' in out, command


def archives():
    os.makedirs('tree/' + 'long' * 30 + '/' + 'name' * 30)
    files = {'tree/plain': b'1', 'tree/empty': b'', 'tree/large': os.urandom(300000),
             'tree/' + 'long' * 30 + '/' + 'name' * 30 + '/leaf': b'deep'}
    for name, data in files.items():
        open(name, 'wb').write(data)
        os.utime(name, (1000000, 1000000))
    subprocess.run(['tar', '--format=pax', '-cf', 'in.tar', 'tree'], check=True)
    run('mkfs', 'second', '--size=4M')
    run('load', 'second', 'in.tar')
    for name, data in files.items():
        assert run('get', 'second', name) == data, name
    open('out.tar', 'wb').write(run('dump', 'second'))
    os.rename('tree', 'before')
    subprocess.run(['tar', '-xf', 'out.tar'], check=True)
    subprocess.run(['diff', '-r', 'before', 'tree'], check=True)
    assert os.stat('tree/plain').st_mtime == 1000000
    refused('load', 'second', 'image', says='archive')
    refused('load', 'second', 'nowhere', says='No such file')


def sizes():
    run('settle', 'second')
    run('shrink', 'second', '2M')
    assert os.path.getsize('second') == 2 << 20
    assert b'good' in run('check', 'second')
    assert run('get', 'second', 'tree/plain') == b'1'
    refused('shrink', 'second', '400K', says='does not fit')


def fat():
    run('mkfs', 'fat', '--fat', '--size=2M')
    run('set', 'fat', 'a/Long name.text', 'value')
    assert run('get', 'fat', 'A/LONG NAME.TEXT') == b'value'
    large = os.urandom(300000)
    run('set', 'fat', 'a/large', data=large)
    assert run('get', 'fat', 'a/large') == large and run('ls', 'fat', 'a') == b'Long name.text\nlarge\n'
    assert b'FAT12' in run('stat', 'fat')
    refused('check', 'fat', says='FAT volume')
    refused('mkfs', 'fat', says='--force')
    refused('mkfs', 'fat32', '--fat=32', '--size=1M', says='another size')
    run('load', 'fat', 'in.tar')
    assert run('get', 'fat', 'tree/plain') == b'1'


def damage():
    """A page of the tree, changed: check says which, and nothing wrong is read."""
    data = bytearray(open('second', 'rb').read())
    pages = [i for i in range(8, len(data) // 4096) if data[i * 4096:i * 4096 + 4] == b'tkvp'
             and data[i * 4096 + 4] == 0]
    found = 0
    for page in pages:
        data[page * 4096 + 3000] ^= 1
        open('damaged', 'wb').write(data)
        data[page * 4096 + 3000] ^= 1
        result = subprocess.run([TOOL, 'check', 'damaged'], capture_output=True, check=False)
        assert result.returncode in (0, 1)
        found += result.returncode
    assert found > 10, (found, len(pages))


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    everyday()
    errors()
    archives()
    sizes()
    fat()
    damage()
print('ok')
