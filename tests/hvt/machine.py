# SPDX-License-Identifier: ISC
"""Guests made by hand, what this machine's KVM does with them, and gdb's end of its protocol."""
import os
import re
import socket
import struct
import subprocess

from harness import Skip, TENDER, check, part_check, run, start

UPSTREAM_TESTS = os.environ.get("TARN_SOLO5_TESTS")

# -- what KVM there is -------------------------------------------------------------------------------

# 64-bit code at 0x100000, as the ABI starts it: an SSE instruction first, or none; then HALT with 7.
SSE = bytes.fromhex("0f59c9")  # mulps %xmm1, %xmm1
HALT = bytes.fromhex("b800201000"  # mov $0x102000, %eax
                     "66ba0805"    # mov $0x508, %dx
                     "ef0f0b")     # out %eax, %dx; ud2


def elf(code, manifest=b"", flags=5, data=struct.pack("<QiI", 0, 7, 0)):
    """The least image: a text segment, a data segment that holds HALT's arguments, two notes."""
    entry = struct.pack("<68sI32x", b"", 1 << 30)
    count = 1 + len(manifest) // 104
    abi = struct.pack("<III8s4I", 6, 16, 0x31494241, b"Solo5", 1, 2, 0, 0)
    body = struct.pack("<II", 1, count) + entry + manifest
    mft = struct.pack("<III8sI", 6, 4 + len(body), 0x3154464d, b"Solo5", 0) + body
    head = 64 + 4 * 56
    at_code = head
    at_data = at_code + len(code)
    at_abi = at_data + len(data)
    at_mft = at_abi + len(abi)

    def header(kind, rights, at, addr, size):
        return struct.pack("<IIQQQQQQ", kind, rights, at, addr, addr, size, size, 4096)
    return (struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 62, 1, 0x100000, 64, 0, 0, 64, 56, 4,
                        64, 0, 0)
            + header(1, flags, at_code, 0x100000, len(code)) + header(1, 6, at_data, 0x102000, len(data))
            + header(4, 4, at_abi, 0, len(abi)) + header(4, 4, at_mft, 0, len(mft))
            + code + data + abi + mft)


def run_code(folder, code, *options, **kw):
    path = f"{folder}/code"
    with open(path, "wb") as file:
        file.write(elf(code, **kw))
    return run(*options, "--", path)


kvm = {}


def probe(folder):
    """What this machine's KVM can do, found by running guests."""
    if not kvm:
        if not os.path.exists("/dev/kvm"):
            kvm["why"] = "no /dev/kvm"
            return
        status, said = run_code(folder, HALT)
        kvm["why"] = "" if status == 7 else f"KVM runs no guest here: {said.strip().splitlines()[:1]}"
        kvm["sse"] = status == 7 and run_code(folder, SSE + HALT)[0] == 7


def with_kvm(function):
    """A check that needs a KVM that runs guests."""
    def go(folder):
        probe(folder)
        if kvm["why"]:
            raise Skip(kvm["why"])
        function(folder)
    go.__doc__ = function.__doc__
    go.__name__ = function.__name__
    return check(go)


def part(function, *needs):
    def kvm_there():
        probe("/tmp")
        if kvm["why"]:
            raise Skip(kvm["why"])
    return part_check(function, kvm_there, *needs)


def upstream_test(name):
    path = f"{UPSTREAM_TESTS}/test_{name}/test_{name}.hvt"
    if not UPSTREAM_TESTS or not os.path.exists(path):
        raise Skip("no upstream test guests (TARN_SOLO5_TESTS)")
    return path


class Gdb:
    """gdb's end of its remote protocol, by hand."""

    def __init__(self, folder, path, *options):
        where = f"{folder}/gdb.sock"
        if os.path.exists(where):
            os.unlink(where)
        self.guest = start([TENDER, "--mem=4", f"--gdb={where}", *options, path], stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE)
        assert b"waiting for gdb" in self.guest.stderr.readline()
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(where)

    def send(self, text):
        self.socket.send(f"${text}#{sum(text.encode()) & 255:02x}".encode())

    def receive(self):
        data = b""
        while not re.search(rb"\$([^#]*)#..$", data):
            data += self.socket.recv(1)
        return re.search(rb"\$([^#]*)#..$", data).group(1).decode()

    def ask(self, text):
        self.send(text)
        return self.receive()

    def registers(self):
        raw = self.ask("g")
        return struct.unpack("<17Q", bytes.fromhex(raw[:17 * 16]))

    def count(self, addr):
        said = bytes.fromhex(self.ask("qRcmd," + f"count {addr:#x}".encode().hex())).decode()
        assert said.split()[0].isdigit(), said
        return int(said.split()[0])
