#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes the include folder of a library that stands on archives from outside (`outside` in
lib/meson.build): one link for each header that is named there, so that nothing else of the system's
headers can be reached.

usage: outside.py CC FOLDER HEADER...
"""
import os
import subprocess
import sys


def link(cc, folder, headers):
    out = subprocess.run(cc + ['-dumpmachine'], check=True, capture_output=True, text=True)
    machine = out.stdout.strip().replace('-pc-', '-')  # clang's word for it
    roots = [os.path.join('/usr/include', machine), '/usr/include']
    os.makedirs(folder, exist_ok=True)
    for name in headers:
        found = [os.path.join(r, name) for r in roots if os.path.exists(os.path.join(r, name))]
        if not found:
            sys.exit(f'outside: {name} is in none of {", ".join(roots)}')
        path = os.path.join(folder, name)
        if os.path.lexists(path):
            os.unlink(path)
        os.symlink(found[0], path)
    return folder


if __name__ == '__main__':
    link(sys.argv[1].split(), sys.argv[2], sys.argv[3:])
