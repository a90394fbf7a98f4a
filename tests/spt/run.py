#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""tarn-spt and the images for it, from outside: run.py TENDER SOURCE_DIR WORK_DIR

Builds the images of this tree in WORK_DIR (TARN_SPT_BUILD: a folder that has them), then runs them under
the tender, and, where they are found, under upstream's tender (TARN_SOLO5_SPT, or solo5-spt in PATH) and
upstream's test guests (the folder TARN_SOLO5_TESTS, as its build leaves them) under ours. Answers in TAP.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(1, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "peers"))
import lab  # noqa: E402
import net  # noqa: E402
from harness import (Skip, build_images, check, check_examples, check_no_entropy, checks, expect,  # noqa: E402
                     ip, main, make_tap, part_check, ping, run, start)

TENDER, SOURCE, WORK = sys.argv[1:4]
WORK = os.environ.get("TARN_SPT_BUILD") or WORK
UPSTREAM = os.environ.get("TARN_SOLO5_SPT") or shutil.which("solo5-spt")
UPSTREAM_TESTS = os.environ.get("TARN_SOLO5_TESTS")
SIGILL, SIGFPE, SIGSEGV, SIGSYS = -4, -8, -11, -31
HELLO_BYTES_MAX = 24 * 1024
PINATA_BYTES_MAX = 1_100_000
EXAMPLES = []  # those that are built for this target
GUESTS = ("answer", "crash", "disk", "dry", "echo", "env", "many", "syscall", "crypto")

def image(name):
    return f"{WORK}/tests/spt/guests/spt-{name}" if name in GUESTS else f"{WORK}/examples/bin/{name}"


def upstream():
    if not UPSTREAM:
        raise Skip("no solo5-spt (TARN_SOLO5_SPT, or PATH)")
    return UPSTREAM


def upstream_test(name):
    path = f"{UPSTREAM_TESTS}/test_{name}/test_{name}.spt"
    if not UPSTREAM_TESTS or not os.path.exists(path):
        raise Skip("no upstream test guests (TARN_SOLO5_TESTS)")
    return path


def stripped(name, folder):
    out = f"{folder}/{name}"
    subprocess.run(["strip", "-o", out, image(name)], check=True)
    return out


# -- images ------------------------------------------------------------------------------------------


@check
def images_build(folder):
    """the images are built"""
    EXAMPLES.extend(build_images("spt", WORK, GUESTS))


def hello_says(tender, path, mem=2):
    began = time.monotonic()
    process = start([tender, f"--mem={mem}", path], stdout=subprocess.PIPE)
    times = [time.monotonic() - began for line in process.stdout if line == b"hello\n"]
    assert process.wait() == 0 and len(times) == 4, times
    for second, at in enumerate(times):
        assert second <= at < second + 0.5, times


@check
def hello(folder):
    """hello says it four times, a second apart, in 2 MB"""
    hello_says(TENDER, image("hello"))


@check
def hello_size(folder):
    """hello is smaller than 24 KB"""
    size = os.path.getsize(stripped("hello", folder))
    assert size < HELLO_BYTES_MAX, f"{size} bytes"


@check
def pinata_size(folder):
    """pinata is smaller than 1.1 MB"""
    size = os.path.getsize(stripped("pinata", folder))
    print(f"# pinata: {size} bytes, stripped")
    assert size < PINATA_BYTES_MAX, f"{size} bytes"


@check
def hello_upstream(folder):
    """a stripped hello runs the same under upstream's tender"""
    hello_says(upstream(), stripped("hello", folder))


@check
def status(folder):
    """the program's result is the exit status; nettle and GMP work inside an image, in 4 MB"""
    expect(run(image("answer")), 42)
    expect(run(image("crypto"), mem=4), 0, "crypto works")


@check
def not_run_directly(folder):
    """an image started by itself does not run"""
    try:
        subprocess.run([image("answer")])
    except FileNotFoundError:
        return
    raise AssertionError("it ran")


def env_of(got):
    assert got[0] == 0, got
    return dict(re.findall(r"^(\w+) (\S.*)$", got[1], re.M))


