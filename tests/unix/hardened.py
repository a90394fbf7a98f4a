#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What guards a program that is an ordinary process: hardened.py CRASHING_PROGRAM
WEBSITE_WITHOUT_ENTROPY. Answers in TAP."""
import re
import signal
import subprocess
import sys

PROGRAM, DRY = sys.argv[1:]
GUARD = "a guard page between pools: a buffer overflowed"
CRASHES = {
    "null": (signal.SIGSEGV, "null pointer"),
    "rodata": (signal.SIGSEGV, "bad memory access"),
    "text": (signal.SIGSEGV, "bad memory access"),
    "data-code": (signal.SIGSEGV, "bad memory access"),
    "stack": (signal.SIGSEGV, "stack overflow"),
    "fiber": (signal.SIGSEGV, "stack overflow"),
    "assert": (signal.SIGILL, "a check failed"),
    "index": (signal.SIGILL, "a check failed"),
    "smash": (signal.SIGABRT, "stack smashing detected"),
    "divide": (signal.SIGFPE, "arithmetic error"),
    "pool-over": (signal.SIGSEGV, GUARD),
    "pool-under": (signal.SIGSEGV, GUARD),
    "pool-twice": (signal.SIGILL, "a check failed"),
    "pool-stray": (signal.SIGILL, "a check failed"),
    "pool-list": (signal.SIGILL, "a check failed"),
    "heap-twice": (signal.SIGABRT, "double free"),
}


def run(how):
    done = subprocess.run([PROGRAM, f"--how={how}"], capture_output=True, text=True, errors="replace")
    return done.returncode, done.stdout + done.stderr


def crashes():
    """every crash is reported, and the signal is the true one"""
    for how, (number, text) in CRASHES.items():
        status, said = run(how)
        assert status == -number and text in said and "crash: " in said, (how, status, said)


def moved():
    """the program is at another address each time"""
    places = {re.search(r"#0 0x([0-9a-f]+)", run("assert")[1]).group(1) for _ in range(3)}
    assert len(places) > 1, places


def linked():
    """it can be anywhere, is sealed once it is linked, and no segment is both writable and executable"""
    said = subprocess.run(["readelf", "-hldW", PROGRAM], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Type: +DYN", said) and "GNU_RELRO" in said and re.search(r"FLAGS.*NOW", said), said
    rights = re.findall(r"^ +(LOAD|GNU_STACK) .* ([R ][W ][E ]) 0x", said, re.M)
    assert len(rights) > 3 and not [r for r in rights if "W" in r[1] and "E" in r[1]], rights


def no_entropy():
    """a website that finds no entropy does not start"""
    done = subprocess.run([DRY, "--tls", "--ipv4=10.0.0.2/24"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout.startswith("no entropy: "), done
    assert "listening" not in done.stdout and "certificate" not in done.stdout, done


failed = 0
print("1..4")
for number, check in enumerate((crashes, moved, linked, no_entropy), 1):
    try:
        check()
        print(f"ok {number} - {check.__doc__}")
    except AssertionError as why:
        failed += 1
        print(f"not ok {number} - {check.__doc__}\n# {why}")
sys.exit(failed > 0)
