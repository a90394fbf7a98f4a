#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Data that arrives in disorder, doubled and overlapping: Tarn's ACKs and SACK blocks, in their order, with
what it reports as a duplicate, are the kernel's (RFC 2018, RFC 2883), and both read the same bytes. The
kernel does not report what of a duplicate it has appended to what comes before; Tarn does."""
import ctypes
import os
import random
import socket
import struct
import sys

import lab
import tcp_states as both

SEEDS, STEPS, UNIT, UNITS = 300, 25, 100, 24


def blocks_of(segment):
    words = struct.unpack(f"!{len(segment.options.get(5, b'')) // 4}I", segment.options.get(5, b""))
    return [(a - both.ISS, b - both.ISS) for a, b in zip(words[::2], words[1::2])]


def reports_less(kernel, ours, piece):
    """The same but for the first block, a duplicate in `piece`, of which the kernel tells a part or nothing."""
    first = ours[1][0] if ours[1] else (0, 0)
    if not piece[0] <= first[0] < first[1] <= piece[1] or kernel[0] != ours[0]:
        return False
    told = kernel[1][0] if kernel[1] else (0, 0)
    part = kernel[1][1:] == ours[1][1:] and first[0] <= told[0] < told[1] <= first[1]
    return part or kernel[1] == ours[1][1:]


class Peer:
    """An established connection of a host, whose data is `pattern`."""

    def __init__(self, host, port, timestamps):
        self.host, self.port, self.timestamps, self.tsval, self.tsecr = host, port, timestamps, 1000, 0
        host.fresh()
        self.listener = host.listen(port)
        self.iss = 0
        self.give(both.SYN, 0)
        self.take()
        self.give(both.ACK, 1)
        self.take()
        self.socket = host.accept(self.listener)

    def give(self, flags, seq, data=b""):
        options = b"\2\4\5\264\4\2\3\3\7" if flags & both.SYN else b""
        if self.timestamps:
            self.tsval += 1
            options += struct.pack("!BBII", 8, 10, self.tsval, self.tsecr)
        self.host.inject(both.packet(both.PEER_PORT, self.port, both.ISS + seq,
                                     self.iss + 1 if flags & both.ACK else 0, flags, options, data))

    def take(self):
        """The last ACK of what was sent, and its blocks; None: nothing was."""
        last = None
        for ip in self.host.packets(0):
            if ip[0] >> 4 != 4 or ip[9] != 6:
                continue
            s = both.Segment(ip)
            if (s.sport, s.dport) != (self.port, both.PEER_PORT):
                continue
            if s.flags & both.SYN:
                self.iss = s.seq
            if 8 in s.options:
                self.tsecr = struct.unpack("!I", s.options[8][:4])[0]
            last = s.ack - both.ISS, blocks_of(s)
        return last


def arrivals(seed):
    """Pieces of a stream: most within a window that moves on, some of what came before."""
    rng, front = random.Random(seed), 0
    for _ in range(STEPS):
        first = max(0, rng.randrange(front - 3, front + 8))
        count = rng.randrange(1, 4)
        if rng.random() < 0.3:
            first, front = front, front + count
        yield 1 + first * UNIT, count * UNIT


def run(host, port, seed):
    pattern = bytes(i * 31 + i // 251 & 255 for i in range(UNITS * 4 * UNIT))
    peer, told = Peer(host, port, seed % 2 == 1), []
    for seq, size in arrivals(seed):
        peer.give(both.ACK | both.PSH, seq, pattern[seq - 1:seq - 1 + size])
        told.append(((seq, seq + size), peer.take()))
    got = host.read(peer.socket)
    assert got == pattern[:len(got)], f"seed {seed}: other bytes than were sent"
    return told, len(got)


def main(library):
    lab.want("ip")
    hosts = both.Kernel(both.namespace()), both.Tarn(library, "ecn=off,rcvbuf=65536,rcvbuf_min=65536")
    compared = blocks = unreported = 0
    for seed in range(SEEDS):
        (kernel, kernel_read), (ours, ours_read) = (run(host, 20000 + seed, seed) for host in hosts)
        for step, ((piece, theirs), (_, mine)) in enumerate(zip(kernel, ours)):
            if theirs is None or mine is None:  # one of the two waits with its ACK
                continue
            if theirs != mine and reports_less(theirs, mine, piece):
                unreported += 1
                continue
            assert theirs == mine, (f"seed {seed}, step {step}, {piece}: the kernel says {theirs}, Tarn {mine}",
                                    kernel[max(0, step - 4):step + 1])
            compared, blocks = compared + 1, blocks + len(mine[1])
        assert kernel_read == ours_read, seed
    for host in hosts:
        host.close_all()
    print(f"{compared} ACKs with {blocks} blocks in {SEEDS} runs, the same; {unreported} duplicates told better by Tarn")
    assert unreported < compared / 20
    assert compared > SEEDS * STEPS / 2 and blocks > compared


if __name__ == "__main__":
    main(*sys.argv[1:])
