#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Installs the libraries into a folder of its own and uses each from outside the tree, as a stranger
would: with nothing but what pkg-config says. For every library, a program that includes all its public
headers, and each C example of its README; what has a main is run and must succeed. The programs of
examples/one-layer are compiled as they say themselves.

usage: installed.py CC SOURCE-ROOT BUILD-ROOT | installed.py selftest CC
"""
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, '..', 'lint'))
import lint  # noqa: E402

FLAGS = ['-std=gnu11', '-O1', '-Wall', '-Wextra', '-Werror']


def find(root, wanted):
    return [d for d, dirs, _ in os.walk(root) if os.path.basename(d) == wanted]


def pkgconfig(sysroot, name):
    env = {**os.environ, 'PKG_CONFIG_SYSROOT_DIR': sysroot,
           'PKG_CONFIG_LIBDIR': ':'.join(find(sysroot, 'pkgconfig'))}
    out = subprocess.run(['pkg-config', '--static', '--cflags', '--libs', f'tarn-{name}'], env=env,
                         capture_output=True, text=True)
    if out.returncode != 0:
        raise RuntimeError(f'pkg-config: {out.stderr.strip()}')
    return out.stdout.split()


def examples(readme):
    """The C examples of a README: whole translation units."""
    return re.findall(r'^```c\n(.*?)^```', readme, re.M | re.S)


def use(cc, code, flags, tmp):
    """Compiles, links and runs; an empty answer is success."""
    path = os.path.join(tmp, 'program.c')
    with open(path, 'w') as f:
        f.write(code)
    if re.search(r'\bmain\s*\(', lint.strip_comments(code)):
        sources = [path]
    else:  # a part of a program: the rest is made here, with what the example only declares
        sources = [path, os.path.join(tmp, 'rest.c')]
        declared = set(re.findall(r'\b(\w+)\([^;{}()]*\);', lint.strip_comments(code)))
        subprocess.run(cc + ['-w', '-c', path, '-o', path + '.o', *flags], cwd=tmp, capture_output=True)
        wanted = subprocess.run(['nm', '-u', path + '.o'], capture_output=True, text=True).stdout.split()
        with open(sources[1], 'w') as f:
            f.write('int main(void) { return 0; }\n' + ''.join(
                f'void {n}(void);\nvoid {n}(void) {{}}\n' for n in sorted(declared & set(wanted))
                if not n.startswith('tarn_')))
    out = subprocess.run(cc + FLAGS + sources + flags + ['-o', os.path.join(tmp, 'program')], cwd=tmp,
                         capture_output=True, text=True)
    if out.returncode != 0:
        return out.stderr.strip()
    out = subprocess.run([os.path.join(tmp, 'program')], cwd=tmp, capture_output=True, text=True,
                         stdin=subprocess.DEVNULL, timeout=20)
    return '' if out.returncode == 0 else f'exit status {out.returncode}: {out.stdout}{out.stderr}'


def includes_of(source, name):
    headers = sorted(os.listdir(os.path.join(source, 'lib', name, 'include', 'tarn')))
    return ''.join(f'#include <tarn/{h}>\n' for h in headers) + '\nint main(void) {\n    return 0;\n}\n'


def build_as_said(cc, path, sysroot, tmp):
    """An ordinary program of examples/, by the command that it says itself; an empty answer is success."""
    with open(path) as f:
        said = re.search(r'\$\(pkg-config --static --cflags --libs tarn-(\w+)\)(.*)', f.read())
    if not said:
        return 'it does not say how it is compiled'
    out = subprocess.run(cc + FLAGS + [path, *pkgconfig(sysroot, said[1]), *said[2].split(), '-o',
                                       os.path.join(tmp, 'program')], capture_output=True, text=True)
    return out.stderr.strip()


def selftest(cc):
    with tempfile.TemporaryDirectory() as tmp:
        assert use(cc, 'int main(void) { return 0; }\n', [], tmp) == ''
        assert use(cc, 'int f(void);\nint f(void) { return 0; }\n', [], tmp) == ''
        assert use(cc, 'void app(int);\nvoid f(void);\nvoid f(void) { app(1); }\n', [], tmp) == ''
        assert use(cc, 'int main(void) { return 1; }\n', [], tmp), 'a failing example passed'
        assert use(cc, 'int main(void) { return gone(); }\n', [], tmp), 'a broken example passed'
        assert use(cc, 'int gone(void);\nint main(void) { return gone(); }\n', [], tmp), 'it linked'
        path = os.path.join(tmp, 'silent.c')
        with open(path, 'w') as f:
            f.write('int main(void) { return 0; }\n')
        assert build_as_said(cc, path, tmp, tmp), 'a program that does not say how it is compiled passed'
    assert examples('x\n```c\nint a;\n```\n```sh\nls\n```\n```c\nint b;\n```\n') == ['int a;\n', 'int b;\n']
    print('8 passed, 0 failed, 0 skipped')


def main():
    cc = (sys.argv[2] if sys.argv[1] == 'selftest' else sys.argv[1]).split()
    if sys.argv[1] == 'selftest':
        return selftest(cc)
    source, build = (os.path.abspath(p) for p in sys.argv[2:4])
    passed = failed = 0
    with tempfile.TemporaryDirectory() as sysroot, tempfile.TemporaryDirectory() as tmp:
        subprocess.run(['meson', 'install', '-C', build, '--no-rebuild', '--quiet', '--destdir', sysroot],
                       check=True, stdout=subprocess.DEVNULL)
        for name in lint.layers(source):
            with open(os.path.join(source, 'lib', name, 'README.md')) as f:
                programs = [includes_of(source, name)] + examples(f.read())
            for i, code in enumerate(programs):
                try:
                    problem = use(cc, code, pkgconfig(sysroot, name), tmp)
                except (RuntimeError, subprocess.TimeoutExpired) as e:
                    problem = str(e)
                passed += not problem
                failed += bool(problem)
                if problem:
                    what = f"the README's example {i}" if i else 'its headers'
                    print(f'FAIL: tarn-{name}: {what}: {problem}')
        folder = os.path.join(source, 'examples', 'one-layer')
        for name in sorted(n for n in os.listdir(folder) if n.endswith('.c')):
            problem = build_as_said(cc, os.path.join(folder, name), sysroot, tmp)
            passed += not problem
            failed += bool(problem)
            if problem:
                print(f'FAIL: examples/one-layer/{name}: {problem}')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
