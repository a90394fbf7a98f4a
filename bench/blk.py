#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Block devices beside their peers: images beside `qemu-img bench`, files beside fio.

Everything is in memory (/dev/shm), so the figures are of the programs and not of a disk, and they are
requests in a second of the processor's time, user and system, of all threads: what else the machine
does matters less. The time of a run with one request is taken off. Images are read and written with one
request at a time, through the host's file; files with 32 at a time, through io_uring. Strewn requests
begin 17 clusters apart, or anywhere.
"""
import os
import resource
import shutil
import subprocess
import sys
import tempfile

from common import alternate, build_dir, configure, keep, machine, quietly, sh, show

ROUNDS = 5
MIB = 1 << 20
SIZE = 256 * MIB
COUNT = 100000


def cpu_seconds(command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if result.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {result.stderr.strip()}')
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def rate(command, count, prepare=None):
    """Requests in a second of processor time; `command` makes the words for so many requests."""
    if prepare:
        prepare()
    once = cpu_seconds(command(1))
    if prepare:
        prepare()
    return (count - 1) / max(cpu_seconds(command(count)) - once, 1e-3)


def images(tool, form, qemu_form):
    def make_ours():
        sh(tool, 'create', form, 'a.img', str(SIZE))

    def make_theirs():
        options = ['-o', 'force_size=on'] if qemu_form == 'vpc' else []
        sh('qemu-img', 'create', '-q', '-f', qemu_form, *options, 'b.img', str(SIZE))

    def measures(fresh, op, size, count, step):
        def ours(n):
            return [tool, 'bench', 'a.img', op, str(size), str(n), str(step)]

        def qemu(n):
            write = ['-w'] if op == 'write' else []
            return ['qemu-img', 'bench', *write, '-f', qemu_form, '-t', 'writeback', '-d', '1',
                    '-c', str(n), '-s', str(size), '-S', str(step), 'b.img']
        return (lambda: rate(ours, count, make_ours if fresh else None),
                lambda: rate(qemu, count, make_theirs if fresh else None))

    cases = (('first writes of 64 KiB', 'write', 65536, 4096, 65536),
             ('reads of 64 KiB, in order', 'read', 65536, 4096, 65536),
             ('reads of 4 KiB, in order', 'read', 4096, 20000, 4096),
             ('reads of 4 KiB, strewn', 'read', 4096, 20000, 17 * 65536),
             ('writes of 64 KiB, in order', 'write', 65536, 4096, 65536),
             ('writes of 4 KiB, strewn', 'write', 4096, 20000, 17 * 65536))
    for i, (what, *how) in enumerate(cases):
        a, b = alternate(ROUNDS, *measures(i == 0, *how))
        keep(f'blk-{form}-{i}', {'tarn': a, 'qemu': b})
        show(f'{form}, {what}', 'requests/cpu-s', a, 'qemu-img bench', b)


def files(program):
    with open('raw.img', 'wb') as f:
        for _ in range(SIZE // MIB):
            f.write(os.urandom(MIB))
    for rw, *keys in (('randread',), ('randwrite', '--write')):
        def ours(n):
            return [program, '--block:storage=raw.img', f'--count={n}', '--depth=32', *keys]

        def fio(n):
            return ['fio', '--name=b', '--filename=raw.img', '--ioengine=io_uring', '--iodepth=32',
                    f'--rw={rw}', '--bs=4k', f'--size={SIZE}', f'--io_size={n * 4096}',
                    '--iodepth_batch=32', '--iodepth_batch_complete_min=1', '--norandommap',
                    '--gtod_reduce=1', '--invalidate=0']
        a, b = alternate(ROUNDS, lambda: rate(ours, COUNT), lambda: rate(fio, COUNT))
        keep(f'blk-file-{rw}', {'tarn': a, 'fio': b})
        show(f'file, {rw} of 4 KiB', 'requests/cpu-s', a, 'fio', b)


def main():
    for command, package in (('qemu-img', 'qemu-utils'), ('fio', 'fio')):
        if not shutil.which(command):
            sys.exit(f'this needs {command} (apt install {package})')
    configure('unix')
    programs = [os.path.join('tools', 'tarn-blk'), os.path.join('bench', 'blk-raw')]
    quietly('build tarn-blk and blk-raw', ['ninja', '-C', build_dir('unix'), *programs])
    tool, raw = (os.path.join(build_dir('unix'), p) for p in programs)
    print(machine())
    with tempfile.TemporaryDirectory(prefix='tarn-blk-', dir='/dev/shm') as folder:
        os.chdir(folder)
        images(tool, 'qcow2', 'qcow2')
        images(tool, 'vhd', 'vpc')
        files(raw)
        os.chdir('/')


if __name__ == '__main__':
    main()
