#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""dnsd before dig, kdig and drill, and between NSD and Knot as primaries and secondaries of its zones.

usage: dnsd.py DNSD DNSD-HOST TARN-KV TARN-DIG DNS-CHECK-SIGNATURES
"""
import os
import re
import subprocess
import sys
import time

from lab import Lab, want

DNSD, DNSD_HOST, TOOL, DIG, CHECK = (os.path.abspath(a) for a in sys.argv[1:6])
KERNEL, TARN = "10.9.0.1", "10.9.0.2"
ZONE = """$TTL 3600
@ SOA ns root {serial} 3 2 1209600 300
@ NS ns
@ MX 10 mail
ns A 10.9.0.2
ns AAAA 2001:db8::53
mail A 192.0.2.25
www CNAME web
web A 192.0.2.80
*.wild TXT wild
old DNAME new
x.new A 192.0.2.7
sub NS ns.sub
ns.sub A 192.0.2.99
h HTTPS 1 . alpn=h2 ipv4hint=192.0.2.80
u TYPE65280 \\# 3 abcdef
l LOC 42 21 54 N 71 06 18 W -24m 30m
k NAPTR 100 10 "u" "sip" "!^.*$!sip:x!i" .
$GENERATE 1-40 big TXT "$ aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
$GENERATE 1-3000 n$ A 10.0.0.1
"""


def store(lab, name, **zones):
    path = lab.path(name)
    subprocess.run([TOOL, "mkfs", path, "--size=8M"], check=True)
    for zone, text in zones.items():
        subprocess.run([TOOL, "set", path, f"zones/{zone}"], input=text.encode(), check=True)
    return path


def ask(lab, space, *command):
    return lab.run(space, *command).stdout


def clients(lab, space, server, port):
    """The same questions by three clients; what they say of the answers."""
    dig = ("dig", f"@{server}", "-p", str(port), "+tries=2", "+time=3")
    kdig = ("kdig", f"@{server}", "-p", str(port))
    drill = ("drill", f"@{server}", "-p", str(port))
    short = ask(lab, space, *dig, "+short", "www.example", "A").split()
    assert short == ["web.example.", "192.0.2.80"], short
    out = ask(lab, space, *dig, "+norec", "nope.example", "A")
    assert "status: NXDOMAIN" in out and "flags: qr aa;" in out and "SOA" in out, out
    assert re.search(r"COOKIE: \w{16}01\w{30} \(good\)", out), out
    out = ask(lab, space, *dig, "+nsid", "+norec", "a.b.wild.example", "TXT")
    assert '"wild"' in out and '("here")' in out, out
    out = ask(lab, space, *dig, "+norec", "x.sub.example", "A")
    assert "flags: qr;" in out and "192.0.2.99" in out, out
    out = ask(lab, space, *dig, "x.old.example", "A", "+short").split()
    assert out == ["new.example.", "x.new.example.", "192.0.2.7"], out
    out = ask(lab, space, *dig, "big.example", "TXT")
    assert "Truncated, retrying in TCP mode" in out and out.count("aaaa\"") == 40, out
    out = ask(lab, space, *dig, "+edns=1", "+noednsneg", "www.example")
    assert "status: BADVERS" in out, out
    for kind, text in (("HTTPS", 'alpn="h2"'), ("TYPE65280", "ABCDEF"), ("LOC", "42 21 54.000 N"),
                       ("NAPTR", '"sip"')):
        name = {"HTTPS": "h", "TYPE65280": "u", "LOC": "l", "NAPTR": "k"}[kind]
        out = ask(lab, space, *dig, f"{name}.example", kind)
        assert text in out, out
    out = ask(lab, space, *kdig, "+tcp", "+keepopen", "www.example", "A", "example", "SOA", "ns.example", "AAAA")
    assert "2001:db8::53" in out and "root.example." in out and "192.0.2.80" in out, out
    out = ask(lab, space, *kdig, "+padding=128", "+bufsize=1232", "web.example", "A")
    assert "192.0.2.80" in out and "NOERROR" in out, out
    assert "WeB.ExAmPlE." in ask(lab, space, *dig, "+noall", "+answer", "WeB.ExAmPlE", "A")
    out = ask(lab, space, *drill, "www.example", "A")
    assert "192.0.2.80" in out and "rcode: NOERROR" in out, out
    out = ask(lab, space, *drill, "-t", "big.example", "TXT")
    assert out.count("aaaa\"") == 40, out
    out = ask(lab, space, *dig, "example", "AXFR")
    assert "XFR size: 3058 records" in out, out[-400:]
    out = ask(lab, space, *dig, "other", "SOA")
    assert "status: REFUSED" in out and "EDE: 20" in out, out


def our_dig(lab, space):
    """tarn-dig before NSD, and beside dig."""
    at = ("@127.0.0.1", "-p", "5403")
    for options in ((), ("+tcp",), ("+noedns",), ("+norec", "+pad=128")):
        out = ask(lab, space, DIG, *at, *options, "web.example", "A")
        assert "status NOERROR" in out and "web.example. 3600 IN A 192.0.2.80" in out, out
    assert ask(lab, space, DIG, *at, "+short", "www.example") == "web.example.\n192.0.2.80\n"
    out = ask(lab, space, DIG, *at, "nope.example", "MX")
    assert "status NXDOMAIN" in out and "AUTHORITY" in out, out
    theirs = ask(lab, space, "dig", *at, "+nostats", "+nocmd", "+onesoa", "example", "AXFR")
    theirs = {" ".join(line.split()).lower() for line in theirs.splitlines() if line and line[0] != ";"}
    ours = set(ask(lab, space, DIG, *at, "example", "AXFR").lower().splitlines())
    assert ours == theirs, sorted(ours ^ theirs)[:10]
    failed = lab.run(space, DIG, "@127.0.0.1", "-p", "5999", "+tries=1", "x.", check=False)
    assert failed.returncode == 9 and "5999" in failed.stdout, failed.stdout


def wait_serial(lab, space, server, port, serial, seconds=25):
    end = time.monotonic() + seconds
    while True:
        out = lab.run(space, "dig", f"@{server}", "-p", str(port), "+short", "+tries=1", "+time=1", "example",
                      "SOA", check=False).stdout
        if f" {serial} " in out:
            return
        assert time.monotonic() < end, (server, port, serial, out, [lab.log(f) for f in os.listdir(lab.dir)
                                                                   if f.endswith(".log")])
        time.sleep(0.2)


def axfr(lab, space, server, port):
    out = ask(lab, space, "dig", f"@{server}", "-p", str(port), "+onesoa", "+nostats", "+nocmd", "example", "AXFR")
    lines = {" ".join(line.split()).lower() for line in out.splitlines() if line and line[0] != ";"}
    assert len(lines) > 3000, out[-500:]
    return lines


def knot(lab, space, serial, secondary_of=None, port=5402):
    lab.write("knot.example", ZONE.format(serial=serial).replace("$GENERATE", ";").replace("@ ", "example. ", 1)
              + "".join(f"n{i} A 10.0.0.1\n" for i in range(1, 3001)))
    master = f"remote:\n  - id: r\n    address: {secondary_of}\n" if secondary_of else \
        f"remote:\n  - id: r\n    address: {TARN}@53\n"
    role = "    master: r\n" if secondary_of else f"    file: {lab.path('knot.example')}\n"
    for folder in ("knot-db", "knot-run"):
        os.makedirs(lab.path(folder), exist_ok=True)
    conf = lab.write("knot.conf", f"""server:
    rundir: {lab.path('knot-run')}
    listen: [ {KERNEL}@{port}, 127.0.0.1@{port} ]
