#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The kernel as a router that sends redirects (RFC 792, RFC 4861 section 8): followed with --redirects, otherwise not.

udpecho knows one router. A host behind another one asks it; the first router passes the answer on to the second, and
says that there is a better way. The capture shows to whose hardware address the answers go."""
import os
import struct
import sys
import time

import lab

MAC = "02:00:00:00:77:09"
FAR = {4: "10.99.0.1", 6: "2001:db8:99::1"}
OURS = {4: "10.77.0.9", 6: "2001:db8:77::9"}


def frames(path):
    with open(path, "rb") as f:
        f.read(24)
        while len(header := f.read(16)) == 16:
            yield f.read(struct.unpack("<IIII", header)[2])


def answers_to(path, family, network):
    """The destination of each frame of ours with an echo reply for that far network, in their order."""
    for f in frames(path):
        if f[6:12].hex(":") != MAC:
            continue
        if family == 4 and f[12:14] == b"\x08\x00" and f[23] == 1 and f[34] == 0 and f[30:30 + 2] == network:
            yield f[:6].hex(":")
        if family == 6 and f[12:14] == b"\x86\xdd" and f[20] == 58 and f[54] == 129 and f[38:38 + 6] == network:
            yield f[:6].hex(":")


def mac_of(l, space, device):
    return l.run(space, "cat", f"/sys/class/net/{device}/address").stdout.strip()


def make_routers(l):
    """`first` has the bridge that udpecho is on, `second` is another port of it, with the far host inside."""
    first, second = l.space("first"), l.space("second")
    bridge = "br0", "address", "02:00:00:00:77:01", "type", "bridge"
    if l.run(first, "ip", "link", "add", *bridge, check=False).returncode != 0:
        lab.skip("no bridge can be made here")
    l.run(first, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1", "netns", second)
    l.run(first, "ip", "link", "set", "v0", "master", "br0")
    for space, device, last in (first, "br0", 1), (second, "v1", 2):
        l.run(space, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1",
              "net.ipv4.conf.all.send_redirects=1", "net.ipv4.conf.all.rp_filter=0")
        l.run(space, "ip", "link", "set", device, "up")
        l.run(space, "ip", "addr", "add", f"10.77.0.{last}/24", "dev", device)
        l.run(space, "ip", "addr", "add", f"2001:db8:77::{last}/64", "dev", device, "nodad")
        l.run(space, "ip", "addr", "add", f"fe80::{last}/64", "dev", device, "nodad")
    l.run(first, "ip", "link", "set", "v0", "up")
    for family, far in FAR.items():
        l.run(second, "ip", "addr", "add", far, "dev", "lo")
        gateway = ("via", "10.77.0.2") if family == 4 else ("via", "fe80::2", "dev", "br0")
        l.run(first, "ip", f"-{family}", "route", "add", far, *gateway)
    return first, second


def ask(l, program, first, second, follow):
    name = "follow" if follow else "off"
    fd = l.tap(first, f"tap-{name}")
    l.run(first, "ip", "link", "set", f"tap-{name}", "master", "br0")
    child = l.spawn(None, program, f"--net:service=@{fd}", f"--net-mac:service={MAC}", f"--pcap={l.path(name)}",
                    f"--ipv4={OURS[4]}/24", "--ipv4-gateway=10.77.0.1", f"--ipv6={OURS[6]}/64",
                    "--ipv6-gateway=fe80::1", *(["--redirects"] if follow else []), fds=(fd,), log=f"{name}-log")
    l.wait_for("listening", f"{name}-log", child)
    time.sleep(1.5)  # its addresses are asked for first
    for family, far in FAR.items():
        l.run(second, "ping", "-c", "5", "-i", "0.2", "-W", "2", "-I", far, OURS[family])
    child.terminate()
    child.wait(5)
    os.close(fd)
    l.run(first, "ip", "link", "del", f"tap-{name}", check=False)
    assert l.check_capture(name)
    return {4: list(answers_to(l.path(name), 4, bytes([10, 99]))),
            6: list(answers_to(l.path(name), 6, bytes.fromhex("20010db80099")))}


def main(program):
    lab.want("ip", "ping", "sysctl")
    if not os.path.exists(program):
        lab.skip("udpecho is not built")
    with lab.Lab("redirects") as l:
        first, second = make_routers(l)
        first_mac, second_mac = mac_of(l, first, "br0"), mac_of(l, second, "v1")
        off = ask(l, program, first, second, False)
        on = ask(l, program, first, second, True)
        for family in 4, 6:
            assert len(off[family]) >= 5 and set(off[family]) == {first_mac}, (family, off, first_mac)
            assert on[family][0] == first_mac and on[family][-1] == second_mac, (family, on, first_mac, second_mac)
            print(f"IPv{family}: off, {len(off[family])} answers by the first router; with --redirects,",
                  f"{on[family].index(second_mac)} of {len(on[family])}, the others straight to the second")


main(sys.argv[1])
