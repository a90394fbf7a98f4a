#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""udpecho over a tap, in a VLAN of one, and over the host's sockets: every size comes back from the kernel's UDP, whole or
in fragments, to many clients at once and in both families; an echo of an echo does not."""
import contextlib
import os
import socket
import sys
import threading

import lab

CLIENT = """
import os, socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
def client(port=0):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.bind(("", port))
    s.connect((sys.argv[1], 7007))
    s.settimeout(10)
    return s
clients = [client() for _ in range(20)]
for size in [0, 1, 512, 1472, 1473, 9000, 60000]:
    data = [os.urandom(size) for _ in clients]
    for s, d in zip(clients, data):
        s.send(d)
        if size > 2000:
            assert s.recv(65536) == d, size
    if size <= 2000:
        for s, d in zip(clients, data):
            assert s.recv(65536) == d, size
    print(size, "came back")
if len(sys.argv) > 2:
    echo = client(7007)
    echo.settimeout(1)
    echo.send(b"an answer")
    try:
        echo.recv(100)
        print("an echo was echoed")
    except TimeoutError:
        print("no echo of an echo")
"""


def tag_and_untag(tap, tagged):
    """A switch of two ports: the kernel's without tags, the other in VLAN 5. What is not tagged so is lost."""
    def tagging():
        with contextlib.suppress(OSError):  # nobody is there any more
            while frame := os.read(tap, 65536):
                tagged.send(frame[:12] + b"\x81\x00\x00\x05" + frame[12:])

    def untagging():
        while frame := tagged.recv(65536):
            if frame[12:16] == b"\x81\x00\x00\x05":
                os.write(tap, frame[:12] + frame[16:])
    for port in tagging, untagging:
        threading.Thread(target=port, daemon=True).start()


def in_vlan(l, direct, client):
    space = l.space("vlan")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    tag_and_untag(l.tap(space, "tap0", lab.IFF_TAP), theirs)
    l.run(space, "ip", "addr", "add", "10.78.0.1/24", "dev", "tap0")
    child = l.spawn(None, direct, f"--net:service=@{ours.fileno()}", f"--pcap={l.path('tagged')}", "--vlan=5",
                    "--ipv4=10.78.0.2/24", fds=(ours.fileno(),), log="vlan-log")
    l.wait_for("listening", "vlan-log", child)
    out = l.run(space, "python3", client, "10.78.0.2", "and more").stdout
    assert "no echo of an echo" in out, out
    child.terminate()
    child.wait(5)
    print("10.78.0.2 in VLAN 5:", out.count("came back"), "sizes; capture:",
          l.check_capture("tagged", "-d", "udp.port==7007,data"))


def main(direct, host):
    lab.want("ip")
    if not os.path.exists(direct):
        lab.skip("udpecho is not built")
    with lab.Lab("udpecho") as l:
        space = l.space("host")
        client = l.write("client.py", CLIENT)
        fd = l.tap(space, "tap0")
        l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "tap0")
        l.run(space, "ip", "addr", "add", "2001:db8:77::1/64", "dev", "tap0", "nodad")
        child = l.spawn(None, direct, f"--net:service=@{fd}", f"--pcap={l.path('frames')}",
                        "--ipv4=10.77.0.2/24", "--ipv6=2001:db8:77::2/64", fds=(fd,), log="direct")
        l.wait_for("listening", "direct", child)
        l.run(space, "ping", "-c", "1", "-W", "5", "2001:db8:77::2")
        for address in ("10.77.0.2", "2001:db8:77::2"):
            out = l.run(space, "python3", client, address, "and more").stdout
            assert "no echo of an echo" in out, out
            print(address, "over a tap:", out.count("came back"), "sizes")
        child.terminate()
        child.wait(5)
        print("capture:", l.check_capture("frames", "-d", "udp.port==7007,data"))
        in_vlan(l, direct, client)
        child = l.spawn(space, host, log="host")
        l.wait_for("listening", "host", child)
        for address in ("127.0.0.1", "::1", "10.77.0.1"):
            out = l.run(space, "python3", client, address).stdout
            print(address, "over the host's sockets:", out.count("came back"), "sizes")
        assert child.poll() is None, l.log("host")


main(sys.argv[1], sys.argv[2])
