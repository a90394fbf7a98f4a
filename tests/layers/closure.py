#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Links one library with all of its objects and the layers below it, and nothing else: whatever it
reaches for beyond those is an error. The C library is beyond: all that a compiler may emit anywhere
(memcpy, memmove, memset, memcmp, the stack check) is defined by a stub.

A library may stand on archives from outside, which `outside` in lib/meson.build names. Those are given
behind --outside; what they in turn want of a C library is LENT, which platforms provide, and which the
library's own objects must not touch.

usage: closure.py CC NAME ARCHIVE [ARCHIVE-BELOW...] [--outside ARCHIVE-NAME...]
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

# What nettle and GMP call: memory, the end of the program, and a few functions without effects.
LENT = """
void *malloc(unsigned long n) { (void)n; return 0; }
void *realloc(void *p, unsigned long n) { (void)p, (void)n; return 0; }
void free(void *p) { (void)p; }
void abort(void) { __builtin_trap(); }
int raise(int n) { (void)n; return 0; }
void __assert_fail(void) { __builtin_trap(); }
void *stderr;
int __fprintf_chk(void) { return 0; }
unsigned long fwrite(void) { return 0; }
char *secure_getenv(const char *s) { (void)s; return 0; }
char *getenv(const char *s) { (void)s; return 0; }
unsigned long strlen(const char *s) { (void)s; return 0; }
char *strchr(const char *s, int c) { (void)s, (void)c; return 0; }
"""


def own_calls(archive):
    """What of LENT the library's own objects want."""
    out = subprocess.run(['nm', '-u', archive], check=True, capture_output=True, text=True).stdout
    lent = set(re.findall(r'\b(\w+)(?:\(|;)', re.sub(r'\{.*?\}', '', LENT)))
    return lent & {line.split()[-1] for line in out.split('\n') if line.split()}


def undefined(cc, archive, below, outside=()):
    """The symbols that the archive needs and nobody allowed has, with the functions that need them."""
    with tempfile.TemporaryDirectory() as tmp:
        stub = os.path.join(tmp, 'stub.c')
        with open(stub, 'w') as f:
            f.write(STUB + (LENT if outside else ''))
        command = cc + ['-nostdlib', '-static', '-no-pie', '-fno-builtin', '-fno-sanitize=all', '-w', stub,
                        '-Wl,--whole-archive', archive, '-Wl,--no-whole-archive', '-Wl,--start-group',
                        *below, *('-l' + a for a in outside), '-Wl,--end-group', '-Wl,--no-gc-sections', '-o',
                        os.path.join(tmp, 'closed')]
        out = subprocess.run(command, capture_output=True, text=True, env={**os.environ, 'LC_ALL': 'C'})
    found = {}
    for m in re.finditer(r"(?:in function `([^']+)':.*?\n)?[^\n]*undefined reference to `([^']+)'",
                         out.stderr):
        found.setdefault(m.group(2), set()).add(m.group(1) or '?')
    if outside:
        for symbol in own_calls(archive):
            found.setdefault(symbol, set()).add("the library's own objects")
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
        outer = archive('outer', 'void *__gmp_default_allocate(unsigned long);'
                                 'void *outer(void) { return __gmp_default_allocate(1); }')
        heap = archive('heap', 'void *malloc(unsigned long); void *heap(void) { return malloc(1); }')
        assert undefined(cc, outer, [], ['gmp']) == {}, 'an archive from outside was refused'
        assert '__gmp_default_allocate' in undefined(cc, outer, []), 'outside was reached without leave'
        assert 'malloc' in undefined(cc, heap, [], ['gmp']), 'what is lent to outside was taken'
    print('6 passed, 0 failed, 0 skipped')


def main():
    cc = sys.argv[1].split()
    if sys.argv[2] == 'selftest':
        return selftest(cc)
    name, archive, below = sys.argv[2], sys.argv[3], sys.argv[4:]
    at = below.index('--outside') if '--outside' in below else len(below)
    found = undefined(cc, archive, below[:at], below[at + 1:])
    for symbol, users in sorted(found.items()):
        print(f'lib/{name} reaches for {symbol} (in {", ".join(sorted(users))}), which neither it nor a '
              f'layer that lib/meson.build allows it defines')
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
