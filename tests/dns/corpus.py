#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes the first inputs of the fuzz corpora: corpus.py FOLDER (tests/dns/fuzz/corpus)."""
import os
import struct
import sys


def name(text):
    return b''.join(bytes([len(l)]) + l.encode() for l in text.split('.') if l) + b'\0'


def header(*counts, flags=0x8400):
    return struct.pack('>6H', 7, flags, *counts)


def rr(owner, kind, data, ttl=300, klass=1):
    return owner + struct.pack('>HHIH', kind, klass, ttl, len(data)) + data


WWW = name('www.example.org')
MESSAGES = {
    'query': header(1, 0, 0, 0, flags=0x100) + WWW + b'\0\1\0\1',
    'answer': header(1, 1, 0, 0) + WWW + b'\0\1\0\1' + rr(b'\xc0\x0c', 1, b'\1\2\3\4'),
    'mx-compressed': header(1, 1, 0, 1) + WWW + b'\0\x0f\0\1'
    + rr(b'\xc0\x0c', 15, b'\0\x0a\4mail\xc0\x10') + rr(b'\xc0\x2d', 1, b'\1\2\3\4'),
    'soa': header(1, 0, 1, 0) + WWW + b'\0\1\0\1'
    + rr(b'\xc0\x10', 6, b'\2ns\xc0\x10\4root\xc0\x10' + bytes(20)),
    'edns': header(1, 0, 0, 1, flags=0x100) + WWW + b'\0\1\0\1'
    + rr(b'\0', 41, b'\0\x0a\0\x0812345678\0\3\0\0\0\x0c\0\4\0\0\0\0\0\x0f\0\3\0\x16x', 0x8000, 1232),
    'loop': header(1, 0, 0, 0) + b'\1a\xc0\x0c\0\1\0\1',
    'forward': header(1, 0, 0, 0) + b'\xc0\x0e\xc0\x0c\0\1\0\1',
    'counts': header(9, 9, 9, 9) + WWW + b'\0\1\0\1',
    'rdlength': header(0, 1, 0, 0) + rr(b'\0', 2, b'\1a')[:-1] + b'\1a\0',
    'svcb': header(0, 1, 0, 0) + rr(b'\0', 64, b'\0\1\0\0\1\0\3\2h2\0\3\0\2\1\xbb'),
    'update': header(1, 0, 2, 0, flags=0x2800) + name('example.org') + b'\0\6\0\1'
    + rr(WWW, 1, b'', 0, 255) + rr(WWW, 1, b'\1\2\3\4'),
}
RDATA = {
    'mx': (15, b'\0\x0a' + WWW), 'txt': (16, b'\3a"b\0\2\\;'), 'soa': (6, WWW + WWW + bytes(20)),
    'loc': (29, b'\0\x12\x16\x13\x88\x97\x70\x10\x71\x38\x8f\x28\0\x98\x8d\x20'),
    'aaaa': (28, bytes(10) + b'\xff\xff\1\2\3\4'), 'apl': (42, b'\0\1\x15\3\xc0\xa8\x20\0\2\x08\x81\xff'),
    'svcb': (64, b'\0\1\0\0\0\0\2\0\1\0\1\0\5\4f\\,o\0\4\0\4\1\2\3\4\2\x9b\0\2"\xff'),
    'nsec': (47, WWW + b'\0\6\x40\1\0\0\0\3\4\x1b' + bytes(26) + b'\x20'),
    'nsec3': (50, b'\1\0\0\x0c\4abcd\x14' + bytes(20) + b'\0\1\x40'),
    'rrsig': (46, b'\0\1\5\3' + bytes(14) + WWW + b'sig'), 'naptr': (35, b'\0\1\0\1\1u\3a"b\0\0'),
    'ipseckey': (45, b'\x0a\3\2' + WWW + b'key'), 'hip': (55, b'\2\2\0\3hhkkk' + WWW),
    'caa': (257, b'\0\5issueca;x'), 'uri': (256, b'\0\1\0\1ftp://x'), 'unknown': (731, b'\0\1\2'),
    'isdn': (20, b'\1a\1b'), 'nid': (104, b'\0\x0a' + bytes(8)), 'eui48': (108, bytes(6)),
    'tsig': (250, WWW + bytes(8) + b'\0\3mac\0\1\0\0\0\0'), 'nsap': (22, b'\x47\0'),
}
ZONES = {
    'plain': '$TTL 1h\n@ IN SOA ns root ( 1 2 3\n 4 5 ) ; x\n NS ns\nns A 192.0.2.1\n AAAA 2001:db8::1\n',
    'strings': 'a 1 TXT "x;y" z\\032 \\"q "" (\n)\n', 'generate': '$GENERATE 0-9/3 h${1,3,x} 5 A 10.0.0.$\n',
    'generate-nibble': '$GENERATE 1-2 ${0,5,n} 5 PTR a$$\\$.\n', 'include': '$INCLUDE x y.\na 1 A 1.2.3.4\n',
    'origin': '$ORIGIN a.\nb 1 CH NS @\n$ORIGIN .\n', 'generic': 'a 1 TYPE65280 \\# 3 ab cdef\n',
    'svcb': 'a 1 HTTPS 1 . alpn="h2,h3" ipv4hint=192.0.2.1 key9="x"\n',
    'sec': 'a 1 NSEC b. A TYPE1234\n 1 RRSIG A 8 2 1h 20300101000000 20200101000000 1 @ AAAA\n',
    'loc': 'a 1 LOC 1 2 3.5 N 4 W -5m 6m 7m 8m\n', 'escape': '\\000\\@.x 1 NS \\255\\.a.b.\n', 'open': 'a 1 A ( 1.2.3.4',
}


