#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""What nsupdate changes in dnsd: NSD and Knot, who are told by NOTIFY, fetch just that by IXFR; and it is there after dnsd
was killed, however the changes are kept: each by itself, or in a zone file that was written anew.

usage: dnsd_changes.py DNSD-HOST TARN-KV
"""
import os
import re
import signal
import subprocess
import sys
import time

from lab import Lab, want

DNSD, TOOL = (os.path.abspath(a) for a in sys.argv[1:3])
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ZONE = "$TTL 60\n@ SOA ns root 5 3600 600 1209600 300\n@ NS ns\nns A 127.0.0.1\n$GENERATE 1-500 n$ A 10.0.0.1\n"
PORT, NSD, KNOT = "5411", 5412, 5413


def start(lab, space, image, log):
    child = lab.spawn(space, DNSD, f"--block:storage={image}", f"--port={PORT}", "--updates", "--log=info",
                      f"--tsig-key=hmac-sha256:k.:{SECRET}", "--transfer-to=127.0.0.0/8",
                      f"--notify=127.0.0.1#{NSD},127.0.0.1#{KNOT}", log=log)
    lab.wait_for("listening", log, child)
    return child


def secondaries(lab, space):
    conf = lab.write("nsd.conf", f"""server:
    ip-address: 127.0.0.1@{NSD}
    server-count: 1
    username: ""
    zonesdir: ""
    database: ""
    verbosity: 3
    zonelistfile: {lab.path('nsd.list')}
    xfrdfile: {lab.path('nsd.xfrd')}
    xfrdir: {lab.dir}
    pidfile: {lab.path('nsd.pid')}
    xfrd-reload-timeout: 0
remote-control:
    control-enable: no
key:
    name: k
    algorithm: hmac-sha256
    secret: "{SECRET}"
zone:
    name: example
    request-xfr: 127.0.0.1@{PORT} k
    allow-notify: 127.0.0.1 k
    provide-xfr: 127.0.0.1 NOKEY
""")
    lab.spawn(space, "nsd", "-d", "-c", conf, log="nsd.log")
    for folder in ("knot-db", "knot-run"):
        os.makedirs(lab.path(folder))
    conf = lab.write("knot.conf", f"""server:
    rundir: {lab.path('knot-run')}
    listen: 127.0.0.1@{KNOT}
database:
    storage: {lab.path('knot-db')}
log:
  - target: stderr
    any: info
key:
  - id: k
    algorithm: hmac-sha256
    secret: {SECRET}
remote:
  - id: r
    address: 127.0.0.1@{PORT}
    key: k
acl:
  - id: n
    key: k
    action: notify
  - id: t
    address: 127.0.0.1
    action: transfer
zone:
  - domain: example
    storage: {lab.dir}
    zonefile-sync: -1
    acl: [ n, t ]
    master: r
""")
    lab.spawn(space, "knotd", "-c", conf, log="knot.log")


def dig(lab, space, port, *question):
    return lab.run(space, "dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=2", *question, check=False).stdout


def wait_serial(lab, space, port, serial, seconds=20):
    end = time.monotonic() + seconds
    while f" {serial} " not in dig(lab, space, port, "+short", "example", "SOA"):
        assert time.monotonic() < end, (port, serial, [lab.log(f) for f in ("nsd.log", "knot.log")])
        time.sleep(0.1)


def zone(lab, space, port):
    sign = ("-y", f"hmac-sha256:k:{SECRET}") if port == PORT else ()
    out = dig(lab, space, port, "+onesoa", "+nostats", "+nocmd", *sign, "example", "AXFR")
    return {" ".join(line.split()).lower() for line in out.splitlines() if line and line[0] != ";" and "TSIG" not in line}


def change(lab, space, lines, tcp=False):
    script = lab.write("change", f"server 127.0.0.1 {PORT}\nzone example\n{lines}\nsend\n")
    lab.run(space, "nsupdate", *(["-v"] if tcp else []), "-y", f"hmac-sha256:k:{SECRET}", script)


def main():
    want("dig", "nsupdate", "knotd", "nsd", "ip")
    with Lab("dnsd-changes") as lab:
        space = lab.space("one")
        image = lab.path("zones.img")
        subprocess.run([TOOL, "mkfs", image, "--size=16M"], check=True)
        subprocess.run([TOOL, "set", image, "zones/example"], input=ZONE.encode(), check=True)
        child = start(lab, space, image, "one.log")
        secondaries(lab, space)
        for port in (NSD, KNOT):
            wait_serial(lab, space, port, 5)
        # One change at a time, and what it does to a set of several records.
        change(lab, space, "update add fresh.example 60 A 192.0.2.33\nupdate add fresh.example 60 A 192.0.2.34\n"
                           "update delete n9.example A")
        for port in (NSD, KNOT):
            wait_serial(lab, space, port, 6)
        change(lab, space, "update delete fresh.example A 192.0.2.33\nupdate add deep.er.example 5 TXT \"a b\"", tcp=True)
        for port in (PORT, NSD, KNOT):
            wait_serial(lab, space, port, 7)
        mine = zone(lab, space, PORT)
        assert "fresh.example. 60 in a 192.0.2.34" in mine and len(mine) == 504, sorted(mine)[:20]
        assert mine == zone(lab, space, NSD), "NSD's copy"
        assert mine == zone(lab, space, KNOT), "Knot's copy"
        assert len(re.findall(r"IXFR, incoming.* finished", lab.log("knot.log"))) >= 2, lab.log("knot.log")
        assert len(re.findall(r"AXFR, incoming.* finished", lab.log("knot.log"))) == 1, "all of it, but for the first"
        out = dig(lab, space, PORT, "-y", f"hmac-sha256:k:{SECRET}", "example", "IXFR=6")
        assert "XFR size: 6 records" in out, out
        # Killed: what was acknowledged is there.
        child.send_signal(signal.SIGKILL)
        child.wait()
        child = start(lab, space, image, "two.log")
        assert zone(lab, space, PORT) == mine
        # So much that the zone is written anew; still it is the same after it was killed.
        for i in range(12):
            change(lab, space, "\n".join(f'update add big{i}-{n}.example 60 TXT "{"x" * 250}"' for n in range(110)),
                   tcp=True)
        wait_serial(lab, space, PORT, 19)
        mine = zone(lab, space, PORT)
        child.send_signal(signal.SIGKILL)
        child.wait()
        text = subprocess.run([TOOL, "get", image, "zones/example"], check=True, capture_output=True, text=True).stdout
        assert "big3-7.example. 60 IN TXT" in text and "$GENERATE" not in text, text[:300]
        child = start(lab, space, image, "three.log")
        assert zone(lab, space, PORT) == mine and len(mine) == 504 + 12 * 110
        change(lab, space, "update delete n1.example")
        for port in (NSD, KNOT):
            wait_serial(lab, space, port, 20)
        assert zone(lab, space, KNOT) == zone(lab, space, PORT) == zone(lab, space, NSD)
        print("nsupdate's changes went to NSD and Knot by NOTIFY and IXFR, and were there after three starts")


main()
