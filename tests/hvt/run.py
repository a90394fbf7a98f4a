#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""tarn-hvt and the images for it, from outside: run.py TENDER SOURCE_DIR WORK_DIR

Builds the images of this tree in WORK_DIR (TARN_HVT_BUILD: another folder), then runs them under the
tender, and, where they are found, under upstream's tender (TARN_SOLO5_HVT, or solo5-hvt in PATH) and
upstream's test guests (the folder TARN_SOLO5_TESTS, as its build leaves them) under ours. Skipped, with
the reason, where KVM does not run a guest. Answers in TAP.
"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "spt"))
import net  # noqa: E402
from harness import (build_images, check, check_examples, check_no_entropy, expect, ip, main, make_disk,  # noqa: E402
                     make_tap, run, Skip, start)
from machine import Gdb, HALT, elf, kvm, part, run_code, upstream_test, with_kvm  # noqa: E402

TENDER, SOURCE, WORK = sys.argv[1:4]
PROFILE = os.path.join(os.path.dirname(TENDER), "..", "..", "..", "tests", "hvt", "profile")
WORK = os.environ.get("TARN_HVT_BUILD") or WORK
UPSTREAM = os.environ.get("TARN_SOLO5_HVT") or shutil.which("solo5-hvt")

# -- this tree's images ------------------------------------------------------------------------------

EXAMPLES = []  # those that are built for this target
GUESTS = ("answer", "crash", "crypto", "disk", "dry", "echo", "env")
HELLO_BYTES_MAX, START_INSTRUCTIONS_MAX = 40 * 1000, 100000
MAC, ADDRESS = "02:00:00:00:00:02", "10.0.0.2"


def image(name):
    return f"{WORK}/tests/spt/guests/spt-{name}" if name in GUESTS else f"{WORK}/examples/bin/{name}"


def upstream():
    if not UPSTREAM:
        raise Skip("no solo5-hvt (TARN_SOLO5_HVT, or PATH)")
    return UPSTREAM


@check
def images_build(folder):
    """the images are built"""
    EXAMPLES.extend(build_images("hvt", WORK, GUESTS))
    nested.begin(image)


def stripped(name, folder):
    out = f"{folder}/{name}"
    subprocess.run(["strip", "-o", out, image(name)], check=True)
    return out


def hello_says(tender, path):
    began = time.monotonic()
    process = start([tender, "--mem=2", path], stdout=subprocess.PIPE)
    times = [time.monotonic() - began for line in process.stdout if line == b"hello\n"]
    assert process.wait() == 0 and len(times) == 4, times
    for second, at in enumerate(times):
        assert second <= at < second + 0.5, times


@with_kvm
def hello(folder):
    """a stripped hello of less than 40 KB says it four times, a second apart, in 2 MB"""
    path = stripped("hello", folder)
    assert os.path.getsize(path) < HELLO_BYTES_MAX, os.path.getsize(path)
    print(f"# hello, stripped: {os.path.getsize(path)} bytes")
    hello_says(TENDER, path)


@with_kvm
def hello_upstream(folder):
    """the same under upstream's tender"""
    hello_says(upstream(), stripped("hello", folder))


@with_kvm
def start_instructions(folder):
    """from the entry point to tarn_main there are less than 100,000 instructions, with 2 MB and 512 MB"""
    names = subprocess.run(["nm", image("hello")], capture_output=True, text=True, check=True).stdout
    addr = int(re.search(r"^([0-9a-f]+) [tT] tarn_main$", names, re.M).group(1), 16)
    for mem in (2, 512):
        gdb = Gdb(folder, image("hello"), f"--mem={mem}")
        steps = gdb.count(addr)
        assert gdb.registers()[16] == addr and 1000 < steps < START_INSTRUCTIONS_MAX, steps
        print(f"# {steps} instructions from the entry point to tarn_main, with {mem} MB")
        gdb.send("k")
        assert gdb.guest.wait(10) == 137


def ask_registers(gdb):
    said = bytes.fromhex(gdb.ask("qRcmd," + b"registers".hex())).decode()
    return {name: int(value, 16) for name, value in re.findall(r"(\w+) 0x([0-9a-f]+)", said)}


