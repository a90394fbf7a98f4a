#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Links one library with all of its objects and the layers below it, and nothing else: whatever it
reaches for beyond those is an error. The C library is beyond: all that a compiler may emit anywhere
(memcpy, memmove, memset, memcmp, the stack check) is defined by a stub.

usage: closure.py CC NAME ARCHIVE [ARCHIVE-BELOW...]
"""
import os
import re
import subprocess
import sys
import tempfile

STUB = """
void *memcpy(void *d, const void *s, unsigned long n) { (void)s, (void)n; return d; }
void *memmove(void *d, const void *s, unsigned long n) { (void)s, (void)n; return d; }
void *memset(void *d, int c, unsigned long n) { (void)c, (void)n; return d; }
int memcmp(const void *a, const void *b, unsigned long n) { (void)a, (void)b, (void)n; return 0; }
void __stack_chk_fail(void) { __builtin_trap(); }
void *__stack_chk_guard;
void _start(void) {}
"""


def undefined(cc, archive, below):
    """The symbols that the archive needs and nobody allowed has, with the functions that need them."""
    with tempfile.TemporaryDirectory() as tmp:
        stub = os.path.join(tmp, 'stub.c')
        with open(stub, 'w') as f:
            f.write(STUB)
        command = cc + ['-nostdlib', '-static', '-no-pie', '-fno-builtin', '-fno-sanitize=all', stub,
                        '-Wl,--whole-archive', archive, '-Wl,--no-whole-archive', '-Wl,--start-group',
                        *below, '-Wl,--end-group', '-Wl,--no-gc-sections', '-o',
                        os.path.join(tmp, 'closed')]
        out = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
    found = {}
    for m in re.finditer(r"(?:in function `([^']+)':.*?\n)?[^\n]*undefined reference to `([^']+)'",
                         out.stderr):
        found.setdefault(m.group(2), set()).add(m.group(1) or '?')
    if out.returncode != 0 and not found:
        sys.exit(f'closure: the link failed for another reason:\n{out.stderr}')
    return found


def selftest(cc):
    """A library that calls out must be caught, one that does not must pass."""
    with tempfile.TemporaryDirectory() as tmp:
        def archive(name, code):
            source = os.path.join(tmp, name + '.c')
            with open(source, 'w') as f:
                f.write(code)
            subprocess.run(cc + ['-c', '-ffreestanding', source, '-o', source[:-1] + 'o'], check=True)
            subprocess.run(['ar', 'rcs', source[:-1] + 'a', source[:-1] + 'o'], check=True)
            return source[:-1] + 'a'
        below = archive('below', 'int below(void) { return 1; }')
        good = archive('good', 'int below(void); void *memcpy(void *, const void *, unsigned long);'
                               'void good(void *p) { if (below()) memcpy(p, p, 1); }')
        bad = archive('bad', 'int printf(const char *, ...); void bad(void) { printf(""); }')
        assert undefined(cc, good, [below]) == {}, 'a closed library was refused'
        assert 'below' in undefined(cc, good, []), 'a library that is not allowed was reached'
        assert 'printf' in undefined(cc, bad, []), 'a call of the C library went unseen'
    print('3 passed, 0 failed, 0 skipped')


def main():
    cc = sys.argv[1].split()
    if sys.argv[2] == 'selftest':
        return selftest(cc)
    name, archive, below = sys.argv[2], sys.argv[3], sys.argv[4:]
    found = undefined(cc, archive, below)
    for symbol, users in sorted(found.items()):
        print(f'lib/{name} reaches for {symbol} (in {", ".join(sorted(users))}), which neither it nor a '
              f'layer that lib/meson.build allows it defines')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
