#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""natbox between two namespaces: udhcpc gets its address there, curl goes through and comes in by a
forwarded port, fragments pass, ICMP errors find their way back, and strangers do not."""
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


MAPPING = """
import socket
hosts = [("203.0.113.1", 7001), ("203.0.113.9", 7002)]
servers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in hosts]
for server, host in zip(servers, hosts):
    server.bind(host)
    server.settimeout(10)
print("ready", flush=True)
print("ports", *(server.recvfrom(100)[1][1] for server in servers), flush=True)
"""
ASK = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for host in [("203.0.113.1", 7001), ("203.0.113.9", 7002)]:
    s.sendto(b"x", host)
"""


def small_outside(l, natbox, inside, outside):
    """The outside carries less than the inside: who says "do not fragment" is told, and what does not
    say so is cut; TCP finds its way by itself. IPv6 goes the same way, filtered only."""
    l.run(outside, "ip", "tuntap", "add", "dev", "out1", "mode", "tap")
    l.run(outside, "ip", "link", "set", "out1", "mtu", "1300", "up")
    l.run(outside, "ip", "addr", "add", "198.51.100.1/24", "dev", "out1")
    l.run(outside, "ip", "addr", "add", "2001:db8:2::1/64", "dev", "out1", "nodad")
    l.run(outside, "ip", "route", "add", "2001:db8:1::/64", "via", "2001:db8:2::2")
    fd = l.tap(inside, "in1")
    l.run(inside, "ip", "addr", "add", "192.168.78.10/24", "dev", "in1")
    l.run(inside, "ip", "addr", "add", "2001:db8:1::10/64", "dev", "in1", "nodad")
    l.run(inside, "ip", "route", "replace", "default", "via", "192.168.78.1")
    l.run(inside, "ip", "route", "add", "default", "via", "2001:db8:1::1")
    box = l.spawn(outside, natbox, f"--net:inside=@{fd}", "--net:outside=out1", f"--pcap={l.path('small')}",
                  "--inside-ipv4=192.168.78.1/24", "--outside-ipv4=198.51.100.2/24", "--no-dhcp",
                  "--outside-gateway=198.51.100.1", "--inside-ipv6=2001:db8:1::1/64",
                  "--outside-ipv6=2001:db8:2::2/64", "--outside-gateway6=2001:db8:2::1", "--counters=1",
                  fds=(fd,), log="box2")
    l.wait_for("natbox: inside", "box2", box)
    told = l.run(inside, "ping", "-M", "do", "-c", "1", "-W", "5", "-s", "1400", "198.51.100.1", check=False)
    assert "mtu = 1300" in told.stdout, told.stdout
    l.run(inside, "ping", "-M", "dont", "-c", "2", "-W", "5", "-s", "1400", "198.51.100.1")
    l.run(inside, "ping", "-M", "dont", "-c", "2", "-W", "5", "-s", "9000", "198.51.100.1")
    print("MTU: told to who asked for it, cut for who did not")
    l.run(inside, "ping", "-c", "2", "-W", "5", "2001:db8:2::1")
    told = l.run(inside, "ping", "-c", "1", "-W", "5", "-s", "1400", "2001:db8:2::1", check=False)
    again = l.run(inside, "ping", "-c", "1", "-W", "5", "-s", "1400", "2001:db8:2::1", check=False)
    assert "too big" in (told.stdout + again.stdout).lower(), told.stdout
    refused = l.run(outside, "ping", "-c", "1", "-W", "2", "2001:db8:1::10", check=False)
    assert refused.returncode != 0, "a stranger came in over IPv6"
    serve = ("python3", "-u", "-m", "http.server", "--directory", l.path("www"), "--bind")
    l.wait_for("Serving", "http6", l.spawn(outside, *serve, "2001:db8:2::1", "8090", log="http6"))
    l.wait_for("Serving", "http4", l.spawn(outside, *serve, "198.51.100.1", "8090", log="http4"))
    for url in ("http://[2001:db8:2::1]:8090/file", "http://198.51.100.1:8090/file"):
        size = l.run(inside, "curl", "-gsS", "-m", "50", "-o", "/dev/null", "-w", "%{size_download}", url).stdout
        assert size == str(8 << 20), size
    print("curl: 8 MiB over both families through a smaller MTU; IPv6 opens from inside only")
    l.wait_for("reassembled", "box2", box)
    box.terminate()
    box.wait(5)
    print("capture:", l.check_capture("small"))


