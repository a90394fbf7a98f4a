#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Refuses mutable globals: every object that an archive defines must be constant, and none is weak.

usage: state.py NAME ARCHIVE | state.py selftest CC
"""
import os
import re
import subprocess
import sys
import tempfile

# .data.rel.ro is constant but for the addresses that the loader fills in.
MUTABLE = re.compile(r'^(\.data(?!\.rel\.ro)|\.bss|\.tdata|\.tbss|\*COM\*|COMMON)')


def findings(archive):
    out = subprocess.run(['objdump', '-t', archive], check=True, capture_output=True, text=True)
    objects = 0
    for line in out.stdout.split('\n'):
        m = re.match(r'^[0-9a-f]+ (.{7}) (\S+)\t[0-9a-f]+ (?:\.\w+ )?(\S+)$', line)
        if not m:
            continue
        flags, section, symbol = m.groups()
        objects += flags[6] in 'FO'
        if MUTABLE.match(section) and 'd' not in flags:
            yield f'{symbol} is a mutable global (in {section})'
        if 'w' in flags:
            yield f'{symbol} is weak'
    if objects == 0:
        yield 'it defines nothing: was it built?'


def selftest(cc):
    bad = ['int x;', 'static int x = 1; int *f(void) { return &x; }', 'int *f(void) { static int x; '
           'return &x; }', '__thread int x;', '__attribute__((weak)) void f(void) {}', '']
    good = ['int f(void) { return 1; }', 'void g(void); void (*const f)(void) = g;',
            'static const int x[2] = {1, 2}; const int *f(void) { return x; }']
    for code in bad + good:
        with tempfile.TemporaryDirectory() as tmp:
            path = os.path.join(tmp, 'x.c')
            with open(path, 'w') as f:
                f.write(code + '\n')
            subprocess.run(cc + ['-fPIE', '-fdata-sections', '-c', path, '-o', path[:-1] + 'o'], check=True)
            subprocess.run(['ar', 'rcs', path[:-1] + 'a', path[:-1] + 'o'], check=True)
            said = list(findings(path[:-1] + 'a'))
        assert bool(said) == (code in bad), (code, said)
    print(f'{len(bad + good)} passed, 0 failed, 0 skipped')


def main():
    if sys.argv[1] == 'selftest':
        return selftest(sys.argv[2].split())
    said = list(findings(sys.argv[2]))
    for finding in said:
        print(f'lib/{sys.argv[1]}: {finding}')
    return 1 if said else 0


if __name__ == '__main__':
    sys.exit(main())
