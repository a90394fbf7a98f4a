# SPDX-License-Identifier: ISC
"""Reads what a program declares out of its image: devices, keys, and the Solo5 notes. Nothing is run."""
import struct

from tools.common import Problem

R_X86_64_RELATIVE = 8
DEVICE_TYPES = {1: 'block', 2: 'network'}
KEY_BYTES = 48  # struct tarn_key: three pointers, the type, max, a pointer
KEY_TYPES = {0: 'number', 1: 'flag', 2: 'text', 3: 'choice', 4: 'address/bits', 5: 'address'}
ABI_TARGETS = {1: 'hvt', 2: 'spt', 3: 'virtio', 4: 'muen', 5: 'genode', 6: 'xen'}


class Image:
    def __init__(self, path):
        try:
            with open(path, 'rb') as f:
                self.data = f.read()
        except OSError as e:
            raise Problem(f'{path}: {e.strerror}: build it first (./tarn build)')
        if self.data[:5] != b'\x7fELF\x02' or len(self.data) < 64:
            raise Problem(f'{path} is no 64-bit ELF file: give an image that ./tarn build made')
        try:
            self.read_headers()
        except (struct.error, ValueError, IndexError):
            raise Problem(f'{path} is damaged: its ELF headers point outside the file')

    def read_headers(self):
        (self.type, self.machine, _, self.entry, phoff, shoff, _, _, phsize, phnum, shsize, shnum,
         names) = struct.unpack_from('<HHIQQQIHHHHHH', self.data, 16)
        self.segments = [struct.unpack_from('<IIQQQQQQ', self.data, phoff + i * phsize)
                         for i in range(phnum)]
        raw = [struct.unpack_from('<IIQQQQIIQQ', self.data, shoff + i * shsize) for i in range(shnum)]
        self.sections = {}
        for s in raw:
            if raw:
                self.sections[self.string(raw[names][4] + s[0])] = s
        # Where the loader writes an address, the file has it in the relocation.
        self.relocations = {}
        rela = self.sections.get('.rela.dyn')
        for at in range(0, rela[5] if rela else 0, 24):
            where, info, addend = struct.unpack_from('<QQq', self.data, rela[4] + at)
            if info & 0xffffffff == R_X86_64_RELATIVE:
                self.relocations[where] = addend

    def string(self, offset):
        return self.data[offset:self.data.index(b'\0', offset)].decode('utf-8', 'replace')

    def offset(self, address):
        for kind, _, off, vaddr, _, filesz, _, _ in self.segments:
            if kind == 1 and vaddr <= address < vaddr + filesz:
                return off + address - vaddr
        raise ValueError(address)

    def pointer(self, address):
        value, = struct.unpack_from('<Q', self.data, self.offset(address))
        return self.relocations.get(address, value)

    def text_at(self, address):
        """The string that the pointer at `address` points at, or None."""
        target = self.pointer(address)
        return self.string(self.offset(target)) if target else None

    def devices(self):
        """(name, type) of each: in a program's own section, or in the note made from it."""
        abi, manifest = self.solo5()
        if abi:
            yield from manifest
            return
        s = self.sections.get('tarn_devices')
        for off in range(s[4], s[4] + s[5], 104) if s else []:
            kind, = struct.unpack_from('<I', self.data, off + 68)
            yield self.string(off), DEVICE_TYPES.get(kind, f'type {kind}')

    def symbol(self, name):
        """The address of a symbol, or None."""
        table, names = self.sections.get('.symtab'), self.sections.get('.strtab')
        for at in range(0, table[5] if table and names else 0, 24):
            where, = struct.unpack_from('<I', self.data, table[4] + at)
            if self.string(names[4] + where) == name:
                return struct.unpack_from('<Q', self.data, table[4] + at + 8)[0]
        return None

    def keys(self):
        """A freestanding image has them among its constants, between two symbols."""
        s = self.sections.get('tarn_keys')
        first = s[3] if s else self.symbol('__start_tarn_keys')
        last = s[3] + s[5] if s else self.symbol('__stop_tarn_keys')
        for at in range(first or 0, last or 0, KEY_BYTES):
            name, text, fallback = (self.text_at(at + 8 * k) for k in range(3))
            kind, = struct.unpack_from('<I', self.data, self.offset(at + 24))
            yield name.replace('_', '-'), KEY_TYPES.get(kind, '?'), fallback, text

    def notes(self):
        for kind, _, off, _, _, size, _, _ in self.segments:
            at, end = off, off + size
            while kind == 4 and at + 12 <= end:
                namesz, descsz, note = struct.unpack_from('<III', self.data, at)
                name = self.data[at + 12:at + 12 + namesz].rstrip(b'\0').decode('latin1')
                desc = at + 12 + (namesz + 3) // 4 * 4
                yield name, note, desc, descsz
                at = desc + (descsz + 3) // 4 * 4

    def solo5(self):
        """(target, ABI version) and the manifest's (name, type)s of a Solo5 image."""
        abi, manifest = None, []
        for name, note, at, size in self.notes():
            if name == 'Solo5' and note == 0x31494241:
                target, version = struct.unpack_from('<II', self.data, at)
                abi = (ABI_TARGETS.get(target, str(target)), version)
            elif name == 'Solo5' and note == 0x3154464d:
                at += (-at) % 8  # the descriptor's content is aligned
                version, entries = struct.unpack_from('<II', self.data, at)
                for i in range(1, entries):
                    entry = at + 8 + 104 * i
                    kind, = struct.unpack_from('<I', self.data, entry + 68)
                    manifest.append((self.string(entry), DEVICE_TYPES.get(kind, f'type {kind}')))
        return abi, manifest


def describe(path):
    image = Image(path)
    try:
        abi, _ = image.solo5()
        devices, keys = list(image.devices()), list(image.keys())
    except (struct.error, ValueError, IndexError):
        raise Problem(f'{path} is damaged: its manifest points outside the file')
    lines = [path]
    if abi:
        lines.append(f'  a Solo5 {abi[0]} image, ABI version {abi[1]}')
    elif any((name, note) == ('Xen', 18) for name, note, _, _ in image.notes()):
        lines.append('  an image for virtual machines that load by PVH (target virtio)')
    elif image.type in (2, 3):
        lines.append('  an ordinary program of this machine (target unix)')
    for name, kind in devices:
        lines.append(f'  device  {name} ({kind})')
    for name, kind, fallback, text in keys:
        shown = f'--{name}' if kind == 'flag' else f'--{name}={kind}'
        default = f' (default {fallback})' if fallback else ''
        lines.append(f'  key     {shown:28} {text}{default}')
    if not devices:
        lines.append('  no devices')
    return '\n'.join(lines)
