#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a segment costs TCP: among 10, 1,000 and 100,000 connections, and under floods.

Instructions come from callgrind, so they are the same on every run and however busy the machine is;
nanoseconds beside them show the caches. `--check PROGRAM` is the unit test: few connections and
short floods, and bounds.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
from tools.common import build_dir, configure, quietly  # noqa: E402

FLOODS = ('syn', 'ack', 'rst', 'tiny', 'sack', 'holes')
RATIO_MAX = 1.25         # of the cost among many connections, or late in a flood
FLOOD_SEGMENT_MAX = 8000  # instructions


def run(program, *args, wrapper=()):
    result = subprocess.run([*wrapper, program, *map(str, args)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f'tcp-cost {" ".join(map(str, args))}: {result.stderr.strip()}')
    words = result.stdout.split()
    return dict(zip(words[::2], map(float, words[1::2]))), result.stderr


def instructions(program, *args):
    """A segment's."""
    with tempfile.TemporaryDirectory() as d:
        wrapper = ('valgrind', '--tool=callgrind', f'--callgrind-out-file={d}/out',
                   '--toggle-collect=work')
        out, err = run(program, *args, wrapper=wrapper)
    return int(re.search(r'Collected : (\d+)', err).group(1)) / out['segments']


def check(program):
    faults = []
    few, many = (instructions(program, 'flow', n) for n in (10, 2000))
    print(f'{few:.0f} instructions a segment among 10 connections, {many:.0f} among 2,000')
    if many > few * RATIO_MAX:
        faults.append('the cost grows with the number of connections')
    for flood in FLOODS:
        early, late = (instructions(program, flood, n) for n in (500, 2000))
        print(f'{flood}: {early:.0f} instructions a segment at first, {late:.0f} later')
        if late > min(early * RATIO_MAX, FLOOD_SEGMENT_MAX):
            faults.append(f'a segment of a flood ({flood}) costs too much')
    sys.exit('\n'.join(faults) or 0)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--check':
        check(sys.argv[2])
    configure('unix')
    quietly('build tcp-cost', ['ninja', '-C', build_dir('unix'), 'bench/tcp-cost'])
    program = os.path.join(build_dir('unix'), 'bench', 'tcp-cost')
    print('requests and answers of 100 bytes over connections at random, application included')
    print(f'{"connections":>12} {"instructions":>13} {"ns":>7}   a segment; bytes resident a connection')
    first = None
    for n in (10, 1000, 100000):
        timed = min((run(program, 'flow', n)[0] for _ in range(3)), key=lambda r: r['ns'])
        cost = instructions(program, 'flow', n)
        first = first or cost
        print(f'{n:>12,} {cost:>13.0f} {timed["ns"]:>7.0f}   {cost / first:.2f}x   '
              f'{timed["resident_bytes_per_connection"]:.0f}', flush=True)
    print('under a flood from a stranger')
    for flood in FLOODS:
        print(f'{flood:>12} {instructions(program, flood, 20000):>13.0f}   a segment', flush=True)


if __name__ == '__main__':
    main()
