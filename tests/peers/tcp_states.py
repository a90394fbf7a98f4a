#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What the kernel's TCP answers to a segment, Tarn's must answer too: in every state, for every kind of
segment, at every place in and around the window, with every sort of acknowledgement.

Both are driven the same way, a connection for each case: the kernel through a tun device and its
sockets, Tarn through tests/tcp/surface. What is compared is what came back, the socket's state and error,
and what a second segment from long ago meets, which tells what has become of the connection. Where Tarn
means to differ, DIFFERS says so and why; a rule there that no case needs any more fails the test."""
import collections
import ctypes
import fcntl
import itertools
import os
import select
import socket
import struct
import subprocess
import sys

import lab

OURS, PEER, PEER_PORT = "192.168.0.1", "192.0.2.1", 33333
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16
STATES = ["", "ESTABLISHED", "SYN-SENT", "SYN-RECEIVED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "CLOSED",
          "CLOSE-WAIT", "LAST-ACK", "LISTEN", "CLOSING"]
ISS = 1_000_000  # the peer's
PORTS = itertools.count()
PATIENCE = 0.008  # the kernel answers within the call that gave it the segment, but for an ACK of a FIN


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def packet(sport, dport, seq, ack, flags, options=b"", data=b"", window=60000):
    options += b"\1" * (-len(options) % 4)
    src, dst = socket.inet_aton(PEER), socket.inet_aton(OURS)
    tcp = struct.pack("!HHIIBBHHH", sport, dport, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF,
                      (5 + len(options) // 4) << 4, flags, window, 0, 0) + options + data
    tcp = tcp[:16] + struct.pack("!H", checksum(src + dst + struct.pack("!HH", 6, len(tcp)) + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(tcp), 0, 0x4000, 64, 6, 0, src, dst)
    return ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:] + tcp


class Segment:
    def __init__(self, ip):
        tcp = ip[(ip[0] & 15) * 4:]
        (self.sport, self.dport, self.seq, self.ack, offset, self.flags, self.window) = \
            struct.unpack("!HHIIBBH", tcp[:16])
        self.options, self.len, i = {}, len(tcp) - (offset >> 4) * 4, 20
        while i < (offset >> 4) * 4 and tcp[i] != 0:
            size = 1 if tcp[i] == 1 else tcp[i + 1]
            self.options[tcp[i]] = tcp[i + 2:i + size]
            i += size


class Kernel:
    """Sockets of the kernel's, and a tun device that is their only way out."""

    def __init__(self, tun):
        self.tun = tun

    def fresh(self):
        self.close_all()

    sockets = ()

    def close_all(self):
        for s in self.sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.sockets = []

    def socket(self, port):
        s = socket.socket()
        s.setblocking(False)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        s.bind((OURS, port))
        self.sockets.append(s)
        return s

    def listen(self, port):
        s = self.socket(port)
        s.listen(8)
        return s

    def connect(self, port):
        s = self.socket(port)
        s.connect_ex((PEER, PEER_PORT))
        return s

    def accept(self, listener):
        s, _ = listener.accept()
        s.setblocking(False)
        self.sockets.append(s)
        return s

    def write(self, s, data):
        s.send(data)

    def read(self, s):
        try:
            return s.recv(1 << 20)
        except BlockingIOError:
            return b""

    def shutdown(self, s):
        s.shutdown(socket.SHUT_WR)

    def close(self, s):
        self.sockets.remove(s)
        s.close()

    def look(self, s):
        info = s.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return STATES[info[0]], s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)

    def inject(self, data):
        os.write(self.tun, data)

    def packets(self, patience):
        while select.select([self.tun], [], [], patience)[0]:
            yield os.read(self.tun, 65536)
            patience = 0


