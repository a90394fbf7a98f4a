#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""usernet between a guest's namespace and a host's: udhcpc gets its address there; curl fetches and uploads; closed
ports, half closes, resets and many connections are what they are without it; UDP in every size. Then the same over a
stream of frames, for ports that lead into the guest, and for a user without rights."""
import hashlib
import os
import shutil
import subprocess
import sys

import lab

UDHCPC_SCRIPT = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
echo "bound $ip/$mask via $router dns $dns"
"""
SERVER = """
import hashlib, socket, struct, threading
def serve(port, handle):
    s = socket.create_server(("192.0.2.1", port), backlog=500)
    def loop():
        while True:
            c, _ = s.accept()
            threading.Thread(target=handle, args=(c,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
def digest(c):  # all that comes until the end; the answer is its hash
    h = hashlib.sha256()
    while data := c.recv(1 << 16):
        h.update(data)
    c.sendall(h.hexdigest().encode())
    c.close()
def reset(c):
    c.recv(1)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()
def told(c):
    try:
        while c.recv(1):
            pass
        print("ended", flush=True)
    except ConnectionResetError:
        print("was reset", flush=True)
serve(7001, digest), serve(7002, reset), serve(7003, told)
def echo(address, port, answer):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((address, port))
    def loop():
        while True:
            data, peer = s.recvfrom(65536)
            s.sendto(answer(data, peer), peer)
    threading.Thread(target=loop, daemon=True).start()
echo("192.0.2.1", 7007, lambda data, peer: data)
echo("192.0.2.1", 7008, lambda data, peer: b"%d" % peer[1])
echo("192.0.2.9", 7008, lambda data, peer: b"%d" % peer[1])
echo("192.0.2.9", 53, lambda data, peer: b"resolved " + data)
print("ready", flush=True)
threading.Event().wait()
"""
CLIENT = """
import hashlib, os, socket, struct, threading, time
def connect(port, host="192.0.2.1"):
    return socket.create_connection((host, port), timeout=20)
def ask(n):
    data = os.urandom(n)
    with connect(7001) as c:
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        answer = c.recv(64, socket.MSG_WAITALL)
        assert answer == hashlib.sha256(data).hexdigest().encode(), answer
        assert c.recv(1) == b""
ask(0), ask(1), ask(8 << 20)
print("half close: the answer comes after the end, of 8 MiB too")
threads = [threading.Thread(target=ask, args=(20000,)) for _ in range(MANY)]
failed = []
threading.excepthook = lambda a: failed.append(a.exc_value)
[t.start() for t in threads], [t.join() for t in threads]
assert not failed, failed[:3]
print("many:", len(threads), "connections at a time")
start = time.monotonic()
try:
    connect(7999)
    raise AssertionError("a closed port was open")
except ConnectionRefusedError:
    assert time.monotonic() - start < 2
with connect(7002) as c:
    c.send(b"x")
    try:
        c.recv(1)
        raise AssertionError("no reset came")
    except ConnectionResetError:
        pass
with connect(7003) as c:
    c.send(b"x")
    time.sleep(0.2)
    c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
print("refused and reset: told in both directions")
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(10)
for size in 0, 1, 512, 1472, 1473, 9000, 60000:
    data = os.urandom(size)
    u.sendto(data, ("192.0.2.1", 7007))
    assert u.recvfrom(65536) == (data, ("192.0.2.1", 7007)), size
ports = set()
for host in "192.0.2.1", "192.0.2.9":
    u.sendto(b"port?", (host, 7008))
    data, peer = u.recvfrom(100)
    assert peer == (host, 7008)
    ports.add(data)
assert len(ports) == 1, ports
u.sendto(b"name", ("10.0.2.2", 53))
assert u.recvfrom(100) == (b"resolved name", ("10.0.2.2", 53))
print("UDP: every size comes back, one port for two destinations, names from the gateway")
"""
PUMP = """
import os, select, socket, struct, sys
tap = int(sys.argv[1])
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[2])
print("connected", flush=True)
while True:
    ready, _, _ = select.select([tap, s], [], [])
    if tap in ready:
        frame = os.read(tap, 65536)
        s.sendall(struct.pack(">I", len(frame)) + frame)
    if s in ready:
        n, = struct.unpack(">I", s.recv(4, socket.MSG_WAITALL))
        os.write(tap, s.recv(n, socket.MSG_WAITALL))
"""


