#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TLS with openssl, gnutls and curl as the other side, in both roles: every suite, group and kind of key,
retries, client certificates, key updates, and what must be refused.

usage: peers.py TLS-PEER TARN-X509
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

PEER, TOOL = (os.path.abspath(p) for p in sys.argv[1:3])
SUITES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256',
          'TLS_AES_128_CCM_SHA256']
GNUTLS_SUITES = ['AES-128-GCM', 'AES-256-GCM', 'CHACHA20-POLY1305', 'AES-128-CCM']
GROUPS = {'X25519': 1, 'P-256': 2, 'P-384': 3}
GNUTLS_GROUPS = {'GROUP-X25519': 1, 'GROUP-SECP256R1': 2, 'GROUP-SECP384R1': 3}
KEYS = ['p256', 'p384', 'p521', 'ed25519', 'rsa2048']
TEXT = bytes(random.Random(1).choices(b'abcdefghijklmnopqrstuvwxyz', k=100000)) + b'\n'
running = []
passed = failed = 0


def tool(out, *args):
    with open(out, 'w') as f:
        subprocess.run([TOOL, *args], stdout=f, check=True)


def make_keys():
    now = str(int(time.time()) - 60)
    tool('ca.key', 'key', 'p256')
    tool('ca.pem', 'make', '--key', 'ca.key', '--ca', '--subject', 'Test CA', '--time', now)
    tool('other.key', 'key', 'p256')
    tool('other.pem', 'make', '--key', 'other.key', '--ca', '--subject', 'Other CA', '--time', now)
    for k in KEYS:
        tool(f'{k}.key', 'key', k)
        tool(f'{k}.csr', 'request', '--key', f'{k}.key', '--subject', 'server', '--names',
             'localhost,127.0.0.1')
        tool(f'{k}.pem', 'make', '--csr', f'{k}.csr', '--issuer', 'ca.pem', '--issuer-key', 'ca.key',
             '--time', now)
    # For clients: openssl makes it, since tarn-x509 makes servers.
    subprocess.run(['openssl', 'req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes',
                    '-keyout', 'client.key', '-out', 'client.csr', '-subj', '/CN=client'], check=True,
                   capture_output=True)
    with open('client.ext', 'w') as f:
        f.write('basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=clientAuth\n')
    subprocess.run(['openssl', 'x509', '-req', '-in', 'client.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key',
                    '-extfile', 'client.ext', '-out', 'client.pem', '-days', '2'], check=True,
                   capture_output=True)


def start(words, **kw):
    p = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.PIPE, **kw)
    running.append(p)
    return p


def stop(p):
    if p.poll() is None:
        p.kill()
    out = p.communicate()
    running.remove(p)
    return (out[0] + out[1]).decode(errors='replace')


def check(what, ok, *told):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print(f'FAIL: {what}: ' + ' | '.join(str(t)[-600:] for t in told))


def tarn_server(*args, key='p256'):
    p = start([PEER, 'server', '0', '--cert', f'{key}.pem', '--key', f'{key}.key', *args])
    line = p.stdout.readline().decode()
    if not line.startswith('port'):
        raise RuntimeError(f'{line}{p.stderr.read().decode()}')
    return p, line.split()[1]


def finish(p, timeout=5):
    try:
        p.wait(timeout)
    except subprocess.TimeoutExpired:
        pass
    return stop(p)


def echo_by(words, text=TEXT, timeout=10):
    """Sends to a client's standard input and reads until as much came back."""
    p = start(words)
    os.set_blocking(p.stdout.fileno(), False)
    os.set_blocking(p.stdin.fileno(), False)
    got, sent, end = b'', 0, time.monotonic() + timeout
    while len(got) < len(text) and time.monotonic() < end and p.poll() is None:
        try:
            sent += os.write(p.stdin.fileno(), text[sent:sent + 4096]) if sent < len(text) else 0
        except BlockingIOError:
            pass
        except BrokenPipeError:
            break
        data = p.stdout.read()
        got += data or b''
        if not data:
            time.sleep(0.002)
    p.stdin.close()
    p.stdin = None
    return got, finish(p, 3)


