#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The rules of the house that a machine can check. Each rule answers with its findings, one a line.

usage: lint.py [--root DIR] RULE...      (or "all"; "list" names them)

Exit status: 0 clean, 1 findings, 77 nothing could be checked (a tool is missing, and which is said).
selftest.py shows every rule a bad tree that it must refuse.
"""
import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tempfile

SOURCE_LINES_MAX = 800
HEADER_LINES_MAX = 400
# Outside lib/base, clang's buffer check is switched off only here: path -> why.
UNSAFE_ALLOWED = {}
C_LIKE = ('.c', '.h', '.S', '.ld')
SCRIPT_LIKE = ('.py', '.sh', '.build')
CLANG = 'clang-19'
CLANG_FLAGS = ['-std=gnu11', '-fsyntax-only', '-ffreestanding', '-Wall', '-Wextra', '-Werror',
               '-Wno-missing-field-initializers', '-Wno-initializer-overrides',
               '-Wcast-function-type-strict', '-Wunsafe-buffer-usage']


class Skip(Exception):
    """The rule cannot be checked here; says why."""


def tracked(root):
    """The files that belong to the project: git's, or all there are where there is no git."""
    if os.path.exists(os.path.join(root, '.git')) and shutil.which('git'):
        out = subprocess.run(['git', '-c', 'safe.directory=*', '-C', root, 'ls-files', '-z', '-co',
                              '--exclude-standard'], check=True, capture_output=True, text=True)
        names = [n for n in out.stdout.split('\0') if n]
    else:
        names = [os.path.relpath(os.path.join(d, f), root)
                 for d, dirs, files in os.walk(root) for f in files
                 if '/build/' not in os.path.join(d, f)]
    return sorted(n for n in names if os.path.isfile(os.path.join(root, n)))


def text_of(root, name):
    with open(os.path.join(root, name), 'rb') as f:
        data = f.read()
    return None if b'\0' in data else data.decode('utf-8', 'replace')


def texts(root, suffixes=None, under=''):
    """(name, text) of text files; corpora are inputs, not sources."""
    for name in tracked(root):
        if '/corpus/' in name or not name.startswith(under):
            continue
        if suffixes and not name.endswith(suffixes):
            continue
        text = text_of(root, name)
        if text is not None:
            yield name, text


def table_of(root, name):
    build = text_of(root, 'lib/meson.build')
    table = re.search(rf'^{name} = (\{{.*?^\}})', build, re.M | re.S)
    return ast.literal_eval(re.sub(r'#.*', '', table.group(1))) if table else {}


def layers(root):
    """The layer table: library -> the libraries it may know of."""
    return table_of(root, 'layers')


def outside(root):
    """library -> the headers and archives of the system that it may know of besides."""
    return table_of(root, 'outside')


def closure(table, name):
    """All that lies below a library."""
    below = []
    for dep in table[name]:
        for d in [dep] + closure(table, dep):
            if d not in below:
                below.append(d)
    return below


def strip_comments(text):
    """C without comments and string contents, line numbers kept."""
    def blank(m):
        s = m.group(0)
        if s.startswith('/'):
            return re.sub(r'[^\n]', ' ', s)
        return s[0] + s[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text,
                  flags=re.S)


def matches(text, pattern):
    for n, line in enumerate(text.split('\n'), 1):
        for m in re.finditer(pattern, line):
            yield n, m.group(0)


def in_lib_outside_base(root):
    for name, text in texts(root, ('.c', '.h'), 'lib/'):
        if not name.startswith('lib/base/'):
            yield name, strip_comments(text)


def rule_spdx(root):
    """The licence stands in the first line of every source (the second, behind #!)."""
    for name, text in texts(root):
        base = os.path.basename(name)
        if not (name.endswith(C_LIKE + SCRIPT_LIKE) or text.startswith('#!')
                or base == 'meson_options.txt'):
            continue
        lines = text.split('\n')
        first = lines[1] if lines[0].startswith('#!') and len(lines) > 1 else lines[0]
        if 'SPDX-License-Identifier: ISC' not in first:
            yield f'{name}:1: the first line is not the SPDX licence line'