def check_env(tender):
    one, two = (env_of(run(image("env"), tender=tender)) for _ in range(2))
    assert abs(int(one["wall"]) / 1e9 - time.time()) < 60, one
    assert 20e6 <= int(one["slept"]) < 500e6, one
    assert one["random"] != two["random"] and one["canary"] != two["canary"], (one, two)
    assert int(one["canary"]) % 256 == 0 and int(one["canary"]) != 0, one
    assert int(one["dirty"]) == 0 and int(one["heap"]) > 256 << 10, one
    large = env_of(run(image("env"), tender=tender, mem=64))
    assert int(large["heap"]) > 54 << 20, large  # an eighth may go for the place


@check
def env(folder):
    """clocks run, random numbers and canaries differ, all memory is there and zero"""
    check_env(TENDER)


@check
def env_upstream(folder):
    """the same under upstream's tender"""
    check_env(upstream())


@check
def words(folder):
    """what the shell made one word stays one"""
    for text in ("", "a b", 'say "so"', "back\\slash", "it's", "tab\tand\nline", "плес"):
        got = run(image("env"), f"--text={text}")
        expect(got, 0, f"text [{text}]")


@check
def examples(folder):
    """every example begins, and says what keys it takes"""
    check_examples(map(image, EXAMPLES))


@check
def no_entropy(folder):
    """a website that finds no entropy does not start"""
    check_no_entropy(image("dry"))


@check
def too_many_words(folder):
    """a command line of more than the ABI's 8191 bytes is refused"""
    expect(run(image("env"), "--text=" + "x" * 8184), 0)
    expect(run(image("env"), "--text=" + "x" * 8185), 1, "command line is longer")


# -- crashes -----------------------------------------------------------------------------------------

CRASHES = {
    "null": (SIGSEGV, "write to address 0x8 (a null pointer)"),
    "rodata": (SIGSEGV, "(read-only)"),
    "text": (SIGSEGV, "(read-only)"),
    "data-code": (SIGSEGV, "execution of address"),
    "stack": (SIGSEGV, "stack overflow"),
    "fiber": (SIGSEGV, "stack overflow"),
    "assert": (SIGILL, "a check failed"),
    "index": (SIGILL, "a check failed"),
    "smash": (SIGILL, "tarn: a stack buffer overflowed"),
    "divide": (SIGFPE, "division"),
    "pool-twice": (SIGILL, "a check failed"),
    "pool-stray": (SIGILL, "a check failed"),
    "pool-list": (SIGILL, "a check failed"),
    "heap-over": (SIGILL, "a check failed"),
    "heap-stray": (SIGILL, "a check failed"),
    "heap-twice": (SIGILL, "a check failed"),
    "heap-after": (SIGILL, "a check failed"),
}
# What the plain ABI has no call for.
CRASHES_GRANTED = {
    "pool-over": (SIGSEGV, "(a guard page between pools: a buffer overflowed)"),
    "pool-under": (SIGSEGV, "(a guard page between pools: a buffer overflowed)"),
    "sealed": (SIGSEGV, "(read-only since the program began)"),
}


@check
def crashes(folder):
    """every crash is reported, and the signal is the true one"""
    for how, (signal, text) in {**CRASHES, **CRASHES_GRANTED}.items():
        got = run(image("crash"), f"--how={how}", mem=4)
        expect(got, signal, text, "tarn-spt: the program crashed:", "  rip 0000000000", "  trace  0x")


@check
def crashes_trace(folder):
    """the trace leads back to tarn_main"""
    _, text = run(image("crash"), "--how=assert")
    symbols = subprocess.run(["nm", "-n", image("crash")], stdout=subprocess.PIPE, check=True).stdout
    starts = [(int(l.split()[0], 16), l.split()[2]) for l in symbols.decode().splitlines()
              if l.split()[1] in "tT"]
    trace = text[text.index("trace"):]
    names = [max((s for s in starts if s[0] <= int(a, 16)), default=(0, ""))[1]
             for a in re.findall(r"0x([0-9a-f]+)", trace)]
    assert names[0].startswith("tarn_main") and "run_main" in names, names


@check
def moved(folder):
    """an image is at another address each time, but for who asks for none of that"""
    places = set()
    for _ in range(4):
        text = run(image("crash"), "--how=assert", mem=8)[1]
        places.add(re.search(r"rip ([0-9a-f]+)", text).group(1))
    assert len(places) > 1, places
    for words in (["setarch", "--addr-no-randomize", TENDER, "--mem=8"], [TENDER, "--mem=2"]):
        done = subprocess.run([*words, image("crash"), "--how=assert"], capture_output=True, text=True)
        assert "trace" in done.stdout and "moved" not in done.stdout, done


