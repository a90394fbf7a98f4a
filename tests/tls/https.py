#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The website over HTTPS, on the host's sockets, with curl, openssl and tlsclient as its clients; and what it
keeps in a store: website-kept.

usage: https.py WEBSITE WEBSITE-KEPT TLSCLIENT TARN-KV
"""
import os
import shutil
import socket
import subprocess
import sys
import tempfile

passed = failed = 0


def check(what, ok, *told):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print(f'FAIL: {what}: ' + ' | '.join(str(t)[-500:] for t in told))


def curl(port, *args, ca='site.pem'):
    out = subprocess.run(['curl', '-s', '--noproxy', '*', '--max-time', '10', '--cacert', ca, *args],
                         capture_output=True)
    return out.returncode, out.stdout


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def certificate(port):
    out = subprocess.run(['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-alpn', 'http/1.1'],
                         stdin=subprocess.DEVNULL, capture_output=True, text=True)
    pem = subprocess.run(['openssl', 'x509'], input=out.stdout, capture_output=True, text=True).stdout
    with open('site.pem', 'w') as f:
        f.write(pem)
    print_ = subprocess.run(['openssl', 'x509', '-noout', '-fingerprint', '-sha256'], input=pem, capture_output=True,
                            text=True).stdout
    return out.stdout, print_.strip().split('=')[-1].replace(':', '').lower()


def visit(port, said):
    text, fingerprint = certificate(port)
    check('ALPN', 'ALPN protocol: http/1.1' in text, text)
    check('the fingerprint is the one that was said', said.endswith(fingerprint) and fingerprint, said, fingerprint)
    url = f'https://localhost:{port}/'
    status, page = curl(port, url)
    check('a page', status == 0 and b'<!doctype html>' in page.lower(), status, page)
    status, twenty = curl(port, *([url] * 20))
    check('twenty over one connection', status == 0 and twenty == page * 20, status, len(twenty))
    status, code = curl(port, '-o', '/dev/null', '-w', '%{http_code}', url + 'missing')
    check('a page that is not there', code == b'404', code)
    status, _ = curl(port, f'https://127.0.0.1:{port}/')
    check('another name than the certificate has', status == 60, status)
    status, _ = curl(port, url, ca='/etc/ssl/certs/ca-certificates.crt')
    check('a certificate that nobody signed', status == 60, status)
    for version, wanted in (('1.2', 0), ('1.1', 35)):
        status, _ = curl(port, '--tls-max', version, '--ciphers', 'DEFAULT@SECLEVEL=0', url)
        check(f'at most TLS {version}', status == wanted, status)

    with socket.create_connection(('127.0.0.1', port), timeout=10) as s:
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        answer = s.recv(100)
    check('plain HTTP gets an alert', answer[:1] == b'\x15' and answer[-1:] == bytes([70]), answer)
    many = [subprocess.Popen(['curl', '-s', '--noproxy', '*', '--max-time', '20', '--cacert', 'site.pem', url],
                             stdout=subprocess.PIPE) for _ in range(24)]
    check('24 at once', all(p.communicate()[0] == page for p in many))
    status, again = curl(port, url)
    check('and still there', again == page, status)


def visit_with_tlsclient(port, client):
    url = f'https://localhost:{port}/'
    page = curl(port, url)[1]
    out = subprocess.run([client, url, 'site.pem'], capture_output=True,
                         env={**os.environ, 'SSLKEYLOGFILE': 'keys.log'})
    check('tlsclient', out.returncode == 0 and out.stdout.endswith(page), out.stderr)
    out_again = subprocess.run([client, url, 'site.pem', '3'], capture_output=True)
    check('tlsclient comes back with tickets', out_again.returncode == 0 and out_again.stdout.endswith(page)
          and out_again.stderr.count(b'resumed') == 2, out_again.stderr)
    status, said = curl(port, '-v', '--stderr', '-', '-H', 'Connection: close', url, url, url)
    check('curl comes back with tickets', status == 0 and said.count(b're-using session ID') == 2, said)
    with open('keys.log') as f:
        labels = [line.split()[0] for line in f]
    check('SSLKEYLOGFILE', labels == ['CLIENT_HANDSHAKE_TRAFFIC_SECRET', 'SERVER_HANDSHAKE_TRAFFIC_SECRET',
                                      'CLIENT_TRAFFIC_SECRET_0', 'SERVER_TRAFFIC_SECRET_0', 'EXPORTER_SECRET'], labels)
    out = subprocess.run([client, url], capture_output=True)
    check('tlsclient with the system\'s trust store', out.returncode == 1 and b'unknown_ca' in out.stderr
          and out.stdout == b'', out)
    out = subprocess.run([client, f'https://127.0.0.1:{port}/', 'site.pem'], capture_output=True)
    check('tlsclient, another name', out.returncode == 1 and b'not for this name' in out.stderr, out)


def boot(program, *args):
    """A website on its store, from its start to its end: what it said, and the fingerprint it showed."""
    port = free_port()
    site = subprocess.Popen([program, f'--port={port}', '--tls', '--block:storage=store.img', *args],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    said = []
    try:
        for line in site.stdout:
            said.append(line.strip())
            if 'listening' in line:
                status, page = curl(port, f'https://localhost:{port}/', ca='kept.pem') if os.path.exists('kept.pem') \
                    else (None, b'')
                text, fingerprint = certificate(port)
                return said, fingerprint, status, page
        return said, None, None, b''
    finally:
        site.terminate()
        site.communicate(timeout=10)


def set_value(kv, key, file):
    with open(file, 'rb') as f:
        subprocess.run([kv, 'set', 'store.img', f'tls/{key}'], stdin=f, check=True)


def keep(program, kv):
    with open('store.img', 'wb') as f:
        f.truncate(2 << 20)
    said, shown, *_ = boot(program)
    check('no store, and not told to make one', shown is None and '--format' in said[0], said)
    said, first, *_ = boot(program, '--format')
    check('made at the first boot', first and said[0].endswith(first), said, first)
    os.rename('site.pem', 'kept.pem')
    for boots in range(2):
        said, shown, status, page = boot(program, *(['--format'] if boots else []))
        check('the same at the next boot', shown == first and said[0].endswith(first), said, shown, first)
        check('who trusts the first one trusts it', status == 0 and b'<!doctype html>' in page.lower(), status)
    for name, kind in (('rsa', 'rsa:2048'), ('ec', 'ec')):
        subprocess.run(['openssl', 'req', '-x509', '-newkey', kind, *(['-pkeyopt', 'ec_paramgen_curve:P-384'] * (
            kind == 'ec')), '-nodes', '-keyout', f'{name}.key', '-out', f'{name}.pem', '-subj', '/CN=x', '-addext',
            'subjectAltName=DNS:localhost', '-days', '9'], check=True, capture_output=True)
    with open('two.pem', 'w') as f:
        f.write(open('rsa.pem').read() + open('kept.pem').read())
    set_value(kv, 'key.pem', 'rsa.key')
    said, shown, *_ = boot(program)
    check('a key of another certificate is refused', shown is None and 'is not for the key' in said[0], said)
    set_value(kv, 'chain.pem', 'two.pem')
    os.replace('rsa.pem', 'kept.pem')
    said, shown, status, page = boot(program)
    check('the operator\'s own, RSA, a chain of two', status == 0 and page and shown != first, said, status)
    set_value(kv, 'key.pem', 'ec.key')
    set_value(kv, 'chain.pem', 'ec.pem')
    os.replace('ec.pem', 'kept.pem')
    said, shown, status, page = boot(program)
    check('the operator\'s own, P-384', status == 0 and page, said, status)
    set_value(kv, 'chain.pem', 'ec.key')
    said, shown, *_ = boot(program)
    check('what is no certificate is refused', shown is None and 'chain.pem' in said[0], said)
    subprocess.run([kv, 'rm', 'store.img', 'tls/chain.pem'], check=True, capture_output=True)
    said, shown, *_ = boot(program)
    check('a key alone is not replaced', shown is None and 'chain.pem' in said[0], said)
    subprocess.run([kv, 'rm', 'store.img', 'tls'], check=True, capture_output=True)
    said, shown, *_ = boot(program)
    check('and others are made when they are gone', shown and shown != first, said)


def main():
    program, kept, client, kv = (os.path.abspath(p) for p in sys.argv[1:5])
    missing = [t for t in ('curl', 'openssl') if not shutil.which(t)]
    if missing:
        print(f'SKIP: {", ".join(missing)} not installed')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        port = free_port()
        site = subprocess.Popen([program, f'--port={port}', '--tls', '--tls-name=localhost'],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            said = site.stdout.readline().strip()
            site.stdout.readline()
            visit(port, said)
            visit_with_tlsclient(port, client)
        finally:
            site.terminate()
            site.communicate(timeout=10)
        keep(kept, kv)
        os.chdir('/')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
