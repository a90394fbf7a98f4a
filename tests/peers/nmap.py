#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""nmap -O, which sends what nobody else does, to learn how a stack answers: it lives, what it says makes sense, and what
must not be guessed cannot be."""
import os
import re
import sys

import lab

MAC = "02:00:00:00:77:08"


def main(program):
    lab.want("ip", "nmap", "ping")
    if not os.path.exists(program):
        lab.skip("the program is not built")
    with lab.Lab("nmap") as l:
        space = l.space("lan")
        fd = l.tap(space, "tap0")
        l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "tap0")
        l.run(space, "ip", "addr", "add", "2001:db8:7::1/64", "dev", "tap0", "nodad")
        child = l.spawn(None, program, f"--net:service=@{fd}", f"--net-mac:service={MAC}", f"--pcap={l.path('frames')}", "--ipv4=10.77.0.2/24",
                        "--ipv6=2001:db8:7::2/64", fds=(fd,), log="program")
        l.wait_for("listening", "program", child)
        scan = ("nmap", "-n", "-v", "-O", "--max-os-tries", "1", "-p", "80,81")
        said = l.run(space, *scan, "10.77.0.2").stdout
        assert re.search(r"80/tcp +open", said) and re.search(r"81/tcp +closed", said), said
        difficulty = int(re.search(r"TCP Sequence Prediction: Difficulty=(\d+)", said)[1])
        ids = re.search(r"IP ID Sequence Generation: (.*)", said)[1]
        assert difficulty >= 250 and ids in ("All zeros", "Randomized", "Random positive increments"), said
        print(f"IPv4: sequence numbers of difficulty {difficulty}, identifications: {ids}")
        said = l.run(space, *scan, "-6", "2001:db8:7::2").stdout
        assert re.search(r"80/tcp +open", said) and re.search(r"81/tcp +closed", said), said
        said = l.run(space, "nmap", "-n", "-sO", "-p", "1,2,6,17,41,50,132", "10.77.0.2").stdout
        assert re.search(r"6 +open +tcp", said) and re.search(r"132 +closed +sctp", said), said
        print("IPv6 and a scan of protocols: what is there is open, what is not is closed")
        l.run(space, "ping", "-c", "1", "-W", "5", "10.77.0.2")
        assert child.poll() is None, l.log("program")
        child.terminate()
        child.wait(5)
        print("what we sent:", l.check_capture("frames", source=MAC))


main(sys.argv[1])
