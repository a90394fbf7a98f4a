# SPDX-License-Identifier: ISC
"""Frames by hand: a host that is not there, what it may send that it should not, and a TCP client of
which every segment is chosen."""
import random
import socket
import struct
import time

ETH_P_ALL = 0x0003
FIN, SYN, RST, PSH, ACK, URG = 1, 2, 4, 8, 16, 32


def checksum(data):
    if len(data) % 2:
        data += b'\0'
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Wire:
    """A raw socket on the tap, speaking as a host with an address that the kernel does not have."""

    def __init__(self, interface, us, server):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self.socket.bind((interface, 0))
        self.socket.settimeout(0.05)
        self.us, self.server = socket.inet_aton(us), socket.inet_aton(server)
        self.mac, self.server_mac = b'\x02\x99\x00\x00\x00\x09', None

    def send(self, frame):
        try:
            self.socket.send(frame)
        except OSError:  # the kernel's own sense of what a frame is: shorter than a header, too long
            pass

    def receive(self, seconds):
        """The next frame for us, or None; questions for our link address are answered on the way."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                frame = self.socket.recv(65536)
            except (TimeoutError, socket.timeout):
                continue
            if frame[12:14] == b'\x08\x06' and frame[20:22] == b'\0\x01' and frame[38:42] == self.us:
                self.send(self.arp(2, frame[22:28], frame[28:32]))
            elif frame[0:6] == self.mac:
                return frame
        return None

    def arp(self, operation, to_mac, to):
        return (to_mac + self.mac + b'\x08\x06' + struct.pack('!HHBBH', 1, 0x0800, 6, 4, operation)
                + self.mac + self.us + to_mac + to)

    def resolve(self):
        for _ in range(20):
            self.send(self.arp(1, b'\xff' * 6, self.server))
            frame = self.receive(0.2)
            if frame and frame[12:14] == b'\x08\x06':
                self.server_mac = frame[22:28]
                return
        raise AssertionError('nobody answers for the server')

    def frame(self, payload, ethertype=0x0800):
        return self.server_mac + self.mac + struct.pack('!H', ethertype) + payload

    def ip(self, payload, proto=6, vihl=0x45, length=None, fragment=0, options=b'', bad_sum=False):
        head = struct.pack('!BBHHHBBH4s4s', vihl, 0, 20 + len(options) + len(payload) if length is None
                           else length, random.getrandbits(16), fragment, 64, proto, 0, self.us,
                           self.server) + options
        total = checksum(head) ^ (0x5555 if bad_sum else 0)
        return self.frame(head[:10] + struct.pack('!H', total) + head[12:] + payload)

    def tcp(self, source, port, seq=0, ack=0, flags=SYN, data=b'', options=b'', offset=None, urgent=0,
            bad_sum=False):
        words = 5 + len(options) // 4 if offset is None else offset
        head = struct.pack('!HHIIBBHHH', source, port, seq & 0xffffffff, ack & 0xffffffff, words << 4,
                           flags, 60000, 0, urgent)
        segment = head + options + data
        pseudo = self.us + self.server + struct.pack('!HH', 6, len(segment))
        total = checksum(pseudo + segment) ^ (0x1111 if bad_sum else 0)
        return segment[:16] + struct.pack('!H', total) + segment[18:]


def nonsense(wire):
    """(name, frame), each wrong in one way or in all of them."""
    port = 30000

    def syn(**more):
        return wire.tcp(port, 80, seq=random.getrandbits(32), **more)

    for words in range(5):
        yield f'IHL of {words}', wire.ip(syn(), vihl=0x40 | words)
        yield f'data offset of {words}', wire.ip(syn(offset=words))
    yield 'IHL beyond the packet', wire.ip(b'', vihl=0x4f)
    yield 'data offset beyond the segment', wire.ip(syn(offset=15))
    yield 'IP version 7', wire.ip(syn(), vihl=0x75)
    for length in (0, 19, 39, 41, 1000, 65535):
        yield f'total length of {length}', wire.ip(syn(), length=length)
    for options in (b'\x02\0\0\0', b'\x02\x01\0\0', b'\x02\xff\x05\xb4', b'\x03\x03\x0f\x02', b'\x05\x0a\0\0',
                    b'\x08\x0a\0\0', b'\xfe\0\0\0', b'\xff' * 40, b'\x01\x01\x01\x02'):
        yield f'TCP options {options.hex()}', wire.ip(syn(options=options))
    for options in (b'\x07\0\0\0', b'\x83\x03\x04\x00', b'\x44\xff\0\0', b'\x94\x01\0\0', b'\xff\xff\xff\xff'):
        yield f'IP options {options.hex()}', wire.ip(syn(), vihl=0x46, options=options)
    yield 'bad IP checksum', wire.ip(syn(), bad_sum=True)
    yield 'bad TCP checksum', wire.ip(syn(bad_sum=True))
    for flags in range(256):
        yield f'flags {flags:#x}', wire.ip(wire.tcp(port, 80, flags=flags, seq=7, ack=9, urgent=0))
    yield 'port 0', wire.ip(wire.tcp(0, 0))
    for n in (0, 1, 7, 19):
        yield f'{n} bytes of TCP', wire.ip(b'\0' * n)
        yield f'{n} bytes of UDP', wire.ip(b'\0' * n, proto=17)
        yield f'{n} bytes of ICMP', wire.ip(b'\x08' * n, proto=1)
    for kind in range(20):
        quoted = wire.ip(wire.tcp(80, port))[14:]
        body = struct.pack('!BBHI', kind, 4, 0, 0) + quoted[:random.randrange(len(quoted))]
        body = body[:2] + struct.pack('!H', checksum(body)) + body[4:]
        yield f'ICMP type {kind}', wire.ip(body, proto=1)
    yield 'ping of death', wire.ip(b'x' * 1000, proto=1, fragment=0x1fff)
    yield 'teardrop, 1', wire.ip(b'x' * 64, proto=17, fragment=0x2000)
    yield 'teardrop, 2', wire.ip(b'y' * 8, proto=17, fragment=0x0003)
    for n in range(0, 28):
        yield f'{n} bytes of ARP', wire.frame(b'\0\x01\x08\0\x06\x04\0\x01'.ljust(n, b'\xff')[:n], 0x0806)
    for n in (0, 1, 10, 19, 39):
        yield f'{n} bytes of IPv4', wire.frame(wire.ip(syn())[14:14 + n])
        yield f'{n} bytes of IPv6', wire.frame(b'\x60' + b'\0' * n, 0x86dd)
        yield f'{n} bytes of a VLAN', wire.frame(b'\0' * n, 0x8100)
    from_everybody = wire.ip(syn())
    yield 'from a group address', from_everybody[:6] + b'\xff' * 6 + from_everybody[12:]
    for source in ('255.255.255.255', '0.0.0.0', '127.0.0.1', '224.0.0.1', socket.inet_ntoa(wire.server)):
        us, wire.us = wire.us, socket.inet_aton(source)
        yield f'from {source}', wire.ip(syn())
        wire.us = us
    dice = random.Random(1)
    for i in range(500):
        good = bytearray(wire.ip(syn(options=b'\x02\x04\x05\xb4', data=b'x' * dice.randrange(64))))
        for _ in range(dice.randrange(1, 8)):
            good[dice.randrange(12, len(good))] = dice.randrange(256)
        yield f'damage {i}', bytes(good[:dice.randrange(14, len(good) + 1)])


class Client:
    """A TCP connection whose segments are made one by one."""

    def __init__(self, wire, source, port):
        self.wire, self.source, self.port = wire, source, port
        self.isn = random.getrandbits(32)
        self.rcv_nxt = 0
        self.end = 0  # how much has been sent
        self.received = b''

    def segment(self, seconds):
        """(flags, seq, data) of the next one that is ours, or None."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            frame = self.wire.receive(left)
            if frame is None or frame[12:14] != b'\x08\0' or frame[23] != 6:
                continue
            ip = frame[14:14 + struct.unpack('!H', frame[16:18])[0]]
            tcp = ip[(ip[0] & 15) * 4:]
            source, port, seq, _, words, flags = struct.unpack('!HHIIBB', tcp[:14])
            if (source, port) == (self.port, self.source):
                return flags, seq, tcp[(words >> 4) * 4:]
        return None

    def out(self, seq, flags, data=b'', **more):
        self.wire.send(self.wire.ip(self.wire.tcp(self.source, self.port, seq, self.rcv_nxt, flags,
                                                  data, **more)))

    def open(self):
        self.wire.send(self.wire.ip(self.wire.tcp(self.source, self.port, self.isn,
                                                  options=b'\x02\x04\x05\xb4')))
        while True:
            got = self.segment(3)
            assert got, 'no answer to a SYN'
            if got[0] & (SYN | ACK) == SYN | ACK:
                break
        self.rcv_nxt = got[1] + 1 & 0xffffffff
        self.out(self.isn + 1, ACK)

    def send(self, offset, data, urgent=False):
        self.end = max(self.end, offset + len(data))
        self.out(self.isn + 1 + offset, ACK | PSH | (URG if urgent else 0), data, urgent=0)

    def send_damaged(self, offset, data):
        """Other bytes for the same place, which must not be believed: their checksum is wrong."""
        self.out(self.isn + 1 + offset, ACK | PSH, b'#' * len(data), bad_sum=True)

    def read_all(self, least):
        """Everything up to the peer's end, acknowledged piece by piece."""
        ended = False
        while not ended:
            got = self.segment(5)
            assert got, f'nothing more comes after {len(self.received)} bytes'
            flags, seq, data = got
            assert not flags & RST, 'reset'
            if seq != self.rcv_nxt:
                continue
            self.received += data
            ended = bool(flags & FIN)
            self.rcv_nxt = self.rcv_nxt + len(data) + ended & 0xffffffff
            self.out(self.isn + 1 + self.end, ACK)
        assert len(self.received) >= least
        return self.received

    def close(self):
        self.out(self.isn + 1 + self.end, RST | ACK)
