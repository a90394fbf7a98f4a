#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TLS 1.2 with openssl, gnutls and curl as the other side, in both roles: every suite, group and kind of key, client
certificates, and what must be refused.

usage: peers12.py TLS-PEER TARN-X509
"""
import os
import subprocess
import sys

import peers
from peers import TEXT, check, echo_by, finish, stop, tarn_client, tarn_server

# openssl's name, gnutls' cipher, ours, kinds of keys
SUITES = [('AES128-GCM-SHA256', 'AES-128-GCM', 0, ('p256', 'rsa2048')),
          ('AES256-GCM-SHA384', 'AES-256-GCM', 1, ('p256', 'rsa2048')),
          ('CHACHA20-POLY1305', 'CHACHA20-POLY1305', 2, ('p256', 'rsa2048')),
          ('AES128-CCM', 'AES-128-CCM', 3, ('p256',)),
          ('AES256-CCM', 'AES-256-CCM', 4, ('p256',))]
KX = {'p256': 'ECDSA', 'rsa2048': 'RSA'}
GNUTLS = 'NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+ECDHE-{}:-CIPHER-ALL:+{}'


def against_clients():
    for name, cipher, number, keys in SUITES:
        for key in keys:
            server, port = tarn_server(key=key)
            got, log = echo_by(peers.openssl_client(port, '-tls1_2', '-cipher', f'ECDHE-{KX[key]}-{name}'))
            said = finish(server)
            check(f'openssl client, {KX[key]} {name}', got == TEXT and f'version 303 suite {number} ' in said,
                  len(got), log, said)
            server, port = tarn_server(key=key)
            got, log = echo_by(peers.gnutls_client(port, priority=GNUTLS.format(KX[key], cipher)))
            said = finish(server)
            check(f'gnutls client, {KX[key]} {cipher}', got == TEXT and f'version 303 suite {number} ' in said,
                  len(got), log, said)
    for group, number in peers.GROUPS.items():
        server, port = tarn_server('--groups-off', str(15 ^ 1 << number))
        # The certificate's curve has to be among them, too.
        got, log = echo_by(peers.openssl_client(port, '-tls1_2', '-groups', 'P-256' if number == 2 else f'{group}:P-256'), b'x\n')
        said = finish(server)
        check(f'openssl client, group {group}', got == b'x\n' and f'group {number}' in said, log, said)
    for key in peers.KEYS:
        server, port = tarn_server(key=key)
        got, log = echo_by(peers.openssl_client(port, '-tls1_2'), b'x\n')
        check(f'openssl client, key {key}', got == b'x\n', log, finish(server))
    for args in (['--elsewhere'], ['--alpn', 'two,one']):
        server, port = tarn_server(*args)
        got, log = echo_by(peers.openssl_client(port, '-tls1_2', '-alpn', 'one,two'), b'x\n')
        said = finish(server)
        check(f'openssl client, {args}', got == b'x\n' and ('alpn two' in said) == ('--alpn' in args), log, said)
    for ca, certificate, alert in (('ca.pem', True, ''), ('ca.pem', False, 'handshake_failure'),
                                   ('other.pem', True, 'unknown_ca')):
        server, port = tarn_server('--client-auth', '--ca', ca)
        shown = ['-cert', 'client.pem', '-key', 'client.key'] if certificate else []
        got, log = echo_by(peers.openssl_client(port, '-tls1_2', *shown), b'x\n')
        said = finish(server)
        check(f'openssl client, certificate {certificate}, {ca}', got == (b'' if alert else b'x\n') and alert in said,
              log, said)


def refused():
    for args, ours, alert in ((['-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0'], [], 'protocol_version'),
                              (['-tls1_2', '-cipher', 'AES128-GCM-SHA256'], [], 'handshake_failure'),
                              (['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256'], [], 'handshake_failure'),
                              (['-tls1_2', '-cipher', 'DHE-RSA-AES128-GCM-SHA256'], [], 'handshake_failure'),
                              (['-tls1_2', '-fallback_scsv'], [], 'inappropriate_fallback'),
                              (['-tls1_2', '-fallback_scsv'], ['--max', '12'], None),
                              (['-tls1_3'], ['--max', '12'], 'protocol_version')):
        server, port = tarn_server(*ours)
        got, log = echo_by(peers.openssl_client(port, *args), b'x\n')
        said = finish(server)
        check(f'openssl client, {args}', alert in said and got == b'' if alert else got == b'x\n', log, said)
    # openssl asks for a new handshake with R, is told no, and goes on.
    server, port = tarn_server()
    words = [w for w in peers.openssl_client(port, '-tls1_2') if w != '-quiet']
    p = peers.start(words)
    p.stdin.write(b'R\n')
    p.stdin.flush()
    said = finish(p, 2)
    check('openssl client asks for a new handshake', 'no renegotiation' in said, said, finish(server))


def against_curl():
    for key in ('p256', 'rsa2048'):
        for version in ('1.2', '1.3'):
            server, port = tarn_server(key=key)
            out = subprocess.run(['curl', '-s', '--noproxy', '*', '--cacert', 'ca.pem', '--max-time', '1', '--http0.9',
                                  f'--tlsv{version}', '--tls-max', version, f'https://localhost:{port}/'],
                                 capture_output=True, check=False)
            said = finish(server)
            # The server sends back what it gets: the request.
            wanted = 'version 303' if version == '1.2' else 'version 304'
            check(f'curl, {key}, TLS {version}', out.stdout.startswith(b'GET / HTTP/1.1') and wanted in said,
                  out.stdout, out.stderr, said)


def against_servers(port):
    back = b'enil emos\n'
    for name, cipher, number, keys in SUITES:
        for key in keys:
            server = peers.openssl_server(port, '-tls1_2', '-cipher', f'ECDHE-{KX[key]}-{name}', key=key)
            got, said, _ = tarn_client(port, '--grease')
            check(f'openssl server, {KX[key]} {name}', got == back and f'version 303 suite {number} ' in said, got, said,
                  stop(server))
            port += 1
            server = peers.gnutls_server(port, '--priority', GNUTLS.format(KX[key], cipher), key=key)
            got, said, _ = tarn_client(port, text=TEXT[-4000:])
            check(f'gnutls server, {KX[key]} {cipher}', got == TEXT[-4000:] and f'version 303 suite {number} ' in said,
                  len(got), said, stop(server))
            port += 1
    for key in [k for k in peers.KEYS if k != 'p521']:  # no key exchange on that curve, so it is not offered
        server = peers.openssl_server(port, '-tls1_2', key=key)
        got, said, _ = tarn_client(port, '--max', '12')
        check(f'openssl server, key {key}', got == back, got, said, stop(server))
        port += 1
    server = peers.openssl_server(port, '-tls1_2', '-CAfile', 'ca.pem', '-Verify', '1', '-verify_return_error')
    for extra in ([], ['--elsewhere']):
        got, said, _ = tarn_client(port, '--cert', 'client.pem', '--key', 'client.key', *extra)
        check(f'openssl server, client certificate {extra}', got == back, got, said)
    got, said, _ = tarn_client(port)
    check('openssl server, no client certificate', got == b'' and 'their handshake_failure' in said, got, said,
          stop(server))
    port += 1
    server = peers.openssl_server(port)
    got, said, _ = tarn_client(port, '--max', '12', '--fallback')
    check('openssl server, a needless fallback', got == b'' and 'their inappropriate_fallback' in said, got, said)
    # A server that can do better and was asked for less marks it, which is no fault here.
    got, said, _ = tarn_client(port, '--max', '12')
    check('openssl server of TLS 1.3, client of 1.2', got == back and 'version 303' in said, got, said, stop(server))
    port += 1
    server = peers.openssl_server(port, '-tls1_1', '-cipher', 'DEFAULT@SECLEVEL=0')
    got, said, _ = tarn_client(port)
    check('openssl server, TLS 1.1', got == b'' and 'protocol_version' in said, got, said, stop(server))


def itself():
    for i in range(5):
        server, port = tarn_server('--grease', '--max', '12')
        got, said, _ = tarn_client(int(port), '--suites-off', str(31 ^ 1 << i), text=TEXT)
        check(f'itself, suite {i}', got == TEXT and f'version 303 suite {i}' in said, len(got), said, finish(server))


def parts():
    against_clients()
    refused()
    against_curl()
    against_servers(40000 + os.getpid() % 20000)
    itself()
    peers.keylogged('-tls1_2')


if __name__ == '__main__':
    sys.exit(peers.run(parts, 'curl'))