def pages_of(gdb, table):
    """(address, entry) of every page that the tables of a guest map."""
    def walk(table, level, base):
        raw = bytes.fromhex(gdb.ask(f"m{table:x},800") + gdb.ask(f"m{table + 0x800:x},800"))
        for index, entry in enumerate(struct.unpack("<512Q", raw)):
            addr = base | index << (12 + 9 * level)
            if entry & 1 and level:
                yield from walk(entry & 0xffffffffff000, level - 1, addr)
            elif entry & 1:
                yield addr, entry
    return dict(walk(table, 3, 0))


@with_kvm
def page_tables(folder):
    """in tarn_main the processor's protections are on, and no page is both writable and executable"""
    names = subprocess.run(["nm", image("crash")], capture_output=True, text=True, check=True).stdout
    symbols = {name: int(addr, 16) for addr, name in re.findall(r"^([0-9a-f]+) \w (\w+)$", names, re.M)}
    gdb = Gdb(folder, image("crash"), "--mem=2")
    gdb.count(symbols["tarn_main"])
    regs = ask_registers(gdb)
    pages = pages_of(gdb, regs["cr3"])
    cpu = re.search(r"^flags.*", open("/proc/cpuinfo").read(), re.M).group(0).split()
    assert regs["cr0"] & 1 << 16 and regs["efer"] & 1 << 11, regs
    for flag, bit in (("smep", 20), ("smap", 21), ("umip", 11)):
        assert flag not in cpu or regs["cr4"] & 1 << bit, (flag, regs)
    write, no_exec = 2, 1 << 63
    assert all(entry & no_exec or not entry & write for entry in pages.values())
    assert all(entry & 0xffffffffff000 == addr for addr, entry in pages.items())
    kinds = {}
    for addr, entry in pages.items():
        kinds.setdefault((bool(entry & write), not entry & no_exec), []).append(addr)
    text, data = symbols["tarn_text"] & ~0xfff, symbols["tarn_data"] & ~0xfff
    assert kinds[False, True] == list(range(text, data, 4096)), kinds[False, True]
    sealed = range(symbols["tarn_sealed"] & ~0xfff, symbols["tarn_sealed_end"], 4096)
    assert len(sealed) and all(page in kinds[False, False] for page in sealed)
    assert all(symbols[f"tarn_guard{i}"] not in pages for i in range(7))
    low = [addr for addr in pages if addr < 0x100000]
    assert min(low) == 0x10000 and max(low) == 0x18000 and all(addr in kinds[False, False] for addr in low), low
    assert max(pages) < (2 << 20) - 4096


def env_of(got):
    assert got[0] == 0, got
    return dict(re.findall(r"^(\w+) (\S.*)$", got[1], re.M))


def check_env(tender):
    one, two = (env_of(run(image("env"), tender=tender, mem=mem)) for mem in (2, 2))
    assert abs(int(one["wall"]) / 1e9 - time.time()) < 60, one
    assert 20e6 <= int(one["slept"]) < 500e6, one
    assert one["random"] != two["random"] and one["canary"] != two["canary"], (one, two)
    assert int(one["canary"]) % 256 == 0 and int(one["canary"]) != 0, one
    assert int(one["dirty"]) == 0 and int(one["heap"]) > 256 << 10, one


@with_kvm
def env(folder):
    """clocks run, random numbers and canaries differ, all memory is there and zero; words stay words"""
    check_env(TENDER)
    for text in ("", 'say "so"', "back\\slash, tab\tand\nline"):
        expect(run(image("env"), f"--text={text}"), 0, f"text [{text}]")
    expect(run(image("answer")), 42)
    expect(run(image("env"), "--text=" + "x" * 8185), 1, "command line is longer")


@with_kvm
def no_entropy(folder):
    """a website that finds no entropy does not start"""
    check_no_entropy(image("dry"))


@with_kvm
def examples(folder):
    """every example boots, and says what keys it takes"""
    check_examples(map(image, EXAMPLES))


@with_kvm
def crypto(folder):
    """cryptography runs, with the wide registers that its archives use"""
    if not kvm["sse"]:
        raise Skip("this KVM runs guests, and has no SSE for them")
    expect(run(image("crypto"), mem=4), 0, "crypto works")