def rule_length(root):
    """Files stay short enough to be read."""
    for name, text in texts(root, C_LIKE + SCRIPT_LIKE):
        lines = text.count('\n')
        public = '/include/' in name
        limit = HEADER_LINES_MAX if public else SOURCE_LINES_MAX
        if lines > limit:
            yield f'{name}: {lines} lines, more than {limit}'


def rule_traces(root):
    """No leftovers: notes to self, dead code, paths of somebody's machine, trailing blanks."""
    patterns = {
        r'\b(TO' r'DO|FIX' r'ME|XX' r'X|HA' r'CK)\b': 'a note to self',
        r'^\s*#\s*if 0\b': 'dead code',
        r'(?<![\w.])/(wo' r'rk|ro' r'ot|ho' r'me|tmp/' r'wt)/': "a path of somebody's machine",
        r'[ \t]+$': 'blanks at the end of the line',
        r'^(<<<<' r'<<<|>>>>' r'>>>) ': 'an unresolved conflict',
    }
    for name, text in texts(root):
        for pattern, what in patterns.items():
            for n, found in matches(text, pattern):
                yield f'{name}:{n}: {what}: {found.strip()!r}'


def rule_libc(root):
    """lib/ outside base copies through spans and writers, never by memcpy and its family."""
    pattern = (r'\b(__builtin_)?(mem(cpy|move|set|cmp|chr|mem)|bcopy|bzero|str(n?cpy|n?cat|n?cmp|n?len|'
               r'chr|rchr|str|tol|toul)|v?s?n?printf|malloc|calloc|realloc|free|alloca)\s*\(')
    for name, text in in_lib_outside_base(root):
        for n, found in matches(text, pattern):
            yield f'{name}:{n}: {found}...) is for lib/base alone'


def rule_integers(root):
    """No floating point in lib/: an image may run where its registers are nobody's."""
    for name, text in texts(root, ('.c', '.h'), 'lib/'):
        for n, found in matches(strip_comments(text), r'\b(double|float)\b'):
            yield f'{name}:{n}: {found} in lib/'


def rule_ifdef(root):
    """lib/ outside base has one form: no conditional compilation but include guards, no weak symbols,
    no pragmas."""
    for name, text in in_lib_outside_base(root):
        guard = 'TARN_' if name.endswith('.h') else '\0'
        for n, found in matches(text, r'^\s*#\s*(if|ifdef|ifndef|elif)\b.*'):
            if not re.fullmatch(r'\s*#\s*ifndef ' + guard + r'\w+_H', found.rstrip()):
                yield f'{name}:{n}: conditional compilation: {found.strip()}'
        for n, found in matches(text, r'\bweak\b|\b_Pragma\b|^\s*#\s*pragma\b'):
            yield f'{name}:{n}: {found.strip()}'


def rule_unsafe_regions(root):
    """TARN_UNSAFE_BEGIN stands in lib/base and in the files named in UNSAFE_ALLOWED only."""
    used = set()
    for name, text in in_lib_outside_base(root):
        for n, _ in matches(text, r'\bTARN_UNSAFE_BEGIN\b|unsafe_buffer_usage'):
            used.add(name)
            if name not in UNSAFE_ALLOWED:
                yield f'{name}:{n}: TARN_UNSAFE_BEGIN outside lib/base, and not in the list of lint.py'
    for name in sorted(set(UNSAFE_ALLOWED) - used):
        yield f'tests/lint/lint.py: UNSAFE_ALLOWED names {name}, which has no such region'


def clang(root, name, table):
    """Runs clang over every source of one library, with its own and its layers' headers."""
    headers = outside(root).get(name, {}).get('headers')
    with tempfile.TemporaryDirectory() as folder:
        more = []
        if headers:
            subprocess.run([sys.executable, f'{root}/lib/outside.py', 'gcc', folder, *headers], check=True)
            more = ['-isystem', f'{root}/lib/{name}/src/outside', '-isystem', folder]
        yield from clang_with(root, name, table, more)


