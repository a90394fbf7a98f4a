#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Forwarding with address translation: natbox between two taps, and the kernel's own (nftables, masquerade) between
two veth pairs.

A client inside and a server outside, the same C programs each time: UDP echoes, each of which is two packets
forwarded, 64 under way; and one TCP connection. The kernel forwards in the softirq of whoever sends; natbox is a
process, and the machine has to run it beside the two. Then the instructions that natbox spends on a packet, by
callgrind.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

import common
from common import alternate, keep, machine, sh, show

ROUNDS, SECONDS, PORT, TCP_PORT, WINDOW = 5, 2, '7007', '5001', '64'
INSIDE, OUTSIDE, BOX_IN, BOX_OUT = '192.168.77.10', '203.0.113.1', '192.168.77.1', '203.0.113.2'


class Forwarding:
    """Namespaces inside and outside, and between them `box`: a natbox image, or None for the kernel."""

    def __init__(self, name, box):
        self.name, self.box, self.children = name, box, []
        self.inside, self.outside, self.middle = (f'tarn-bench-{os.getpid()}-{name}-{s}' for s in 'iom')

    def __enter__(self):
        try:
            self.make()
        except Exception:
            self.__exit__()
            raise
        return self

    def ip(self, ns, *command):
        sh('ip', '-n', ns, *command)

    def make(self):
        for ns in self.inside, self.outside, self.middle:
            sh('ip', 'netns', 'add', ns)
            self.ip(ns, 'link', 'set', 'lo', 'up')
            sh('ip', 'netns', 'exec', ns, 'sh', '-c', 'echo reno > /proc/sys/net/ipv4/tcp_congestion_control')
        for ns, device in (self.inside, 'in0'), (self.outside, 'out0'):
            if self.box:
                self.ip(ns, 'tuntap', 'add', 'dev', device, 'mode', 'tap')
            else:
                self.ip(ns, 'link', 'add', device, 'type', 'veth', 'peer', 'name', device, 'netns', self.middle)
        for ns, device, address in ((self.inside, 'in0', INSIDE), (self.outside, 'out0', OUTSIDE)):
            self.ip(ns, 'addr', 'add', f'{address}/24', 'dev', device)
            self.ip(ns, 'link', 'set', device, 'up')
        self.ip(self.inside, 'route', 'add', 'default', 'via', BOX_IN)
        if self.box:
            self.start_box()
        else:
            self.masquerade()

    def start_box(self):
        """Started inside, with a tap that was opened outside."""
        code = ('import fcntl,os,socket,struct,sys\n'
                'tun = os.open("/dev/net/tun", os.O_RDWR)\n'
                'fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"out0", 0x5002))\n'
                'os.set_inheritable(tun, True)\n'
                'os.execvp("ip", ["ip", "netns", "exec", sys.argv[1], sys.argv[2], "--net:inside=in0",\n'
                '          f"--net:outside=@{tun}", *sys.argv[3:]])\n')
        self.start(self.outside, sys.executable, '-c', code, self.inside, self.box, '--', f'--inside-ipv4={BOX_IN}/24',
                   f'--outside-ipv4={BOX_OUT}/24', f'--outside-gateway={OUTSIDE}', '--no-dhcp')

    def masquerade(self):
        for device, address in ('in0', BOX_IN), ('out0', BOX_OUT):
            self.ip(self.middle, 'addr', 'add', f'{address}/24', 'dev', device)
            self.ip(self.middle, 'link', 'set', device, 'up')
        sh('ip', 'netns', 'exec', self.middle, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward')
        sh('ip', 'netns', 'exec', self.middle, 'nft', 'add table ip nat; add chain ip nat post { type nat hook '
           'postrouting priority 100; }; add rule ip nat post oifname "out0" masquerade')

    def start(self, ns, *command):
        child = subprocess.Popen(['ip', 'netns', 'exec', ns, *command], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.children.append(child)

    def run(self, *command):
        return sh('ip', 'netns', 'exec', self.inside, 'taskset', '-c', common.CLIENT_CORE, *command, timeout=60)

    def __exit__(self, *_):
        for child in self.children:
            child.terminate()
            child.wait()
        for ns in self.inside, self.outside, self.middle:
            subprocess.run(['ip', 'netns', 'del', ns], capture_output=True)


def echo(place, peer, size, seconds=SECONDS):
    """Packets forwarded in a second: two for each echo."""
    rate, lost = place.run(peer, 'drive', OUTSIDE, PORT, str(seconds), str(size), WINDOW).split()
    if float(lost) > 0.01 and seconds == SECONDS:
        print(f'{place.name}: {float(lost):.1%} lost')
    return 2 * float(rate)


def wait_for(place, peer):
    for _ in range(50):
        if echo(place, peer, 64, 0.1) > 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f'no echo by {place.name}')


def write_capture(path, frames):
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for second, frame in frames:
            f.write(struct.pack('<IIII', second, 0, len(frame), len(frame)) + frame)


def datagram(size, sport):
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28 + size, 0, 0, 64, 17, 0, socket.inet_aton(INSIDE),
                     socket.inet_aton(OUTSIDE))
    total = sum(struct.unpack('!10H', ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack('!H', ~((total & 0xffff) + (total >> 16)) & 0xffff) + ip[12:]
    return ip + struct.pack('!HHHH', sport, int(PORT), 8 + size, 0) + bytes(size)


def instructions(image, size):
    """Per packet from inside to outside, over 100 flows: what many cost more than few, from a capture."""
    box_in, box_out, them = (bytes([2, 0, 0, 0, 0, i]) for i in (1, 2, 3))
    arp = (b'\xff' * 6 + them + bytes.fromhex('08060001080006040001') + them + socket.inet_aton(OUTSIDE) + bytes(6)
           + socket.inet_aton(BOX_OUT))

    def run(count):
        path = os.path.join(common.BUILD, 'natbox.pcap')
        write_capture(path, ((0, box_in + them + b'\x08\x00' + datagram(size, 40000 + i % 100)) for i in range(count)))
        write_capture(path + '.arp', [(0, arp), (60, arp)])  # the end of the other one is the end
        out = subprocess.run(
            ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', image, f'--net:inside=pcap:{path}',
             f'--net:outside=pcap:{path}.arp,{path}.out,paced', '--net-mac:inside=02:00:00:00:00:01',
             '--net-mac:outside=02:00:00:00:00:02', '--', f'--inside-ipv4={BOX_IN}/24',
             f'--outside-ipv4={BOX_OUT}/24', '--no-dhcp'], capture_output=True, text=True, timeout=120)
        passed = (os.path.getsize(path + '.out') - 24) // (16 + 42 + size)
        if passed < count - 256:  # the first round's have no neighbour yet
            raise RuntimeError(f'{passed} of {count} packets went through: {out.stdout}{out.stderr}')
        return int(re.search(r'Collected : (\d+)', out.stderr).group(1))
    few, many = 500, 2500
    return (run(many) - run(few)) / (many - few)


def main():
    common.need_root()
    if not shutil.which('nft'):
        sys.exit('the peer here is the kernel\'s masquerade: install nftables')
    image, peer, bulk = common.tarn_image('natbox'), common.compile_c('udp_peer'), common.compile_c('bulk_peer')
    print(machine())
    with Forwarding('natbox', image) as ours, Forwarding('kernel', None) as kernel:
        for place in ours, kernel:
            place.start(place.outside, 'taskset', '-c', common.SERVER_CORE, peer, 'serve', PORT)
            place.start(place.outside, 'taskset', '-c', common.SERVER_CORE, bulk, 'serve', TCP_PORT)
            wait_for(place, peer)
        for size in 64, 1400:
            a, b = alternate(ROUNDS, *(lambda p=p: echo(p, peer, size) for p in (ours, kernel)))
            keep(f'natbox-{size}', {'tarn': a, 'kernel': b})
            show(f'UDP of {size} bytes forwarded', 'packets/s', a, 'the kernel', b)
        for direction, what in ('down', 'inwards'), ('up', 'outwards'):
            def rate(place):
                return float(place.run(bulk, direction, OUTSIDE, TCP_PORT, str(SECONDS)))
            a, b = alternate(ROUNDS, *(lambda p=p: rate(p) for p in (ours, kernel)))
            keep(f'natbox-tcp-{direction}', {'tarn': a, 'kernel': b})
            show(f'TCP forwarded {what}', 'Gbit/s', a, 'the kernel', b, scale=1e9 / 8, digits=2)
    if shutil.which('valgrind'):
        for size in 64, 1400:
            print(f'UDP of {size} bytes: {instructions(image, size):.0f} instructions a packet')


if __name__ == '__main__':
    main()