@with_kvm
def env_upstream(folder):
    """the same under upstream's tender"""
    check_env(upstream())
    expect(run(image("answer"), tender=UPSTREAM), 42)


CRASHES = {
    "null": "write to address 0x8 (a null pointer)",
    "rodata": "(read-only)",
    "text": "(read-only)",
    "data-code": "execution of address",
    "stack": "stack overflow",
    "fiber": "stack overflow",
    "assert": "a check failed",
    "index": "a check failed",
    "smash": "tarn: a stack buffer overflowed",
    "divide": "division",
    "low": "(outside of its memory)",
    "boot": "(read-only)",
    "grant": "(read-only)",
    "sealed": "(read-only)",
    "pool-over": "(a guard page between pools: a buffer overflowed)",
    "pool-under": "(a guard page between pools: a buffer overflowed)",
    "pool-twice": "a check failed",
    "pool-stray": "a check failed",
    "pool-list": "a check failed",
    "heap-over": "a check failed",
    "heap-stray": "a check failed",
    "heap-twice": "a check failed",
    "heap-after": "a check failed",
}


def check_crashes(tender):
    for number, (how, text) in enumerate(CRASHES.items()):  # where it was linked, or moved
        got = run(image("crash"), f"--how={how}", tender=tender,
                  mem=8 if number % 2 or "pool" in how else 2)
        expect(got, 255, text, "tarn: the program crashed:", "  rip 0000000000", "  trace  0x")


@with_kvm
def crashes(folder):
    """W^X, page 0, guards, read-only data, canaries, checks: each crash is reported, and is status 255"""
    check_crashes(TENDER)


@with_kvm
def crashes_upstream(folder):
    """the same under upstream's tender, which enforces none of it"""
    check_crashes(upstream())


def check_moved(tender):
    """Where a check failed, and the names that the trace leads to."""
    places = set()
    for _ in range(3):
        _, text = run(image("crash"), "--how=assert", tender=tender, mem=8)
        places.add(re.search(r"rip ([0-9a-f]+)", text).group(1))
        trace = re.findall(r"0x([0-9a-f]+)", text[text.index("trace"):])
        named = subprocess.run([f"{SOURCE}/tarn", "addr2line", image("crash"), *trace],
                               capture_output=True, text=True, check=True).stdout
        assert "tarn_main" in named and "run_main" in named, named
    assert len(places) > 1, places
    text = run(image("crash"), "--how=assert", tender=tender, mem=2)[1]
    assert "moved" not in text, text


@with_kvm
def moved(folder):
    """with 4 MB and more the image is at another address each time, and its crash report still right"""
    check_moved(TENDER)


@with_kvm
def moved_upstream(folder):
    """the same under upstream's tender"""
    check_moved(upstream())


@with_kvm
def crashes_named(folder):
    """the report's addresses lead back to tarn_main, and the core of --dumpcore says the same"""
    os.mkdir(f"{folder}/tarn-cores")
    _, text = run(f"--dumpcore={folder}/tarn-cores", image("crash"), "--how=assert")
    trace = re.findall(r"0x([0-9a-f]+)", text[text.index("trace"):])
    named = subprocess.run([f"{SOURCE}/tarn", "addr2line", image("crash"), *trace], capture_output=True,
                           text=True, check=True).stdout
    assert "tarn_main" in named and "run_main" in named, named
    name, = os.listdir(f"{folder}/tarn-cores")
    if not shutil.which("gdb"):
        raise Skip("no gdb to read the core")
    said = subprocess.run(["gdb", "-q", "-batch", "-ex", "info registers rip", image("crash"),
                           f"{folder}/tarn-cores/{name}"], capture_output=True, text=True).stdout
    assert f"0x{trace[0]}" in said and "tarn_main" in said, said


@with_kvm
def frames(folder):
    """frames of every size come back as they were"""
    net.echo(start, TENDER, image("echo"), [os.urandom(n) for n in (14, 15, 60, 64, 511, 1000, 1513, 1514)])


