# SPDX-License-Identifier: ISC
"""Upstream's test guests under this tender: each a check."""
import os
import subprocess

from harness import TENDER, Skip, check, expect, make_disk, make_tap, ping, run, start
from machine import UPSTREAM_TESTS, kvm, part, upstream_test, with_kvm

# -- upstream's guests ---------------------------------------------------------------------------------

# The last two that upstream's own tender fails on Linux, too, KVM having no rights to execute: that the
# guest is not stopped there is a fact about the ABI, whose page tables are upstream's guests' only ones.
UPSTREAM_GUESTS = {
    "hello": (0, "SUCCESS", ["Hello_Solo5"]),
    "quiet": (0, "SUCCESS", ["--solo5:quiet"]),
    "output": (0, "", []),
    "globals": (0, "SUCCESS", []),
    "tls": (0, "SUCCESS", []),
    "time": (0, "SUCCESS", []),
    "exception": (255, "ABORT", []),
    "zeropage": (255, "ABORT", []),
    "notls": (255, "ABORT", []),
    "ssp": (255, "ABORT", []),
    "xnow": (1, "read-only memory", []),
    "rnow": (1, "read-only memory", []),
    "wnox": (1, "FAILURE", []),
    "rnox": (1, "FAILURE", []),
}


def upstream_guest(name, status, text, args):
    def go(folder):
        expect(run(upstream_test(name), *args, mem=4), status, text)
    go.__doc__ = f"upstream's {name}"
    go.__name__ = name
    with_kvm(go)


for guest_name, wanted in UPSTREAM_GUESTS.items():
    upstream_guest(guest_name, *wanted)


@with_kvm
def upstream_fpu(folder):
    """upstream's fpu"""
    path = upstream_test("fpu")
    if not kvm["sse"]:
        raise Skip("this KVM runs guests, and has no SSE for them")
    expect(run(path, mem=4), 0, "SUCCESS")


@with_kvm
def upstream_dumpcore(folder):
    """upstream's dumpcore"""
    os.mkdir(f"{folder}/upstream-cores")
    expect(run(f"--dumpcore={folder}/upstream-cores", upstream_test("dumpcore"), mem=4), 255, "a core is in")
    assert len(os.listdir(f"{folder}/upstream-cores")) == 1


@with_kvm
def upstream_blk(folder):
    """upstream's blk, with both sizes of sectors, and its wrong disks"""
    path = upstream_test("blk")
    disk = make_disk(f"{folder}/storage.img", 128 << 10)
    for more in ([], ["--block-sector-size:storage=4096"]):
        expect(run(f"--block:storage={disk}", *more, "--", path, mem=4), 0, "SUCCESS")
    for size, sector in ((6144, 4096), (1563, 521), (256, 256)):
        disk = make_disk(f"{folder}/storage.img", size)
        expect(run(f"--block:storage={disk}", f"--block-sector-size:storage={sector}", "--", path, mem=4),
               1, "tarn-hvt: ")


@with_kvm
def upstream_maxdevices(folder):
    """upstream's mft_maxdevices: 63 disks"""
    path = upstream_test("mft_maxdevices")
    options = [f"--block:storage{i}=" + make_disk(f"{folder}/storage{i}.img", 4096) for i in range(63)]
    expect(run(*options, "--", path, mem=4), 0, "SUCCESS")


@check
def upstream_broken(folder):
    """upstream's broken image is refused"""
    upstream_test("hello")
    expect(run(f"{UPSTREAM_TESTS}/test_buggyelf/buggyelf.hvt"), 1, "tarn-hvt: ")


def upstream_part(function):
    return part(function, lambda: upstream_test("net"))


# Where KVM interprets, a ping's answer takes a millisecond: a few thousand are enough to see it.
@upstream_part
def upstream_net(folder):
    """upstream's net: pings"""
    make_tap("tap100")
    guest = start([TENDER, "--mem=4", "--net:service0=tap100", "--", upstream_test("net")],
                  stdout=subprocess.PIPE)
    while b"Serving ping" not in guest.stdout.readline():
        assert guest.poll() is None
    done = subprocess.run(["ping", "-q", "-c", "100", "-i", "0.01", "10.0.0.2"], capture_output=True)
    assert b" 0% packet loss" in done.stdout, done.stdout


@upstream_part
def upstream_net_2if(folder):
    """upstream's net_2if: pings to each of two"""
    make_tap("tap100")
    make_tap("tap101", "10.1.0.1/24")
    guest = start([TENDER, "--mem=4", "--net:service0=tap100", "--net:service1=tap101", "--",
                   upstream_test("net_2if")], stdout=subprocess.PIPE)
    while b"Serving ping" not in guest.stdout.readline():
        assert guest.poll() is None
    for address in ("10.0.0.2", "10.1.0.2"):
        done = subprocess.run(["ping", "-q", "-c", "50", "-i", "0.01", address], capture_output=True)
        assert b" 0% packet loss" in done.stdout, done.stdout


@upstream_part
def upstream_net_mtu(folder):
    """upstream's net_mtu: 9000"""
    make_tap("tap102", "10.2.0.1/24", mtu=9000)
    expect(run("--net:service0=tap102", "--", upstream_test("net_mtu"), mem=4), 0, "SUCCESS", "MTU is 9000")


def quick():
    if not kvm["sse"]:
        raise Skip("this KVM interprets its guests, which would take most of a minute")


@lambda function: part(function, lambda: upstream_test("net"), quick)
def upstream_net_ring(folder):
    """upstream's net_ring, by hypercalls"""
    make_tap("tap100")
    pinging = ping("10.0.0.2", 10000, "deadbeef")
    expect(run("--net:service0=tap100", "--", upstream_test("net_ring"), mem=4, timeout=60), 0, "SUCCESS")
    pinging.kill()
