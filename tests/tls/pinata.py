#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The pinata: what strangers get, and what it says to itself through a bridge, on the host's sockets.
(tests/spt/run.py visits its image in the same way.)

usage: pinata.py PINATA
"""
import os
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.request

SECRET = 'the-thing-to-take'
host = '127.0.0.1'
passed = failed = 0


def check(what, ok, *told):
    global passed, failed
    passed += bool(ok)
    failed += not ok
    if not ok:
        print(f'FAIL: {what}: ' + ' | '.join(str(t)[-400:] for t in told))


def four_ports():
    """The first of four that are free."""
    for first in range(20000 + os.getpid() % 20000, 60000, 4):
        try:
            for port in range(first, first + 4):
                with socket.socket() as s:
                    s.bind(('127.0.0.1', port))
            return first
        except OSError:
            continue
    raise RuntimeError('no ports')


def page(port, path='/'):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    return opener.open(f'http://{host}:{port}{path}', timeout=5).read().decode()


def stranger(port, *args):
    out = subprocess.run(['openssl', 's_client', '-ign_eof', '-connect', f'{host}:{port}', *args], input='hi\n' * 3,
                         capture_output=True, text=True, timeout=20)
    return out.stdout + out.stderr


def bridge(one, two):
    """Joins two of its ports; all bytes that an observer sees."""
    seen = b''
    with socket.create_connection((host, one)) as a, socket.create_connection((host, two)) as b:
        lock = threading.Lock()

        def pump(src, dst):
            nonlocal seen
            src.settimeout(8)
            try:
                while data := src.recv(65536):
                    with lock:
                        seen += data
                    dst.sendall(data)
                dst.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        threads = [threading.Thread(target=pump, args=p) for p in ((a, b), (b, a))]
        for t in threads:
            t.start()
        for t in threads:
            t.join(10)
    return seen


def counted(port, word):
    return int(page(port).split(f'{word} ')[1].split(',')[0].split()[0])


def visit(port):
    with open('ca.pem', 'w') as f:
        f.write(page(port, '/ca.pem'))
    said = stranger(port + 1, '-CAfile', 'ca.pem', '-verify_hostname', 'pinata.example', '-verify_return_error')
    check('the server is who /ca.pem says', 'Verify return code: 0' in said or 'verify return:1' in said, said)
    check('without a certificate nothing is given', SECRET not in said and 'alert' in said, said)
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout',
                    'own.key', '-out', 'own.pem', '-subj', '/CN=pinata.example', '-addext',
                    'subjectAltName=DNS:pinata.example', '-days', '9'], check=True, capture_output=True)
    said = stranger(port + 1, '-cert', 'own.pem', '-key', 'own.key')
    check('with a certificate of one\'s own nothing is given', SECRET not in said and 'alert' in said, said)
    check('it was not given', counted(port, 'given') == 0, page(port))
    seen = bridge(port + 1, port + 2)
    check('it talks to itself through a bridge', counted(port, 'given') == 2, page(port), len(seen))
    check('an observer sees a handshake and no secret', len(seen) > 2000 and SECRET.encode() not in seen, len(seen))
    with socket.create_connection((host, port + 1)) as s:
        s.sendall(b'GET / HTTP/1.0\r\n\r\n')
        answer = s.recv(1000)
    check('nonsense gets an alert and no more', answer[:1] == b'\x15' and len(answer) == 7, answer)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(('127.0.0.1' if host == '127.0.0.1' else '', 40001))
        except OSError:
            return
        listener.listen(1)
        listener.settimeout(5)
        socket.create_connection((host, port + 3)).close()
        caller, _ = listener.accept()
        hello = caller.recv(5)
        caller.close()
        check('it calls back as a client', hello[:2] == b'\x16\x03', hello)


def main():
    program = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        port = four_ports()
        pinata = subprocess.Popen([program, f'--port={port}', f'--secret={SECRET}'], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        try:
            check('it is ready', pinata.stdout.readline() == 'pinata: ready\n')
            visit(port)
            check('and still there', pinata.poll() is None)
        finally:
            pinata.terminate()
            pinata.communicate(timeout=10)
            os.chdir('/')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
