# SPDX-License-Identifier: ISC
"""Counts the guest's instructions from its entry point to tarn_main: QEMU translates them one at a time,
and logs each that it runs. A repeated string instruction counts once for each repetition."""
import os
import re
import subprocess


def symbols(image):
    out = subprocess.run(['nm', image], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1]: int(line.split()[0], 16) for line in out.splitlines()
            if len(line.split()) == 3}


def count(command, image, folder):
    """`command` starts QEMU with a program that ends by itself."""
    os.makedirs(folder)
    where, log = symbols(image), os.path.join(folder, 'instructions')
    subprocess.run([*command, '-singlestep', '-d', 'exec,nochain', '-dfilter', '0x100000..0x1fffff', '-D', log],
                   stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, timeout=60)
    steps, running = 0, False
    with open(log) as lines:
        for line in lines:
            found = re.match(r'Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/', line)
            if not found:
                continue
            at = int(found.group(1), 16)
            running = running or at == where['tarn_virtio_start']
            if at == where['tarn_main']:
                return steps
            steps += running
    raise AssertionError('tarn_main was not reached')
