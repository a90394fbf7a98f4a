#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""UDP echo: datagrams a second there and back, 64 under way, over a tap, under spt, and by a C program
on the kernel's stack over veth (recvmmsg and sendmmsg).

The client is the same C program each time. Then the instructions that Tarn's whole stack spends on one
datagram in and out, by callgrind.
"""
import os
import re
import shutil
import socket
import struct
import subprocess

import common
from common import Place, alternate, keep, machine, show

ROUNDS, SECONDS, PORT, WINDOW = 5, 2, '7007', '64'


def drive(place, peer, size, seconds=SECONDS):
    """Echoes a second; the share of the lost is kept small by the window, and said where it is not."""
    rate, lost = place.run(peer, 'drive', common.SERVER, PORT, str(seconds), str(size), WINDOW).split()
    if float(lost) > 0.01:
        print(f'{place.name}: {float(lost):.1%} lost')
    return float(rate)


def wait_for(place, peer):
    for _ in range(50):
        if drive(place, peer, 64, 0.1) > 0:
            return
    raise RuntimeError(f'no echo over {place.name}')


def capture(path, count, size):
    """An ARP request of the client, so that its address is known, and `count` datagrams."""
    us, them = bytes.fromhex('020000000001'), bytes.fromhex('020000000002')
    client, server = socket.inet_aton(common.CLIENT), socket.inet_aton(common.SERVER)
    arp = (b'\xff' * 6 + them + bytes.fromhex('08060001080006040001') + them + client + bytes(6) + server)
    ip = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 28 + size, 0, 0, 64, 17, 0, client, server)
    total = sum(struct.unpack('!10H', ip))
    total = (total & 0xffff) + (total >> 16)
    ip = ip[:10] + struct.pack('!H', ~((total & 0xffff) + (total >> 16)) & 0xffff) + ip[12:]
    udp = struct.pack('!HHHH', 40000, int(PORT), 8 + size, 0) + bytes(size)
    with open(path, 'wb') as f:
        f.write(struct.pack('<IHHIIII', 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in [arp] + [us + them + b'\x08\x00' + ip + udp] * count:
            f.write(struct.pack('<IIII', 0, 0, len(frame), len(frame)) + frame)


def instructions(image, size):
    """Per datagram in and out, from Ethernet to the program and back, the checksum in software: what
    many cost more than few, from a capture, so that it is the same every time."""
    def run(count):
        trace = os.path.join(common.BUILD, 'udp.pcap')
        capture(trace, count, size)
        out = subprocess.run(
            ['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', image,
             f'--net:service=pcap:{trace},{trace}.out', '--net-mac:service=02:00:00:00:00:01', '--',
             f'--ipv4={common.SERVER}/24', f'--udp-port={PORT}'], capture_output=True, text=True, timeout=120)
        echoed = (os.path.getsize(trace + '.out') - 24) // (16 + 42 + size)
        if echoed < count:
            raise RuntimeError(f'{echoed} of {count} datagrams came back: {out.stderr}')
        return int(re.search(r'Collected : (\d+)', out.stderr).group(1))
    few, many = 1000, 5000
    return (run(many) - run(few)) / (many - few)


def main():
    common.need_root()
    unix, spt = common.tarn_image('udpecho'), common.tarn_image('udpecho', 'spt')
    peer = common.compile_c('udp_peer')
    print(machine())
    with Place('tap') as tap, Place('tap', 'spt') as guest, Place('veth') as kernel:
        tap.start(*common.tarn_command(unix, f'--udp-port={PORT}'))
        guest.start(common.tender_path('spt'), '--net:service=net0', '--mem=256', '--', spt,
                    f'--ipv4={common.SERVER}/24', f'--udp-port={PORT}')
        kernel.start(peer, 'serve', PORT)
        for place in (tap, guest, kernel):
            wait_for(place, peer)
        for size in (64, 1400):
            a, b, c = alternate(ROUNDS, *(lambda p=p: drive(p, peer, size) for p in (tap, guest, kernel)))
            keep(f'udp-{size}', {'tap': a, 'spt': b, 'kernel': c})
            show(f'echo of {size} bytes over a tap', 'a second', a, 'C over veth', c)
            show(f'echo of {size} bytes under spt', 'a second', b, 'C over veth', c)
    if shutil.which('valgrind'):
        for size in (64, 1400):
            print(f'echo of {size} bytes: {instructions(unix, size):.0f} instructions a datagram')


if __name__ == '__main__':
    main()
