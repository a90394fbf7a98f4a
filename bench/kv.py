#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The store on a device (in a file) beside LMDB, LevelDB, RocksDB and SQLite (WAL), in one run.

Records of 16 + 100 bytes in random order, a commit durable each: single sets, batches of 1000,
random reads with 4 MiB of cache and with all in memory, a scan. Each phase is a process of its own;
bytes written and the peak of memory are those of the batches.

usage: kv.py [--records=1000000] [--singles=100000] [--folder=FOLDER]   (default: /dev/shm)
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
from tools.common import build_dir, configure_tests, quietly  # noqa: E402

PEERS = ['lmdb', 'leveldb', 'rocksdb', 'sqlite']
PROGRAMS = os.path.join(build_dir('unix'), 'bench', 'kv', 'kv-bench-')


def phase(engine, name, records, folder):
    """(operations a second, bytes written for each byte, KiB at the most, microseconds of the longest
    put, flushes or -1), or None."""
    if not os.path.exists(PROGRAMS + engine):
        return None
    os.makedirs(folder, exist_ok=True)
    result = subprocess.run([PROGRAMS + engine, name, str(records), folder], capture_output=True,
                            text=True, check=False)
    if result.returncode != 0:
        sys.exit(result.stderr)
    return tuple(map(float, result.stdout.split()))


def space(folder):
    return sum(os.stat(os.path.join(d, f)).st_blocks * 512
               for d, _, files in os.walk(folder) for f in files)


def measure(engine, args, place):
    one, all_ = os.path.join(place, 'one'), os.path.join(place, 'all')
    single = phase(engine, 'single', args.singles, one)
    if not single:
        return None
    shutil.rmtree(one)
    figures = {'durable sets, /s': single[0], 'single: written, x': single[1],
               'single: longest pause, us': single[3]}
    batch = phase(engine, 'batch', args.records, all_)
    figures.update({'batches of 1000, records/s': batch[0], 'batch: written, x': batch[1],
                    'batch: longest pause, us': batch[3],
                    'peak memory, KiB': batch[2],
                    'space, bytes/record': space(all_) / args.records})
    if single[4] >= 0:
        print(f'{engine}: {single[4] / args.singles:.3f} flushes a single set, '
              f'{batch[4] / args.records * 1000:.2f} a batch, those of merging included')
    for key, name in (('random reads, 4 MiB, /s', 'read'), ('random reads, cached, /s', 'cached'),
                      ('scan, records/s', 'scan')):
        figures[key] = phase(engine, name, args.records, all_)[0]
    shutil.rmtree(all_)
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--records', type=int, default=1000000)
    parser.add_argument('--singles', type=int, default=100000)
    parser.add_argument('--folder', default='/dev/shm')
    args = parser.parse_args()
    configure_tests('unix')
    quietly('build the stores', ['ninja', '-C', build_dir('unix'), 'kv-benches'])
    results = {}
    with tempfile.TemporaryDirectory(dir=args.folder, prefix='tarn-bench-kv-') as place:
        for engine in ['tarn'] + PEERS:
            figures = measure(engine, args, place)
            if figures:
                results[engine] = figures
            else:
                print(f'{engine}: its development package is not installed')
    print(f'{args.records} records of 16 + 100 bytes, in {args.folder}; tarn, then each peer and '
          'tarn / peer')
    for key, ours in results['tarn'].items():
        cells = ''.join(f'  {name} {f[key]:,.1f} ({ours / f[key]:.2f})' if f[key] else f'  {name} -'
                        for name, f in results.items() if name != 'tarn')
        print(f'{key:28} {ours:12,.1f}{cells}')
    print(subprocess.run([os.path.join(os.path.dirname(PROGRAMS), 'kv-recovery'), args.folder],
                         capture_output=True, text=True, check=True).stdout, end='')


if __name__ == '__main__':
    main()
