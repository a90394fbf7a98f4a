#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Proves that what reads and writes peers' bytes keeps inside them: Frama-C's WP over lib/base's spans and writers.

usage: prove.py ROOT            every function of the files below, against its contract in this folder
       prove.py ROOT selftest   each fault below, put into a copy, must cost a proof

Exit status: 0 proved, 1 not, 77 Frama-C or a prover is missing (and which is said).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
PROVED = ['lib/base/include/tarn/byteorder.h', 'lib/base/include/tarn/span.h', 'lib/base/src/span.c',
          'lib/base/include/tarn/writer.h', 'lib/base/src/writer.c']
# Functions of these files with nothing to prove: they only put their arguments into a struct.
TRIVIAL = {'tarn_span_of', 'tarn_bytes_of', 'tarn_bytes_span', 'tarn_writer_over'}
PROVERS = ['cvc4', 'z3']
# (file, what stands there, the fault, the function whose proof must fail)
FAULTS = [
    ('lib/base/include/tarn/span.h', 'off > s.len || len > s.len - off', 'off + len > s.len', 'tarn_span_sub'),
    ('lib/base/include/tarn/span.h', 's->len < sizeof *out', 's->len + 1 < sizeof *out', 'tarn_span_u32be'),
    ('lib/base/include/tarn/span.h', 'n < s.len ? n : s.len}', 'n <= s.len ? s.len : n}', 'tarn_span_first'),
    ('lib/base/include/tarn/byteorder.h', 'tarn_load_u32be(p + 4)', 'tarn_load_u32be(p + 5)', 'tarn_load_u64be'),
    ('lib/base/include/tarn/writer.h', 'at <= w->cap && n <= w->cap - at', 'at + n <= w->cap', 'tarn_writer_reserve'),
    ('lib/base/src/span.c', 's.len - i >= 8', 's.len - i >= 7', 'tarn_span_find'),
    ('lib/base/src/span.c', 'v > (max - (uint64_t)d) / base', 'v > max / base', 'parse_number'),
    ('lib/base/src/writer.c', 'n <= w->len && at <= w->len - n', 'at + n <= w->len', 'written'),
]


def functions(root):
    """What the proved files define, macros' functions with the names that they are given."""
    names = set()
    for name in PROVED:
        with open(os.path.join(root, name), encoding='utf-8') as f:
            text = f.read()
        found = re.findall(r'^[a-zA-Z][^\n;#]*?\b(\w+)\([^;{]*\) \{', text, re.M)
        prefix = 'tarn_span_' if 'span' in name else 'tarn_writer_'
        found += [prefix + n for n in re.findall(r'^TARN_(?:SPAN_READER|WRITER_PUT)_\((\w+), \w+\)$', text, re.M)]
        names.update(found)
    return names - TRIVIAL


def contracts():
    """What is declared here right behind a contract."""
    names = set()
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(('.h', '.c')):
            continue
        with open(os.path.join(HERE, name), encoding='utf-8') as f:
            text = f.read()
        names.update(re.findall(r'\*/\n[a-z][^\n;{]*?\b(\w+)\([^;{]*\);', text))
        names.update('tarn_span_' + n for n in re.findall(r'^READER\((\w+),', text, re.M))
        names.update('tarn_writer_' + n for n in re.findall(r'^PUT\((\w+),', text, re.M))
    return names


def missing_tool():
    if not shutil.which('frama-c'):
        return 'Frama-C is not installed: apt-get install frama-c-base'
    absent = [p for p in PROVERS if not shutil.which(p)]
    return f'no prover {" and ".join(absent)}: apt-get install {" ".join(absent)}' if absent else None


def prove(root, only, provers=PROVERS, seconds=20):
    """(goals proved, goals, the lines about those that are not)"""
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, 'HOME': home}
        subprocess.run(['why3', 'config', 'detect'], env=env, capture_output=True, check=True)
        flags = (f'-CC -I{root}/lib/base/include -I{root} -include {HERE}/prelude.h')
        out = subprocess.run(['frama-c', '-machdep', 'gcc_x86_64', '-cpp-extra-args=' + flags, '-wp', '-wp-rte',
                              '-wp-model', 'Typed+Cast', '-wp-prover', ','.join(provers), '-wp-timeout', str(seconds),
                              '-wp-par', '2', '-wp-fct', ','.join(sorted(only)), os.path.join(HERE, 'base.c')],
                             env=env, cwd=home, capture_output=True, text=True)  # it looks for headers in cwd first
    text = out.stdout + out.stderr
    counted = re.search(r'Proved goals:\s+(\d+) / (\d+)', text)
    if out.returncode != 0 or not counted:
        raise SystemExit(f'frama-c ended with {out.returncode}:\n{text[-3000:]}')
    told = re.findall(r'^\[wp\] \[[^\]\n]+\] Goal (?:typed_cast_)?(\S+)(?: \(.*?\))?(?: : (\w+))?', text, re.M)
    bad = [goal for goal, state in told if state != 'Valid']
    if len(bad) != int(counted[2]) - int(counted[1]):
        raise SystemExit(f'frama-c counts other goals than it names:\n{text[-3000:]}')
    return int(counted[1]), int(counted[2]), bad


def selftest(root):
    for name, right, wrong, function in FAULTS:
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree(os.path.join(root, 'lib/base'), os.path.join(copy, 'lib/base'))
            path = os.path.join(copy, name)
            with open(path, encoding='utf-8') as f:
                text = f.read()
            if right not in text:
                raise SystemExit(f'{name} has no "{right}" to put a fault into')
            with open(path, 'w', encoding='utf-8') as f:
                f.write(text.replace(right, wrong, 1))
            proved, goals, bad = prove(copy, {function}, seconds=3)
        if proved == goals:
            raise SystemExit(f'{name}: "{wrong}" for "{right}" was proved right')
        print(f'{function}: "{wrong}" costs {", ".join(bad)}')


def main():
    root = os.path.abspath(sys.argv[1])
    absent = missing_tool()
    if absent:
        print(absent)
        return 77
    if sys.argv[2:] == ['selftest']:
        selftest(root)
        return 0
    names = functions(root)
    without = names - contracts()
    if without or len(names) < 50:
        print(f'without a contract: {" ".join(sorted(without))} (of {len(names)} functions)')
        return 1
    proved, goals, bad = prove(root, names, PROVERS[:1])
    if proved < goals:  # most goals need one prover; the functions of the others are tried again with all
        again = {name for name in names if any(goal.startswith(name + '_') for goal in bad)}
        more, of, bad = prove(root, again)
        proved = goals - (of - more)
    print(f'{proved} of {goals} goals of {len(names)} functions are proved')
    for goal in bad:
        print(f'not proved: {goal}')
    return 0 if proved == goals else 1


if __name__ == '__main__':
    sys.exit(main())
