#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The kernel and radvd as the other end of NDP, SLAAC, IGMP and MLD: a bridge that asks for groups and forwards only
what was reported, a router that advertises itself, and a host that defends and is defended against."""
import os
import re
import socket
import struct
import sys
import time

import lab

GROUP4, GROUP6 = "239.1.2.3", "ff05::1:3"
MAC = "02:00:00:00:77:05"
PREFIX = "2001:db8:5:"
RADVD = """
interface br0 {
    AdvSendAdvert on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix 2001:db8:5::/64 { AdvOnLink on; AdvAutonomous on; };
    RDNSS 2001:db8:5::53 { };
};
"""
ASK = """
import socket, sys
host = sys.argv[1]
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
if ":" in host:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("br0"))
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 4)
else:
    s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.77.0.1"))
s.sendto(b"anybody?", (host, 7007))
print(*s.recvfrom(100)[1][:1])
"""


def frames(path):
    with open(path, "rb") as f:
        f.read(24)
        while len(header := f.read(16)) == 16:
            yield f.read(struct.unpack("<IIII", header)[2])


def probed(path):
    """The addresses that we have asked for from ::, by duplicate address detection."""
    for f in frames(path):
        if f[6:12].hex(":") == MAC and f[12:14] == b"\x86\xdd" and f[20] == 58 and f[22:38] == bytes(16) and f[54] == 135:
            yield socket.inet_ntop(socket.AF_INET6, f[62:78])


def wait(what, seconds=10):
    end = time.monotonic() + seconds
    while not (got := what()):
        assert time.monotonic() < end, what
        time.sleep(0.1)
    return got


def make_bridge(l, space):
    if l.run(space, "ip", "link", "add", "br0", "type", "bridge", check=False).returncode != 0:
        lab.skip("no bridge can be made here")
    fd = l.tap(space, "tap0")
    l.run(space, "ip", "link", "set", "tap0", "master", "br0")
    settings = {"multicast_query_interval": 250, "multicast_query_response_interval": 100, "multicast_querier": 1,
                "multicast_igmp_version": 3, "multicast_mld_version": 2, "multicast_startup_query_interval": 100}
    for name, value in settings.items():
        l.run(space, "sh", "-c", f"echo {value} > /sys/class/net/br0/bridge/{name}")
    l.run(space, "ip", "link", "set", "br0", "up")
    l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "br0")
    l.run(space, "ip", "addr", "add", f"{PREFIX}:1/64", "dev", "br0", "nodad")
    l.run(space, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    return fd


def groups(l, space):
    """What the bridge has learned: who hears which group, on our port."""
    return set(re.findall(r"port tap0 grp (\S+)", l.run(space, "bridge", "mdb", "show", "dev", "br0").stdout))


def slaac(l, space, capture):
    address = wait(lambda: [a for a in probed(capture) if a.startswith(PREFIX)])[0]
    assert len({a for a in probed(capture) if a.startswith("fe80")}) == 1, "a link-local address, asked for too"
    wait(lambda: l.run(space, "ping", "-c", "1", "-W", "2", address, check=False).returncode == 0)
    l.run(space, "ping", "-c", "2", "-W", "5", "-s", "65000", address)
    known = l.run(space, "ip", "-6", "neigh", "show", address).stdout
    assert "REACHABLE" in known or "DELAY" in known, known
    print("SLAAC:", address, "from radvd's prefix, asked for first; the kernel reaches it, with 65,000 bytes too")
    return address


def duplicates(l, space, capture, address):
    l.run(space, "ip", "addr", "add", f"{address}/64", "dev", "br0")
    wait(lambda: "dadfailed" in l.run(space, "ip", "addr", "show", "dev", "br0").stdout)
    l.run(space, "ip", "addr", "del", f"{address}/64", "dev", "br0")
    print("DAD: the kernel finds that its new address is ours")


def multicast(l, space, address):
    wait(lambda: {GROUP4, GROUP6} <= groups(l, space))
    solicited = "ff02::1:ff" + address.split(":")[-2].rjust(4, "0")[2:] + ":" + address.split(":")[-1]
    heard = groups(l, space)
    print("IGMPv3 and MLDv2: the bridge has learned", *sorted(heard))
    assert any(socket.inet_pton(socket.AF_INET6, solicited) == socket.inet_pton(socket.AF_INET6, g)
               for g in heard if ":" in g), solicited
    time.sleep(3)  # the next round of queries: reports are answers now
    assert {GROUP4, GROUP6} <= groups(l, space), "still members"
    assert l.run(space, "python3", "-c", ASK, GROUP4).stdout.strip() == "10.77.0.2"
    assert l.run(space, "python3", "-c", ASK, GROUP6).stdout.startswith(PREFIX)
    print("groups: what the kernel sends to them arrives through the snooping bridge, and is answered")


def conflict(l, space, program, fd):
    """An address that the kernel has: it is not used."""
    taken = f"{PREFIX}:7"
    l.run(space, "ip", "addr", "add", f"{taken}/64", "dev", "br0", "nodad")
    child = l.spawn(None, program, f"--net:service=@{fd}", f"--net-mac:service={MAC}", f"--pcap={l.path('conflict')}", f"--ipv6={taken}/64",
                    fds=(fd,), log="conflict-log")
    l.wait_for("listening", "conflict-log", child)
    wait(lambda: taken in map(str, probed(l.path("conflict"))))
    time.sleep(1.5)
    child.terminate()
    child.wait(5)
    ours = socket.inet_pton(socket.AF_INET6, taken)
    told = [f for f in frames(l.path("conflict")) if f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 136
            and f[62:78] == ours]
    assert told and all(f[22:38] == ours and f[6:12] == told[0][6:12] for f in told), "the kernel's word alone"
    print("DAD: an address that the kernel has is not used")


def main(program):
    lab.want("ip", "bridge", "radvd", "ping")
    if not os.path.exists(program):
        lab.skip("udpecho is not built")
    with lab.Lab("ipv6") as l:
        space, capture = l.space("lan"), l.path("frames")
        fd = make_bridge(l, space)
        config = l.write("radvd.conf", RADVD)
        radvd = l.spawn(space, "radvd", "-n", "-m", "stderr", "-C", config, "-p", l.path("radvd.pid"), log="radvd")
        child = l.spawn(None, program, f"--net:service=@{fd}", f"--net-mac:service={MAC}", f"--pcap={capture}", "--ipv4=10.77.0.2/24",
                        "--ipv6-auto", f"--groups={GROUP4},{GROUP6}", fds=(fd,), log="program")
        l.wait_for("listening", "program", child)
        address = slaac(l, space, capture)
        duplicates(l, space, capture, address)
        multicast(l, space, address)
        assert child.poll() is None and radvd.poll() is None, l.log("program") + l.log("radvd")
        child.terminate()
        child.wait(5)
        print("capture:", l.check_capture("frames", "-d", "udp.port==7007,data"))
        conflict(l, space, program, fd)


main(sys.argv[1])
