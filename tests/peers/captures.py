#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The captures that unit tests and simulations write, given to tshark: nothing malformed, no wrong checksum. (Those of
the tests before others, in this folder, are looked at where they are made.)

A simulation captures each link with TARN_SIM_PCAP: what was sent, before the link damages it. Tests of captures
themselves keep theirs in TARN_CAPTURES. Each case runs alone, because it names the files of its links the same."""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile

import lab


def cases(program):
    """All of them; of a program that is about more than captures, those that are about them."""
    listed = subprocess.run([program, "--list"], text=True, capture_output=True, check=True).stdout
    found = re.findall(r"[├└]── (\S+)", listed)
    return [c for c in found if "capture" in c] if program.endswith("unix-process") else found


def run(program, case, folder):
    name = f"{os.path.basename(program)}-{case}"
    own = os.path.join(folder, name)
    os.mkdir(own)
    env = {**os.environ, "TARN_SIM_PCAP": os.path.join(own, "link"), "TARN_CAPTURES": own, "TARN_SIM_SEEDS": "1"}
    done = subprocess.run([program, "--filter", f"*/{case}", "-j1"], text=True, env=env, cwd=own,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    assert done.returncode == 0, f"{name}:\n{done.stdout}"
    return [os.path.join(own, f) for f in sorted(os.listdir(own)) if f.endswith(".pcap")]


def wrong_in(path):
    # What is longer than a frame is still to be cut, and summed then.
    return lab.read_capture(path, wrong=f"{lab.MALFORMED} || (frame.len <= 1514 && ({lab.WRONG_SUMS}))")


def check(path):
    packets, bad = wrong_in(path)
    assert not bad, f"{path}:\n" + "\n".join(bad)
    return packets


# To port 53 of nobody, with a checksum that is wrong.
UDP = bytes.fromhex("020000000002020000000009080045000020000100004011"
                    "66c20a0000090a00000212340035000c123401020304")


def self_test(folder):
    """A capture with a wrong checksum, and one with a header that is cut off, are found out."""
    good = bytes.fromhex("020000000002020000000009080045000020000100004001"
                         "66d20a0000090a0000020800bdf01234000127da00000000")
    for name, frame in ("good", good), ("checksum", good[:24] + b"\0\0" + good[26:]), ("cut", good[:30]), \
                       ("icmp", good[:36] + b"\0\0" + good[38:]), ("udp", UDP):
        path = os.path.join(folder, name + ".pcap")
        with open(path, "wb") as f:
            f.write(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000") + bytes(8)
                    + len(frame).to_bytes(4, "little") * 2 + frame)
        assert bool(wrong_in(path)[1]) == (name != "good"), name


def main(programs):
    if not lab.has_tshark():
        lab.skip("tshark is not installed")
    with tempfile.TemporaryDirectory(prefix="tarn-captures") as folder, \
            concurrent.futures.ThreadPoolExecutor(2) as pool:
        self_test(folder)
        for program in programs:
            wanted = [(program, case, folder) for case in cases(program)]
            captures = sum(pool.map(lambda c: run(*c), wanted), [])
            packets = sum(pool.map(check, captures))
            assert packets > 0, f"{program} wrote no packet"
            print(f"{os.path.basename(program)}: {len(captures)} captures, {packets} packets, none malformed", flush=True)


main([os.path.abspath(program) for program in sys.argv[1:]])