class Tarn:
    """The same over the surface: a host for each case."""

    def __init__(self, path, options):
        self.lib, self.options, self.host = ctypes.CDLL(path), options, None
        self.lib.tarn_surface_open.restype = ctypes.c_void_p
        self.lib.tarn_surface_now.restype = ctypes.c_uint64
        self.lib.tarn_surface_packet_out.restype = ctypes.c_ssize_t
        self.buffer = ctypes.create_string_buffer(65536)

    def call(self, name, *args):
        return getattr(self.lib, "tarn_surface_" + name)(ctypes.c_void_p(self.host), *args)

    def close_all(self):
        if self.host:
            self.call("free")
            self.host = None

    def fresh(self):
        self.close_all()
        self.host = self.lib.tarn_surface_open(self.options.encode())
        assert self.host

    @staticmethod
    def address(host, port):
        return struct.pack("=HHI8x", socket.AF_INET, socket.htons(port),
                           struct.unpack("=I", socket.inet_aton(host))[0])

    def socket(self, port):
        s = self.call("socket", socket.AF_INET)
        assert self.call("bind", s, self.address(OURS, port), 16) == 0
        return s

    def listen(self, port):
        s = self.socket(port)
        assert self.call("listen", s, 8) == 0
        return s

    def connect(self, port):
        s = self.socket(port)
        self.call("connect", s, self.address(PEER, PEER_PORT), 16)
        return s

    def accept(self, listener):
        s = self.call("accept", listener, None, None)
        assert s >= 0, s
        return s

    def write(self, s, data):
        self.call("write", s, data, ctypes.c_size_t(len(data)))

    def read(self, s):
        got = b""
        while (n := self.call("read", s, self.buffer, ctypes.c_size_t(65536))) > 0:
            got += self.buffer.raw[:n]
        return got

    def shutdown(self, s):
        self.call("shutdown", s, socket.SHUT_WR)

    def close(self, s):
        self.call("close", s)

    def look(self, s):
        info, error = ctypes.create_string_buffer(512), ctypes.c_int64()
        self.call("info", s, info, ctypes.c_size_t(512))
        self.call("get", s, 9, ctypes.byref(error))
        state = info.raw[:16].split(b"\0")[0].decode()
        # The kernel's TIME-WAIT is apart from the socket, which is closed by then.
        return "CLOSED" if state == "TIME-WAIT" else state, error.value

    def inject(self, data):
        self.call("packet_in", data, ctypes.c_size_t(len(data)))

    def packets(self, _):
        self.call("advance", ctypes.c_uint64(self.call("now") + 1_000_000))
        while (n := self.call("packet_out", self.buffer, ctypes.c_size_t(65536), None)) > 0:
            yield self.buffer.raw[:n]


class Case:
    """One connection of a host: the peer's side of it, and the host's."""

    def __init__(self, host, port, timestamps):
        self.host, self.port, self.timestamps = host, port, timestamps
        self.seq, self.iss, self.nxt, self.edge, self.shift = ISS, 0, 0, 0, 0
        self.listener = self.socket = None
        self.tsval, self.tsecr, self.patience, self.given = 1000, 0, 0, 0
        host.fresh()

    def take(self):
        """What the host has sent, told in the peer's terms."""
        told = []
        for ip in self.host.packets(self.patience):
            if ip[0] >> 4 != 4 or ip[9] != 6:
                continue
            s = Segment(ip)
            if s.sport != self.port or s.dport != PEER_PORT:
                continue
            if s.flags & SYN:
                self.iss, self.shift = s.seq, s.options.get(3, b"\0")[0]
            if not s.flags & RST:
                end = s.seq - self.iss + s.len + bool(s.flags & SYN) + bool(s.flags & FIN)
                self.nxt = max(self.nxt, end & 0xFFFFFFFF)
                if s.flags & ACK:
                    self.edge = s.ack + (s.window << (0 if s.flags & SYN else self.shift)) - ISS
            if 8 in s.options:
                self.tsecr = struct.unpack("!I", s.options[8][:4])[0]
            text = "".join(c for c, bit in zip("FSRA", (FIN, SYN, RST, ACK)) if s.flags & bit)
            bare = self.nxt == 0 or (s.flags & RST and s.seq == 0)
            text += f" {s.seq if bare else s.seq - self.iss & 0xFFFFFFFF}"
            text += f":{s.len}" if s.len else ""
            behind = s.ack - self.given & 0xFFFFFFFF
            said = f"given+{behind}" if behind < 13 and self.given - ISS > 1000 else s.ack - ISS & 0xFFFFFFFF
            text += f" ack {said}" if s.flags & ACK else ""
            text += " TS" if 8 in s.options else ""
            told.append(text)
        return told

    def give(self, flags, seq=None, ack=None, data=b"", age=0, stamp=True):
        """`seq` and `ack` count from the SYNs."""
        self.patience = PATIENCE if flags & FIN else 0
        self.given = seq + ISS & 0xFFFFFFFF
        options = b""
        if flags & SYN and not flags & RST:
            options = b"\2\4\5\264" + (b"\4\2" if self.timestamps else b"") + b"\3\3\7"
        if self.timestamps and stamp:
            self.tsval += 10
            options += struct.pack("!BBII", 8, 10, self.tsval - age, self.tsecr)
        self.host.inject(packet(PEER_PORT, self.port, seq + ISS, (ack or 0) + self.iss if flags & ACK else 0,
                                flags, options, data))


