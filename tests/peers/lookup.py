#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""DNS over TLS from unbound, and DNS over HTTPS from a small server behind Python's TLS: with the right name and anchor,
with a wrong one, and opportunistic where nobody speaks TLS.

usage: lookup.py LOOKUP-HOST TARN-KV          (lookup.py https ...: the server)
"""
import http.server
import os
import socket
import ssl
import subprocess
import sys

from lab import Lab, want


class Https(http.server.BaseHTTPRequestHandler):
    """Passes what it is posted to a server of datagrams."""
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        good = self.path == "/dns-query" and self.headers["Content-Type"] == "application/dns-message" \
            and self.headers["Host"] == "dns.test" and len(query) % 128 == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(5)
            s.sendto(query, ("127.0.0.1", 5450))
            answer = s.recv(65535)
        self.send_response(200 if good else 400)
        self.send_header("Content-Type", "application/dns-message")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


def https(cert, key):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 5452), Https)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.set_alpn_protocols(["http/1.1"])
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print("ready", flush=True)
    server.serve_forever()


def certificate(lab, name):
    files = [lab.path(f"{name}.{kind}") for kind in ("pem", "key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=dns.test", "-addext", "subjectAltName=DNS:dns.test", "-keyout", files[1], "-out",
                    files[0]], check=True, capture_output=True)
    return files


def main():
    lookup, tool = (os.path.abspath(a) for a in sys.argv[1:3])
    want("unbound", "openssl", "dig", "ip")
    with Lab("lookup") as lab:
        space = lab.space("one")
        cert, key = certificate(lab, "right")
        images = {}
        for name, pem in (("right", cert), ("wrong", certificate(lab, "wrong")[0])):
            images[name] = lab.path(f"{name}.img")
            subprocess.run([tool, "mkfs", images[name], "--size=1M"], check=True)
            with open(pem, "rb") as f:
                subprocess.run([tool, "set", images[name], "trust"], stdin=f, check=True)
        data = "".join(f'    local-data: "n{i}.test. A 192.0.2.{i}"\n' for i in range(5))
        conf = lab.write("unbound.conf", f"""server:
    interface: 127.0.0.1@5450
    interface: 127.0.0.1@5451
    tls-port: 5451
    tls-service-key: {key}
    tls-service-pem: {cert}
    do-daemonize: no
    username: ""
    chroot: ""
    use-syslog: no
    logfile: ""
    directory: "{lab.dir}"
    pidfile: "{lab.path('unbound.pid')}"
    local-zone: "test." static
{data}remote-control:
    control-enable: no
""")
        lab.spawn(space, "unbound", "-d", "-c", conf, log="unbound.log")
        lab.wait_for("ready", "https.log", lab.spawn(space, sys.executable, os.path.abspath(__file__), "https", cert, key,
                                                     log="https.log"))
        lab.run(space, "dig", "@127.0.0.1", "-p", "5450", "+tries=20", "+time=1", "n1.test")

        def ask(*options, store="right"):
            done = lab.run(space, lookup, f"--block:storage={images[store]}", "--server=127.0.0.1",
                           "--names=n1.test.,n2.test.,no.test.", *options, check=False)
            return done.stdout.split("\n")[:-1]

        right = ["n1.test. 192.0.2.1", "n2.test. 192.0.2.2", "no.test.: no such name"]
        out = ask("--port=5450")
        assert out == right + ["3 datagrams, 0 connections"], (out, lab.log("unbound.log"))
        for way in (("--port=5451", "--tls=dns.test"), ("--port=5452", "--tls=dns.test", "--https=/dns-query"),
                    ("--port=5451", "--opportunistic")):
            out = ask(*way)
            assert out == right + ["0 datagrams, 1 connections"], (way, out, lab.log("unbound.log"), lab.log("https.log"))
        # A stranger, and another anchor: nothing is answered, and nothing goes out in the open.
        for out in (ask("--port=5451", "--tls=other.test"), ask("--port=5451", "--tls=dns.test", store="wrong")):
            assert len(out) == 4 and out[-1].startswith("0 datagrams") and not any("192.0.2." in line for line in out), out
        # Nobody speaks TLS there: the open, if that is allowed.
        assert ask("--port=5459", "--opportunistic", "--open-port=5450") == right + ["3 datagrams, 1 connections"]
        print("DNS over TLS from unbound and over HTTPS, on one connection each; strict and opportunistic")


if sys.argv[1] == "https":
    https(*sys.argv[2:4])
else:
    main()
