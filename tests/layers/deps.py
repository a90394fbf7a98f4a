#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Reads what every object in lib/ was really compiled from (ninja -t deps) and refuses any header that
is not the library's own, an allowed layer's public one, the compiler's, or of those from outside that
lib/meson.build names for it: the way by which a relative
path would get around the include paths.

usage: deps.py SOURCE-ROOT BUILD-ROOT COMPILER-INCLUDE | deps.py selftest
"""
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..', 'lint'))
import lint  # noqa: E402


def parse(text):
    """object -> its dependencies, from ninja -t deps."""
    deps, current = {}, None
    for line in text.split('\n'):
        if line and not line.startswith(' '):
            current = line.split(':')[0]
            deps[current] = []
        elif current and line.strip():
            deps[current].append(line.strip())
    return deps


def findings(table, deps, source, build, compiler, outside={}):
    seen = {name: 0 for name in table}
    for obj, paths in deps.items():
        m = re.match(r'lib/libtarn-(\w+)\.a\.p/', obj)
        if not m or m.group(1) not in table:
            continue
        name = m.group(1)
        seen[name] += len(paths)
        allowed = [f'lib/{name}/'] + [f'lib/{d}/include/' for d in lint.closure(table, name)]
        for path in paths:
            full = os.path.realpath(os.path.join(build, path))
            inside = os.path.relpath(full, source)
            foreign = [h for h in outside.get(name, {}).get('headers', [])
                       if re.fullmatch(rf'/usr/include/([\w-]+/)?{re.escape(h)}(/\w[\w.-]*\.h)?', full)]
            if not inside.startswith(tuple(allowed)) and not full.startswith(compiler + '/') \
                    and not foreign:
                yield f'lib/{name}: {obj.split("/")[-1]} was compiled with {inside}'
    for name, n in seen.items():
        if n == 0:
            yield f'lib/{name}: no dependencies are known: was it built?'


def selftest():
    table = {'base': [], 'ip': ['base'], 'tcp': ['base']}
    text = """lib/libtarn-base.a.p/a.o: #deps 1, deps mtime 1 (VALID)
    ../lib/base/src/a.c

lib/libtarn-ip.a.p/b.o: #deps 2, deps mtime 1 (VALID)
    ../lib/ip/src/b.c
    ../lib/base/include/tarn/a.h

lib/libtarn-tcp.a.p/c.o: #deps 2, deps mtime 1 (VALID)
    ../lib/tcp/src/c.c
    /gcc/include/stddef.h
    %s
"""
    bad = ['../lib/ip/include/tarn/ip.h', '../lib/base/src/internal.h', '/usr/include/stdio.h']
    good = ['../lib/base/include/tarn/a.h', '../lib/tcp/src/internal.h']
    for path in bad + good:
        said = list(findings(table, parse(text % path), '/s', '/s/build', '/gcc/include'))
        assert bool(said) == (path in bad), (path, said)
    for path, ok in {'/usr/include/nettle/aes.h': True, '/usr/include/nettle.h': False,
                     '/usr/include/x86_64-linux-gnu/gmp.h': True, '/usr/include/gmp.h/x/y.h': False}.items():
        for name in ('ip', 'tcp'):
            said = list(findings(table, parse((text % '../lib/tcp/src/internal.h').replace(
                f'../lib/{name}/src/', f'{path}\n    ../lib/{name}/src/', 1)), '/s', '/s/build',
                '/gcc/include', {'tcp': {'headers': ['nettle', 'gmp.h']}}))
            assert bool(said) == (not ok or name == 'ip'), (path, name, said)
    assert list(findings(table, {}, '/s', '/s/build', '/gcc/include')), 'nothing known, nothing said'
    print(f'{len(bad + good) + 9} passed, 0 failed, 0 skipped')


def main():
    if sys.argv[1] == 'selftest':
        return selftest()
    source, build, compiler = (os.path.realpath(p) for p in sys.argv[1:4])
    out = subprocess.run(['ninja', '-C', build, '-t', 'deps'], check=True, capture_output=True, text=True)
    said = list(findings(lint.layers(source), parse(out.stdout), source, build, compiler,
                         lint.outside(source)))
    print('\n'.join(said))
    return 1 if said else 0


if __name__ == '__main__':
    sys.exit(main())