def outside_by_dhcp(l, natbox):
    """The outside address and the router there are dnsmasq's to give; until then nothing passes."""
    inside, outside = l.space("in2"), l.space("out2")
    fds = l.tap(inside, "in0"), l.tap(outside, "out0")
    l.run(outside, "ip", "addr", "add", "203.0.113.1/24", "dev", "out0")
    l.run(outside, "ip", "addr", "add", "198.51.100.9/32", "dev", "lo")  # by the router only
    l.run(inside, "ip", "addr", "add", "192.168.77.10/24", "dev", "in0")
    l.run(inside, "ip", "route", "add", "default", "via", "192.168.77.1")
    box = l.spawn(None, natbox, f"--net:inside=@{fds[0]}", f"--net:outside=@{fds[1]}", f"--pcap={l.path('leased')}",
                  "--outside-ipv4=dhcp", fds=fds, log="box3")
    l.wait_for("outside by DHCP", "box3", box)
    assert l.run(inside, "ping", "-c", "1", "-W", "1", "203.0.113.1", check=False).returncode != 0
    server = l.spawn(outside, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=out0",
                     "--bind-interfaces", "--log-dhcp", "--user=root", "--dhcp-range=203.0.113.50,203.0.113.60,2m",
                     "--dhcp-option=option:router,203.0.113.1", "--no-ping", "--no-hosts", "--no-resolv",
                     f"--dhcp-leasefile={l.path('leases')}", f"--pid-file={l.path('pid')}", log="dnsmasq")
    l.wait_for("DHCPACK", "dnsmasq", server)
    l.run(inside, "ping", "-c", "2", "-W", "5", "198.51.100.9")
    got = l.run(outside, "cat", l.path("leases")).stdout.split()[2]
    print("DHCP outside: what is inside speaks from", got, "once it is leased")
    box.terminate()
    box.wait(5)
    print("capture:", l.check_capture("leased"))


def main(natbox):
    lab.want("ip", "curl", "udhcpc", "ping", "traceroute", "dnsmasq")
    if not os.path.exists(natbox):
        lab.skip("natbox is not built")
    with lab.Lab("natbox") as l:
        inside, outside = l.space("in"), l.space("out")
        in_fd, out_fd = l.tap(inside, "in0"), l.tap(outside, "out0")
        # Or what traceroute's probes drew leaves none for the case about unreachable ports.
        l.run(outside, "sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
        l.run(outside, "ip", "addr", "add", "203.0.113.1/24", "dev", "out0")
        l.run(outside, "ip", "addr", "add", "203.0.113.9/24", "dev", "out0")
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
        for size in ("4000", "65000"):
            l.run(inside, "ping", "-c", "1", "-W", "5", "-s", size, "203.0.113.1")
        print("ping: the box from both sides, and through it, in fragments too")
        hops = l.run(inside, "traceroute", "-n", "-q", "1", "-w", "5", "203.0.113.1").stdout
        assert [h.split()[1] for h in hops.splitlines()[1:]] == ["192.168.77.1", "203.0.113.1"], hops
        print("traceroute: the box, then the other side")
        server = l.spawn(outside, "python3", "-c", MAPPING, log="mapping")
        l.wait_for("ready", "mapping", server)
        l.run(inside, "python3", "-c", ASK)
        l.wait_for("ports", "mapping")
        first, second = l.log("mapping").split("ports")[1].split()
        assert first == second, "one mapping for all destinations"
        print("mapping: the same for two destinations, port", first)

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
        l.run(inside, "curl", "-sS", "-m", "20", "-o", fetched, "http://203.0.113.2:8081/file")
        assert "192.168.77." not in l.log("http-in").splitlines()[-1], "the hairpin is seen from outside"
        print("curl: in by the forwarded port from outside and from inside, and by no other")

        assert "refused" in l.run(inside, "python3", "-c", REFUSED).stdout
        print("ICMP: port unreachable finds the inside")
        assert box.poll() is None, l.log("natbox")
        box.terminate()
        box.wait(5)
        print("capture:", l.check_capture("frames"))
        small_outside(l, natbox, inside, outside)
        outside_by_dhcp(l, natbox)


main(sys.argv[1])