@check
def crashes_low(folder):
    """what the tender wrote can only be read, and the rest below the image not even that"""
    for how in ("grant", "boot", "low"):
        expect(run(image("crash"), f"--how={how}"), SIGSEGV, "write to address")


@check
def crashes_upstream(folder):
    """guard pages and read-only memory hold under upstream's tender too"""
    for how, (signal, _) in CRASHES.items():
        expect(run(image("crash"), f"--how={how}", tender=upstream()), signal)


# -- the sandbox -------------------------------------------------------------------------------------


class Probe:
    """A guest that makes one system call, with a network device and a disk of 1 MB."""

    def __init__(self, folder):
        self.path = f"{folder}/probe.img"
        with open(self.path, "wb") as disk:
            disk.truncate(1 << 20)
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.theirs = theirs.fileno()
        self.keep = theirs

    def __call__(self, nr, *args, extra=()):
        words = [f"--net:service=@{self.theirs}", f"--block:storage={self.path}", image("syscall"),
                 f"--nr={nr}", *extra]
        words += [f"--a{i}={a if isinstance(a, str) else format(a & (1 << 64) - 1, 'x')}"
                  for i, a in enumerate(args)]
        return run(*words, pass_fds=[self.theirs])

    def disk_fd(self):
        """The one descriptor that pread64 may use."""
        found = [fd for fd in range(3, 16) if self(17, fd, "buf", 512, 0)[0] == 0]
        assert len(found) == 1, found
        return found[0]


@check
def sandbox_calls(folder):
    """every system call that is not in the ABI, or in the grant, is the end"""
    probe = Probe(folder)
    may = {0, 1, 10, 17, 18, 19, 20, 75, 158, 228, 231, 281, 286, 318}
    uprobes = {335, 336}  # the kernel's own way back from a probe, which no filter sees
    for nr in {*range(0, 32), *range(32, 470, 7), 0x40000001, 0x7fffffff} - may - uprobes:
        expect(probe(nr, 1, "buf", 1), SIGSYS, f"system call {nr},")
    for nr in may - {231}:
        expect(probe(nr, 77, "buf", 999, 0), SIGSYS, f"system call {nr},")


@check
def sandbox_arguments(folder):
    """the calls of the ABI work on their own descriptors only, and within their device"""
    probe = Probe(folder)
    disk, net, mb = probe.disk_fd(), probe.theirs, 1 << 20
    good = [
        (1, 1, "buf", 0), (228, 0, "buf"), (228, 1, "buf"), (318, "buf", 256, 0),
        (0, net, "buf", 100), (17, disk, "buf", 512, mb - 512), (18, disk, "buf", 512, mb - 512),
        (17, disk, "buf", 131072, mb - 131072), (75, disk), (10, 0x1f0000, 4096, 1), (10, 0x1ff000, 4096, 0),
    ]
    bad = [
        (1, 0, "buf", 1), (1, 2, "buf", 1), (1, 1 | 1 << 32, "buf", 1), (1, disk, "buf", 1),
        (228, 2, "buf"), (228, 7, "buf"), (158, 0x1001, "buf"), (158, 0x1003, "buf"),
        (318, "buf", 257, 0), (318, "buf", 1, 1), (0, disk, "buf", 1), (0, 0, "buf", 1),
        (17, net, "buf", 512, 0), (17, disk, "buf", 512, mb - 511), (18, disk, "buf", 512, mb),
        (18, disk, "buf", 512, -512), (18, disk, "buf", 131073, 0), (75, net),
        (18, disk, "buf", 131072, mb - 131071), (18, disk, "buf", 1024, mb - 1024),
        (18, disk, "buf", 512, 1 << 40), (10, 0x1f0000, 4096, 2), (10, 0x1f0000, 4096, 3), (10, 0x1f0000, 4096, 4),
        (10, 0x1f0000, 4096, 5), (10, 0x200000, 4096, 0), (10, 0x1f0000, 8192, 0), (10, -4096, 4096, 0),
    ]
    for call in good:
        got = probe(*call)
        expect(got, 0, "answer")
        assert "answer -" not in got[1] or call[0] == 0, (call, got)
    for call in bad:
        expect(probe(*call), SIGSYS, f"system call {call[0]},")
    assert os.path.getsize(probe.path) == mb


