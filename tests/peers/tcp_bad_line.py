#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The kernel's TCP as the peer of lib/tcp, over a line that loses, doubles and reorders packets and whose
MTU shrinks on the way, with ICMP's word and without: both streams arrive whole."""
import re
import sys

import lab

OURS, KERNEL, BYTES = "10.77.0.2", "10.77.0.1", 3 << 20
SERVER = f"""
import socket, threading
total, pattern = {BYTES}, bytes(range(251)) * ({BYTES} // 251 + 1)
l = socket.socket()
l.bind(('{KERNEL}', 81))
l.listen(5)
print('listening', flush=True)
def send(s):
    s.sendall(pattern[:total])
    s.shutdown(socket.SHUT_WR)
for number in range(100):
    s, _ = l.accept()
    sender = threading.Thread(target=send, args=(s,))
    sender.start()
    got = bytearray()
    while piece := s.recv(65536):
        got += piece
    sender.join()
    resent = int.from_bytes(s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[100:104], 'little')
    print('connection', number, 'whole' if got == pattern[:total] else 'spoilt', resent, 'resent', flush=True)
    s.close()
"""
# lost, doubled, late (percent), MTU from the middle on, whether ICMP tells
LINES = [
    (0, 0, 0, 1500, "told"),
    (2, 0, 0, 1500, "told"),
    (0, 5, 20, 1500, "told"),
    (0, 0, 0, 1300, "told"),
    (0, 0, 0, 1200, "silent"),
    (2, 2, 5, 1300, "told"),
]


def main(program):
    lab.want("ip", "sysctl")
    with lab.Lab("tcp-bad-line") as l:
        space = l.space("kernel")
        fd = l.tap(space, "tun0", lab.IFF_TUN)
        l.run(space, "ip", "addr", "add", f"{KERNEL}/24", "dev", "tun0")
        l.run(space, "sysctl", "-qw", "net.ipv4.tcp_mtu_probing=1")
        server = l.spawn(space, "/usr/bin/python3", "-c", SERVER, log="server")
        l.wait_for("listening", "server", server)
        for number, line in enumerate(LINES):
            lost, doubled, late, mtu, how = line
            l.run(space, "ip", "route", "flush", "cache")  # what it has learned of the path
            child = l.spawn(None, program, str(fd), OURS + "/24", KERNEL, "81", str(BYTES), *map(str, line), fds=(fd,),
                            log=f"line{number}")
            assert child.wait(90) == 0, (line, l.log(f"line{number}"))
            told = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", l.log(f"line{number}"))}
            l.wait_for(f"connection {number} ", "server", server)
            verdict, resent = l.log("server").split(f"connection {number} ")[1].split()[:2]
            print(f"lost {lost} %, doubled {doubled} %, late {late} %, MTU {mtu} ({how}):", told, "kernel resent", resent)
            assert verdict == "whole", line
            assert told["path_mtu"] <= mtu, line
            if lost:
                assert told["retransmits"] > 0 and int(resent) > 0, line
            if late:
                assert told["out_of_order"] > 0, line
            if lost == 0 and mtu == 1500:
                assert told["timeouts"] <= 3, line  # a busy machine may be late for the timer


main(sys.argv[1])