database:
    storage: {lab.path('knot-db')}
log:
  - target: stderr
    any: info
{master}acl:
  - id: a
    address: [ {TARN}, {KERNEL}, 127.0.0.1 ]
    action: [ transfer, notify ]
zone:
  - domain: example
    storage: {lab.dir}
    zonefile-sync: -1
    zonefile-load: difference
    journal-content: changes
    acl: a
    notify: r
{role}""")
    return lab.spawn(space, "knotd", "-c", conf, log="knot.log"), conf


def nsd(lab, space, secondary_of=None, port=5403, serial=9, key=None):
    lab.write("nsd.example", ZONE.format(serial=serial).replace("$GENERATE", ";")
              + "".join(f"n{i} A 10.0.0.1\n" for i in range(1, 3001)))
    sign = "k" if key else "NOKEY"
    role = f"    request-xfr: AXFR {secondary_of} {sign}\n    allow-notify: 0.0.0.0/0 NOKEY\n" if secondary_of else \
        f"    zonefile: {lab.path('nsd.example')}\n"
    conf = lab.write("nsd.conf", f"""server:
    ip-address: {KERNEL}@{port}
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    zonesdir: ""
    database: ""
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
    secret: "{key or "AAAA"}"
zone:
    name: example
{role}    provide-xfr: 0.0.0.0/0 NOKEY
""")
    return lab.spawn(space, "nsd", "-d", "-c", conf, log="nsd.log")


def signatures(lab):
    """Every signature that ldns makes, with each algorithm, is right, and wrong for other data."""
    for algorithm in ("RSASHA256", "RSASHA512", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519"):
        made = subprocess.run(["ldns-keygen", "-a", algorithm, "-b", "2048", "-k", "example"], cwd=lab.dir,
                              capture_output=True, text=True)
        key = made.stdout.strip()
        subprocess.run(["ldns-signzone", "-o", "example", "-f", lab.path("each"), lab.path("plain"), key],
                       cwd=lab.dir, check=True, capture_output=True)
        done = subprocess.run([CHECK, lab.path("each"), "example.", str(int(time.time()))], capture_output=True,
                              text=True)
        assert done.returncode == 0 and int(done.stdout) > 100, (algorithm, done.stdout, done.stderr)


def signed(lab, space):
    """A zone signed by ldns, with NSEC and with NSEC3: delv validates what we answer, denials too."""
    key = subprocess.run(["ldns-keygen", "-a", "ECDSAP256SHA256", "-k", "example"], cwd=lab.dir, check=True,
                         capture_output=True, text=True).stdout.strip()
    lines = [line for line in ZONE.format(serial=7).splitlines() if line[0] not in "$hk"]
    lab.write("plain", "$ORIGIN example.\n$TTL 3600\n" + "\n".join(lines) + "\n"
              + "".join(f'big TXT "{i} {"a" * 60}"\nn{i} A 10.0.0.1\n' for i in range(40)))
    with open(lab.path(f"{key}.key")) as f:
        public = f.read().split("DNSKEY")[1].split(";")[0].split()
    anchor = lab.write("anchor", f'trust-anchors {{ example. static-key {" ".join(public[:3])} '
                                 f'"{"".join(public[3:])}"; }};\n')
    for port, options in ((5405, ()), (5406, ("-n", "-s", "aabb", "-t", "3"))):
        subprocess.run(["ldns-signzone", *options, "-o", "example", "-f", lab.path("signed"), lab.path("plain"), key],
                       cwd=lab.dir, check=True, capture_output=True)
        with open(lab.path("signed")) as f:
            image = store(lab, f"signed{port}.img", example=f.read())
        lab.spawn(space, DNSD_HOST, f"--block:storage={image}", f"--port={port}", log=f"signed{port}.log")
        wait_serial(lab, space, "127.0.0.1", port, 7)
        delv = ("delv", "@127.0.0.1", "-p", str(port), "-a", anchor, "+root=example")
        for name, kind, expected in (
                ("www.example", "A", "fully validated"), ("a.b.wild.example", "TXT", "fully validated"),
                ("x.old.example", "A", "fully validated"), ("big.example", "TXT", "fully validated"),
                ("web.example", "MX", "negative response, fully validated"),
                ("nope.example", "A", "negative response, fully validated"),
                ("q.nope.web.example", "A", "negative response, fully validated"),
                ("wild.example", "A", "negative response, fully validated"),
                ("a.wild.example", "A", "negative response, fully validated"),
                ("sub.example", "DS", "negative response, fully validated"),
                ("example", "ANY", "fully validated")):
            out = lab.run(space, *delv, name, kind, check=False).stdout
            assert expected in out, (port, name, kind, out)


def with_keys(lab, space, zones):
    """Signed transfers (TSIG): to dig, to NSD, and from Knot."""
    secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    lab.spawn(space, DNSD_HOST, f"--block:storage={zones}", "--port=5408", "--transfer-to=127.0.0.0/8",
              f"--tsig-key=hmac-sha256:k.:{secret}", "--updates", log="keys.log")
    wait_serial(lab, space, "127.0.0.1", 5408, 5)
    dig = ("dig", "@127.0.0.1", "-p", "5408", "example")
    assert "Transfer failed" in ask(lab, space, *dig, "AXFR")
    out = ask(lab, space, *dig, "AXFR", "-y", f"hmac-sha256:k:{secret}")
    assert "XFR size: 3058 records" in out and "NOERROR" in out and "verify failure" not in out, out[-600:]
    out = ask(lab, space, *dig, "+norec", "SOA", "-y", f"hmac-sha256:k:{secret}")
    assert "TSIG" in out and "NOERROR 0" in out and "WARNING" not in out, out
    out = ask(lab, space, *dig, "SOA", "-y", "hmac-sha256:k:AAAA")
    assert "BADSIG" in out, out
    out = ask(lab, space, *dig, "SOA", "-y", f"hmac-sha256:other:{secret}")
    assert "BADKEY" in out, out
    child = nsd(lab, space, secondary_of="127.0.0.1@5408", port=5409, key=secret)
    wait_serial(lab, space, "127.0.0.1", 5409, 5)
    child.terminate()
    child.wait(10)
    lab.spawn(space, DNSD_HOST, f"--block:storage={store(lab, 'empty2.img')}", "--port=5410",
              "--secondary=example@127.0.0.1#5408", f"--tsig-key=hmac-sha256:k.:{secret}",
              "--transfer-to=127.0.0.0/8", log="keys2.log")
    wait_serial(lab, space, "127.0.0.1", 5410, 5)
    # nsupdate changes the zone; the copy follows at its next look.
    change = ("server 127.0.0.1 5408\nzone example\nprereq nxdomain fresh.example\n"
              "update add fresh.example 60 A 192.0.2.33\nupdate delete n9.example A\nsend\n")
    script = lab.write("change", change)
    failed = lab.run(space, "nsupdate", script, check=False)
    assert failed.returncode != 0 and "REFUSED" in failed.stdout, failed.stdout
    lab.run(space, "nsupdate", "-y", f"hmac-sha256:k:{secret}", script)
    failed = lab.run(space, "nsupdate", "-y", f"hmac-sha256:k:{secret}", script, check=False)
    assert "YXDOMAIN" in failed.stdout, failed.stdout
    for port in (5408, 5410):
        wait_serial(lab, space, "127.0.0.1", port, 6)
        short = ("dig", "@127.0.0.1", "-p", str(port), "+short")
        assert ask(lab, space, *short, "fresh.example", "A") == "192.0.2.33\n"
        assert ask(lab, space, *short, "n9.example", "A") == ""


def without_big(records):
    return {r for r in records if " txt " not in r and " soa " not in r}


def main():
    want("dig", "delv", "kdig", "drill", "nsupdate", "knotd", "nsd", "ip", "ldns-keygen", "ldns-signzone")
    with Lab("dnsd") as lab:
        space = lab.space("one")
        fd = lab.tap(space, "tap0")
        lab.run(space, "ip", "addr", "add", f"{KERNEL}/24", "dev", "tap0")
        zones = store(lab, "zones.img", example=ZONE.format(serial=5))
        empty = store(lab, "empty.img")
        tap = lab.spawn(None, DNSD, f"--net:service=@{fd}", f"--ipv4={TARN}/24", f"--block:storage={zones}",
                        "--nsid=here", f"--transfer-to={KERNEL}/32", fds=(fd,), log="tap.log")
        lab.wait_for("listening", "tap.log", tap)
        clients(lab, space, TARN, 53)
        signed(lab, space)
        signatures(lab)
        with_keys(lab, space, zones)
        # Tarn is the primary of NSD and of Knot, over its own TCP.
        nsd_child = nsd(lab, space, secondary_of=TARN)
        knot_child, _ = knot(lab, space, 0, secondary_of=f"{TARN}@53")
        for port in (5403, 5402):
            wait_serial(lab, space, KERNEL, port, 5)
        mine = axfr(lab, space, TARN, 53)
        assert mine == axfr(lab, space, KERNEL, 5402), "Knot's copy"
        assert mine == axfr(lab, space, KERNEL, 5403), "NSD's copy"
        for child in (nsd_child, knot_child):
            child.terminate()
            child.wait(10)
        # NSD and Knot are its primaries; Knot's zone then changes, and the change comes as IXFR.
        subprocess.run(["rm", "-rf", lab.path("knot-db"), lab.path("knot-run")], check=True)
        nsd(lab, space)
        wait_serial(lab, space, "127.0.0.1", 5403, 9)
        our_dig(lab, space)
        host = lab.spawn(space, DNSD_HOST, f"--block:storage={empty}", "--port=5404", "--log=info",
                         "--secondary=example@127.0.0.1#5403", "--transfer-to=127.0.0.0/8", log="host.log")
        wait_serial(lab, space, "127.0.0.1", 5404, 9)
        assert without_big(axfr(lab, space, "127.0.0.1", 5404)) == without_big(mine), "a copy of NSD's"
        host.terminate()
        host.wait(5)
        _, conf = knot(lab, space, 20)
        wait_serial(lab, space, "127.0.0.1", 5402, 20)
        host = lab.spawn(space, DNSD_HOST, f"--block:storage={empty}", "--port=5404", "--log=info",
                         "--secondary=example@127.0.0.1#5402", "--transfer-to=127.0.0.0/8", log="host2.log")
        wait_serial(lab, space, "127.0.0.1", 5404, 20)
        knotc = ("knotc", "-c", conf, "-b")
        for command in (("zone-begin", "example"), ("zone-set", "example", "added", "60", "A", "192.0.2.200"),
                        ("zone-unset", "example", "n7"), ("zone-commit", "example")):
            lab.run(space, *knotc, *command)
        wait_serial(lab, space, "127.0.0.1", 5404, 21)
        copy = axfr(lab, space, "127.0.0.1", 5404)
        assert copy == axfr(lab, space, "127.0.0.1", 5402)
        assert "added.example. 60 in a 192.0.2.200" in copy and "n7.example. 3600 in a 10.0.0.1" not in copy
        assert "IXFR, outgoing" in lab.log("knot.log"), lab.log("knot.log")
        print("dig, kdig and drill agree; NSD and Knot copied the zone, and theirs were copied, with a change by IXFR; "
              "delv validates zones signed with NSEC and NSEC3; transfers signed with TSIG go to dig, NSD and back; "
              "nsupdate changes a zone")


main()