def over_tap(l, usernet, host):
    guest = l.space("guest")
    fd = l.tap(guest, "eth0")
    child = l.spawn(host, usernet, f"--net:guest=@{fd}", f"--pcap={l.path('frames')}", "--dns=192.0.2.9", fds=(fd,),
                    log="usernet")
    l.wait_for("gateway is 10.0.2.2", "usernet", child)
    script = l.write("udhcpc.sh", UDHCPC_SCRIPT, 0o755)
    out = l.run(guest, "udhcpc", "-i", "eth0", "-f", "-q", "-n", "-t", "5", "-s", script).stdout
    assert "via 10.0.2.2 dns 10.0.2.2" in out, out
    print("udhcpc:", out.strip().splitlines()[-1])
    l.run(guest, "ping", "-c", "1", "-W", "5", "10.0.2.2")
    assert l.run(guest, "ping", "-c", "1", "-W", "1", "192.0.2.1", check=False).returncode != 0
    fetched = l.path("fetched")
    l.run(guest, "curl", "-sS", "-m", "50", "-o", fetched, "http://192.0.2.1:8080/file")
    with open(fetched, "rb") as a, open(l.path("www/file"), "rb") as b:
        assert hashlib.sha256(a.read()).digest() == hashlib.sha256(b.read()).digest()
    print("curl: 32 MiB, whole")
    closed = l.run(guest, "curl", "-sS", "-m", "5", "http://10.0.2.2:8081/file", check=False)
    assert closed.returncode == 7, closed.stdout  # refused at once: --loopback was not said
    print(l.run(guest, "python3", "-c", CLIENT.replace("MANY", "300")).stdout, end="")
    l.wait_for("was reset", "server")
    assert child.poll() is None, l.log("usernet")
    child.terminate()
    child.wait(5)
    # Random bytes: no port of the guest's choice may make a protocol of them.
    as_data = [f"{kind}.port=={port},data" for kind, port in
               (("udp", "53"), ("udp", "7007-7008"), ("tcp", "7001-7003"))]
    print("capture:", l.check_capture("frames", *(word for rule in as_data for word in ("-d", rule))))


def over_stream(l, usernet, host):
    guest = l.space("vm")
    fd = l.tap(guest, "eth0", lab.IFF_TAP)
    for line in "addr add 10.0.2.15/24 dev eth0", "route add default via 10.0.2.2":
        l.run(guest, "ip", *line.split())
    child = l.spawn(host, usernet, f"--net:guest=unix:{l.path('socket')}", "--dns=192.0.2.9", "--loopback",
                    log="stream")
    l.wait_for("gateway is", "stream", child)
    pump = l.spawn(None, "python3", "-c", PUMP, str(fd), l.path("socket"), fds=(fd,), log="pump")
    l.wait_for("connected", "pump", pump)
    print(l.run(guest, "python3", "-c", CLIENT.replace("MANY", "20")).stdout.splitlines()[-1], "(over a stream)")
    size = l.run(guest, "curl", "-sS", "-m", "20", "-o", "/dev/null", "-w", "%{size_download}",
                 "http://10.0.2.2:8081/file").stdout
    assert size == str(32 << 20), size
    print("curl: from this machine's loopback address, by --loopback")


GUEST_SERVER = """
import hashlib, socket, threading
s = socket.create_server(("10.0.2.15", 80), backlog=100)
print("guest listens", flush=True)
def digest(c, peer):
    h = hashlib.sha256(peer[0].encode())
    while data := c.recv(1 << 16):
        h.update(data)
    c.sendall(h.hexdigest().encode())
    c.close()
while True:
    threading.Thread(target=digest, args=s.accept(), daemon=True).start()
"""
INWARD_CLIENT = """
import hashlib, os, socket, threading
def ask(host, port, n):
    data = os.urandom(n)
    with socket.create_connection((host, port), timeout=20) as c:
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        assert c.recv(64, socket.MSG_WAITALL) == hashlib.sha256(b"10.0.2.2" + data).hexdigest().encode()
        assert c.recv(1) == b""
ask("127.0.0.1", 8888, 4 << 20), ask("192.0.2.1", 8889, 0)
failed = []
threading.excepthook = lambda a: failed.append(a.exc_value)
threads = [threading.Thread(target=ask, args=("127.0.0.1", 8888, 20000)) for _ in range(50)]
[t.start() for t in threads], [t.join() for t in threads]
assert not failed, failed[:3]
for host, port in ("192.0.2.1", 8888), ("127.0.0.1", 8889):
    try:
        socket.create_connection((host, port), timeout=5)
        raise AssertionError("open where nobody said so")
    except ConnectionRefusedError:
        pass
try:  # the reset may come before the call that connects has ended
    with socket.create_connection(("127.0.0.1", 8890), timeout=20) as c:
        raise AssertionError(f"the guest's closed port said {c.recv(1)}")
except ConnectionResetError:
    pass
print("inward: 4 MiB and 50 connections at a time from this machine into the guest; closed is reset")
"""