def early_client(port):
    """Ours, twice: what it has to say is early data the second time."""
    p = start([PEER, 'client', str(port), '--ca', 'ca.pem', '--name', 'localhost', '--early', '1000', '--times', '2'])
    p.stdin.write(b'some line\n')
    p.stdin.close()
    p.stdin = None
    return p


def openssl_client(port, *args):
    return ['openssl', 's_client', '-connect', f'127.0.0.1:{port}', '-CAfile', 'ca.pem', '-verify_return_error',
            '-verify_hostname', 'localhost', '-servername', 'localhost', '-quiet', '-no_ign_eof', *args]


def gnutls_client(port, *args, priority='NORMAL:-VERS-ALL:+VERS-TLS1.3'):
    return ['gnutls-cli', '-p', port, '--x509cafile', 'ca.pem', '--logfile', 'gnutls.log', '--priority', priority,
            *args, 'localhost']


def against_clients():
    for i, suite in enumerate(SUITES):
        server, port = tarn_server()
        got, log = echo_by(openssl_client(port, '-ciphersuites', suite))
        said = finish(server)
        check(f'openssl client, {suite}', got == TEXT and f'suite {i}' in said, len(got), log, said)
    for group, number in GROUPS.items():
        server, port = tarn_server()
        got, log = echo_by(openssl_client(port, '-groups', group), b'x\n')
        said = finish(server)
        check(f'openssl client, group {group}', got == b'x\n' and f'group {number}' in said, log, said)
    for key in KEYS:
        server, port = tarn_server(key=key)
        got, log = echo_by(openssl_client(port), b'x\n')
        check(f'openssl client, key {key}', got == b'x\n', log, finish(server))
    # The server takes P-384 alone, the client sends a share of X25519: a retry.
    server, port = tarn_server('--groups-off', '7')
    got, log = echo_by(openssl_client(port, '-groups', 'X25519:P-384'), b'x\n')
    said = finish(server)
    check('openssl client, retry', got == b'x\n' and 'group 3' in said, log, said)
    server, port = tarn_server('--alpn', 'two,one')
    got, log = echo_by(openssl_client(port, '-alpn', 'one,two'), b'x\n')
    said = finish(server)
    check('openssl client, ALPN', got == b'x\n' and 'alpn two' in said, log, said)
    server, port = tarn_server('--update')
    got, log = echo_by(openssl_client(port))
    check('openssl client, the server updates keys', got == TEXT, len(got), log, finish(server))
    server, port = tarn_server('--elsewhere')
    got, log = echo_by(openssl_client(port), b'x\n')
    check('openssl client, the key is elsewhere', got == b'x\n', log, finish(server))
    server, port = tarn_server('--client-auth', '--ca', 'ca.pem')
    got, log = echo_by(openssl_client(port, '-cert', 'client.pem', '-key', 'client.key'), b'x\n')
    check('openssl client with a certificate', got == b'x\n', log, finish(server))
    server, port = tarn_server('--client-auth', '--ca', 'ca.pem')
    got, log = echo_by(openssl_client(port), b'x\n')
    said = finish(server)
    check('openssl client without the certificate', got == b'' and 'certificate_required' in said, log, said)
    server, port = tarn_server('--client-auth', '--ca', 'other.pem')
    got, log = echo_by(openssl_client(port, '-cert', 'client.pem', '-key', 'client.key'), b'x\n')
    said = finish(server)
    check('openssl client with a certificate of another CA', got == b'' and 'unknown_ca' in said, log, said)
    server, port = tarn_server('--min', '13')
    got, log = echo_by(openssl_client(port, '-tls1_2'), b'x\n')
    said = finish(server)
    check('openssl client, TLS 1.2 to a server without', 'protocol_version' in said and got == b'', log, said)
    for i, suite in enumerate(GNUTLS_SUITES):
        server, port = tarn_server()
        got, log = echo_by(gnutls_client(port, priority=f'NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{suite}'))
        said = finish(server)
        check(f'gnutls client, {suite}', got == TEXT and f'suite {i}' in said, len(got), log, said)
    for group, number in GNUTLS_GROUPS.items():
        server, port = tarn_server()
        got, log = echo_by(gnutls_client(port, priority=f'NORMAL:-VERS-ALL:+VERS-TLS1.3:-GROUP-ALL:+{group}'),
                           b'x\n')
        said = finish(server)
        check(f'gnutls client, {group}', got == b'x\n' and f'group {number}' in said, log, said)


