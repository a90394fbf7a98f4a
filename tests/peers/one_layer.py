#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The one-layer examples on the kernel's frames: ARP asks it, and is asked; its fragments are put together, and its
UDP is read."""
import os
import struct
import sys
import time

import lab

# All that the kernel sends by a tap, which has it cut and summed.
SNIFF = """
import os, struct, sys, time
out = open(sys.argv[2], "wb")
out.write(struct.pack("<IHHIIII", 0xa1b23c4d, 2, 4, 0, 0, 65535, 1))
print("listening", flush=True)
while True:
    frame = os.read(int(sys.argv[1]), 65536)
    sec, ns = divmod(time.time_ns(), 10 ** 9)
    out.write(struct.pack("<IIII", sec, ns, len(frame), len(frame)) + frame)
    out.flush()
"""
SEND = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for text in b"a short one", b"a long one " * 500, b"the last":
    s.sendto(text, ("10.2.0.2", 514))
"""


def packets(path):
    with open(path, "rb") as f:
        f.read(24)
        while header := f.read(16):
            yield f.read(struct.unpack("<IIII", header)[2])


def ask_who_has(l, kernel, us, arp):
    out = l.run(us, arp, "v1", "10.1.0.7", "10.1.0.1", "10.1.0.9", "10.1.0.3").stdout
    mac = l.run(kernel, "cat", "/sys/class/net/v0/address").stdout.strip()
    assert f"10.1.0.1 is at {mac}\n" in out and f"10.1.0.3 is at {mac}\n" in out, out
    assert "10.1.0.9 does not answer" in out, out
    child = l.spawn(us, arp, "v1", "10.1.0.7", "10.1.0.9", log="arp")  # three seconds of questions
    l.run(kernel, "ping", "-c", "1", "-W", "1", "10.1.0.7", check=False)
    ours = l.run(us, "cat", "/sys/class/net/v1/address").stdout.strip()
    known = l.run(kernel, "ip", "neigh", "show", "10.1.0.7").stdout
    assert f"lladdr {ours}" in known, known
    assert child.wait(10) == 0, l.log("arp")
    print("arp: the kernel is asked and answers, asks and is answered; who is not there is said")


def put_together(l, kernel, reassemble, udp):
    fragments, whole = l.path("fragments"), l.path("whole")
    fd = l.tap(kernel, "t0", lab.IFF_TAP)
    l.run(kernel, "ip", "addr", "add", "10.2.0.1/24", "dev", "t0")
    l.run(kernel, "ip", "neigh", "add", "10.2.0.2", "lladdr", "02:00:00:00:00:02", "dev", "t0")
    sniff = l.spawn(None, "python3", "-c", SNIFF, str(fd), fragments, fds=(fd,), log="sniff")
    l.wait_for("listening", "sniff", sniff)
    l.run(kernel, "ping", "-c", "2", "-i", "0.2", "-s", "20000", "-p", "5a", "-W", "1", "10.2.0.2", check=False)
    l.run(kernel, "python3", "-c", SEND)
    while b"the last" not in b"".join(packets(fragments)):
        time.sleep(0.05)
    sniff.terminate()
    sniff.wait(5)
    assert all(len(p) <= 1514 for p in packets(fragments))
    out = l.run(kernel, reassemble, fragments, whole).stdout
    long = [p for p in packets(whole) if len(p) == 20028]
    assert len(long) >= 2 and all(p[-19000:] == b"\x5a" * 19000 for p in long), out
    print("reassemble:", out.strip())
    print("capture:", l.check_capture("whole"))
    out = l.run(kernel, udp, whole, "514").stdout.splitlines()
    heard = [line.split(" ", 1)[1] for line in out]
    assert [h[:28] for h in heard[:3]] == ["11 bytes: a short one", "5500 bytes: a long one a lon",
                                           "8 bytes: the last"], out
    assert out[3] == "0 wrong checksums", out
    assert len(l.run(kernel, udp, fragments, "514").stdout.splitlines()) == 3, "without the fragments"
    print("udp: three datagrams, one of them from fragments")


def main(arp, reassemble, udp):
    lab.want("ip", "ping")
    with lab.Lab("one-layer") as l:
        kernel, us = l.space("kernel"), l.space("us")
        l.run(kernel, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", us)
        for space, name in (kernel, "v0"), (us, "v1"):
            l.run(space, "ip", "link", "set", name, "up")
        for address in "10.1.0.1/24", "10.1.0.3/24":
            l.run(kernel, "ip", "addr", "add", address, "dev", "v0")
        ask_who_has(l, kernel, us, os.path.abspath(arp))
        put_together(l, kernel, os.path.abspath(reassemble), os.path.abspath(udp))


main(*sys.argv[1:])
