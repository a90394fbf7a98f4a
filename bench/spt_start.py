# SPDX-License-Identifier: ISC
"""What it costs to start and end an spt program: the whole process, from spawn to wait.

The same image, which returns at once, in 2 MB of memory, under tarn-spt and (where it is found:
TARN_SOLO5_SPT, or PATH) upstream's solo5-spt, turn by turn so that both see the same machine. The first
rows are what any process costs here: one that loads a library, and one that does not.
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
from tools.common import build_dir, configure, options_of, quietly  # noqa: E402

ROUNDS = 1000
IMAGE = 'tests/spt/guests/spt-answer'
HELLO = 'examples/bin/hello'
TENDER = 'platform/spt/tender/tarn-spt'


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


def main():
    configure('spt', options_of('spt'))
    folder = build_dir('spt')
    quietly('build', ['ninja', '-C', folder, IMAGE, HELLO, TENDER])
    configure('unix', options_of('unix'))
    quietly('build', ['ninja', '-C', build_dir('unix'), 'bench/spawn'])
    image, tender = os.path.join(folder, IMAGE), os.path.join(folder, TENDER)
    upstream = os.environ.get('TARN_SOLO5_SPT') or shutil.which('solo5-spt')
    kinds = {'a process (true)': [shutil.which('true')],
             'a static one': [empty_program(folder)],
             'tarn-spt': [tender, '--mem=2', image]}
    if upstream:
        kinds['solo5-spt'] = [upstream, '--mem=2', image]
    walls = dict(zip(kinds, measure(os.path.join(build_dir('unix'), 'bench', 'spawn'), kinds.values())))
    print(f'{"":18} {"least":>9} {"median":>9} {"p90":>9}   us, of {ROUNDS}')
    for name, of in walls.items():
        print(f'{name:18} {min(of):9.0f} {statistics.median(of):9.0f} '
              f'{statistics.quantiles(of, n=10)[8]:9.0f}')
    median = {name: statistics.median(of) for name, of in walls.items()}
    print(f'tarn-spt and its program: {median["tarn-spt"] - median["a static one"]:.0f} us over an empty '
          'process')
    if upstream:
        ratio = median['solo5-spt'] / median['tarn-spt']
        print(f'starting under tarn-spt: {ratio:.2f} times as fast as under solo5-spt')
    else:
        print('no solo5-spt found to compare with: set TARN_SOLO5_SPT')
    with tempfile.NamedTemporaryFile() as stripped:
        subprocess.run(['strip', '-o', stripped.name, os.path.join(folder, HELLO)], check=True)
        print(f'hello: {os.path.getsize(stripped.name)} bytes, stripped')


main()