def openssl_server(port, *args, key='p256'):
    p = start(['openssl', 's_server', '-accept', str(port), '-cert', f'{key}.pem', '-key', f'{key}.key', '-rev',
               '-quiet', *args])
    wait_for(port)
    return p


def gnutls_server(port, *args, key='p256'):
    p = start(['gnutls-serv', '-p', str(port), '--echo', '--x509certfile', f'{key}.pem', '--x509keyfile',
               f'{key}.key', '--quiet', *args])
    wait_for(port)
    return p


def wait_for(port):
    """Until somebody listens, without connecting: that would be a session."""
    wanted = f':{port:04X} '
    for _ in range(200):
        for name in ('/proc/net/tcp', '/proc/net/tcp6'):
            with open(name) as f:
                if any(wanted in line and ' 0A ' in line for line in f):
                    return
        time.sleep(0.02)
    raise RuntimeError('the server does not listen')


def tarn_client(port, *args, text=b'some line\n', ca='ca.pem', name='localhost'):
    out = subprocess.run([PEER, 'client', str(port), '--ca', ca, '--name', name, *args], input=text,
                         capture_output=True, timeout=20)
    return out.stdout, out.stderr.decode(), out.returncode


def against_servers(port):
    back = b'enil emos\n'
    for i, suite in enumerate(SUITES):
        server = openssl_server(port, '-ciphersuites', suite)
        got, said, status = tarn_client(port)
        check(f'openssl server, {suite}', got == back and f'suite {i}' in said and not status, got, said,
              stop(server))
        port += 1
    for group, number in GROUPS.items():  # all but X25519 by a retry
        server = openssl_server(port, '-groups', group)
        got, said, status = tarn_client(port)
        check(f'openssl server, group {group}', got == back and f'group {number}' in said, got, said,
              stop(server))
        port += 1
    for key in KEYS:
        server = openssl_server(port, key=key)
        got, said, status = tarn_client(port, '--grease')
        check(f'openssl server, key {key}', got == back, got, said, stop(server))
        port += 1
    server = openssl_server(port)
    for what, args, expect in (
            ('a wrong name', {'name': 'example.com'}, 'bad_certificate, not for this name'),
            ('another CA', {'ca': 'other.pem'}, 'unknown_ca'), ('an address', {'name': '127.0.0.1'}, None)):
        got, said, status = tarn_client(port, **args)
        check(f'openssl server, {what}', (expect in said and got == b'') if expect else got == back, got, said)
    got, said, status = tarn_client(port, '--update')
    check('openssl server, the client updates keys', got == back, got, said, stop(server))
    port += 1
    server = openssl_server(port, '-Verify', '1', '-CAfile', 'ca.pem', '-verify_return_error')
    got, said, status = tarn_client(port, '--cert', 'client.pem', '--key', 'client.key')
    check('openssl server, client certificate', got == back, got, said)
    got, said, status = tarn_client(port)
    check('openssl server, no client certificate', got == b'' and 'their certificate_required' in said, got, said,
          stop(server))
    port += 1
    server = openssl_server(port, '-tls1_2')
    got, said, status = tarn_client(port, '--min', '13')
    check('openssl server, TLS 1.2, to a client without', got == b'' and 'protocol_version' in said, got, said, stop(server))
    port += 1
    for i, suite in enumerate(GNUTLS_SUITES):
        server = gnutls_server(port, '--priority', f'NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+{suite}')
        got, said, status = tarn_client(port, text=TEXT[-4000:])
        check(f'gnutls server, {suite}', got == TEXT[-4000:] and f'suite {i}' in said, len(got), said, stop(server))
        port += 1


def itself():
    for i in range(4):
        for group in range(4):
            server, port = tarn_server('--grease')
            got, said, status = tarn_client(int(port), '--groups-off', str(15 ^ 1 << group), '--suites-off',
                                            str(31 ^ 1 << i), text=TEXT)
            check(f'itself, suite {i}, group {group}', got == TEXT and f'suite {i} group {group}' in said,
                  len(got), said, finish(server))