def ask(text, kind, stream=0, edns=b'', more=b'', flags=0x100):
    records = (1 if more else 0, 1 if edns else 0)
    q = header(1, 0, *records, flags=flags) + name(text) + struct.pack('>HH', kind, 1) + more + edns
    return struct.pack('>BH', stream, len(q)) + q


DO = rr(b'\0', 41, b'\0\x0a\0\x0812345678\0\3\0\0', 0x8000, 4096)
SOA = rr(b'\xc0\x0c', 6, bytes(22))
SERVER = {
    'plain': ask('a.a', 1) + ask('x.w.a', 15) + ask('c.a', 1) + ask('l.a', 1) + ask('y.d.a', 15),
    'dnssec': b''.join(ask(n, t, edns=DO) for n in ('a.a', 'q.a', 'x.s.a', 'x.w.a', 'a') for t in (1, 43, 255)),
    'nsec3': b''.join(ask(n, t, edns=DO) for n in ('y.b', 'q.b', 'x.d.b', 'x.w.b', 'b') for t in (1, 43, 255)),
    'transfer': ask('a', 252, 1) + ask('b', 251, 1, more=SOA) + ask('a', 252) + ask('a', 251, more=SOA),
    'notify': ask('a', 6, flags=0x2400) + ask('q', 6, flags=0x2400), 'limit': ask('a.a', 1) * 30,
    'big': ask('big.a', 16) + ask('big.a', 16, edns=DO) + ask('big.a', 16, 1),
}


def soa(serial):
    return rr(name('a'), 6, b'\0\0' + struct.pack('>5I', serial, 1, 1, 1, 1))


def part(*records):
    body = b''.join(records)
    return struct.pack('>BH', len(records), len(body)) + body


NS, OLD, NEW = rr(name('a'), 2, b'\0'), rr(name('b.a'), 1, b'\1\2\3\4'), rr(name('c.d.a'), 1, b'\1\2\3\4')
XFR = {
    'whole': b'\0' + part(soa(5), NS) + part(NEW, soa(5)), 'none': b'\1' + part(soa(5)),
    'changes': b'\1' + part(soa(7), soa(5), OLD, soa(6), NEW) + part(soa(6), NEW, soa(7), OLD, soa(7)),
    'whole-for-changes': b'\1' + part(soa(7)) + part(NS, OLD, soa(7)), 'outside': b'\0' + part(soa(5), rr(name('q'), 1, b'1234')),
}


def reply(flags, *sections, right=1, more=0):
    body = b''.join(b''.join(records) for records in sections)
    counts = struct.pack('>3H', *(len(records) for records in sections)) if sections else bytes(6)
    return struct.pack('>BH', right | more << 1, flags) + counts + struct.pack('>H', len(body)) + body


OWNER, COOKIE = b'\xc0\x0c', rr(b'\0', 41, b'\0\x0a\0\x10' + bytes(16), 0, 1232)
ADDRESS, NEGATIVE = rr(OWNER, 1, b'\1\2\3\4'), rr(OWNER, 6, b'\0\0' + bytes(19) + b'\x3c')
CLIENT = {
    'address': reply(0x0180, [ADDRESS], [], []), 'alias': reply(0x0180, [rr(OWNER, 5, b'\1x\0'), rr(b'\1x\0', 1, b'\1\2\3\4')], [], []),
    'loop': reply(0x0180, [rr(OWNER, 5, OWNER)], [], []), 'negative': reply(0x0183, [], [NEGATIVE], []),
    'truncated': reply(0x0380, [], [], []) * 4, 'formerr': reply(0x0181) * 4, 'servfail': reply(0x0182) * 8,
    'cookie': reply(0x0180, [ADDRESS], [], [COOKIE]), 'stranger': reply(0x0180, right=0, more=3) * 4,
    'long': reply(0x0180, [rr(OWNER, 16, b'\xff' + b'a' * 255 + b'\xff' + b'b' * 255)], [], []),
}