@check
def sandbox_int80(folder):
    """32-bit system calls are the end at once"""
    # Some kernels do not have them at all.
    assert Probe(folder)(20, extra=["--int80=true"])[0] in (SIGSYS, SIGSEGV)


@check
def sandbox_process(folder):
    """a running program has no capability, no other file, and no way to new privileges"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with theirs, open(os.devnull) as other:
        guest = start([TENDER, "--mem=2", f"--net:service=@{theirs.fileno()}", image("echo")],
                      stdout=subprocess.PIPE, pass_fds=[theirs.fileno(), other.fileno()],
                      env={"SECRET": "hidden-in-the-environment"})
        assert guest.stdout.readline() == b"ready\n"
        state = dict(l.split(":\t", 1) for l in open(f"/proc/{guest.pid}/status").read().splitlines())
        for which in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(state[which], 16) == 0, (which, state[which])
        if os.getuid() == 0:
            assert int(state["CapBnd"], 16) == 0, state["CapBnd"]
            fds = {os.readlink(f"/proc/{guest.pid}/fd/{f}") for f in os.listdir(f"/proc/{guest.pid}/fd")}
            assert os.devnull not in fds and len(fds) <= 5, fds
            environment = open(f"/proc/{guest.pid}/environ", "rb").read()
            assert b"hidden" not in environment, environment
        assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2", state
        ours.send(b"stop now")
        assert guest.wait(10) == 0
    ours.close()


# -- devices -----------------------------------------------------------------------------------------


@check
def net_frames(folder):
    """frames of every size come back as they were"""
    frames = [os.urandom(n) for n in (14, 15, 60, 64, 65, 511, 512, 1000, 1513, 1514)]
    net.echo(start, TENDER, image("echo"), frames)


@check
def net_many(folder):
    """10,000 TCP connections at once in 16 MB, and every hundredth still answers"""
    net.many(start, TENDER, image("many"))


@check
def disk(folder):
    """a disk is written and read whole, in ranges and at its end"""
    for block, size in ((512, 262144), (4096, 131072), (512, 512), (512, 132096), (32768, 65536)):
        path = f"{folder}/disk-{size}.img"
        with open(path, "wb") as file:
            file.truncate(size)
        expect(run(f"--block:storage={path}", f"--block-sector-size:storage={block}", image("disk"),
                   mem=4), 0, "good all of it", "good behind the end", "good flush", "good no discard")
        wanted = bytes((i * 7 + i // 512) & 255 for i in range(size))
        assert open(path, "rb").read() == wanted, f"{size} bytes"


@check
def disk_upstream(folder):
    """the same under upstream's tender, without flush"""
    path = f"{folder}/disk-upstream.img"
    with open(path, "wb") as file:
        file.truncate(65536)
    expect(run(f"--block:storage={path}", image("disk"), tender=upstream(), mem=4), 0,
           "good all of it", "good no flush")


# -- taps, each in a network namespace that ends with the process that made it ------------------------

MAC, ADDRESS = "02:00:00:00:00:02", "10.0.0.2"
UDP_SEGMENT = 103


def part(function):
    """A check in a network namespace of its own; what it needs of upstream's is in its name."""
    name = function.__name__
    needs = [lambda: upstream_test("net")] if name.startswith("upstream") else []
    return part_check(function, *needs, *[upstream] * name.endswith("upstream"))


class EchoGuest:
    def __init__(self, *options, tender=None):
        if not os.path.exists("/proc/sys/net/ipv4/conf/tarn0"):
            make_tap("tarn0")
        ip("neigh", "replace", ADDRESS, "lladdr", MAC, "dev", "tarn0")
        self.guest = start([tender or TENDER, *options, "--net:service=tarn0",
                            f"--net-mac:service={MAC}", image("echo")], stdout=subprocess.PIPE)
        assert self.guest.stdout.readline() == b"ready\n"
        while " UP " not in subprocess.check_output(["ip", "-br", "link", "show", "tarn0"], text=True):
            time.sleep(0.01)  # what is sent before the kernel has seen the carrier is lost
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.settimeout(5)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.udp.connect((ADDRESS, 7))

    def same(self, data, segment=None):
        """What comes back, in segments, is what was sent."""
        if segment:
            self.udp.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        self.udp.send(data)
        got, count = b"", 0
        while len(got) < len(data):
            got += self.udp.recv(65536)
            count += 1
        assert got == data
        return count

    def stop(self, status=0):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("tarn0", 0))
        raw.send(b"stop now".ljust(64))
        assert self.guest.wait(10) == status


