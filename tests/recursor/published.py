#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Plays the scenarios that others have published, where TARN_RPL names folders of them (with colons between).

    published.py TARN_RPL_PROGRAM KNOWN_FILE

KNOWN_FILE has lines "FOLDER/FILE reason": those may fail, and must."""
import glob
import os
import subprocess
import sys

folders = [f for f in os.environ.get('TARN_RPL', '').split(':') if f]
files = sorted(p for f in folders for p in glob.glob(os.path.join(f, '*.rpl')))
if not files:
    print('skipped: TARN_RPL names no folder with scenarios')
    sys.exit(77)
bad = 0
counts = {}
for path in files:
    r = subprocess.run([sys.argv[1], '--known', sys.argv[2], path], capture_output=True, text=True, timeout=60)
    lines = r.stdout.splitlines()
    word = next((w for w in ('skipped:', 'known to fail', 'FAILED', ': ok') if lines and w in lines[0]), 'crashed')
    counts[word.strip(': ')] = counts.get(word.strip(': '), 0) + 1
    if r.returncode:
        bad += 1
        print('\n'.join(lines[:-1]) or f'{path}: ended with {r.returncode}')
print(', '.join(f'{n} {w}' for w, n in sorted(counts.items())))
sys.exit(bad > 0)
