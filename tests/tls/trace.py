#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Whether a recorded TLS 1.3 connection was right: `messages` opens the records of both sides with the secrets of
SSLKEYLOGFILE, and `faults` says of each message whether RFC 8446 allows it there. Both are pure: bytes in, an answer out.
They share nothing with the library but the RFC.

Run on Tarn with itself, openssl, gnutls and curl, recorded by a relay between the two; and on what is made of those
recordings by leaving out, repeating and exchanging messages, which must be found.

usage: trace.py TLS-PEER TARN-X509
"""
import hashlib
import hmac
import os
import socket
import subprocess
import sys
import threading

import peers

NAMES = {1: 'ClientHello', 2: 'ServerHello', 4: 'NewSessionTicket', 5: 'EndOfEarlyData', 8: 'EncryptedExtensions',
         11: 'Certificate', 13: 'CertificateRequest', 15: 'CertificateVerify', 20: 'Finished', 24: 'KeyUpdate'}
RETRY = hashlib.sha256(b'HelloRetryRequest').digest()
HASHES = {0x1301: hashlib.sha256, 0x1302: hashlib.sha384, 0x1303: hashlib.sha256}
KEY_BYTES = {0x1301: 16, 0x1302: 32, 0x1303: 32}


def expand(hash_, secret, label, context, n):
    label = b'tls13 ' + label
    info = n.to_bytes(2, 'big') + bytes([len(label)]) + label + bytes([len(context)]) + context
    out = block = b''
    for i in range(1, 255):
        if len(out) >= n:
            return out[:n]
        block = hmac.new(secret, block + info + bytes([i]), hash_).digest()
        out += block
    return out[:n]


class Keys:
    """One direction, with one secret."""

    def __init__(self, suite, secret):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
        self.suite, self.secret, self.seq = suite, secret, 0
        key = expand(HASHES[suite], secret, b'key', b'', KEY_BYTES[suite])
        self.iv = expand(HASHES[suite], secret, b'iv', b'', 12)
        self.aead = (ChaCha20Poly1305 if suite == 0x1303 else AESGCM)(key)

    def open(self, record):
        nonce = bytes(a ^ b for a, b in zip(self.iv, self.seq.to_bytes(12, 'big')))
        text = self.aead.decrypt(nonce, record[5:], record[:5]).rstrip(b'\0')
        self.seq += 1
        return text[-1], text[:-1]

    def next(self):
        return Keys(self.suite, expand(HASHES[self.suite], self.secret, b'traffic upd', b'',
                                       HASHES[self.suite]().digest_size))


def secrets_of(keylog, random):
    lines = [line.split() for line in keylog.split('\n')]
    return {w[0]: bytes.fromhex(w[2]) for w in lines if len(w) == 3 and w[1] == random.hex()}


def records(data):
    while len(data) >= 5:
        n = 5 + int.from_bytes(data[3:5], 'big')
        yield data[:n]
        data = data[n:]


def extensions(hello, server):
    """The identifiers (in order) and values of a hello's extensions."""
    at = 38 + 1 + hello[38]
    at += 3 if server else 2 + int.from_bytes(hello[at:at + 2], 'big')
    at += 0 if server else 1 + hello[at]
    end, out = at + 2 + int.from_bytes(hello[at:at + 2], 'big'), {}
    at += 2
    while at < end:
        n = int.from_bytes(hello[at + 2:at + 4], 'big')
        out[int.from_bytes(hello[at:at + 2], 'big')] = hello[at + 4:at + 4 + n]
        at += 4 + n
    return out


class Side:
    def __init__(self):
        self.keys, self.part = None, b''


def messages(pieces, keylog):
    """(who, what, body, secret) of all that was said, in the order in which it came by. `pieces` are (who, bytes)."""
    sides, secrets, suite, early, out, rest = {'c': Side(), 's': Side()}, {}, None, False, [], {'c': b'', 's': b''}
    for who, data in pieces:
        rest[who] += data
        whole = 0
        for record in records(rest[who]):
            if len(record) < 5 + int.from_bytes(record[3:5], 'big'):
                break
            whole += len(record)
            side, kind, text = sides[who], record[0], record[5:]
            if kind == 20:
                out.append((who, 'ccs', text, None))
                continue
            if kind == 23:
                if side.keys is None:
                    early = who == 'c'
                    side.keys = Keys(suite or 0x1301, secrets['CLIENT_EARLY_TRAFFIC_SECRET'])
                try:
                    kind, text = side.keys.open(record)
                except Exception:  # early data that nobody opened, once the real keys are there
                    out.append((who, 'unreadable', record, None))
                    continue
            if kind != 22:
                out.append((who, {21: 'alert', 23: 'data'}.get(kind, 'unknown'), text, None))
                continue
            side.part += text
            while len(side.part) >= 4 and len(side.part) >= 4 + int.from_bytes(side.part[1:4], 'big'):
                n = 4 + int.from_bytes(side.part[1:4], 'big')
                message, side.part = side.part[:n], side.part[n:]
                name = NAMES.get(message[0], f'type {message[0]}')
                out.append((who, name, message, side.keys and side.keys.secret))
                if name == 'ClientHello':
                    secrets = secrets_of(keylog, message[6:38])
                elif name == 'ServerHello' and message[6:38] != RETRY:
                    suite = int.from_bytes(message[39 + message[38]:41 + message[38]], 'big')
                    sides['s'].keys = Keys(suite, secrets['SERVER_HANDSHAKE_TRAFFIC_SECRET'])
                    if not early:
                        sides['c'].keys = Keys(suite, secrets['CLIENT_HANDSHAKE_TRAFFIC_SECRET'])
                elif name == 'EndOfEarlyData':
                    side.keys = Keys(suite, secrets['CLIENT_HANDSHAKE_TRAFFIC_SECRET'])
                elif name == 'Finished':
                    side.keys = Keys(suite, secrets[f'{"CLIENT" if who == "c" else "SERVER"}_TRAFFIC_SECRET_0'])
                elif name == 'KeyUpdate':
                    side.keys = side.keys.next()
        rest[who] = rest[who][whole:]
    return out