def update(prerequisites, changes):
    body = header(1, len(prerequisites), len(changes), 0, flags=0x2800) + name('a') + b'\0\6\0\1'
    body += b''.join(prerequisites + changes)
    return struct.pack('>H', len(body)) + body


def tsig(owner, algorithm, mac, time=1000, flags=0, more=b''):
    data = name(algorithm) + struct.pack('>HIHH', 0, time, 300, len(mac)) + mac + struct.pack('>HHH', 7, 0, 0)
    body = header(0, 0, 0, 1, flags=flags) + rr(name(owner), 250, data, 0, 255) + more
    return struct.pack('>H', len(body)) + body


def signed(kind, algorithm, key, data, labels=2):
    rrsig = struct.pack('>HBBIIIH', kind, algorithm, labels, 60, 1800000000, 1600000000, 0) + name('x') + bytes(64)
    dnskey = struct.pack('>HBB', 0x101, 3, algorithm) + key
    return b''.join([struct.pack('>HH', kind, len(rrsig)), rrsig, struct.pack('>H', len(dnskey)), dnskey]
                    + [struct.pack('>H', len(d)) + d for d in data])


B, NEW_NAME, GONE = name('b.a'), rr(name('q.a'), 1, b'\1\2\3\4'), rr(name('b.a'), 255, b'', 0, 255)
UPDATE = {
    'add': update([], [NEW_NAME]), 'add-twice': update([], [NEW_NAME]) * 2, 'remove-name': update([], [GONE]),
    'remove-set': update([], [rr(B, 16, b'', 0, 255)]), 'remove-record': update([], [rr(B, 1, b'\1\2\3\4', 0, 254)]),
    'prerequisites': update([rr(B, 255, b'', 0, 255), rr(B, 15, b'', 0, 254), rr(B, 1, b'\1\2\3\4', 0, 1)], [GONE]),
    'apex': update([], [rr(name('a'), 255, b'', 0, 255), rr(name('a'), 2, b'\0', 0, 254), soa(9)]),
    'cname': update([], [rr(B, 5, b'\0'), rr(name('c.d.a'), 5, b'\0'), rr(name('c.d.a'), 1, b'\1\2\3\4')]),
}
TSIG = {
    'bad-signature': tsig('k', 'hmac-sha256', bytes(32)), 'short': tsig('k', 'hmac-sha256', bytes(16)),
    'bad-key': tsig('z', 'hmac-sha256', bytes(32)), 'algorithm': tsig('k', 'hmac-sha1', bytes(20)),
    'time': tsig('l.m', 'hmac-sha512', bytes(64), 9), 'answers': tsig('k', 'hmac-sha256', bytes(32), flags=0x8000) * 3,
    'behind': tsig('k', 'hmac-sha256', bytes(32), more=b'x'), 'none': struct.pack('>H', 12) + header(0, 0, 0, 0),
}
SEC = {
    'rsa': signed(1, 8, b'\3\1\0\1' + b'\xc5' * 256, [b'\1\2\3\4', b'\1\2\3\3']),
    'rsa-long-exponent': signed(1, 10, b'\0\1\0' + b'\1' * 256 + b'\xc5' * 128, [b'\1\2\3\4']),
    'p256': signed(15, 13, b'\5' * 64, [b'\0\1\1A\0', b'\0\1\1A\0']), 'p384': signed(1, 14, b'\5' * 96, [b'1234']),
    'ed25519': signed(16, 15, b'\5' * 32, [b'\1a', b'\1b', b'\1a\1c']), 'wildcard': signed(1, 15, b'\5' * 32, [b'1234'], 1),
    'ed448': signed(1, 16, b'\5' * 57, [b'1234']), 'labels': signed(1, 15, b'\5' * 32, [b'1234'], 9),
}
for folder, files in (('update', UPDATE), ('tsig', TSIG), ('sec', SEC), ('client', CLIENT), ('xfr', XFR), ('server', SERVER), ('message', MESSAGES), ('rdata', {k: struct.pack('>H', t) + d for k, (t, d) in RDATA.items()}),
                      ('zonefile', {k: v.encode() for k, v in ZONES.items()})):
    os.makedirs(os.path.join(sys.argv[1], folder), exist_ok=True)
    for key, data in files.items():
        with open(os.path.join(sys.argv[1], folder, key), 'wb') as f:
            f.write(data)
