# SPDX-License-Identifier: ISC
"""./tarn fuzz: builds a fuzz target for libFuzzer or AFL++ and lets it run for a while."""
import glob
import os
import shutil

from tools.common import Problem, ROOT, build_dir, configure_tests, quietly, run, say


def targets():
    """library -> the names of its fuzz targets."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, 'tests', '*', 'fuzz', '*.c'))):
        lib = path.split(os.sep)[-3]
        found.setdefault(lib, []).append(os.path.basename(path)[:-2])
    return found


def fuzz(lib, target, seconds, engine):
    known = targets()
    if lib is None:
        for name, names in known.items():
            say(f'{name:12} {" ".join(names)}')
        return
    if lib not in known:
        raise Problem(f'{lib} has no fuzz targets; these have: {", ".join(known)}')
    if target is not None and target not in known[lib]:
        raise Problem(f'{lib} has no fuzz target {target}; it has: {", ".join(known[lib])}')
    if engine == 'afl' and not shutil.which('afl-clang-fast'):
        raise Problem('AFL++ is not installed: apt-get install afl++')
    compiler = {'libfuzzer': 'clang-19', 'afl': 'afl-clang-fast'}[engine]
    build = f'fuzz-{engine}'
    configure_tests(build, [f'-Dfuzz={engine}', '-Db_sanitize=address,undefined', '-Db_lundef=false',
                      '-Dwerror=false'], {'CC': compiler, 'AFL_QUIET': '1'})
    for name in [target] if target else known[lib]:
        program = f'tests/replay-{lib}-{name}'
        quietly(f'build {program} for {engine}', ['ninja', '-C', build_dir(build), program])
        corpus = os.path.join(ROOT, 'tests', lib, 'fuzz', 'corpus', name)
        found = os.path.join(build_dir(build), 'found', lib, name)
        os.makedirs(found, exist_ok=True)
        say(f'{lib} {name}: {seconds} s; new inputs and crashes go to {os.path.relpath(found)}')
        path = os.path.join(build_dir(build), program)
        env = {**os.environ, 'UBSAN_OPTIONS': 'halt_on_error=1:print_stacktrace=1'}
        if engine == 'libfuzzer':
            run([path, f'-max_total_time={seconds}', '-print_final_stats=1', '-timeout=10',
                 f'-artifact_prefix={found}/', found, corpus], env=env)
        else:
            env.update(AFL_SKIP_CPUFREQ='1', AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES='1', AFL_NO_UI='1',
                       ASAN_OPTIONS='abort_on_error=1:symbolize=0:detect_leaks=0',
                       UBSAN_OPTIONS='halt_on_error=1:abort_on_error=1')
            run(['afl-fuzz', '-V', str(seconds), '-i', corpus, '-o', found, '--', path], env=env)
            crashes = glob.glob(os.path.join(found, 'default', 'crashes', 'id:*'))
            if crashes:
                raise Problem(f'{len(crashes)} crashes, in {os.path.dirname(crashes[0])}')