# -- the states, each by what leads to it: the host's next number and the peer's come of it --

def listen(c):
    c.listener = c.host.listen(c.port)
    c.rcv = 0


def closed(c):
    c.rcv = 0


def syn_received(c):
    listen(c)
    c.give(SYN, 0)
    c.take()
    c.rcv = 1


def established(c):
    syn_received(c)
    c.give(ACK, 1, 1)
    c.take()
    c.socket = c.host.accept(c.listener)


def waiting(c):
    """Established, and not accepted yet."""
    syn_received(c)
    c.give(ACK, 1, 1)
    c.take()


def syn_sent(c):
    c.socket = c.host.connect(c.port)
    c.take()
    c.rcv = 0


def syn_received_both(c):
    syn_sent(c)
    c.give(SYN, 0)
    c.take()
    c.rcv = 1


def connected(c):
    syn_sent(c)
    c.give(SYN | ACK, 0, 1)
    c.take()
    c.rcv = 1


def writing(c):
    established(c)
    c.host.write(c.socket, b"x" * 100)
    c.take()


def then(before, how, ack=None, fin=None):
    """The host ends (`how`: "shutdown", "close", or None); then the peer acknowledges `ack` more numbers,
    and sends its FIN where `fin` says so."""
    def lead(c):
        before(c)
        if how == "shutdown":
            c.host.shutdown(c.socket)
        elif how == "close":
            c.host.close(c.socket)
            c.socket = None
        c.take()
        if ack is not None or fin:
            c.give((FIN if fin else 0) | ACK, c.rcv, c.nxt - (1 - (ack or 0)) * (how is not None))
            c.rcv += bool(fin)
            c.take()
    return lead


def time_wait_both(c):
    then(established, "close", 0, True)(c)
    c.give(ACK, c.rcv, c.nxt)
    c.take()


LEADS = {
    "closed": closed, "listen": listen, "syn-received": syn_received, "syn-sent": syn_sent,
    "syn-received, both": syn_received_both, "established": established, "established, waiting": waiting,
    "connected": connected, "writing": writing,
    "fin-wait-1": then(established, "shutdown"), "fin-wait-1, orphan": then(established, "close"),
    "fin-wait-2": then(established, "shutdown", 1), "fin-wait-2, orphan": then(established, "close", 1),
    "closing": then(established, "shutdown", 0, True), "closing, orphan": then(established, "close", 0, True),
    "time-wait": then(established, "shutdown", 1, True),
    "time-wait, orphan": then(established, "close", 1, True),
    "time-wait, both": time_wait_both,
    "close-wait": then(established, None, 0, True),
    "last-ack": then(then(established, None, 0, True), "shutdown"),
    "last-ack, orphan": then(then(established, None, 0, True), "close"),
}
KINDS = {"S": SYN, "SA": SYN | ACK, "R": RST, "RA": RST | ACK, "F": FIN, "FA": FIN | ACK, "A": ACK, "none": 0,
         "SF": SYN | FIN, "PA+10": PSH | ACK, "FA+10": FIN | PSH | ACK, "none+10": 0}
PLACES = ["next-100000", "next-1", "next", "next+1", "edge-1", "edge", "edge+1", "edge+100000"]
ACKS = ["una-100000", "una-1", "una", "nxt", "nxt+1"]


def number(c, name, base):
    for word, value in base.items():
        if name.startswith(word):
            return value + int(name[len(word):] or 0)
    raise ValueError(name)


def run(host, port, state, kind, place, ack, timestamps):
    c = Case(host, port, timestamps)
    LEADS[state](c)
    una = c.nxt - 1 if c.nxt > 1 else 1
    seq = number(c, place, {"next": c.rcv, "edge": max(c.edge, c.rcv)})
    number_acked = number(c, ack, {"una": una, "nxt": c.nxt})
    c.give(KINDS[kind], seq, number_acked, b"y" * 10 if kind.endswith("+10") else b"")
    first = c.take()
    look = host.look(c.socket) if c.socket is not None else None
    c.give(ACK, c.rcv - 50_000, c.nxt, b"z")
    return {"answer": first, "state and error": look, "then": c.take()}


# -- on purpose: who differs where, and why. A rule is asked with the case and both outcomes. --