# What may come next, by who says it: the state is what this side said last.
NEXT = {'c': {'start': {'ClientHello'}, 'ClientHello': {'Certificate', 'Finished', 'data', 'EndOfEarlyData', 'alert'},
              'data': {'data', 'EndOfEarlyData', 'alert'}, 'EndOfEarlyData': {'Finished', 'alert'},
              'Certificate': {'CertificateVerify', 'Finished', 'alert'}, 'CertificateVerify': {'Finished', 'alert'},
              'Finished': {'data', 'alert', 'KeyUpdate'}},
        's': {'start': {'ServerHello', 'alert'}, 'ServerHello': {'EncryptedExtensions', 'alert'},
              'EncryptedExtensions': {'CertificateRequest', 'Certificate', 'Finished', 'alert'},
              'CertificateRequest': {'Certificate', 'alert'}, 'Certificate': {'CertificateVerify', 'alert'},
              'CertificateVerify': {'Finished', 'alert'},
              'Finished': {'data', 'alert', 'KeyUpdate', 'NewSessionTicket'}}}


class Judge:
    def __init__(self):
        self.state, self.hash, self.transcript = {'c': 'start', 's': 'start'}, None, b''
        self.retried = self.psk = self.asked = self.closed = False
        self.offered = {}

    def hello(self, who, body):
        sent = extensions(body, who == 's')
        if who == 'c':
            if self.offered and not self.retried:
                return 'a second ClientHello without a retry'
            if 41 in sent and list(sent)[-1] != 41:
                return 'pre_shared_key is not the last extension'
            self.offered = sent
            return None
        if any(e not in self.offered for e in sent if e != 44):
            return 'an answer to an extension that was not offered'
        self.hash = HASHES.get(int.from_bytes(body[39 + body[38]:41 + body[38]], 'big'))
        if body[6:38] == RETRY:
            if self.retried:
                return 'a second retry'
            self.retried = True
            digest = self.hash(self.transcript).digest()
            self.transcript = b'\xfe\0\0' + bytes([len(digest)]) + digest
            self.state['c'] = self.state['s'] = 'start'
        self.psk = 41 in sent
        return None

    def finished(self, body, secret):
        key = expand(self.hash, secret, b'finished', b'', self.hash().digest_size)
        mac = hmac.new(key, self.hash(self.transcript).digest(), self.hash).digest()
        return None if body[4:] == mac else 'a Finished over another transcript'

    def order(self, who, what):
        last = self.state[who]
        if what == 'data' and who == 'c' and last == 'ClientHello' and 42 not in self.offered:
            return 'early data that was not announced'
        if what not in NEXT[who].get(last, set()):
            return f'{what} after {last}'
        if who == 's' and what == 'ServerHello' and self.state['c'] == 'start':
            return 'a ServerHello without a ClientHello'
        if who == 'c' and what in ('Finished', 'Certificate', 'EndOfEarlyData') and self.state['s'] != 'Finished':
            return f'{what} before the Finished of the server'
        if who == 's' and last == 'EncryptedExtensions' and (what == 'Finished') != self.psk and what != 'alert':
            return f'{what} {"with" if self.psk else "without"} a ticket'
        if who == 'c' and what == 'Certificate' and not self.asked:
            return 'a Certificate that nobody asked for'
        return None

    def take(self, who, what, body, secret):
        if what == 'unreadable':
            return None if 42 in self.offered and who == 'c' else 'a record that does not open'
        if what == 'ccs':
            return None if body == b'\1' and self.state[who] != 'Finished' else 'change_cipher_spec'
        fault = self.order(who, what)
        if not fault and what == 'Finished':
            fault = self.finished(body, secret)
        if not fault and what in ('ClientHello', 'ServerHello'):
            fault = self.hello(who, body)
        done = self.state[who] == 'Finished'
        retry = what == 'ServerHello' and body[6:38] == RETRY
        if what not in ('alert',) and not done and not retry:
            self.state[who] = what
        self.asked |= what == 'CertificateRequest'
        if what in NAMES.values() and not done and what != 'KeyUpdate':
            self.transcript += body
        return fault