@with_kvm
def frames_per_exit(folder):
    """a burst of frames leaves the machine fewer times than there are frames"""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.settimeout(20)
    with ours, theirs:
        for _ in range(10):  # what a socket pair holds
            ours.send(bytes(60))
        fd = theirs.fileno()
        guest = start([TENDER, "--mem=4", "--counters", f"--net:service=@{fd}", image("echo")],
                      stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[fd])
        for _ in range(10):
            assert ours.recv(100) == bytes(60)
        ours.send(b"stop now")
        assert guest.wait(20) == 0
        said = guest.stderr.read().decode()
    calls, moved = map(int, re.search(r"(\d+) hypercalls, (\d+) frames", said).groups())
    print(f"# {moved} frames in {calls} exits of the machine")
    assert moved == 22 and calls < moved, said


def check_disk(folder, tender, *flush):
    for block, size in ((512, 4096), (4096, 8192)):
        path = make_disk(f"{folder}/disk-{size}.img", size)
        expect(run(f"--block:storage={path}", f"--block-sector-size:storage={block}", image("disk"),
                   mem=4, tender=tender), 0, "good all of it", "good behind the end", *flush)
        wanted = bytes((i * 7 + i // 512) & 255 for i in range(size))
        assert open(path, "rb").read() == wanted, f"{size} bytes"


@with_kvm
def disk(folder):
    """a disk is written and read whole, in ranges and at its end"""
    check_disk(folder, TENDER, "good flush")


@with_kvm
def disk_upstream(folder):
    """the same under upstream's tender, without flush"""
    check_disk(folder, upstream(), "good no flush")


def serve(tender, *words):
    guest = start([tender, *words], stdout=subprocess.PIPE)
    line = guest.stdout.readline()
    assert line, guest.wait(5)
    return guest


def check_website(tender):
    make_tap("tarn0")
    guest = serve(tender, "--mem=8", "--net:service=tarn0", "--", image("website"), f"--ipv4={ADDRESS}/24",
                  "--port=80")
    site = f"{SOURCE}/examples/website/site"
    for name in ("style.css", "favicon.svg", ""):
        done = subprocess.run(["curl", "-sS", "--noproxy", "*", "-m", "20", f"http://{ADDRESS}/{name}"],
                              capture_output=True)
        assert done.returncode == 0, done
        assert done.stdout == open(f"{site}/{name}", "rb").read() if name else b"</html>" in done.stdout, done
    assert guest.poll() is None


def part_of_ours(function):
    return part(function, *[upstream] * function.__name__.endswith("upstream"))


@part_of_ours
def tap_website(folder):
    """the website serves its pages to curl over a tap, in 8 MB"""
    check_website(TENDER)


@part_of_ours
def tap_website_upstream(folder):
    """the same image under upstream's tender"""
    check_website(UPSTREAM)


def check_udpecho(tender):
    make_tap("tarn0")
    guest = serve(tender, "--mem=8", "--net:service=tarn0", "--", image("udpecho"), f"--ipv4={ADDRESS}/24")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(10)
    udp.connect((ADDRESS, 7007))
    udp.send(b"first")
    assert udp.recv(100) == b"first"
    sent = [os.urandom(n) for n in (1, 18, 500, 1400, 1472, 4000) for _ in range(3)]
    for data in sent:
        udp.send(data)
    assert sorted(udp.recv(65536) for _ in sent) == sorted(sent)
    assert guest.poll() is None


@part_of_ours
def tap_udpecho(folder):
    """udpecho gives back datagrams of every size, several in one batch"""
    check_udpecho(TENDER)


@part_of_ours
def tap_udpecho_upstream(folder):
    """the same under upstream's tender"""
    check_udpecho(UPSTREAM)


def check_natbox(tender):
    """Its inside is another namespace, of the shell that is started there. A bridge leads there: a tap that moved
    would be down for a moment, and upstream's tender ends where it cannot write."""
    make_tap("out0", "203.0.113.1/24")
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
        file.write("1")
    inside = start(["unshare", "-n", "sh"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    ip("tuntap", "add", "dev", "in0", "mode", "tap")
    while os.readlink(f"/proc/{inside.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        time.sleep(0.01)
    ip("link", "add", "inside", "type", "bridge")
    ip("link", "add", "in1", "type", "veth", "peer", "name", "in2")
    ip("link", "set", "in2", "netns", str(inside.pid))
    for port in ("in0", "in1"):
        ip("link", "set", port, "master", "inside", "up")
    ip("link", "set", "inside", "up")
    guest = serve(tender, "--mem=16", "--net:inside=in0", "--net:outside=out0", "--", image("natbox"),
                  "--outside-ipv4=203.0.113.2/24", "--outside-gateway=203.0.113.1", "--no-dhcp")
    inside.stdin.write(b"ip link set lo up; ip addr add 192.168.77.10/24 dev in2; ip link set in2 up;"
                       b"ip route add default via 192.168.77.1;"
                       b"ping -c 3 -W 5 192.168.77.1; ping -c 3 -W 5 203.0.113.1; ping -c 1 -s 4000 -W 5 203.0.113.1;"
                       b"echo done\n")
    inside.stdin.flush()
    said = b""
    while b"done" not in said:
        said += inside.stdout.readline()
    assert said.count(b" 0% packet loss") == 3, said
    assert guest.poll() is None


@part_of_ours
def tap_capture(folder):
    """--pcap has every frame of a guest, both ways"""
    capture = f"{folder}/udpecho.pcap"
    make_tap("tarn0")
    guest = serve(TENDER, "--mem=8", f"--pcap={capture}", "--net:service=tarn0", "--", image("udpecho"),
                  f"--ipv4={ADDRESS}/24")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.settimeout(10)
    udp.connect((ADDRESS, 7007))
    sent = [os.urandom(n) for n in (40, 600, 1472)]
    for data in sent:
        udp.send(data)
        assert udp.recv(65536) == data
    time.sleep(0.3)  # the watcher is another process
    guest.terminate()
    guest.wait(10)
    got = net.frames_of(capture)
    for data in sent:
        assert sum(frame.endswith(data) for _, frame, _ in got) == 2, (len(data), len(got))


@part_of_ours
def tap_natbox(folder):
    """natbox, with two network devices, forwards and translates"""
    check_natbox(TENDER)


@part_of_ours
def tap_natbox_upstream(folder):
    """the same under upstream's tender"""
    check_natbox(UPSTREAM)


# -- hostile guests ----------------------------------------------------------------------------------


def out(port, value):
    return b"\xb8" + struct.pack("<I", value & 0xffffffff) + b"\x66\xba" + struct.pack("<H", port) + b"\xef"


@with_kvm
def hostile_ports(folder):
    """a port that is no hypercall's ends the guest, with its registers"""
    for port in (0, 0x80, 0x4ff, 0x500, 0x509, 0x510, 0x511, 0x512, 0x600, 0xffff):
        expect(run_code(folder, out(port, 0x102000)), 1, "tarn-hvt: the program crashed: a port", hex(port),
               "  rip 0000000000100", "  trace  0x100")
    for code in ("ec", "ed", "66ed", "ee", "66ef", "6c", "6f"):  # in, out of other sizes, ins, outs
        got = run_code(folder, bytes.fromhex("66ba0205" + code) + HALT)
        expect(got, 1, "tarn-hvt: the program crashed:")


@with_kvm
def hostile_memory(folder):
    """hypercalls about memory that the guest has not, or may not write, end it and harm nothing"""
    edges = (0, 0xfff, 0x2000, 0xffff, 0x10000, 0xfffff, 0x100000, 0x1ffff0, 0x1ffffc, 0x200000, 0xfffffff8)
    for call in range(1, 9):
        for at in edges:
            status, said = run_code(folder, out(0x500 + call, at) + HALT)
            bad = status == 1 and "tarn-hvt: the program crashed: a hypercall about memory" in said
            # What is inside memory and readable is a call with arguments of zero, or of code.
            good = status in (0, 7) or status == 255
            assert bad or (0x10000 <= at <= 0x1ffff0 and good), (call, at, status, said)
    for addr, length in ((0x1ffff0, 0x10), (0x1ffff0, 1 << 63), (1 << 63, 1), ((1 << 64) - 1, 2),
                         (0x102000, (1 << 64) - 0x102000), (0, 1)):
        args = struct.pack("<QQ", addr, length)
        got = run_code(folder, out(0x502, 0x102000) + HALT, data=args)
        expect(got, 1, "a hypercall about memory that it cannot have", hex(addr))


@with_kvm
def hostile_code(folder):
    """faults that a guest does not handle, halts and writes to its code end it"""
    for code in ("0f0b", "f4", "cc", "c604250000100000", "8b042500000050", "48b8000000000100000048ff00",
                 "fa0f01f8f4", "ea"):
        got = run_code(folder, bytes.fromhex(code) + b"\xf4")
        expect(got, 1, "tarn-hvt: the program crashed:", "  rip ", "  trace  0x")


@with_kvm
def hostile_bytes(folder):
    """an image with any one byte of its headers changed runs, dies or is refused, and no more"""
    good = elf(HALT)
    path = f"{folder}/hostile"
    for at in range(0, len(good), 11):
        for value in (0, 0xff):
            bad = bytearray(good)
            bad[at] = value
            with open(path, "wb") as file:
                file.write(bad)
            status, said = run(path)
            assert status in (7, 1, 0, 255), (at, value, status, said)
            assert status != 1 or "tarn-hvt: " in said, (at, value, said)


# -- the sandbox -------------------------------------------------------------------------------------

POLL = struct.pack("<QQiI", 10 ** 12, 0, 0, 0)


@with_kvm
def sandbox_process(folder):
    """a running tender has no capability, no other file, a filter, and no way to new privileges"""
    path = f"{folder}/waits"
    with open(path, "wb") as file:
        file.write(elf(out(0x503, 0x102000) + HALT, data=POLL))
    with open(os.devnull) as other:
        guest = start([TENDER, "--mem=2", path], pass_fds=[other.fileno()],
                      env={"SECRET": "hidden-in-the-environment"})
        until = time.monotonic() + 10
        state = {}
        while state.get("Seccomp") != "2" and time.monotonic() < until:
            time.sleep(0.02)
            state = dict(l.split(":\t", 1) for l in open(f"/proc/{guest.pid}/status").read().splitlines())
        assert state["NoNewPrivs"] == "1" and state["Seccomp"] == "2", state
        for which in ("CapPrm", "CapEff", "CapInh", "CapAmb"):
            assert int(state[which], 16) == 0, (which, state[which])
        if os.getuid() == 0:
            assert int(state["CapBnd"], 16) == 0, state["CapBnd"]
            fds = {os.readlink(f"/proc/{guest.pid}/fd/{f}") for f in os.listdir(f"/proc/{guest.pid}/fd")}
            assert len([fd for fd in fds if "kvm" in fd]) == 1, fds  # the processor's, alone
            assert path not in fds and len(fds) <= 5, fds
            environment = open(f"/proc/{guest.pid}/environ", "rb").read()
            assert b"hidden" not in environment, environment


@with_kvm
def sandbox_profile(folder):
    """it runs under a container runtime's list of system calls for hvt tenders, from its own start on"""
    if b"__asan_init" in open(TENDER, "rb").read():
        raise Skip("a sanitizer makes system calls of its own")
    path = f"{folder}/code"
    with open(path, "wb") as file:
        file.write(elf(HALT))
    expect(run(TENDER, "--mem=2", path, tender=PROFILE, mem=None), 7)


@with_kvm
def sandbox_profile_devices(folder):
    """... and upstream's blk with its disk too"""
    if b"__asan_init" in open(TENDER, "rb").read():
        raise Skip("a sanitizer makes system calls of its own")
    path = make_disk(f"{folder}/profile.img", 128 << 10)
    expect(run(TENDER, "--mem=4", f"--block:storage={path}", "--", upstream_test("blk"), tender=PROFILE,
               mem=None), 0, "SUCCESS")


# -- debugging ---------------------------------------------------------------------------------------


@with_kvm
def gdb_stub(folder):
    """--gdb: registers, memory, steps, breakpoints in software and hardware, and a count of instructions"""
    path = f"{folder}/code"
    code = b"\x90" * 10 + b"\xb8\x34\x12\0\0" + b"\x90" * 5 + HALT
    with open(path, "wb") as file:
        file.write(elf(code))
    gdb = Gdb(folder, path)
    assert gdb.ask("?").startswith("T05")
    regs = gdb.registers()
    assert (regs[16], regs[7], regs[5]) == (0x100000, (4 << 20) - 8, 0x10000), regs
    assert bytes.fromhex(gdb.ask(f"m{0x100000:x},{len(code):x}")) == code
    assert gdb.ask("m3fffff,1") == "00" and gdb.ask("m400000,1").startswith("E")
    assert gdb.ask("m0,1").startswith("E") and gdb.ask("m100000,ffffffffffffffff").startswith("E")
    assert gdb.ask("s").startswith("T05") and gdb.registers()[16] == 0x100001
    assert gdb.count(0x10000a) == 9 and gdb.registers()[16] == 0x10000a
    assert gdb.ask("Z1,10000f,1") == "OK" and gdb.ask("c").startswith("T05")
    regs = gdb.registers()
    assert regs[16] == 0x10000f and regs[0] == 0x1234, regs
    assert gdb.ask("z1,10000f,1") == "OK" and gdb.ask("Z0,100012,1") == "OK"
    assert gdb.ask("c").startswith("T05") and gdb.registers()[16] == 0x100012
    assert gdb.ask("z0,100012,1") == "OK" and gdb.ask("M102008,4:2a000000") == "OK"
    assert gdb.ask("c") == "W2a" and gdb.guest.wait(10) == 42
    waits = f"{folder}/waits"
    with open(waits, "wb") as file:
        file.write(elf(out(0x503, 0x102000) + HALT, data=POLL))
    gdb = Gdb(folder, waits)
    gdb.send("c")
    time.sleep(0.3)
    gdb.socket.send(b"\3")
    assert gdb.receive().startswith("T02")
    gdb.send("k")
    assert gdb.guest.wait(10) == 137


@with_kvm
def core(folder):
    """--dumpcore: a crash leaves a core with registers and memory, and a good end leaves none"""
    os.mkdir(f"{folder}/cores")
    option = f"--dumpcore={folder}/cores"
    expect(run_code(folder, HALT, option), 7)
    assert os.listdir(f"{folder}/cores") == []
    expect(run_code(folder, b"\xb8\x78\x56\x34\x12" + b"\x0f\x0b", option), 1, "a core is in")
    name, = os.listdir(f"{folder}/cores")
    data = open(f"{folder}/cores/{name}", "rb").read()
    text = subprocess.run(["readelf", "-ln", f"{folder}/cores/{name}"], capture_output=True, text=True).stdout
    assert "CORE" in text and "NT_PRSTATUS" in text, text
    at = data.index(b"\xb8\x78\x56\x34\x12\x0f\x0b")
    assert at & 0xfff == 0 and len(data) >= 2 << 20, at


# -- what the operator gets wrong ---------------------------------------------------------------------


@check
def operator(folder):
    """each mistake has one line that says what to do"""
    image = f"{folder}/image"
    entry = struct.pack("<68sI32x", b"service", 2) + struct.pack("<68sI32x", b"storage", 1)
    with open(image, "wb") as file:
        file.write(elf(HALT, manifest=entry))
    for args, text in [
        ([], "which image?"),
        (["/no/such/file"], "cannot open /no/such/file: No such file"),
        ([__file__], "not an ELF"),
        ([TENDER], "not a Solo5 image"),
        (["--mem=x", image], "--mem=x: a number"),
        (["--mem=3", image], "an even number of megabytes"),
        (["--mem=4098", image], "an even number of megabytes"),
        (["--frobnicate", image], "unknown option --frobnicate"),
        ([image], "attach it with --net:service=TAP"),
        (["--net:service=tarnnone0", image], "no interface tarnnone0"),
        (["--gdb-port=1", "--block:service=x", image], "declares no block device 'service'"),
    ]:
        status, said = run(*args, mem=None)
        assert status == 1 and said.startswith("tarn-hvt: ") and text in said, (args, status, said)
        assert said.count("\n") == 1, (args, said)
    expect(run("--help", mem=None), 0, "usage: tarn-hvt", "--mem=MB", "--gdb", "--dumpcore")
    expect(run("--version", mem=None), 0, "hvt ABI 2")


import upstream_guests  # noqa: E402,F401 (checks that come last)
import nested  # noqa: E402

try:
    sys.exit(main(images_build))
finally:
    nested.end()
