#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A key-value service that answers when it is on disk: requests a second, by redis-benchmark.

kvd over a tap against redis-server with `appendfsync always` on the kernel's stack over veth, with the
same client: 50 connections, one request at a time and 16 pipelined. The server has one core and the
client the other; both keep their data in the same folder.

usage: kvd.py [FOLDER]   (default: build/bench, which is on disk; /dev/shm shows what a flush costs)
"""
import csv
import os
import shutil
import sys
import tempfile

import common
from common import Place, alternate, keep, machine, show

ROUNDS, PORT, RECORDS = 3, '6379', 100000
REQUESTS = {'1': 30000, '16': 200000}


def redis_command(folder):
    """Debian has the server in redis-tools, under the name of one of them."""
    program = shutil.which('redis-server') or shutil.which('redis-check-rdb')
    if not program:
        sys.exit('redis-tools is not installed')
    return ['bash', '-c', 'exec -a redis-server "$@"', 'bash', program, '--port', PORT, '--dir', folder,
            '--bind', common.SERVER, '--protected-mode', 'no', '--save', '', '--appendonly', 'yes',
            '--appendfsync', 'always', '--auto-aof-rewrite-percentage', '0']


def rates(place, depth):
    out = place.run('redis-benchmark', '-h', common.SERVER, '-p', PORT, '-t', 'set,get,incr', '-c', '50',
                    '-P', depth, '-n', str(REQUESTS[depth]), '-r', str(RECORDS), '-d', '100', '--csv',
                    timeout=300)
    return {row[0]: float(row[1]) for row in csv.reader(out.splitlines()) if row and row[0] != 'test'}


def main(folder=common.BUILD):
    common.need_root()
    os.makedirs(folder, exist_ok=True)
    image = common.tarn_image('kvd')
    print(f'{machine()}; in {folder}')
    with tempfile.TemporaryDirectory(prefix='tarn-bench-kvd-', dir=folder) as work:
        disk = os.path.join(work, 'disk')
        with open(disk, 'wb') as f:
            f.write(bytes(256 << 20))
        with Place('tap') as ours, Place('veth') as theirs:
            command = common.tarn_command(image, '--format', '--cache-mib=64')  # all of it, as Redis has
            ours.start(command[0], f'--block:storage={disk}', *command[1:])
            theirs.start(*redis_command(work))
            ours.wait_for(PORT)
            theirs.wait_for(PORT)
            for depth in REQUESTS:
                a, b = alternate(ROUNDS, lambda: rates(ours, depth), lambda: rates(theirs, depth))
                for name in a[0]:
                    mine, peers = [r[name] for r in a], [r[name] for r in b]
                    keep(f'kvd-{name}-{depth}', {'tarn': mine, 'redis': peers})
                    show(f'{name}, {depth} at a time', 'requests/s', mine, 'redis-server over veth', peers)


if __name__ == '__main__':
    main(*sys.argv[1:])
