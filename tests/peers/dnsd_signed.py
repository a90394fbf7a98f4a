#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A zone that dnsd-signing signs as it serves it, with a key of each kind from ldns-keygen and dnssec-keygen: delv and unbound
validate what is there, what is not, and what nsupdate has changed; and a wrong anchor makes it bogus.

usage: dnsd_signed.py DNSD-SIGNING-HOST TARN-KV
"""
import os
import subprocess
import sys
import time

from lab import Lab, want

DNSD, TOOL = (os.path.abspath(a) for a in sys.argv[1:3])
SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
ZONE = """$TTL 3600
@ SOA ns root 5 3600 600 1209600 300
@ NS ns
@ MX 10 mail
ns A 127.0.0.1
mail A 192.0.2.25
www CNAME web
web A 192.0.2.80
*.wild TXT wild
old DNAME new
x.new A 192.0.2.7
a.ent A 192.0.2.8
sub NS ns.sub
ns.sub A 192.0.2.99
safe NS ns.safe
safe DS 12345 13 2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
ns.safe A 192.0.2.98
"""
GOOD = [("example", "SOA"), ("example", "DNSKEY"), ("example", "MX"), ("www.example", "A"), ("a.b.wild.example", "TXT"),
        ("x.old.example", "A"), ("safe.example", "DS"), ("mail.example", "ANY")]
NONE = [("web.example", "MX"), ("nope.example", "A"), ("q.nope.web.example", "A"), ("ent.example", "A"),
        ("a.wild.example", "A"), ("sub.example", "DS"), ("www.example", "MX")]


def new_key(lab, tool, algorithm):
    command = {"ldns": ["ldns-keygen", "-a", algorithm, "-k", "example"],
               "bind": ["dnssec-keygen", "-a", algorithm, "-f", "KSK", "example"]}[tool]
    name = subprocess.run(command, cwd=lab.dir, check=True, capture_output=True, text=True).stdout.strip()
    with open(lab.path(f"{name}.key")) as f:
        public = next(line for line in f if line[0] != ";").split("DNSKEY")[1].split(";")[0].split()
    with open(lab.path(f"{name}.private"), "rb") as f:
        return " ".join(public[:3]) + " " + "".join(public[3:]), f.read()


def serve(lab, space, port, private):
    image = lab.path(f"{port}.img")
    subprocess.run([TOOL, "mkfs", image, "--size=8M"], check=True)
    for key, value in (("zones/example", ZONE.encode()), ("keys/example", private)):
        subprocess.run([TOOL, "set", image, key], input=value, check=True)
    child = lab.spawn(space, DNSD, f"--block:storage={image}", f"--port={port}", "--updates",
                      f"--tsig-key=hmac-sha256:k.:{SECRET}", log=f"{port}.log")
    lab.wait_for("listening", f"{port}.log", child)


def delv(lab, space, port, public):
    flags, protocol, algorithm, key = public.split()
    anchor = lab.write(f"anchor{port}",
                       f'trust-anchors {{ example. static-key {flags} {protocol} {algorithm} "{key}"; }};\n')
    for name, kind in GOOD + NONE[:-1]:  # what delv says of an alias to nothing is both
        out = lab.run(space, "delv", "@127.0.0.1", "-p", str(port), "-a", anchor, "+root=example", name, kind,
                      check=False).stdout
        expected = "negative response, fully validated" if (name, kind) in NONE else "; fully validated"
        assert expected in out, (port, name, kind, out)


def unbound(lab, space, port, server, public):
    conf = lab.write(f"unbound{port}.conf", f"""server:
    interface: 127.0.0.1@{port}
    do-daemonize: no
    username: ""
    chroot: ""
    use-syslog: no
    logfile: ""
    directory: "{lab.dir}"
    pidfile: "{lab.path(f'unbound{port}.pid')}"
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor: "example. DNSKEY {public}"
    ede: yes
stub-zone:
    name: example
    stub-addr: 127.0.0.1@{server}
remote-control:
    control-enable: no
""")
    lab.spawn(space, "unbound", "-d", "-c", conf, log=f"unbound{port}.log")
    end = time.monotonic() + 10
    while "status:" not in dig(lab, space, port, "localhost", "A"):
        assert time.monotonic() < end, lab.log(f"unbound{port}.log")
        time.sleep(0.1)


def dig(lab, space, port, *question):
    return lab.run(space, "dig", "@127.0.0.1", "-p", str(port), "+tries=1", "+time=3", "+dnssec", *question,
                   check=False).stdout


def main():
    want("dig", "kdig", "delv", "nsupdate", "unbound", "ldns-keygen", "dnssec-keygen", "ip")
    with Lab("dnsd-signed") as lab:
        space = lab.space("one")
        keys = [new_key(lab, "ldns", "ECDSAP256SHA256"), new_key(lab, "bind", "ED25519")]
        for i, (public, private) in enumerate(keys):
            port = 5420 + i
            serve(lab, space, port, private)
            ds = subprocess.run(["ldns-key2ds", "-n", "-2", "/dev/stdin"], input=f"example. 3600 IN DNSKEY {public}\n",
                                capture_output=True, text=True, check=True).stdout.split()[4:]
            assert " ".join(ds[:3]) + " " + "".join(ds[3:]).upper() in lab.log(f"{port}.log"), (ds, lab.log(f"{port}.log"))
            delv(lab, space, port, public)
            unbound(lab, space, port + 10, port, public)
            for name, kind in GOOD + NONE:
                out = dig(lab, space, port + 10, name, kind)
                assert " ad;" in out and ("NOERROR" in out or "NXDOMAIN" in out), (name, kind, out)
        out = lab.run(space, "kdig", "@127.0.0.1", "-p", "5420", "+dnssec", "nope.example", "A").stdout
        assert "\\000.nope.example. RRSIG NSEC TYPE128" in out and "NOERROR" in out, out
        # A change is served signed at once; what was proven not to be there before is there.
        script = lab.write("change", "server 127.0.0.1 5420\nzone example\nupdate add late.example 60 A 192.0.2.44\nsend\n")
        lab.run(space, "nsupdate", "-y", f"hmac-sha256:k:{SECRET}", script)
        out = dig(lab, space, 5430, "late.example", "A")
        assert " ad;" in out and "192.0.2.44" in out, out
        # With the other zone's anchor nothing is believed.
        unbound(lab, space, 5440, 5420, keys[1][0])
        assert "SERVFAIL" in dig(lab, space, 5440, "web.example", "A")
        print("delv and unbound validate what dnsd signs with P-256 and Ed25519, denials and changes too")


main()