def clang_with(root, name, table, more):
    includes = [f'-I{root}/lib/{d}/include' for d in [name] + closure(table, name)] + more
    src = f'{root}/lib/{name}/src'
    sources = sorted(os.path.join(d, f) for d, _, fs in os.walk(src) for f in fs if f.endswith('.c'))
    headers = []
    for d, _, fs in os.walk(f'{root}/lib/{name}/include'):
        headers += sorted(os.path.join(d, f) for f in fs)
    flags = [f for f in CLANG_FLAGS if name != 'base' or f != '-Wunsafe-buffer-usage']
    for path in sources + headers:
        lang = ['-x', 'c', '-Wno-unused-function'] if path.endswith('.h') else []
        out = subprocess.run([CLANG] + flags + includes + lang + [path], capture_output=True, text=True)
        for line in out.stderr.split('\n'):
            if re.search(r': (warning|error|fatal error): ', line):
                yield os.path.relpath(line, root) if line.startswith('/') else line
        if out.returncode != 0 and 'error' not in out.stderr:
            yield f'{path}: {CLANG} failed: {out.stderr.strip()}'


def rule_clang(root):
    """clang accepts every library, with -Wunsafe-buffer-usage outside base; public headers stand
    alone."""
    if not shutil.which(CLANG):
        raise Skip(f'{CLANG} is not installed')
    table = layers(root)
    for name in table:
        yield from clang(root, name, table)


def rule_format(root):
    """clang-format 14 (Debian 12's) has nothing to change."""
    tool = shutil.which('clang-format-14') or shutil.which('clang-format')
    if not tool:
        raise Skip('clang-format is not installed')
    version = subprocess.run([tool, '--version'], capture_output=True, text=True).stdout.strip()
    if not re.search(r'version 14\.', version):
        raise Skip(f'clang-format 14 is wanted, as each version formats differently; here: {version}')
    names = [n for n, _ in texts(root, ('.c', '.h'))]
    for i in range(0, len(names), 50):
        out = subprocess.run([tool, '--dry-run', '--style=file'] + names[i:i + 50], cwd=root,
                             capture_output=True, text=True)
        seen = set()
        for m in re.finditer(r'^(\S+?):(\d+):\d+: (?:warning|error): ', out.stderr, re.M):
            if m.group(1) not in seen:
                seen.add(m.group(1))
                yield f'{m.group(1)}:{m.group(2)}: not formatted: clang-format -i {m.group(1)}'


def rule_readme(root):
    """Every library has a README with an example, and the layer table in the top README is the one in
    lib/meson.build."""
    table = layers(root)
    for name in table:
        path = f'lib/{name}/README.md'
        text = text_of(root, path) if os.path.exists(os.path.join(root, path)) else None
        if text is None:
            yield f'{path}: missing'
        elif '```c\n' not in text:
            yield f'{path}: no example between ```c fences'
    readme = text_of(root, 'README.md') if os.path.exists(os.path.join(root, 'README.md')) else ''
    rows = {}
    for m in re.finditer(r'^\| \[(\w+)\]\(lib/\w+/?\) \| ([^|]*) \|', readme, re.M):
        rows[m.group(1)] = [d for d in re.split(r'[,\s]+', m.group(2).strip()) if d not in ('', '-')]
    for name, deps in table.items():
        if name not in rows:
            yield f'README.md: the layer table has no row for {name}'
        elif sorted(rows[name]) != sorted(deps):
            yield (f'README.md: the layer table says that {name} may know of {rows[name]}, '
                   f'lib/meson.build says {deps}')
    for name in rows:
        if name not in table:
            yield f'README.md: the layer table has a row for {name}, which lib/meson.build has not'


RULES = {name[5:]: fn for name, fn in list(globals().items()) if name.startswith('rule_')}


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description='Checks the rules of the house.')
    p.add_argument('--root', default=os.path.join(here, '..', '..'), help='the tree (this one)')
    p.add_argument('rules', nargs='+', help='the rules to check, all, or list')
    args = p.parse_args()
    if args.rules == ['list']:
        for name, fn in RULES.items():
            print(f'{name:16} {" ".join(fn.__doc__.split())}')
        return 0
    root = os.path.abspath(args.root)
    names = list(RULES) if args.rules == ['all'] else args.rules
    findings = skips = 0
    for name in names:
        try:
            for finding in RULES[name](root):
                print(f'{name}: {finding}')
                findings += 1
        except Skip as why:
            print(f'SKIP: {name}: {why}')
            skips += 1
    if findings:
        print(f'{findings} findings')
        return 1
    return 77 if skips == len(names) else 0


if __name__ == '__main__':
    sys.exit(main())
