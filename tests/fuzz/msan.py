#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Replays every fuzz corpus under MemorySanitizer: no branch and no address may depend on memory that nobody wrote.

usage: msan.py ROOT BUILD     BUILD is a build folder of its own, made where it is missing

GCC has no such sanitizer, so this is clang's build. Libraries that stand on archives from outside are left out:
memcheck looks at lib/crypto instead.
Exit status: 0 clean, 1 not, 77 clang-19 or its runtime is missing.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile

OPTIONS = ['-Dtests=enabled', '-Dwerror=false', '-Db_sanitize=memory', '-Db_lundef=false']
# What their archives write, MemorySanitizer does not see.
OUTSIDE = ('crypto', 'x509', 'tls')
OUTSIDE_PROGRAMS = ('dns-server', 'dns-tsig')  # their hashes
FAULT = 'tests/msan-fault'


def is_there(root):
    with tempfile.TemporaryDirectory() as d:
        try:
            made = subprocess.run(['clang-19', '-fsanitize=memory', '-o', os.path.join(d, 'fault'),
                                   os.path.join(root, 'tests', 'fuzz', 'fault.c')], capture_output=True)
        except FileNotFoundError:
            return False
    return made.returncode == 0


def find_fault(build):
    """The build's own options hide nothing from it."""
    found = subprocess.run([os.path.join(build, FAULT)], capture_output=True, text=True)
    if 'use-of-uninitialized-value' not in found.stderr:
        raise SystemExit('MemorySanitizer does not find the fault that it was given')


def said(command, **kw):
    out = subprocess.run(command, capture_output=True, text=True, **kw)
    if out.returncode != 0:
        raise SystemExit(out.stdout[-3000:] + out.stderr)
    return out.stdout


def configure(root, build):
    """Makes the folder, anew where it was made with other options; it knows of every target there is now."""
    made_with = os.path.join(build, 'options-used')
    if not os.path.exists(made_with) or open(made_with, encoding='utf-8').read() != ' '.join(OPTIONS):
        shutil.rmtree(build, ignore_errors=True)
        said(['meson', 'setup', build, root, *OPTIONS], env={**os.environ, 'CC': 'clang-19'})
        with open(made_with, 'w', encoding='utf-8') as f:
            f.write(' '.join(OPTIONS))
    ninja(build, 'build.ninja')


def ninja(build, *args):
    return said(['ninja', '-j2', '-C', build, *args])


def targets(build):
    names = sorted(set(re.findall(r'^(tests/replay-\S+): c_LINKER', ninja(build, '-t', 'targets', 'all'), re.M)))
    return [n for n in names if n.split('-')[1] not in OUTSIDE and n.split('-', 1)[1] not in OUTSIDE_PROGRAMS]


def main():
    root, build = sys.argv[1:]
    if not is_there(root):
        print('no MemorySanitizer: apt-get install clang-19 libclang-rt-19-dev')
        return 77
    configure(root, build)
    programs = targets(build)
    ninja(build, FAULT, *programs)
    find_fault(build)
    bad = inputs = 0
    for program in programs:
        lib, name = os.path.basename(program)[len('replay-'):].split('-', 1)
        out = subprocess.run([os.path.join(build, program), os.path.join(root, 'tests', lib, 'fuzz', 'corpus', name)],
                             capture_output=True, text=True)
        if out.returncode != 0:
            print(f'{program}:\n{out.stderr[-3000:]}')
            bad += 1
        else:
            inputs += int(re.search(r'replayed (\d+)', out.stdout)[1])
    print(f'{len(programs)} targets, {inputs} inputs, {bad} targets failed')
    return 1 if bad or not programs else 0


if __name__ == '__main__':
    sys.exit(main())