def inward(l, usernet, host):
    """What --forward opens leads to the guest, and nothing else does."""
    guest = l.space("inward")
    fd = l.tap(guest, "eth0")
    for line in "addr add 10.0.2.15/24 dev eth0", "route add default via 10.0.2.2":
        l.run(guest, "ip", *line.split())
    for wrong in "tcp:8888", "udp:8888:10.0.2.15:80", "tcp:0:10.0.2.15:80", "tcp:1:2:3:4:5", "tcp:8888:10.0.2.15:80x":
        done = l.run(host, usernet, f"--net:guest=unix:{l.path('wrong')}", f"--forward={wrong}", check=False)
        assert done.returncode == 1 and "--forward is written" in done.stdout, (wrong, done.stdout)
    ports = "tcp:8888:10.0.2.15:80,tcp:192.0.2.1:8889:10.0.2.15:80,tcp:8890:10.0.2.15:81"
    child = l.spawn(host, usernet, f"--net:guest=@{fd}", f"--forward={ports}", fds=(fd,), log="inward-usernet")
    l.wait_for("gateway is", "inward-usernet", child)
    server = l.spawn(guest, "python3", "-c", GUEST_SERVER, log="inward-server")
    l.wait_for("guest listens", "inward-server", server)
    print(l.run(host, "python3", "-c", INWARD_CLIENT).stdout, end="")


def start_qemu(l, usernet, host):
    """A virtual machine's own start-up program (iPXE) asks for a lease through QEMU's stream backend. None: not here."""
    if not shutil.which("qemu-system-x86_64"):
        print("not tried with a virtual machine: no qemu-system-x86_64")
        return None
    child = l.spawn(host, usernet, f"--net:guest=unix:{l.path('vm')}", f"--pcap={l.path('vm.pcap')}", log="vm-net")
    l.wait_for("gateway is", "vm-net", child)
    return l.spawn(None, "qemu-system-x86_64", "-M", "pc,graphics=off", "-accel", "tcg", "-m", "64", "-display", "none",
                   "-nodefaults", "-serial", f"file:{l.write('serial', '')}", "-device", "e1000,netdev=n", "-boot", "n",
                   "-netdev", f"stream,id=n,server=off,addr.type=unix,addr.path={l.path('vm')}", log="qemu")


def over_qemu(l, vm):
    try:
        l.wait_for("10.0.2.127/255.255.255.0 gw 10.0.2.2", "serial", vm)
    except AssertionError:
        if "netdev" not in l.log("qemu") and "iPXE" in l.log("serial"):
            raise
        print("not tried with a virtual machine:", l.log("qemu").strip() or "it has no iPXE")
        return
    vm.terminate()
    print("QEMU: a virtual machine has its lease over a stream; capture:", l.check_capture("vm.pcap"))


def without_rights(l, usernet, enter, host):
    if not shutil.which("setpriv") or os.stat("/dev/net/tun").st_mode & 0o6 != 0o6:
        print("not tried for a user without rights: no setpriv, or /dev/net/tun is root's")
        return
    program = shutil.copy(usernet, l.path("usernet-copy"))
    os.chmod(l.dir, 0o711)
    done = l.run(host, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "env", f"USERNET={program}",
                 "python3", shutil.copy(enter, l.path("enter.py")), "--dns=192.0.2.9", "curl", "-sS", "-m", "20", "-o",
                 "/dev/null", "-w", "%{size_download}", "http://192.0.2.1:8080/file", check=False)
    if "no namespaces" in done.stdout:
        print("not tried for a user without rights: it may make no namespaces here")
        return
    assert done.stdout.endswith(str(32 << 20)), done.stdout
    print("enter.py: a user without rights fetches 32 MiB")


def main(usernet, enter, *how):
    lab.want("ip", "curl", "udhcpc", "ping")
    if not os.path.exists(usernet):
        lab.skip("usernet is not built")
    with lab.Lab("usernet") as l:
        host = l.space("host")
        l.run(host, "ip", "addr", "add", "192.0.2.1/32", "dev", "lo")
        l.run(host, "ip", "addr", "add", "192.0.2.9/32", "dev", "lo")
        os.mkdir(l.path("www"))
        with open(l.path("www/file"), "wb") as f:
            f.write(os.urandom(32 << 20))
        serve = ("python3", "-u", "-m", "http.server", "--directory", l.path("www"), "--bind")
        l.wait_for("Serving", "http", l.spawn(host, *serve, "192.0.2.1", "8080", log="http"))
        l.wait_for("Serving", "http-here", l.spawn(host, *serve, "127.0.0.1", "8081", log="http-here"))
        l.wait_for("ready", "server", l.spawn(host, "python3", "-c", SERVER, log="server"))
        vm = start_qemu(l, usernet, host) if "quick" not in how else None
        over_tap(l, usernet, host)
        over_stream(l, usernet, host)
        inward(l, usernet, host)
        without_rights(l, usernet, enter, host)
        if vm:  # it has taken its time meanwhile
            over_qemu(l, vm)


main(*sys.argv[1:])