def resumed_clients():
    """Tickets of ours, brought back by openssl and gnutls; early data once, and not a second time."""
    server, port = tarn_server('--tickets', '--times', '3')
    first = echo_by(openssl_client(port, '-sess_out', 'sess.pem'), b'x\n')
    second = echo_by(openssl_client(port, '-sess_in', 'sess.pem'), b'y\n')
    third = echo_by(openssl_client(port, '-sess_in', 'sess.pem'), b'z\n')
    said = finish(server)
    lines = [' resumed' in line for line in said.split('\n') if line.startswith('connected')]
    check('openssl client resumes, and the same ticket once', (first[0], second[0], third[0])
          == (b'x\n', b'y\n', b'z\n') and lines == [False, True, False], said, first, second, third)
    with open('early.txt', 'w') as f:
        f.write('before the rest')
    server, port = tarn_server('--early', '1000', '--times', '3')
    echo_by(openssl_client(port, '-sess_out', 'sess.pem'), b'x\n')
    again = [echo_by(openssl_client(port, '-sess_in', 'sess.pem', '-early_data', 'early.txt'), b'y\n')
             for _ in range(2)]
    said = finish(server)
    check('openssl client, early data once', said.count('early: before the rest') == 1 and 'early taken' in said
          and all(a[0] == b'y\n' for a in again), said, again)
    server, port = tarn_server('--early', '1000', '--times', '2', '--groups-off', '7')
    echo_by(openssl_client(port, '-sess_out', 'sess.pem', '-groups', 'X25519:P-384'), b'x\n')
    got, log = echo_by(openssl_client(port, '-sess_in', 'sess.pem', '-early_data', 'early.txt', '-groups',
                                      'X25519:P-384'), b'y\n')
    said = finish(server)
    check('openssl client, early data and a retry', got == b'y\n' and said.count(' resumed') == 1
          and 'early: ' not in said, said, log)
    server, port = tarn_server('--early', '1000', '--times', '2')
    got, log = echo_by(gnutls_client(port, '--resume', '--earlydata', 'early.txt'), b'x\n')
    said = finish(server)
    check('gnutls client resumes, with early data', got.endswith(b'x\n') and said.count(' resumed') == 1
          and 'early: before the rest' in said, said, got, log)


def resumed_servers(port):
    """Tickets of theirs, brought back by us."""
    server = openssl_server(port)
    got, said, status = tarn_client(port, '--tickets', '--times', '3')
    check('openssl server, resumed', got == 3 * b'enil emos\n' and said.count(' resumed') == 2 and not status, got,
          said, stop(server))
    port += 1
    server = openssl_server(port, '-groups', 'P-384')
    got, said, status = tarn_client(port, '--tickets', '--times', '2')
    check('openssl server, resumed after a retry', said.count('group 3 alpn  resumed') == 1 and not status, got, said,
          stop(server))
    port += 1
    # With early data its s_server has no -rev: what it answers is its standard input.
    server = start(['openssl', 's_server', '-accept', str(port), '-cert', 'p256.pem', '-key', 'p256.key', '-quiet',
                    '-early_data'])
    wait_for(port)
    client = early_client(port)
    said = ''
    for _ in range(2):
        while line := client.stderr.readline().decode():
            said += line
            if 'connected' in line:
                server.stdin.write(b'some line\n')
                server.stdin.flush()
                break
    said += finish(client)
    log = stop(server)
    check('openssl server takes our early data', 'resumed early taken' in said and 'some line' in log, said, log)
    port += 1
    server = gnutls_server(port)
    got, said, status = tarn_client(port, '--tickets', '--times', '2')
    check('gnutls server, resumed', said.count(' resumed') == 1 and got == b'some line\n' * 2, got, said, stop(server))
    port += 1
    # It does not send early data back, so the second connection is left when it is there.
    server = gnutls_server(port, '--earlydata', '--maxearlydata', '1000')
    client = early_client(port)
    said = ''
    while 'resumed' not in said and (line := client.stderr.readline().decode()):
        said += line
    stop(client)
    check('gnutls server takes our early data', 'resumed early taken' in said, said, stop(server))


