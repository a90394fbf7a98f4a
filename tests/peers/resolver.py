#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The resolver below a signed root of the test's own, beside unbound: good, bogus, expired and insecure zones, NSEC
and NSEC3, wildcards, and a zone that goes from one algorithm to another without a moment of doubt.

usage: resolver.py RESOLVER RESOLVER-HOST
"""
import os
import re
import signal
import subprocess
import sys
import time

from lab import Lab, want

RESOLVER, RESOLVER_HOST = (os.path.abspath(a) for a in sys.argv[1:3])
ROOT, LEAF, OURS, THEIRS, TAP = "10.9.1.1", "10.9.1.2", "10.9.1.53", "10.9.1.54", "10.9.0.2"
ZONES = ("good", "ed", "three", "bogus", "expired", "insecure", "roll")


def key(lab, zone, algorithm):
    bits = ("-b", "2048") if algorithm.startswith("RSA") else ()
    out = subprocess.run(["ldns-keygen", "-a", algorithm, *bits, "-k", zone], cwd=lab.dir, check=True,
                         capture_output=True, text=True).stdout.strip()
    subprocess.run(["ldns-key2ds", "-f", "-2", f"{out}.key"], cwd=lab.dir, check=True, capture_output=True)
    return out


def ds(lab, name):
    done = subprocess.run(["ldns-key2ds", "-n", "-2", f"{name}.key"], cwd=lab.dir, check=True, capture_output=True,
                          text=True)
    return done.stdout


def sign(lab, zone, text, keys, *options):
    path = lab.write(f"{zone or 'root'}.zone", text)
    subprocess.run(["ldns-signzone", *options, "-o", zone + "." if zone else ".", "-f", path + ".signed", path, *keys],
                   cwd=lab.dir, check=True, capture_output=True)


def leaf(ttl=300):
    return f"""$TTL {ttl}
@ SOA ns a 1 3600 600 86400 {ttl}
@ NS ns
ns A {LEAF}
www A 192.0.2.80
alias CNAME www
*.wild A 192.0.2.81
a.empty A 192.0.2.82
"""


def day(offset):
    return time.strftime("%Y%m%d", time.gmtime(time.time() + offset * 86400))


def make_leaves(lab):
    keys = {"good": ["ECDSAP256SHA256"], "ed": ["ED25519"], "three": ["ECDSAP384SHA384"], "bogus": ["ECDSAP256SHA256"],
            "expired": ["RSASHA256"], "roll": ["RSASHA512"]}
    made = {zone: key(lab, zone + ".lake", algorithm[0]) for zone, algorithm in keys.items()}
    made["other"] = key(lab, "bogus.lake", "ECDSAP256SHA256")
    made["new"] = key(lab, "roll.lake", "ECDSAP256SHA256")
    for zone in keys:
        options = {"three": ("-n", "-t", "5", "-s", "abcd"),
                   "expired": ("-i", day(-60), "-e", day(-30))}.get(zone, ())
        sign(lab, zone + ".lake", leaf(1 if zone == "roll" else 300), [made[zone]], *options)
    lab.write("insecure.lake.zone.signed", leaf())
    return made


def make_parents(lab, made, roll):
    """The zones above, with the DS of the key `roll` for the zone that changes its own."""
    named = dict(made, bogus=made["other"], roll=made[roll])
    text = f"$TTL 300\n@ SOA ns a 1 3600 600 86400 300\n@ NS ns\nns A {ROOT}\n"
    for zone in ZONES:
        ttl = 1 if zone == "roll" else 300
        text += f"{zone} {ttl} NS ns.{zone}\nns.{zone} {ttl} A {LEAF}\n"
        if zone != "insecure":
            text += re.sub(r"(?m)^(\S+)\s+\d+\s", rf"\1 {ttl} ", ds(lab, named[zone]))
    sign(lab, "lake", text, [made["lake"]])


def nsd(lab, space, name, address, zones):
    conf = f"""server:
    ip-address: {address}
    server-count: 1
    username: ""
    zonesdir: ""
    database: ""
    zonelistfile: {lab.path(name + '.list')}
    xfrdfile: {lab.path(name + '.xfrd')}
    xfrdir: {lab.dir}
    pidfile: {lab.path(name + '.pid')}
remote-control:
    control-enable: no
"""
    for zone in zones:
        conf += f"zone:\n    name: {zone or '.'}\n    zonefile: {lab.path((zone or 'root') + '.zone.signed')}\n"
    child = lab.spawn(space, "nsd", "-d", "-c", lab.write(name + ".conf", conf), log=name + ".log")
    lab.wait_for("nsd started", name + ".log", child)
    return child


def unbound(lab, space, anchor):
    lab.write("hints", f". 3600 NS ns.root.\nns.root. 3600 A {ROOT}\n")
    lab.write("anchor", anchor)
    conf = lab.write("unbound.conf", f"""server:
    interface: {THEIRS}
    access-control: 0.0.0.0/0 allow
    chroot: ""
    username: ""
    pidfile: ""
    directory: "{lab.dir}"
    root-hints: hints
    trust-anchor-file: anchor
    do-ip6: no
    ede: yes
    use-syslog: no
    logfile: ""
    verbosity: 1
    cache-min-ttl: 0
remote-control:
    control-enable: no
