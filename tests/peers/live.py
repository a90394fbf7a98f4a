#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A program on one end of a veth pair through libpcap (--net:service=live:IFACE), curl and ping of the
kernel on the other end."""
import ctypes
import fcntl
import os
import socket
import struct
import sys

import lab

SIOCETHTOOL, ETHTOOL_STXCSUM, ETHTOOL_STSO, ETHTOOL_SGSO = 0x8946, 0x17, 0x1F, 0x24


def offloads_off(space, iface):
    """What libpcap hands over is what the wire would carry only where the sender fills in checksums."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            lab.libc_setns(space)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                for command in (ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_STXCSUM):
                    value = ctypes.create_string_buffer(struct.pack("II", command, 0))
                    request = struct.pack("16sQ16x", iface.encode(), ctypes.addressof(value))
                    fcntl.ioctl(s, SIOCETHTOOL, request)
            status = 0
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    if status != 0:
        lab.skip("this kernel does not let a veth's offloads be switched off")


def main(program):
    lab.want("ip", "curl", "ping")
    if not os.path.exists(program):
        lab.skip("the program is not built")
    with lab.Lab("live") as l:
        ours, theirs = l.space("ours"), l.space("theirs")
        l.run(ours, "ip", "link", "add", "live0", "type", "veth", "peer", "name", "far0", "netns", theirs)
        l.run(ours, "ip", "link", "set", "live0", "up")
        l.run(theirs, "ip", "addr", "add", "10.77.0.1/24", "dev", "far0")
        l.run(theirs, "ip", "link", "set", "far0", "up")
        offloads_off(theirs, "far0")
        child = l.spawn(ours, program, "--net:service=live:live0", "--net-mac:service=02:00:00:00:77:02",
                        f"--pcap={l.path('live.pcap')}", "--ipv4=10.77.0.2/24", log="program")
        l.wait_for("listening", "program", child)
        l.run(theirs, "ping", "-c", "2", "-W", "5", "10.77.0.2")
        print("ping: answered")
        got = l.run(theirs, "curl", "-sS", "--max-time", "20", "-o", l.path("page"), "-w",
                    "%{http_code} %{size_download}", "http://10.77.0.2/style.css").stdout
        code, size = got.split()
        assert code == "200" and int(size) == os.path.getsize(l.path("page")) > 1000, got
        print("curl: a page of", size, "bytes")
        assert child.poll() is None, l.log("program")
        child.terminate()
        child.wait(5)
        print("capture:", l.check_capture("live.pcap"))


main(sys.argv[1])
