#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What a packet costs ARP, NDP, the routing table and the NAT, among 10 entries and up to 100,000.

Instructions come from callgrind, so they are the same on every run and however busy the machine is;
nanoseconds beside them show the caches. `--check PROGRAM` is the unit test: fewer entries, and bounds.
"""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
from tools.common import build_dir, configure, quietly  # noqa: E402

TABLES = {'arp': 'ARP entries: resolving', 'ndp': 'NDP entries: sending to a neighbour',
          'route4': 'IPv4 routes: sending by one', 'route6': 'IPv6 routes: sending by one',
          'mixed4': 'IPv4 routes of many lengths: sending by one', 'mixed6': 'IPv6 routes of many lengths: sending by one',
          'flow': 'NAT flows: a packet of one'}
RATIO_MAX = 1.10  # of the cost among many


def run(program, *args, wrapper=()):
    result = subprocess.run([*wrapper, program, *map(str, args)], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f'net-cost {" ".join(map(str, args))}: {result.stderr.strip()}')
    words = result.stdout.split()
    return dict(zip(words[::2], map(float, words[1::2]))), result.stderr


def instructions(program, *args):
    """A packet's."""
    with tempfile.TemporaryDirectory() as d:
        wrapper = ('valgrind', '--tool=callgrind', f'--callgrind-out-file={d}/out', '--toggle-collect=work')
        out, err = run(program, *args, wrapper=wrapper)
    return int(re.search(r'Collected : (\d+)', err).group(1)) / out['packets']


def check(program):
    faults = []
    for table, what in TABLES.items():
        few, many = (instructions(program, table, n) for n in (10, 3000))
        print(f'{what}: {few:.0f} instructions among 10, {many:.0f} among 3,000')
        if many > few * RATIO_MAX:
            faults.append(f'the cost grows with the number of {what.split(":")[0]}')
    sys.exit('\n'.join(faults) or 0)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--check':
        check(sys.argv[2])
    configure('unix')
    quietly('build net-cost', ['ninja', '-C', build_dir('unix'), 'bench/net-cost'])
    program = os.path.join(build_dir('unix'), 'bench', 'net-cost')
    for table, what in TABLES.items():
        print(what)
        first = None
        for n in (10, 1000, 100000):
            ns = min(run(program, table, n)[0]['ns'] for _ in range(3))
            cost = instructions(program, table, n)
            first = first or cost
            print(f'{n:>12,} {cost:>7.0f} instructions {cost / first:.2f}x {ns:>7.0f} ns', flush=True)


if __name__ == '__main__':
    main()
