# SPDX-License-Identifier: ISC
"""A small Linux under QEMU's software emulation, which emulates a processor that can run guests itself: for
what this machine's own KVM cannot do. A kernel package as ./tarn test unpacks it (build/packages/linux) or as it
is installed, and an initial file system made here of programs of this machine."""
import glob
import os
import re
import shutil
import subprocess

KERNEL = "boot/vmlinuz-*"
MODULES = "lib/modules/*/kernel"
COMMANDS = ("cat", "cp", "grep", "insmod", "kill", "mount", "poweroff", "sha256sum", "sh", "usleep")


class Missing(Exception):
    pass


def find(source):
    """The folder that a kernel package was unpacked in."""
    for root in (os.environ.get("TARN_LINUX"), f"{source}/build/packages/linux", "/"):
        if root and glob.glob(f"{root}/{MODULES}/arch/x86/kvm/kvm-amd.ko") and glob.glob(f"{root}/{KERNEL}"):
            return root
    raise Missing("no kernel with kvm-amd.ko (./tarn test unpacks Debian's linux-image-cloud-amd64)")


def module(root, name):
    names = (name, name.replace("_", "-"))
    found = [p for n in names for p in glob.glob(f"{root}/{MODULES}/**/{n}.ko", recursive=True)]
    if not found:
        raise Missing(f"the kernel package has no {name}.ko")
    return sorted(found)[-1]


def with_needed(root, name, into):
    """Adds a module behind those that it stands on."""
    path = module(root, name)
    needed = re.search(rb"depends=([^\0]*)\0", open(path, "rb").read())
    for one in filter(None, needed.group(1).decode().split(",") if needed else []):
        with_needed(root, one, into)
    if path not in into:
        into.append(path)


def program(name):
    path = name if os.path.isabs(name) else shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin")
    if not path or not os.path.exists(path):
        raise Missing(f"no {name}")
    return path


def with_libraries(path):
    said = subprocess.run(["ldd", path], capture_output=True, text=True).stdout
    return [path, *re.findall(r"(/\S+) \(0x", said)]


class Archive:
    """A cpio archive, as the kernel takes it (its documentation: driver-api/early-userspace/buffer-format)."""

    def __init__(self):
        self.data, self.inodes, self.names = bytearray(), 0, set()

    def add(self, name, mode, data):
        name = name.lstrip("/")
        if name in self.names:
            return
        if os.path.dirname(name):
            self.add(os.path.dirname(name), 0o40755, b"")
        self.names.add(name)
        self.inodes += 1
        fields = (self.inodes, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        self.data += b"070701" + b"".join(b"%08x" % v for v in fields) + name.encode() + b"\0"
        self.data += b"\0" * (-len(self.data) % 4) + data
        self.data += b"\0" * (-len(self.data) % 4)

    def file(self, name, path):
        with open(path, "rb") as file:
            self.add(name, 0o100755, file.read())


def initial_files(root, programs, files, modules, script):
    """`programs` and their libraries are at /bin and where they are here, `files` is {name: path}. `script` is what
    the system does, by busybox' shell."""
    archive, loads = Archive(), []
    for path in map(program, ("busybox", *programs)):
        archive.file(f"bin/{os.path.basename(path)}", path)
        for library in with_libraries(path)[1:]:
            archive.file(library, library)
    for command in COMMANDS:
        archive.add(f"bin/{command}", 0o120777, b"busybox")
    for name, path in files.items():
        archive.file(name, path)
    for name in modules:
        with_needed(root, name, loads)
    for number, path in enumerate(loads):
        archive.file(f"modules/{number}.ko", path)
    for folder in ("dev", "proc", "sys", "tmp"):
        archive.add(folder, 0o40755, b"")
    begin = ["#!/bin/sh", "export PATH=/bin", "mount -t devtmpfs d /dev", "mount -t proc p /proc",
             *(f"insmod /modules/{number}.ko" for number in range(len(loads)))]
    archive.add("init", 0o100755, "\n".join([*begin, script, "poweroff -f", ""]).encode())
    archive.add("TRAILER!!!", 0, b"")
    return bytes(archive.data)


def command(root, initrd, mem=512):
    return ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", str(mem), "-nodefaults",
            "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", sorted(glob.glob(f"{root}/{KERNEL}"))[-1],
            "-initrd", initrd, "-append",
            "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check"]