def ocsp(cert, status, out):
    """What the CA says of a certificate, by openssl."""
    serial = subprocess.run(['openssl', 'x509', '-in', cert, '-noout', '-serial'], capture_output=True, text=True,
                            check=True).stdout.strip().split('=')[1]
    line = 'V\t480101000000Z\t' if status == 'good' else 'R\t480101000000Z\t250101000000Z'
    with open('index.txt', 'w') as f:
        f.write(f'{line}\t{serial}\tunknown\t/CN=x\n')
    for words in (['-issuer', 'ca.pem', '-cert', cert, '-no_nonce', '-reqout', 'ocsp.req'],
                  ['-index', 'index.txt', '-CA', 'ca.pem', '-rsigner', 'ca.pem', '-rkey', 'ca.key', '-ndays', '2',
                   '-reqin', 'ocsp.req', '-respout', out]):
        subprocess.run(['openssl', 'ocsp', *words], check=True, capture_output=True)


def must_staple():
    with open('staple.ext', 'w') as f:
        f.write('basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n'
                'subjectAltName=DNS:localhost\ntlsfeature=status_request\n')
    subprocess.run(['openssl', 'x509', '-req', '-in', 'p256.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-extfile',
                    'staple.ext', '-out', 'staple.pem', '-days', '2'], check=True, capture_output=True)
    shutil.copy('p256.key', 'staple.key')


def stapled(port):
    """OCSP responses beside certificates, both ways, and certificates that demand them."""
    ocsp('p256.pem', 'good', 'good.der')
    ocsp('p256.pem', 'revoked', 'revoked.der')
    must_staple()
    ocsp('staple.pem', 'good', 'staple.der')
    server, listening = tarn_server('--staple', 'good.der')
    got, log = echo_by([w for w in openssl_client(listening, '-status') if w != '-quiet'], b'x\n')
    check('openssl client asks for OCSP', 'OCSP Response Status: successful' in got.decode() + log, log,
          finish(server))
    server, listening = tarn_server('--staple', 'good.der')
    got, log = echo_by(gnutls_client(listening, '--ocsp'), b'x\n')
    check('gnutls client asks for OCSP', got.endswith(b'x\n'), got, log, finish(server))
    for key, response, expect in (('p256', 'good.der', None), ('p256', 'revoked.der', 'certificate_revoked'),
                                  ('p256', 'staple.der', 'bad_certificate_status_response'),
                                  ('staple', 'staple.der', None),
                                  ('staple', None, 'bad_certificate_status_response')):
        server = openssl_server(port, *(['-status_file', response] if response else []), key=key)
        got, said, status = tarn_client(port)
        check(f'openssl server, {key} with {response}', (expect in said and got == b'') if expect
              else got == b'enil emos\n', got, said, stop(server))
        port += 1
    # Small records, as the client asks (RFC 6066): Certificate alone is longer.
    server, listening = tarn_server('--staple', 'good.der')
    got, log = echo_by(openssl_client(listening, '-maxfraglen', '512'))
    check('openssl client, records of 512 bytes', got == TEXT, len(got), log, finish(server))


def keylogged(*args):
    """Every secret that openssl tells, the engine told, too."""
    server, port = tarn_server('--keylog', 'keys.log')
    _, log = echo_by(openssl_client(port, *args, '-keylogfile', 'theirs.log'), b'x\n')
    finish(server)
    with open('keys.log') as ours, open('theirs.log') as theirs:
        mine = set(ours.read().split('\n'))
        same = {line for line in theirs.read().split('\n') if line and not line.startswith('#')}
    check('the secrets are those that openssl has', same and same <= mine, same, mine, log)


def run(parts, *tools):
    """The parts, in a folder with the keys, where openssl, gnutls and `tools` are installed: the exit status."""
    missing = [t for t in ('openssl', 'gnutls-cli', 'gnutls-serv', *tools) if not shutil.which(t)]
    if missing:
        print(f'SKIP: {", ".join(missing)} not installed')
        return 77
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            make_keys()
            parts()
        finally:
            for p in list(running):
                stop(p)
            os.chdir('/')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


def parts():
    port = 20000 + os.getpid() % 20000
    against_clients()
    against_servers(port)
    stapled(port + 200)
    resumed_clients()
    resumed_servers(port + 100)
    itself()
    keylogged()


if __name__ == '__main__':
    sys.exit(run(parts))
