#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""natbox between two namespaces: udhcpc gets its address there, curl goes through and comes in by a
forwarded port, ICMP errors find their way back, and strangers do not."""
import hashlib
import os
import sys

import lab

UDHCPC_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "bound $ip/$mask via $router dns $dns lease $lease"
"""
REFUSED = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("203.0.113.1", 9))
s.send(b"x")
try:
    s.recv(1)
except ConnectionRefusedError:
    print("refused")
"""


def main(natbox):
    lab.want("ip", "curl", "udhcpc", "ping")
    if not os.path.exists(natbox):
        lab.skip("natbox is not built")
    with lab.Lab("natbox") as l:
        inside, outside = l.space("in"), l.space("out")
        in_fd, out_fd = l.tap(inside, "in0"), l.tap(outside, "out0")
        l.run(outside, "ip", "addr", "add", "203.0.113.1/24", "dev", "out0")
        box = l.spawn(None, natbox, f"--net:inside=@{in_fd}", f"--net:outside=@{out_fd}",
                      f"--pcap={l.path('frames')}",
                      "--outside-ipv4=203.0.113.2/24", "--outside-gateway=203.0.113.1",
                      "--dns=203.0.113.1", "--lease=120", "--forward-tcp=8081:192.168.77.126:8082",
                      fds=(in_fd, out_fd), log="natbox")
        l.wait_for("natbox: inside", "natbox", box)

        script = l.write("udhcpc.sh", UDHCPC_SCRIPT, 0o755)
        out = l.run(inside, "udhcpc", "-i", "in0", "-f", "-q", "-n", "-t", "5", "-s", script).stdout
        assert "via 192.168.77.1 dns 203.0.113.1 lease 120" in out, out
        address = out.split("bound ")[1].split("/")[0]
        print("udhcpc:", address)
        l.run(inside, "ping", "-c", "2", "-W", "5", "192.168.77.1")
        l.run(inside, "ping", "-c", "2", "-W", "5", "203.0.113.1")
        l.run(outside, "ping", "-c", "2", "-W", "5", "203.0.113.2")
        print("ping: the box from both sides, and through it")

        data = os.urandom(8 << 20)
        os.mkdir(l.path("www"))
        with open(l.path("www/file"), "wb") as f:
            f.write(data)
        serve = ("python3", "-u", "-m", "http.server", "--directory", l.path("www"))
        l.wait_for("Serving", "http-out", l.spawn(outside, *serve, "8080", log="http-out"))
        l.wait_for("Serving", "http-in", l.spawn(inside, *serve, "8082", log="http-in"))
        fetched = l.path("fetched")
        l.run(inside, "curl", "-sS", "-m", "50", "-o", fetched, "http://203.0.113.1:8080/file")
        with open(fetched, "rb") as f:
            assert hashlib.sha256(f.read()).digest() == hashlib.sha256(data).digest()
        assert "203.0.113.2 - -" in l.log("http-out"), "the outside address is what the server sees"
        print("curl: 8 MiB through, from the outside address")

        l.run(inside, "ip", "addr", "add", "192.168.77.126/25", "dev", "in0")
        l.run(outside, "curl", "-sS", "-m", "20", "-o", fetched, "http://203.0.113.2:8081/file")
        with open(fetched, "rb") as f:
            assert f.read() == data
        closed = l.run(outside, "curl", "-sS", "-m", "3", "http://203.0.113.2:8082/file", check=False)
        assert closed.returncode != 0
        print("curl: in by the forwarded port, and by no other")

        assert "refused" in l.run(inside, "python3", "-c", REFUSED).stdout
        print("ICMP: port unreachable finds the inside")
        assert box.poll() is None, l.log("natbox")
        box.terminate()
        box.wait(5)
        print("capture:", l.check_capture("frames"))


main(sys.argv[1])