""")
    child = lab.spawn(space, "unbound", "-d", "-c", conf, log="unbound.log")
    lab.wait_for("start of service", "unbound.log", child)


def dig(lab, space, server, name, kind="A", *options):
    out = lab.run(space, "dig", f"@{server}", "+dnssec", "+tries=1", "+time=8", *options, name, kind).stdout
    status = re.search(r"status: (\w+)", out)
    return (status.group(1) if status else "NONE", " ad" in (re.search(r"flags: ([^;]*)", out) or ["", ""])[1],
            sorted(re.findall(r"\sA\s+(192\.0\.2\.\d+)", out))), out


def compare(lab, space, servers, name, kind, wanted, *options):
    for server in servers:
        got, out = dig(lab, space, server, name, kind, *options)
        assert got == wanted, f"{server}: {name} {kind}: {got}, not {wanted}\n{out}"


def questions(lab, space, servers):
    www, good = ["192.0.2.80"], ("NOERROR", True)
    for zone in ("good", "ed", "three"):
        compare(lab, space, servers, f"www.{zone}.lake", "A", (*good, www))
        compare(lab, space, servers, f"alias.{zone}.lake", "A", (*good, www))
        compare(lab, space, servers, f"x.y.wild.{zone}.lake", "A", (*good, ["192.0.2.81"]))
        compare(lab, space, servers, f"no.{zone}.lake", "A", ("NXDOMAIN", True, []))
        compare(lab, space, servers, f"www.{zone}.lake", "MX", (*good, []))
        compare(lab, space, servers, f"empty.{zone}.lake", "A", (*good, []))
        compare(lab, space, servers, f"{zone}.lake", "DNSKEY", (*good, []))
        compare(lab, space, servers, f"{zone}.lake", "DS", (*good, []))
    compare(lab, space, servers, "www.insecure.lake", "A", ("NOERROR", False, www))
    compare(lab, space, servers, "no.insecure.lake", "A", ("NXDOMAIN", False, []))
    compare(lab, space, servers, "no", "A", ("NXDOMAIN", True, []))
    for zone in ("bogus", "expired"):
        compare(lab, space, servers, f"www.{zone}.lake", "A", ("SERVFAIL", False, []))
        compare(lab, space, servers, f"www.{zone}.lake", "A", ("NOERROR", False, www), "+cdflag")
    compare(lab, space, servers, "www.good.lake", "A", (*good, www), "+tcp")


def extended_errors(lab, space, server):
    for name, code in (("www.expired.lake", 7), ("www.bogus.lake", 9)):
        _, out = dig(lab, space, server, name)
        assert f"EDE: {code}" in out, f"{name}: EDE {code}\n{out}"


def rollover(lab, space, servers, made, root, leaves):
    """RFC 6781 section 4.1.4, conservatively: signatures and keys first, then the DS, then what is old goes. The zone's
    TTLs are a second, so each step is seen."""
    steps = ((["roll", "new"], "roll"), (["roll", "new"], "new"), (["new"], "new"))
    wanted = ("NOERROR", True, ["192.0.2.80"])
    compare(lab, space, servers, "www.roll.lake", "A", wanted)
    for keys, above in steps:
        sign(lab, "roll.lake", leaf(1), [made[k] for k in keys])
        make_parents(lab, made, above)
        for child in (root, leaves):
            child.send_signal(signal.SIGHUP)
        time.sleep(2.2)
        compare(lab, space, servers, "www.roll.lake", "A", wanted)


def main():
    want("nsd", "ldns-signzone", "ldns-keygen", "ldns-key2ds", "dig", "unbound")
    with Lab("resolver") as lab:
        made = make_leaves(lab)
        made["lake"], made["root"] = key(lab, "lake", "ECDSAP256SHA256"), key(lab, ".", "RSASHA256")
        make_parents(lab, made, "roll")
        text = f"$TTL 300\n@ SOA ns.root. a. 1 3600 600 86400 300\n@ NS ns.root.\nns.root. A {ROOT}\n" \
               f"lake. NS ns.lake.\nns.lake. A {ROOT}\n" + ds(lab, made["lake"])
        sign(lab, "", text, [made["root"]])
        anchor = ds(lab, made["root"]).strip()
        given = " ".join(anchor.split()).replace(" 300 IN ", " ")
        given = re.sub(r"^\. (\d+ )?(IN )?", ". ", given)

        space = lab.space("net")
        for address in (ROOT, LEAF, OURS, THEIRS):
            lab.run(space, "ip", "addr", "add", f"{address}/24", "dev", "lo")
        root = nsd(lab, space, "above", ROOT, ["", "lake"])
        leaves = nsd(lab, space, "below", LEAF, [f"{z}.lake" for z in ZONES])
        unbound(lab, space, anchor + "\n")
        ours = lab.spawn(space, RESOLVER_HOST, f"--address={OURS}", f"--hints={ROOT}", f"--anchors={given}",
                         "--ipv4-only", "--stale=0", log="host.log")
        lab.wait_for("listening", "host.log", ours)
        tap = lab.tap(space, "tap0")
        lab.run(space, "ip", "addr", "add", "10.9.0.1/24", "dev", "tap0")
        direct = lab.spawn(None, RESOLVER, f"--net:service=@{tap}", f"--ipv4={TAP}/24", "--ipv4-gateway=10.9.0.1",
                           f"--hints={ROOT}", f"--anchors={given}", "--ipv4-only", "--stale=0", fds=(tap,),
                           log="tap.log")
        lab.wait_for("listening", "tap.log", direct)
        servers = (THEIRS, OURS, TAP)
        questions(lab, space, servers)
        extended_errors(lab, space, OURS)
        rollover(lab, space, servers, made, root, leaves)
        print("good, bogus, expired, insecure and a change of algorithm: as unbound says")


main()
