# SPDX-License-Identifier: ISC
"""What it costs to start and end a program under each tender: the whole process, from spawn to wait.

The same source, which returns at once, in 2 MB of memory, under tarn-spt and tarn-hvt and (where they are
found: TARN_SOLO5_SPT and TARN_SOLO5_HVT, or PATH) upstream's tenders, turn by turn so that all see the
same machine. The first rows are what any process costs here: one that loads a library, and one that
does not.
"""
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True
from tools.common import build_dir, configure, options_of, quietly, tender_path  # noqa: E402

ROUNDS = 300
IMAGE = 'tests/spt/guests/spt-answer'
HELLO = 'examples/bin/hello'


def empty_program(folder):
    path = os.path.join(folder, 'empty')
    subprocess.run(['gcc', '-O2', '-static', '-x', 'c', '-', '-o', path], check=True, text=True,
                   input='int main(void) { return 0; }')
    return path


def measure(spawn, commands):
    """The wall time in us of each start of each command, taken turn by turn."""
    words = [str(ROUNDS)]
    for command in commands:
        words += [*command, ',']
    out = subprocess.run([spawn, *words[:-1]], check=True, stdout=subprocess.PIPE, text=True).stdout
    return zip(*([int(ns) / 1e3 for ns in line.split()] for line in out.splitlines()))


def tenders(target):
    """The commands under this tree's tender and upstream's, with this tree's image."""
    configure(target, options_of(target))
    folder = build_dir(target)
    quietly(f'build for {target}', ['ninja', '-C', folder, IMAGE, HELLO])
    image = os.path.join(folder, IMAGE)
    commands = {f'tarn-{target}': [tender_path(target), '--mem=2', image]}
    upstream = os.environ.get(f'TARN_SOLO5_{target.upper()}') or shutil.which(f'solo5-{target}')
    if upstream:
        commands[f'solo5-{target}'] = [upstream, '--mem=2', image]
    else:
        print(f'no solo5-{target} found to compare with: set TARN_SOLO5_{target.upper()}')
    return commands


def say(target, median):
    ours, theirs = f'tarn-{target}', f'solo5-{target}'
    print(f'{ours} and its program: {median[ours] - median["a static one"]:.0f} us over an empty process')
    if theirs in median:
        print(f'starting under {ours}: {median[theirs] / median[ours]:.2f} times as fast as under {theirs}')
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(['strip', '-o', stripped.name, os.path.join(build_dir(target), HELLO)], check=True)
        print(f'hello for {target}: {os.path.getsize(stripped.name)} bytes, stripped')


def main():
    configure('unix', options_of('unix'))
    targets = ['spt', 'hvt'] if os.access('/dev/kvm', os.W_OK) else ['spt']
    quietly('build', ['ninja', '-C', build_dir('unix'), 'bench/spawn',
                      *(os.path.relpath(tender_path(t), build_dir('unix')) for t in targets)])
    kinds = {'a process (true)': [shutil.which('true')], 'a static one': [empty_program(build_dir('unix'))]}
    for target in targets:
        kinds |= tenders(target)
    walls = dict(zip(kinds, measure(os.path.join(build_dir('unix'), 'bench', 'spawn'), kinds.values())))
    print(f'{"":18} {"least":>9} {"median":>9} {"p90":>9}   us, of {ROUNDS}')
    for name, of in walls.items():
        print(f'{name:18} {min(of):9.0f} {statistics.median(of):9.0f} '
              f'{statistics.quantiles(of, n=10)[8]:9.0f}')
    for target in targets:
        say(target, {name: statistics.median(of) for name, of in walls.items()})
    if 'hvt' not in targets:
        print('hvt not measured: no /dev/kvm that may be used')


main()
