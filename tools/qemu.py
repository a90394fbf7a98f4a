# SPDX-License-Identifier: ISC
"""Runs virtio images under QEMU: the command line, and what its exit status means."""
import os
import struct
import subprocess
import tempfile

QEMU = 'qemu-system-x86_64'
MEM_MB = 32


def quoted(word):
    """One word of the command line, as the program takes it apart again."""
    if word and not any(c in word for c in ' \t\n\r"\'\\'):
        return word
    return '"' + word.replace('\\', '\\\\').replace('"', '\\"') + '"'


def command(image, keys=(), nets=(), disks=(), machine='microvm', mem=MEM_MB, accel='tcg', cpu='max',
            pci=None, rng=True, extra=()):
    """`nets` are tap interfaces (or -netdev options), `disks` files; `pci` is what a PCI device's options
    end in, and None means that devices are on virtio-mmio."""
    words = [QEMU, '-M', machine, '-accel', accel, '-cpu', cpu, '-m', f'{mem}M', '-nodefaults',
             '-no-user-config', '-display', 'none', '-serial', 'stdio', '-no-reboot', '-device',
             'isa-debug-exit', '-kernel', image, '-append', ' '.join(quoted(k) for k in keys)]

    def device(kind, options):
        bus = 'device' if pci is None else 'pci'
        words.extend(['-device', f'virtio-{kind}-{bus}{options}{pci or ""}'])
    for i, net in enumerate(nets):
        backend = net if ',' in net else f'tap,ifname={net},script=no,downscript=no'
        words.extend(['-netdev', f'{backend},id=net{i}'])
        device('net', f',netdev=net{i}' + (',romfile=' if pci is not None else ''))
    for i, disk in enumerate(disks):
        words.extend(['-drive', f'if=none,format=raw,id=disk{i},discard=unmap,file={disk}'])
        device('blk', f',drive=disk{i}')
    if rng:
        device('rng', '')
    return words + list(extra)


def status_of(code):
    """The program's result: a power-off is 0, the test device doubles what it is given and adds 1."""
    if code > 1 and code % 2:
        return code // 2
    return code


# 32-bit code: allow SSE, use it, end with 0x2a in the test device.
SSE_CODE = bytes.fromhex('0f20e0' '0d00020000' '0f22e0' '660fefc0' '660f7ec0' 'b02a' '66ba0105' 'ee' 'f4')


def sse_image():
    """The smallest PVH image: headers, note, code."""
    base, at = 0x100000, 64 + 2 * 56
    note = struct.pack('<III4sI', 4, 4, 18, b'Xen\0', base + at + 20)
    size = at + len(note) + len(SSE_CODE)
    head = struct.pack('<16sHHIQQQIHHHHHH', b'\x7fELF\x02\x01\x01', 2, 62, 1, base + at + 20, 64, 0, 0, 64,
                       56, 2, 64, 0, 0)
    load = struct.pack('<IIQQQQQQ', 1, 7, 0, base, base, size, size, 4096)
    info = struct.pack('<IIQQQQQQ', 4, 4, at, base + at, base + at, len(note), len(note), 4)
    return head + load + info + note + SSE_CODE


def why_no_kvm():
    """None where KVM runs guests as a processor does; otherwise the reason. Some machines that are guests
    themselves have a /dev/kvm that interprets, and does not know every instruction."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return 'no /dev/kvm that may be opened'
    with tempfile.NamedTemporaryFile(prefix='tarn-sse-') as image:
        image.write(sse_image())
        image.flush()
        try:
            done = subprocess.run(command(image.name, accel='kvm', cpu='host', rng=False),
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
        except (OSError, subprocess.TimeoutExpired):
            return 'a guest that uses SSE does not end under /dev/kvm'
    if status_of(done.returncode) != 0x2a:
        return 'a guest that uses SSE does not run under /dev/kvm'
    return None
