# SPDX-License-Identifier: ISC
"""Network namespaces, taps in them, and programs around them, for one test; all gone at its end."""
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x0001, 0x0002, 0x1000, 0x4000


def skip(why):
    print("skipped:", why)
    sys.exit(SKIPPED)


def want(*programs):
    for program in programs:
        if not shutil.which(program):
            skip(f"{program} is not installed")
    if os.geteuid() != 0 or not os.access("/dev/net/tun", os.W_OK):
        skip("network namespaces and taps need root, and /dev/net/tun")


class Lab:
    def __init__(self, name):
        # Not by the process' number alone: what a killed run left behind may have the same.
        self.name, self.spaces, self.children = f"tarn-{name}-{os.getpid()}-{os.urandom(3).hex()}", [], []
        self.dir = tempfile.mkdtemp(prefix=self.name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in reversed(self.children):
            if child.poll() is None:
                child.terminate()
        for child in reversed(self.children):
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for space in self.spaces:
            subprocess.run(["ip", "netns", "del", space], check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.dir, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as f:
            f.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def space(self, name):
        space = f"{self.name}-{name}"
        if subprocess.run(["ip", "netns", "add", space], check=False).returncode != 0:
            skip("no network namespace can be made here")
        self.spaces.append(space)
        self.run(space, "ip", "link", "set", "lo", "up")
        return space

    def tap(self, space, name, kind=IFF_TAP | IFF_VNET_HDR):
        """A tap (or tun) whose kernel end is in the namespace; answers the other end's descriptor."""
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                libc_setns(space)
                tun = os.open("/dev/net/tun", os.O_RDWR)
                request = struct.pack("16sH22x", name.encode(), kind | IFF_NO_PI)
                fcntl.ioctl(tun, TUNSETIFF, request)
                socket.send_fds(theirs, [b"x"], [tun])
            finally:
                os._exit(0)
        theirs.close()
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(pid, 0)
        ours.close()
        if not fds:
            skip("no tap can be made here")
        self.run(space, "ip", "link", "set", name, "up")
        return fds[0]

    def run(self, space, *command, check=True, timeout=60):
        done = subprocess.run(["ip", "netns", "exec", space, *command], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}")
        return done

    def spawn(self, space, *command, fds=(), log="log"):
        if space:
            command = ("ip", "netns", "exec", space, *command)
        with open(self.path(log), "w") as out:
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                     pass_fds=fds)
        self.children.append(child)
        return child

    def log(self, name):
        with open(self.path(name)) as f:
            return f.read()

    def wait_for(self, what, log, child=None, seconds=40):
        end = time.monotonic() + seconds
        while what not in self.log(log):
            if time.monotonic() > end or (child and child.poll() is not None):
                raise AssertionError(f"no '{what}' in {log}:\n{self.log(log)}")
            time.sleep(0.05)

    def check_capture(self, name, *options, source=None):
        """No packet (of that MAC address, where the other end means to send nonsense) is malformed in the eyes of
        tshark, where it is installed."""
        if not has_tshark():
            return "not checked: no tshark"
        packets, bad = read_capture(self.path(name), *options, source=source)
        assert not bad, "\n".join(bad)
        return f"{packets} packets, checked by tshark"


def has_tshark():
    return shutil.which("tshark") is not None


# Streams are not put together: whoever sends again may cut otherwise.
TSHARK = ("-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE",
          "-o", "tcp.desegment_tcp_streams:FALSE")
MALFORMED = ("_ws.malformed || ip.checksum.status == Bad || icmp.checksum.status == Bad || "
             "icmpv6.checksum.status == Bad || igmp.checksum.status == Bad")
# Where nothing is left to the device: a tap with offloads fills in TCP's and UDP's behind the capture.
WRONG_SUMS = "udp.checksum.status == Bad || tcp.checksum.status == Bad"


def read_capture(path, *options, source=None, wrong=MALFORMED):
    """How many packets there are, and a line for each that is wrong."""
    bad = f"eth.src == {source} && ({wrong})" if source else wrong
    done = subprocess.run(["tshark", "-r", path, *TSHARK, *options, "-Y", bad], text=True, errors="replace",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    return packets_in(path), done.stdout.splitlines()[:20]


def packets_in(path):
    count = 0
    with open(path, "rb") as f:
        f.seek(24)
        while len(header := f.read(16)) == 16:
            f.seek(struct.unpack("<8xI4x", header)[0], os.SEEK_CUR)
            count += 1
    return count


def libc_setns(space):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(f"/run/netns/{space}", os.O_RDONLY)
    if libc.setns(fd, 0x40000000) != 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)
