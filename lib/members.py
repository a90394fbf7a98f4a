#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Takes single members out of an archive of the system, and prefixes all their symbols, so that a program
which also uses the archive itself never sees two of one name.

usage: members.py AR ARCHIVE PREFIX MEMBER=OUTPUT...
"""
import os
import subprocess
import sys


def main():
    ar, archive, prefix = sys.argv[1:4]
    for pair in sys.argv[4:]:
        member, out = pair.split('=')
        with open(out, 'wb') as f:
            subprocess.run([ar, 'p', archive, member], stdout=f, check=True)
        if os.path.getsize(out) == 0:
            sys.exit(f'members: {archive} has no {member}')
        subprocess.run(['objcopy', f'--prefix-symbols={prefix}', '--remove-section=.note.gnu.property', out],
                       check=True)


if __name__ == '__main__':
    main()