def delayed_fin(case, kernel, ours):
    """The kernel waits 40 ms with the ACK of a FIN that comes with data, for its own FIN to go along."""
    return case.kind == "FA+10" and kernel["answer"] == [] and len(ours["answer"]) == 1


def at_the_edge(case, kernel, ours):
    """The kernel heeds the ACK of a segment that only touches the window from without; RFC 9293's table 6
    calls it unacceptable."""
    return case.place in ("next-1", "edge") and case.kind in ("FA", "PA+10", "FA+10")


def data_behind_fin(case, kernel, ours):
    """What comes behind the peer's FIN is ignored (RFC 9293 section 3.10.7.4), where the kernel resets or
    answers what goes beyond the window."""
    return case.kind in ("PA+10", "FA+10") and case.state.startswith(("close-wait", "closing", "last-ack"))


def acknowledges_no_syn(case, kernel, ours):
    """An ACK of less than our SYN opens nothing (RFC 9293 section 3.10.7.4: SND.UNA < SEG.ACK)."""
    return case.state == "syn-received, both" and case.ack == "una-1"


def our_syn_counts(case, kernel, ours):
    """To the kernel its SYN is a byte that was acknowledged, so that a late ACK may be older by one."""
    return case.state == "connected" and case.ack == "una-1"


def fast_path(case, kernel, ours):
    """The kernel's header prediction does not look how old an ACK is that comes with data."""
    return case.state == "writing" and (case.kind, case.place, case.ack) == ("PA+10", "next", "una-100000")


def syn_and_fin(case, kernel, ours):
    """A SYN with a FIN is no SYN, and ends no TIME-WAIT."""
    return case.kind == "SF" and case.state.startswith("time-wait")


def timestamp_unasked(case, kernel, ours):
    """Whose SYN had no timestamp gets none (RFC 7323 section 3.2)."""
    return case.state == "syn-sent" and case.kind in ("S", "SF") and not case.timestamps


def no_connection_left(case, kernel, ours):
    """The kernel keeps but a few numbers of a closed connection in FIN-WAIT-2: any SYN or RST in the window
    ends it, and its ACKs are not looked at. To Tarn it is a connection, and has RFC 5961's defences."""
    return case.state == "fin-wait-2, orphan"


DIFFERS = [delayed_fin, at_the_edge, data_behind_fin, acknowledges_no_syn, our_syn_counts, fast_path, syn_and_fin,
           timestamp_unasked, no_connection_left]
What = collections.namedtuple("What", "state kind place ack timestamps")


def cases(only):
    for timestamps, state, kind, place in itertools.product((False, True), LEADS, KINDS, PLACES):
        acks = ACKS[2:4] if timestamps else ACKS
        for ack in acks if KINDS[kind] & ACK else ACKS[-1:]:
            if not only or only in f"{state} {kind}":
                yield What(state, kind, place, ack, timestamps)


def namespace():
    """This process's own, with a tun device in it."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
        lab.skip("a network namespace cannot be made")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, lab.TUNSETIFF, struct.pack("16sH22x", b"tun0", lab.IFF_TUN | lab.IFF_NO_PI))
    for command in f"addr add {OURS}/16 dev tun0", "link set tun0 up", "route add default dev tun0":
        subprocess.run(["ip", *command.split()], check=True)
    return tun


def main(library, only=None):
    lab.want("ip")
    if tuple(map(int, os.uname().release.split(".")[:2])) < (6, 18):
        lab.skip("what older kernels answer is not what is known here")
    hosts = Kernel(namespace()), Tarn(library, "ecn=off,rcvbuf=65536,rcvbuf_min=65536")
    count, unexplained, used = 0, 0, collections.Counter()
    for count, case in enumerate(cases(only), 1):
        for _ in range(3):  # a machine that is busy makes the kernel send something again
            port = 10000 + next(PORTS) % 50000
            kernel, ours = (run(host, port, *case) for host in hosts)
            if kernel == ours:
                break
        else:
            reason = next((rule for rule in DIFFERS if rule(case, kernel, ours)), None)
            used[reason] += 1
            if not reason:
                unexplained += 1
                print(case, *(f"\n    {k}: kernel {kernel[k]}, ours {ours[k]}" for k in ours if kernel[k] != ours[k]))
    for host in hosts:
        host.close_all()
    for rule in DIFFERS:
        print(f"{used[rule]:5} differ on purpose: {rule.__doc__}")
    print(f"{count} cases, {count - used.total()} alike, {unexplained} different and not explained")
    assert only or all(used[rule] for rule in DIFFERS), "a rule that nothing needs"
    assert unexplained == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
