# SPDX-License-Identifier: ISC
"""The other end of a guest's network device: a socket pair, frames made by hand."""
import socket
import struct
import subprocess


def echo(start, tender, path, frames):
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(10)
    with ours, theirs:
        fd = theirs.fileno()
        guest = start([tender, "--mem=4", f"--net:service=@{fd}", path],
                      stdout=subprocess.PIPE, pass_fds=[fd])
        assert guest.stdout.readline() == b"ready\n"
        for frame in frames:
            ours.send(frame)
            assert ours.recv(65536) == frame, f"{len(frame)} bytes came back otherwise"
        ours.send(b"stop now")
        assert guest.wait(10) == 0


def frames_of(path):
    """(second, bytes kept, bytes) of each frame of a capture with nanoseconds."""
    data = open(path, "rb").read()
    assert struct.unpack_from("<IHHIIII", data) == (0xa1b23c4d, 2, 4, 0, 0, 65550, 1)
    at, frames = 24, []
    while at < len(data):
        seconds, nanoseconds, kept, whole = struct.unpack_from("<IIII", data, at)
        frames.append((seconds + nanoseconds / 1e9, data[at + 16:at + 16 + kept], whole))
        at += 16 + kept
    assert at == len(data)
    return frames


class Wire:
    """The other end of a guest's network device: a host, 10.0.0.1, that speaks TCP by hand."""

    OUR_MAC, THEIR_MAC = bytes.fromhex("020000000001"), None
    ADDRS = bytes((10, 0, 0, 1)) + bytes((10, 0, 0, 2))

    def __init__(self, link):
        self.link = link

    @staticmethod
    def csum(data):
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        total = (total >> 16) + (total & 0xffff)
        return ~(total + (total >> 16)) & 0xffff

    def send(self, port, seq, ack, flags, data=b""):
        tcp = struct.pack("!HHIIBBHHH", port, 7, seq, ack, 0x50, flags, 65535, 0, 0) + data
        pseudo = self.ADDRS + struct.pack("!HH", 6, len(tcp))
        tcp = tcp[:16] + struct.pack("!H", self.csum(pseudo + tcp + b"\0" * (len(tcp) % 2))) + tcp[18:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0) + self.ADDRS
        ip = ip[:10] + struct.pack("!H", self.csum(ip)) + ip[12:]
        self.link.send(self.THEIR_MAC + self.OUR_MAC + b"\x08\x00" + ip + tcp)

    def receive(self):
        """The next TCP segment: port, sequence number, flags and data. ARP is answered meanwhile."""
        while True:
            frame = self.link.recv(65536)
            if frame[12:14] == b"\x08\x06":
                self.arp(frame)
            elif frame[12:14] == b"\x08\x00" and frame[23] == 6:
                total, = struct.unpack("!H", frame[16:18])
                _, port, seq, _, offset, flags = struct.unpack("!HHIIBB", frame[34:48])
                return port, seq, flags, frame[34 + (offset >> 4) * 4:14 + total]

    def arp(self, frame):
        if frame[20:22] == b"\0\1" and frame[38:42] == self.ADDRS[:4]:
            head = b"\0\1\x08\0\6\4\0\2"
            self.link.send(frame[6:12] + self.OUR_MAC + b"\x08\x06" + head + self.OUR_MAC + frame[38:42]
                           + frame[22:32])

    def ask_mac(self):
        ask = (b"\0\1\x08\0\6\4\0\1" + self.OUR_MAC + self.ADDRS[:4] + b"\0" * 6 + self.ADDRS[4:])
        self.link.send(b"\xff" * 6 + self.OUR_MAC + b"\x08\x06" + ask)
        while True:
            frame = self.link.recv(65536)
            if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2":
                self.THEIR_MAC = frame[22:28]
                return


def many(start, tender, path):
    """10,000 connections to a guest of 16 MB that gives back what it is sent."""
    count, syn, ack, push = 10000, 2, 16, 24
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(10)
    with ours, theirs:
        guest = start([tender, "--mem=16", f"--net:service=@{theirs.fileno()}", path],
                      stdout=subprocess.PIPE, pass_fds=[theirs.fileno()])
        said = guest.stdout.readline()
        assert said == b"ready\n", said
        wire, numbers = Wire(ours), {}
        wire.ask_mac()
        for port in range(10000, 10000 + count):
            wire.send(port, 1, 0, syn)
            got, seq, flags, _ = wire.receive()
            assert (got, flags) == (port, syn | ack), (port, got, flags)
            numbers[port] = seq + 1 & 0xffffffff
            wire.send(port, 2, numbers[port], ack)
        for port in range(10000, 10000 + count, 100):
            wire.send(port, 2, numbers[port], push, b"still there?")
            while (answer := wire.receive())[0] != port or not answer[3]:
                pass
            assert answer[3] == b"still there?", answer
        wire.send(port, 14, numbers[port] + 12 & 0xffffffff, push, b"stop now")
        assert guest.wait(10) == 0
        assert guest.stdout.read() == b"10000 connections\n"
