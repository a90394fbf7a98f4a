#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Packs a folder into a tar archive and an assembler file that includes it.

The same folder gives the same bytes: names are sorted, owners and modes fixed, and the time is
SOURCE_DATE_EPOCH, or else a constant. Beside each text file lies its gzip form, where that is shorter.
"""
import gzip
import io
import os
import sys
import tarfile

TEXT = ('.html', '.css', '.svg', '.js', '.txt')


def add(tar, name, data, mtime):
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), mtime, 0o444
    tar.addfile(info, io.BytesIO(data))


def main(folder, archive, assembler, depfile):
    mtime = int(os.environ.get('SOURCE_DATE_EPOCH', 1767225600))
    paths = sorted(os.path.join(top, name) for top, _, names in os.walk(folder) for name in names)
    with tarfile.open(archive, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for path in paths:
            name = os.path.relpath(path, folder)
            with open(path, 'rb') as f:
                data = f.read()
            add(tar, name, data, mtime)
            small = gzip.compress(data, 9, mtime=0)
            if name.endswith(TEXT) and len(small) < len(data):
                add(tar, name + '.gz', small, mtime)
    with open(assembler, 'w') as f:
        f.write(f'''        .section .rodata
        .balign 16
        .globl website_site, website_site_end
website_site:
        .incbin "{os.path.abspath(archive)}"
website_site_end:
        .byte 0
        .section .note.GNU-stack, "", @progbits
''')
    with open(depfile, 'w') as f:
        f.write(f'{archive}: {" ".join(path.replace(" ", chr(92) + " ") for path in paths)}\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