def faults(said):
    """The first message that is not allowed, or that some are missing; empty where all is right."""
    judge = Judge()
    for i, (who, what, body, secret) in enumerate(said):
        fault = judge.take(who, what, body, secret)
        if fault:
            return f'{i}: {fault}'
    done = judge.state == {'c': 'Finished', 's': 'Finished'}
    return '' if done else f'ends at {judge.state}'


def broken(said):
    """Each message of the handshake left out, said twice, and exchanged with the next of its side."""
    last = max(i for i, m in enumerate(said) if m[1] == 'Finished')
    hand = [i for i, m in enumerate(said) if m[1] in NAMES.values() and i <= last]
    for i in hand:
        yield f'without {said[i][1]}', said[:i] + said[i + 1:]
        yield f'{said[i][1]} twice', said[:i + 1] + said[i:]
        later = next((j for j in hand if j > i and said[j][0] == said[i][0]), None)
        if later:
            changed = list(said)
            changed[i], changed[later] = changed[later], changed[i]
            yield f'{said[later][1]} before {said[i][1]}', changed


class Relay:
    """Between a client and a server on this host, one connection after the other; remembers who said what."""

    def __init__(self, to):
        self.to, self.sessions, self.lock = int(to), [], threading.Lock()
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.to))
            said = []
            self.sessions.append(said)
            for who, a, b in (('c', client, server), ('s', server, client)):
                threading.Thread(target=self.move, args=(said, who, a, b), daemon=True).start()

    def move(self, said, who, a, b):
        try:
            while data := a.recv(65536):
                with self.lock:
                    said.append((who, data))
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def judged(self, what, log, count):
        self.listener.close()
        with open(log) as f:
            keylog = f.read()
        peers.check(f'{what}: {count} recorded', len(self.sessions) == count, len(self.sessions))
        for i, pieces in enumerate(self.sessions):
            said = messages(pieces, keylog)
            found = faults(said)
            peers.check(f'{what}, connection {i}', not found and len(said) > 6, found, [m[:2] for m in said])
            missed = [name for name, other in broken(said) if not faults(other)]
            peers.check(f'{what}, connection {i}, in other orders', not missed, missed)


def sessions(port):
    for what, ours, theirs in (('plain', [], []), ('retry', ['--groups-off', '7'], ['-groups', 'X25519:P-384']),
                               ('client certificate', ['--client-auth', '--ca', 'ca.pem'],
                                ['-cert', 'client.pem', '-key', 'client.key']), ('key update', ['--update'], [])):
        log = f'{what}.log'
        server, at = peers.tarn_server('--min', '13', '--keylog', log, *ours)
        relay = Relay(at)
        peers.echo_by(peers.openssl_client(relay.port, *theirs), b'x\n')
        peers.finish(server)
        relay.judged(f'openssl client, {what}', log, 1)
    server, at = peers.tarn_server('--keylog', 'gnutls.keys', '--early', '1000', '--times', '2')
    relay = Relay(at)
    with open('early.txt', 'w') as f:
        f.write('before the rest')
    peers.echo_by(peers.gnutls_client(str(relay.port), '--resume', '--earlydata', 'early.txt'), b'x\n')
    peers.finish(server)
    relay.judged('gnutls client, resumed with early data', 'gnutls.keys', 2)
    server, at = peers.tarn_server('--keylog', 'curl.keys')
    relay = Relay(at)
    subprocess.run(['curl', '-s', '--noproxy', '*', '--max-time', '2', '--http0.9', '--cacert', 'ca.pem',
                    f'https://localhost:{relay.port}/'], capture_output=True)
    peers.stop(server)
    relay.judged('curl', 'curl.keys', 1)
    for what, start, args in (('openssl server', peers.openssl_server, ['--tickets', '--times', '2']),
                              ('gnutls server', peers.gnutls_server, ['--tickets', '--times', '2'])):
        server = start(port)
        relay = Relay(port)
        peers.tarn_client(relay.port, '--keylog', f'{what}.keys', *args)
        peers.stop(server)
        relay.judged(what, f'{what}.keys', 2)
        port += 1
    server, at = peers.tarn_server('--early', '1000', '--times', '2')
    relay = Relay(at)
    peers.tarn_client(relay.port, '--keylog', 'own.keys', '--tickets', '--times', '2')
    peers.finish(server)
    relay.judged('itself, resumed', 'own.keys', 2)


def main():
    try:
        import cryptography  # noqa: F401
    except ImportError:
        print('SKIP: python3-cryptography not installed')
        return 77
    return peers.run(lambda: sessions(50000 + os.getpid() % 9000), 'curl')


if __name__ == '__main__':
    sys.exit(main())
