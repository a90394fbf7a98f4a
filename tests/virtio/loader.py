# SPDX-License-Identifier: ISC
"""Firecracker's way of starting a machine, on QEMU's microvm: a firmware of 128 KB that does nothing but leave what
Firecracker leaves, and jump. The start information is at 0x6000, its memory map at 0x7000, the command line at 0x20000;
the start information does not say where the ACPI tables are: they are found at 0xe0000, by who looks there. The DSDT has
virtio-mmio devices as LNRO0005; there is no PCI, no keyboard controller is promised, and a byte written to 0xc0000000
tells a timer that the machine has booted."""
import os
import struct
import subprocess

ROM_BYTES, ROM_BASE, CODE_BASE = 0x20000, 0xe0000, 0xf0000
OEM = b"FIRECK"
# What QEMU's microvm has: eight transports, each with an interrupt of its own.
MMIO = [(0xfeb00000 + 512 * i, 5 + i) for i in range(8)]

CODE = """
    .code16
start:
    cli
    lgdtl %cs:gdt_ptr - start
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $8, $CODE_BASE + (protected - start)
    .code32
protected:
    mov $16, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $CODE_BASE + (info - start), %esi
    mov $0x6000, %edi
    mov $56, %ecx
    rep movsb
    mov $CODE_BASE + (map - start), %esi
    mov $0x7000, %edi
    mov $(map_end - map), %ecx
    rep movsb
    mov $CODE_BASE + (cmdline - start), %esi
    mov $0x20000, %edi
    mov $(cmdline_end - cmdline), %ecx
    rep movsb
    mov $0x6000, %ebx
    mov $ENTRY, %eax
    jmp *%eax
    .align 8
gdt:
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdt_ptr:
    .word 23
    .long CODE_BASE + (gdt - start)
info:
    .long 0x336ec578, 1, 0, 0
    .quad 0, 0x20000, 0, 0x7000
    .long (map_end - map) / 24, 0
map:
    .quad 0, 0x9fc00
    .long 1, 0
    .quad 0x9fc00, 0x100000 - 0x9fc00
    .long 2, 0
    .quad 0x100000, MEM - 0x100000
    .long 1, 0
map_end:
cmdline:
    .asciz CMDLINE
cmdline_end:
    .org 0xfff0
    .code16
    ljmp $0xf000, $0
    .org 0x10000
"""


def summed(table, at):
    """With the byte at `at` such that all add up to 0."""
    table = bytearray(table)
    table[at] = -sum(table) & 255
    return bytes(table)


def table(signature, revision, body):
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(body), revision, 0, OEM, b"FCVMTBL\0", 0, b"FCAT", 0x20240119)
    return summed(head + body, 9)


def package(op, body):
    """AML: an operator with its length in front."""
    length = len(body) + 2
    return op + bytes([0x40 | length & 15, length >> 4]) + body


def device(number, addr, gsi):
    resources = (b"\x86\x09\x00\x01" + struct.pack("<II", addr, 0x1000)  # Memory32Fixed
                 + b"\x89\x06\x00\x03\x01" + struct.pack("<I", gsi)      # Interrupt: consumer, edge, active high
                 + b"\x79\x00")
    buffer = package(b"\x11", b"\x0a" + bytes([len(resources)]) + resources)
    name = b"\x08_HID\x0dLNRO0005\0" + b"\x08_UID\x0a" + bytes([number]) + b"\x08_CCA\x01" + b"\x08_CRS" + buffer
    return package(b"\x5b\x82", b"V%03d" % number + name)


def acpi():
    """The tables as they lie from ROM_BASE on."""
    devices = b"".join(device(i, addr, gsi) for i, (addr, gsi) in enumerate(MMIO))
    scope = b"\x10" + struct.pack("BB", 0x40 | len(devices) + 7 & 15, len(devices) + 7 >> 4) + b"\\_SB_" + devices
    dsdt = table(b"DSDT", 2, scope)
    madt = table(b"APIC", 6, struct.pack("<II", 0xfee00000, 0) + struct.pack("<BBBBI", 0, 8, 0, 0, 1)
                 + struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0))
    at = {}
    where = ROM_BASE + 64
    for name, data in (("dsdt", dsdt), ("madt", madt)):
        at[name] = where
        where += (len(data) + 15) & ~15
    body = bytearray(276 - 36)
    struct.pack_into("<I", body, 112 - 36, 1 << 20)  # reduced hardware: no PM1, and here no sleep register either
    struct.pack_into("<Q", body, 140 - 36, at["dsdt"])
    fadt = table(b"FACP", 6, bytes(body))
    at["fadt"], at["xsdt"] = where, where + 288
    xsdt = table(b"XSDT", 1, struct.pack("<QQ", at["fadt"], at["madt"]))
    first = summed(b"RSD PTR \0" + OEM + b"\2" + bytes(4), 8)  # the part of ACPI 1, which has its own sum
    rsdp = summed(first + struct.pack("<IQI", 36, at["xsdt"], 0), 32)
    out = bytearray(at["xsdt"] + len(xsdt) - ROM_BASE)
    for place, data in ((ROM_BASE, rsdp), (at["dsdt"], dsdt), (at["madt"], madt), (at["fadt"], fadt), (at["xsdt"], xsdt)):
        out[place - ROM_BASE:place - ROM_BASE + len(data)] = data
    return bytes(out)


def entry_of(image):
    """What the image's note says, which is what Firecracker jumps to."""
    with open(image, "rb") as file:
        data = file.read()
    at = data.index(struct.pack("<III4s", 4, 4, 18, b"Xen\0"))
    return struct.unpack_from("<I", data, at + 16)[0]


def firmware(folder, image, keys, mem):
    code = f"{folder}/firmware"
    with open(f"{code}.S", "w") as file:
        file.write(CODE)
    words = " ".join(["reboot=k", "panic=1", "pci=off", *keys])
    subprocess.run(["gcc", "-c", f"-DCODE_BASE={CODE_BASE:#x}", f"-DENTRY={entry_of(image):#x}", f"-DMEM={mem << 20:#x}",
                    f'-DCMDLINE="{words}"', "-o", f"{code}.o", f"{code}.S"], check=True)
    subprocess.run(["ld", "-Ttext=0", "--oformat=binary", "-e", "0", "-o", f"{code}.bin", f"{code}.o"], check=True,
                   stderr=subprocess.DEVNULL)
    with open(f"{code}.bin", "rb") as file:
        upper = file.read()
    lower = acpi()
    assert len(upper) == 0x10000 and len(lower) < 0x10000, (len(upper), len(lower))
    with open(f"{code}.rom", "wb") as file:
        file.write(lower + bytes(0x10000 - len(lower)) + upper)
    assert os.path.getsize(f"{code}.rom") == ROM_BYTES
    return f"{code}.rom"
