#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Packs a folder into a tar archive and an assembler file that includes it.

The same folder gives the same bytes: names are sorted, owners and modes fixed, and the time is
SOURCE_DATE_EPOCH, or else a constant. Beside each text file lies its gzip form, where that is shorter.

A page that begins with <!-- TITLE | DESCRIPTION --> is put into layout.html; others are taken as they are.
"""
import gzip
import html
import io
import os
import re
import sys
import tarfile

TEXT = ('.html', '.css', '.svg', '.js', '.txt')


LAYOUT = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'layout.html')


def in_layout(name, page):
    """The page inside of layout.html, with links that work from where it is; 404.html is shown anywhere."""
    head = re.match(r'<!-- (.*?) \| (.*?) -->\n', page)
    if not head:
        return page
    folder = os.path.dirname(name)
    root = '/' if name == '404.html' else '../' * (folder.count('/') + 1) if folder else './'
    with open(LAYOUT, encoding='utf-8') as f:
        layout = f.read()
    here = f'<a href="{{{{root}}}}{folder + "/" if folder else ""}"'
    if name.endswith('index.html'):
        layout = layout.replace(here, f'{here} aria-current="page"', 1)
    for what, text in (('content', page[head.end():]), ('title', html.escape(head[1])),
                       ('description', html.escape(head[2])), ('root', root)):
        layout = layout.replace('{{' + what + '}}', text)
    return layout


def files(folder):
    """(path, name, bytes) of each file of the site, in the order of the paths."""
    for path in sorted(os.path.join(top, name) for top, _, names in os.walk(folder) for name in names):
        name = os.path.relpath(path, folder)
        with open(path, 'rb') as f:
            data = f.read()
        yield path, name, in_layout(name, data.decode()).encode() if name.endswith('.html') else data


def add(tar, name, data, mtime):
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), mtime, 0o444
    tar.addfile(info, io.BytesIO(data))


def main(folder, archive, assembler, depfile):
    mtime = int(os.environ.get('SOURCE_DATE_EPOCH', 1767225600))
    paths = [LAYOUT]
    with tarfile.open(archive, 'w', format=tarfile.USTAR_FORMAT) as tar:
        for path, name, data in files(folder):
            paths.append(path)
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
