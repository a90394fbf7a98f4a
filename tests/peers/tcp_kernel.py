#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""lib/tcp over a tun device and the kernel on the other side: Fast Open both ways, and every kind of ECN
that the kernel can be set to."""
import os
import sys

import lab

OURS, KERNEL = "10.79.0.2", "10.79.0.1"
SYN_DATA = 32  # TCPI_OPT_SYN_DATA: data went with a SYN, and was taken

CLIENT = f"""
import socket
for _ in range(2):
    s = socket.socket()
    s.sendto(b'a line\\n', socket.MSG_FASTOPEN, ('{OURS}', 80))
    assert s.makefile('rb').readline() == b'a line\\n'
    print(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)[5] & {SYN_DATA})
    s.close()
"""
SERVER = f"""
import socket
l = socket.socket()
l.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 5)
l.bind(('{KERNEL}', 81))
l.listen(5)
print('listening', flush=True)
while True:
    s, _ = l.accept()
    s.settimeout(20)
    s.sendall(s.makefile('rb').readline())
    s.close()
"""


def sysctl(l, space, name, value):
    return l.run(space, "sysctl", "-qw", f"net.ipv4.{name}={value}", check=False).returncode == 0


def ask(l, program, fd, times):
    child = l.spawn(None, program, str(fd), OURS, "ask", KERNEL, "81", str(times), fds=(fd,), log="ask")
    assert child.wait(60) == 0, l.log("ask")
    return l.log("ask").splitlines()


def main(program):
    lab.want("ip", "sysctl")
    with lab.Lab("tcp-kernel") as l:
        space = l.space("kernel")
        fd = l.tap(space, "tun0", lab.IFF_TUN)
        l.run(space, "ip", "addr", "add", f"{KERNEL}/24", "dev", "tun0")
        assert sysctl(l, space, "tcp_fastopen", 3)
        server = l.spawn(space, "/usr/bin/python3", "-c", SERVER, log="server")
        l.wait_for("listening", "server", server)

        for mode, want in (0, "ecn=0 accurate=0 option=0"), (1, "ecn=1 accurate=0 option=0"), \
                (3, "ecn=1 accurate=1 option=1"):
            if not sysctl(l, space, "tcp_ecn", mode):
                print(f"this kernel has no net.ipv4.tcp_ecn={mode}")
                continue
            got = ask(l, program, fd, 1)[0]
            assert got.startswith(want), (mode, got)
            print(f"to the kernel, tcp_ecn={mode}: {want}")
        got = ask(l, program, fd, 2)
        assert "active=0" in got[0] and "active=1" in got[1], got
        print("to the kernel: the second connection's data went with its SYN")

        ours = l.spawn(None, program, str(fd), OURS, "serve", fds=(fd,), log="ours")
        l.wait_for("listening", "ours", ours)
        flags = l.run(space, "/usr/bin/python3", "-c", CLIENT).stdout.split()
        assert flags == ["0", str(SYN_DATA)], flags
        lines = l.log("ours").splitlines()
        assert "passive=0" in lines[1] and "passive=1" in lines[2], lines
        print("from the kernel: the second connection's data came with its SYN,", lines[1])
        assert "bad=0" in lines[2]
        ours.terminate()


main(sys.argv[1])