@part
def tap_offload(folder):
    """with 32 MB, datagrams of 1 KB cross the tap 60 at a time, uncut and unsummed, and are captured"""
    capture = f"{folder}/echo.pcap"
    guest = EchoGuest("--mem=32", f"--pcap={capture}")
    for size in (0, 1, 18, 19, 500, 1471, 1472):
        if size:
            guest.same(os.urandom(size))
    assert guest.same(os.urandom(60000), segment=1000) == 60
    for _ in range(20):
        guest.same(os.urandom(50000), segment=1400)
    guest.stop()
    frames = net.frames_of(capture)
    big = [frame for _, frame, whole in frames if whole > 50000 and whole == len(frame)]
    mac = bytes.fromhex(MAC.replace(":", ""))
    assert sum(frame.startswith(mac) for frame in big) == 21, "to the guest"
    assert sum(frame[6:12] == mac for frame in big) == 21, "from the guest"
    assert all(abs(at - time.time()) < 60 for at, _, _ in frames)
    assert [at for at, _, _ in frames] == sorted(at for at, _, _ in frames)
    if lab.has_tshark():  # checksums are left to the tap here
        assert not lab.read_capture(capture, wrong="_ws.malformed")[1], "tshark finds packets malformed"


@part
def tap_small(folder):
    """with 2 MB there are no offloads, and nothing needs them"""
    guest = EchoGuest("--mem=2")
    for size in (1, 500, 1472):
        guest.same(os.urandom(size))
    assert guest.same(os.urandom(10000), segment=1000) == 10
    guest.stop()


@part
def tap_again(folder):
    """a tap that had offloads has none for the next who cannot use them"""
    for mem in (32, 2, 32):
        guest = EchoGuest(f"--mem={mem}")
        guest.same(os.urandom(1000))
        guest.stop()


def website(*tender):
    make_tap("tarn0")
    guest = start([*tender, "--net:service=tarn0", "--", image("website"),
                   f"--ipv4={ADDRESS}/24", "--port=80"], stdout=subprocess.PIPE)
    assert b"80" in guest.stdout.readline()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    site = f"{SOURCE}/examples/website/site"
    for path, file in (("style.css", "style.css"), ("favicon.svg", "favicon.svg")):
        for _ in range(5):
            got = opener.open(f"http://{ADDRESS}/{path}", timeout=10).read()
            assert got == open(f"{site}/{file}", "rb").read(), path
    done = subprocess.run(["curl", "-sSf", "--noproxy", "*", "-m", "10", f"http://{ADDRESS}/"], capture_output=True)
    assert b"</html>" in done.stdout, done
    assert guest.poll() is None
    guest.terminate()
    assert guest.wait(10) == -15


@part
def tap_website(folder):
    """the website serves its pages to the kernel's TCP and to curl, in 8 MB"""
    website(TENDER, "--mem=8")


@part
def tap_website_upstream(folder):
    """the same image under upstream's tender"""
    website(UPSTREAM, "--mem=8")


@part
def tap_pinata(folder):
    """pinata gives its secret to nobody but itself, through a bridge, in 16 MB"""
    sys.path.append(f"{SOURCE}/tests/tls")
    import pinata
    make_tap("tarn0")
    guest = start([TENDER, "--mem=16", "--net:service=tarn0", "--", image("pinata"), f"--ipv4={ADDRESS}/24",
                   f"--secret={pinata.SECRET}"], stdout=subprocess.PIPE)
    while (line := guest.stdout.readline()) != b"pinata: ready\n":
        assert line, guest.wait(10)
    os.chdir(folder)
    pinata.host = ADDRESS
    pinata.visit(8080)
    assert pinata.failed == 0 and pinata.passed == 8 and guest.poll() is None, (pinata.passed, pinata.failed)


@part
def tap_upstream(folder):
    """the same image behind the same tap under upstream's tender"""
    guest = EchoGuest("--mem=32", tender=UPSTREAM)
    for size in (1, 500, 1472):
        guest.same(os.urandom(size))
    guest.stop()


