# SPDX-License-Identifier: ISC
"""./tarn test: builds what is tested, runs every suite, counts every case."""
import json
import os
import re
import subprocess
import time

from tools.common import Problem, ROOT, build_dir, configure, configure_tests, options_of, quietly, say

# What is built, how, and why its tests are run.
BUILDS = [
    ('unix', options_of('unix'), 'as shipped'),
    ('spt', options_of('spt'), 'freestanding images'),
    # Lines are enough to name what is found; all that a debugger wants takes a sixth longer to compile.
    ('asan', ['-Db_sanitize=address,undefined', '-Dc_args=-g1'], 'AddressSanitizer and UBSan'),
]


class Counts:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.reasons, self.failures = {}, []

    def add(self, build, test):
        """One entry of Meson's test log: a Criterion suite, a replayed corpus, a script (its
        last line, or TAP), one case."""
        out = (test.get('stdout') or '') + '\n' + (test.get('stderr') or '')
        out = re.sub(r'\x1b\[[0-9;]*m', '', out)
        ok, skip = test['result'] in ('OK', 'EXPECTEDFAIL'), test['result'] == 'SKIP'
        passed = failed = skipped = 0
        criterion = re.findall(
            r'Synthesis: Tested: (\d+) \| Passing: (\d+) \| Failing: (\d+) \| Crashing: (\d+)', out)
        script = re.findall(r'^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?', out, re.M)
        replayed = re.findall(r'^replayed (\d+) inputs', out, re.M)
        tap = re.findall(r'^(not ok|ok) \d+(.*)', out, re.M)
        if criterion:
            for _, good, bad, crashed in criterion:
                passed += int(good)
                failed += int(bad) + int(crashed)
            skipped = len(re.findall(r'^\[SKIP\]', out, re.M))
        elif script:
            for good, bad, left in script:
                passed, failed, skipped = passed + int(good), failed + int(bad), skipped + int(left or 0)
        elif tap:
            skipped = sum('# SKIP' in text for _, text in tap)
            failed = sum(verdict == 'not ok' for verdict, _ in tap)
            passed = len(tap) - skipped - failed
        elif replayed:
            passed = sum(map(int, replayed))
        elif ok:
            passed = 1
        if skip and skipped == 0:
            skipped = 1
        if not ok and not skip and failed == 0:
            failed = 1
        if failed:
            self.failures.append((build, test['name'], test['result'], out))
        why = re.findall(r'^(?:SKIP:|skipped:|\[SKIP\]|ok \d+ .*# SKIP) *(.*)', out, re.M)
        if skipped and not why:
            why = ['it did not say why']
        for reason in why:
            self.reasons.setdefault(f'{test["name"]}: {reason.rstrip(" .")}', set()).add(build)
        self.passed += passed
        self.failed += failed
        self.skipped += skipped


def read_log(build, counts):
    path = os.path.join(build_dir(build), 'meson-logs', 'testlog.json')
    if not os.path.exists(path):
        return 0
    tests = 0
    with open(path) as f:
        for line in f:
            if line.strip():
                counts.add(build, json.loads(line))
                tests += 1
    return tests


def has_tests(build, suites):
    out = subprocess.run(['meson', 'test', '-C', build_dir(build), '--no-rebuild', '--list', *suites],
                         capture_output=True, text=True)
    return bool(out.stdout.strip())


def test(suites):
    counts, times = Counts(), []
    selection = [a for s in suites for a in ('--suite', s)]
    start = time.monotonic()

    def step(what, fn):
        began = time.monotonic()
        result = fn()
        times.append((what, time.monotonic() - began))
        return result

    for name, options, _ in BUILDS:
        (configure if name == 'spt' else configure_tests)(name, options)
        step(f'build {name}', lambda: quietly(f'build {name}', ['ninja', '-C', build_dir(name)]))
    ran = 0
    for name, _, why in BUILDS:
        if not has_tests(name, selection):
            continue
        log = os.path.join(build_dir(name), 'meson-logs', 'testlog.json')
        if os.path.exists(log):
            os.unlink(log)
        say(f'test {name} ({why}) ...')
        step(f'test {name}', lambda: subprocess.run(
            ['meson', 'test', '-C', build_dir(name), '--no-rebuild', *selection], cwd=ROOT,
            env={**os.environ, 'TARN_SPT_BUILD': build_dir('spt'),
                 'TARN_HVT_BUILD': build_dir('hvt')}))
        ran += read_log(name, counts)
    if ran == 0:
        raise Problem(f'no such tests: {" ".join(suites)}' if suites else 'no tests were found')
    report(counts, times, time.monotonic() - start)
    return 1 if counts.failed else 0


def report(counts, times, seconds):
    for build, name, result, out in counts.failures:
        say(f'\n--- {build}: {name}: {result}\n' + '\n'.join(out.strip().split('\n')[-40:]))
    if counts.reasons:
        say('\nSkipped:')
        for reason, builds in sorted(counts.reasons.items()):
            say(f'  {reason} ({", ".join(sorted(builds))})')
    if counts.failures:
        say('\nFailed:')
        for build, name, result, _ in counts.failures:
            say(f'  {name} ({build}): {result.lower()}')
    say('\nTime: ' + ', '.join(f'{what} {t:.0f} s' for what, t in times) + f'; {seconds:.0f} s in all')
    say(f'{counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped')
