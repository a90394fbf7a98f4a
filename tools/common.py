# SPDX-License-Identifier: ISC
"""What the parts of ./tarn share: where things are, saying things, running things."""
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TARGETS = ('unix', 'spt', 'hvt', 'virtio')
TENDERS = ('spt', 'hvt')  # targets whose images are run by a program of ours


class Problem(Exception):
    """Something that the person at the keyboard must know, in one line that says what to do."""


def say(text=''):
    print(text, flush=True)


def build_dir(name):
    return os.path.join(ROOT, 'build', name)


def run(command, **more):
    """Runs a command that must succeed; its output goes where ours goes."""
    result = subprocess.run(command, **more)
    if result.returncode != 0:
        raise Problem(f'{" ".join(command)} failed with status {result.returncode}')
    return result


def quietly(what, command, **more):
    """Runs a long command with one line of progress; its output is shown only when it fails. Answers
    the seconds that it took."""
    tty = sys.stdout.isatty()
    start = time.monotonic()
    print(f'{what} ...', end='\r' if tty else '\n', flush=True)
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                             errors='replace', **more)
    lines = []
    for line in child.stdout:
        lines.append(line)
        if tty and line.startswith('['):
            print(f'\r\033[K{what} ... {line.strip()[:70]}', end='', flush=True)
    child.wait()
    seconds = time.monotonic() - start
    if tty:
        print('\r\033[K', end='')
    if child.returncode != 0:
        bad = [n for n, line in enumerate(lines) if line.startswith('FAILED:')]
        say(''.join(lines[bad[0]:][:80] if bad else lines[-80:]))
        raise Problem(f'{what}: {" ".join(command)} failed with status {child.returncode}')
    say(f'{what}: done in {seconds:.1f} s')
    return seconds


def configured(name):
    return os.path.exists(os.path.join(build_dir(name), 'build.ninja'))


def drop_outdated(folder, cross_file):
    """A cross file is read once, when a build folder is made: one that was made with another is made anew."""
    used = os.path.join(folder, 'cross-file-used')
    with open(cross_file) as f:
        wanted = f.read()
    if os.path.exists(os.path.join(folder, 'build.ninja')):
        if os.path.exists(used) and open(used).read() == wanted:
            return
        shutil.rmtree(folder)
    os.makedirs(folder, exist_ok=True)
    with open(used, 'w') as f:
        f.write(wanted)


def configure(name, options=(), env=None):
    """Makes the build folder where there is none."""
    options = list(options)
    if '--cross-file' in options:
        drop_outdated(build_dir(name), options[options.index('--cross-file') + 1])
    if configured(name):
        return
    quietly(f'configure build/{name}', ['meson', 'setup', build_dir(name), ROOT] + options, cwd=ROOT,
            env={**os.environ, **(env or {})})


def configure_tests(name, options=(), env=None):
    """The same with tests, also where the folder was made for running programs only."""
    if configured(name):
        run(['meson', 'configure', build_dir(name), '-Dtests=enabled'])
    else:
        configure(name, [*options, '-Dtests=enabled'], env)


def options_of(target):
    if target == 'unix':
        return []
    return ['--cross-file', os.path.join(ROOT, 'platform', target, f'{target}.ini'),
            f'-Dtarget={target}']


def examples():
    folder = os.path.join(ROOT, 'examples')
    return sorted(d for d in os.listdir(folder) if os.path.exists(os.path.join(folder, d, f'{d}.c')))


def has_network(example):
    with open(os.path.join(ROOT, 'examples', example, 'meson.build')) as f:
        return 'network = true' in f.read()


def check_example(name):
    if name not in examples():
        raise Problem(f'there is no example "{name}"; there are: {", ".join(examples())}')


def image_path(example, target, net='direct'):
    name = f'{example}-host' if net == 'host' else example
    return os.path.join(build_dir(target), 'examples', 'bin', name)


def tender_path(target):
    """A tender is a program of this machine: it is built with those."""
    return os.path.join(build_dir('unix'), 'platform', target, 'tender', f'tarn-{target}')


def build(example, target, net='direct'):
    """Builds one example for a target and answers with the image's path."""
    check_example(example)
    if net == 'host' and target != 'unix':
        raise Problem(f"--net=host is for the unix target: {target} has no host's sockets")
    image = image_path(example, target, net if has_network(example) else 'direct')
    make(target, image)
    if target in TENDERS:
        make('unix', tender_path(target))
    return image


def make(target, path):
    """One file of a target's build folder."""
    configure(target, options_of(target))
    what = os.path.relpath(path, build_dir(target))
    quietly(f'build {os.path.basename(what)} for {target}', ['ninja', '-C', build_dir(target), what])