@part
def tap_mistakes(folder):
    """a tap that is down, used, or somebody else's has its line"""
    make_tap("tarn0")
    ip("link", "set", "tarn0", "down")
    echo_image = image("echo")
    expect(run("--net:service=tarn0", echo_image), 1, "is down: `ip link set tarn0 up`")
    ip("link", "set", "tarn0", "up")
    drop = {"preexec_fn": lambda: os.setuid(65534)} if os.access(TENDER, os.X_OK) else {}
    status, said = run("--net:service=tarn0", echo_image, **drop)
    assert status == 1 and ("no permission" in said or "cannot open" in said), said
    holder = start([TENDER, "--mem=2", "--net:service=tarn0", echo_image], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"ready\n"
    expect(run("--net:service=tarn0", echo_image), 1, "used by another program")
    holder.kill()
    holder.wait()
    expect(run("--pcap=/no/such/folder/x", "--net:service=tarn0", echo_image), 1, "cannot write")
    expect(run(f"--pcap={folder}/x", image("hello")), 1, "no tap to capture")


@part
def capture_crash(folder):
    """under --pcap the guest's death is still the caller's to see, and a signal to one reaches both"""
    guest = EchoGuest("--mem=2", f"--pcap={folder}/crash.pcap")
    children = open(f"/proc/{guest.guest.pid}/task/{guest.guest.pid}/children").read().split()
    assert len(children) == 1, children
    os.kill(int(children[0]), 11)
    assert guest.guest.wait(10) == SIGSEGV
    second = start([TENDER, "--mem=2", f"--pcap={folder}/term.pcap", "--net:service=tarn0",
                    image("echo")], stdout=subprocess.PIPE)
    assert second.stdout.readline() == b"ready\n"
    second.terminate()
    assert second.wait(10) == -15


# -- what the operator gets wrong ---------------------------------------------------------------------


@check
def operator(folder):
    """each mistake has one line that says what to do"""
    small, odd = f"{folder}/empty", f"{folder}/odd"
    open(small, "wb").close()
    with open(odd, "wb") as file:
        file.truncate(1000)
    disk, echo_image = image("disk"), image("echo")
    for args, text in [
        ([], "which image?"),
        (["/no/such/file"], "cannot open /no/such/file: No such file"),
        ([folder], "is not a file"),
        ([small], "not an ELF"),
        ([__file__], "not an ELF"),
        ([TENDER], "not a Solo5 image"),
        (["--mem=x", image("hello")], "--mem=x: a number"),
        (["--mem=0", image("hello")], "--mem=0: a number"),
        (["--mem=-1", image("hello")], "--mem=-1: a number"),
        (["--mem=1", image("hello")], "needs 2 MB of memory"),
        (["--frobnicate", image("hello")], "unknown option --frobnicate"),
        (["--net:service=tap0", image("hello")], "declares no network device 'service'"),
        (["--block:service=x", echo_image], "declares no block device 'service'"),
        ([echo_image], "attach it with --net:service=TAP"),
        ([disk], "attach it with --block:storage=FILE"),
        (["--net:service=tarnnone0", echo_image], "no interface tarnnone0"),
        (["--net:service=lo", echo_image], "lo is no tap"),
        (["--net:service=averyveryverylongname", echo_image], "is no interface's name"),
        (["--net:service=@99", echo_image], "no open file @99"),
        (["--net:service=@x", echo_image], "no open file @x"),
        (["--net-mac:service=12:34", echo_image], "is no MAC address"),
        (["--net-mac:service=01:00:00:00:00:01", echo_image], "multicast"),
        (["--block:storage=/no/such/disk", disk], "cannot open /no/such/disk"),
        ([f"--block:storage={folder}", disk], "cannot open"),
        (["--block:storage=/dev/null", disk], "neither a file nor a block device"),
        ([f"--block:storage={small}", disk], "must be a multiple of 512 bytes, and not empty"),
        ([f"--block:storage={odd}", disk], "must be a multiple of 512 bytes"),
        ([f"--block:storage={odd}", "--block-sector-size:storage=513", disk], "is no sector size"),
        ([f"--block:storage={odd}", f"--block:storage={odd}", disk], ""),
    ]:
        status, said = run(*args, mem=None)
        assert status == 1 and said.startswith("tarn-spt: ") and text in said, (args, status, said)
        assert said.count("\n") == 1, (args, said)


@check
def help_and_version(folder):
    """--help and --version answer and end well"""
    expect(run("--help", mem=None), 0, "usage: tarn-spt", "--mem=MB")
    expect(run("--version", mem=None), 0, "spt ABI 2")
    expect(run(image("syscall"), "--help"), 0, "--nr=")


@check
def hostile(folder):
    """an image with any one byte of its headers changed runs, dies or is refused, and no more"""
    good = open(stripped("answer", folder), "rb").read()
    path = f"{folder}/hostile"
    headers = 64 + 56 * struct.unpack_from("<H", good, 56)[0]
    for at in range(0, headers + 400, 7):
        for value in (0, 0xff):
            bad = bytearray(good)
            bad[at] = value
            with open(path, "wb") as file:
                file.write(bad)
            status, said = run(path)
            assert status in (42, 1, 255, SIGSEGV, SIGILL), (at, value, status, said)
            assert status != 1 or said.startswith("tarn-spt: "), (at, value, said)


# -- upstream's guests ---------------------------------------------------------------------------------

UPSTREAM_GUESTS = {
    "hello": (0, "SUCCESS", ["Hello_Solo5"]),
    "quiet": (0, "SUCCESS", ["--solo5:quiet"]),
    "output": (0, "", []),
    "globals": (0, "SUCCESS", []),
    "fpu": (0, "SUCCESS", []),
    "tls": (0, "SUCCESS", []),
    "time": (0, "SUCCESS", []),
    "exception": (SIGSEGV, "", []),
    "zeropage": (SIGSEGV, "", []),
    "xnow": (SIGSEGV, "", []),
    "wnox": (SIGSEGV, "", []),
    "notls": (SIGSEGV, "", []),
    "ssp": (255, "ABORT", []),
    "seccomp": (SIGSYS, "", []),
}


def upstream_guest(name, status, text, args):
    def go(folder):
        expect(run(upstream_test(name), *args), status, text)
    go.__doc__ = f"upstream's {name}"
    checks.append(go)


for guest_name, wanted in UPSTREAM_GUESTS.items():
    upstream_guest(guest_name, *wanted)


@check
def upstream_blk(folder):
    """upstream's blk, with both sizes of sectors"""
    path = f"{folder}/storage.img"
    for more in ([], ["--block-sector-size:storage=4096"]):
        with open(path, "wb") as file:
            file.truncate(4 << 20)
        expect(run(f"--block:storage={path}", *more, "--", upstream_test("blk")), 0, "SUCCESS")


@check
def upstream_maxdevices(folder):
    """upstream's mft_maxdevices: 63 disks"""
    path = upstream_test("mft_maxdevices")
    options = []
    for i in range(63):
        disk_path = f"{folder}/storage{i}.img"
        with open(disk_path, "wb") as file:
            file.truncate(4096)
        options.append(f"--block:storage{i}={disk_path}")
    expect(run(*options, "--", path), 0, "SUCCESS")


@check
def upstream_broken(folder):
    """upstream's broken images are refused"""
    upstream_test("hello")
    path = f"{UPSTREAM_TESTS}/test_buggyelf/buggyelf.hvt"
    if not os.path.exists(path):
        raise Skip("no buggyelf")
    expect(run(path), 1, "tarn-spt: ")


@part
def upstream_net(folder):
    """upstream's net: 100,000 pings"""
    make_tap("tap100")
    pinging = ping("10.0.0.2", 100000)
    expect(run("--net:service0=tap100", "--", upstream_test("net"), "limit", timeout=100), 0, "SUCCESS")
    pinging.kill()


@part
def upstream_net_2if(folder):
    """upstream's net_2if: 50,000 pings to each of two"""
    make_tap("tap100")
    make_tap("tap101", "10.1.0.1/24")
    pinging = [ping("10.0.0.2", 50000), ping("10.1.0.2", 50000)]
    expect(run("--net:service0=tap100", "--net:service1=tap101", "--", upstream_test("net_2if"), "limit",
               timeout=100), 0, "SUCCESS")
    for process in pinging:
        process.kill()


@part
def upstream_net_mtu(folder):
    """upstream's net_mtu: 9000"""
    make_tap("tap102", "10.2.0.1/24", mtu=9000)
    expect(run("--net:service0=tap102", "--", upstream_test("net_mtu")), 0, "SUCCESS", "MTU is 9000")


@part
def upstream_net_ring(folder):
    """upstream's net_ring"""
    make_tap("tap100")
    pinging = ping("10.0.0.2", 10000, "deadbeef")
    expect(run("--net:service0=tap100", "--", upstream_test("net_ring"), timeout=60), 0, "SUCCESS")
    pinging.kill()


sys.exit(main(images_build))
