#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Answers from a resolver's cache, a second: examples/resolver over the host's sockets on the loopback beside unbound
with one thread, both below the same NSD; 2,000 names that both have been asked for before. The client is the batching
one of the DNS benchmark, and dnsperf. Then what a cached record takes."""
import os
import random
import re
import shutil
import struct
import subprocess
import tempfile
import time

import common
import dns
from common import Place, alternate, keep, machine, show

NAMES, ROUNDS = 2000, 5


def query_file(path):
    rng = random.Random(1)
    with open(path, 'wb') as f:
        for _ in range(20000):
            name = f'host{rng.randrange(NAMES)}.example'
            q = struct.pack('>6H', 0, 0x0100, 1, 0, 0, 1)
            q += b''.join(bytes([len(x)]) + x.encode() for x in name.split('.')) + b'\0'
            q += struct.pack('>HH', 1, 1) + b'\0' + struct.pack('>HHIH', 41, 1232, 0, 0)
            f.write(struct.pack('>H', len(q)) + q)


def unbound_conf(folder):
    path = os.path.join(folder, 'unbound.conf')
    with open(path, 'w') as f:
        f.write(f'''server:
    interface: 127.0.0.1@5402
    num-threads: 1
    chroot: ""
    username: ""
    pidfile: ""
    directory: "{folder}"
    use-syslog: no
    do-not-query-localhost: no
    module-config: "iterator"
    outgoing-range: 4096
    msg-cache-size: 32m
    rrset-cache-size: 64m
remote-control:
    control-enable: no
stub-zone:
    name: example
    stub-addr: 127.0.0.1@5409
''')
    return path


def fill(place, port, path):
    """Every name once, slowly enough that nothing is lost."""
    place.run('dnsperf', '-s', '127.0.0.1', '-p', str(port), '-d', path, '-n', '2', '-c', '1', '-q', '20')


def main():
    common.need_root()
    for program in ('nsd', 'unbound', 'dnsperf'):
        if not shutil.which(program):
            raise SystemExit(f'this needs {program}: apt-get install nsd unbound dnsperf')
    client, host = common.compile_c('dns_client'), common.build('resolver', 'unix', 'host')
    print(machine())
    with tempfile.TemporaryDirectory(prefix='tarn-resolver-') as folder, Place('tap', 'host') as place:
        queries, names = os.path.join(folder, 'queries'), os.path.join(folder, 'names')
        query_file(queries)
        with open(os.path.join(folder, 'zone'), 'w') as f:
            f.write('$TTL 86400\n@ SOA ns root 1 7200 900 1209600 300\n@ NS ns\nns A 192.0.2.53\n')
            f.writelines(f'host{i} A 10.0.{i >> 8}.{i & 255}\n' for i in range(NAMES))
        with open(names, 'w') as f:
            f.writelines(f'host{i}.example A\n' for i in range(NAMES))
        place.start('nsd', '-d', '-c', dns.nsd_conf(folder, '127.0.0.1', 5409))
        ours = place.start(host, '--port=5401', '--address=127.0.0.1', '--stub=example.@127.0.0.1#5409',
                           '--no-validation', '--rate=1000000')
        theirs = place.start('unbound', '-d', '-c', unbound_conf(folder))
        time.sleep(1)
        for port in (5401, 5402):
            fill(place, port, names)
        run = [lambda p=p, c=c: dns.drive(place, client, '127.0.0.1', p, queries, child=c)
               for p, c in ((5401, ours), (5402, theirs))]
        tarn, unbound = alternate(ROUNDS, *run)
        keep('resolver', {'tarn': tarn, 'unbound': unbound})
        for i, unit in enumerate(('answers/s', "answers in a second of the server's processor time")):
            show('hits of the cache over loopback sockets', unit, [f[i] for f in tarn], 'unbound', [f[i] for f in unbound])
        tarn, unbound = alternate(3, *[lambda p=p: dns.perf(place, '127.0.0.1', p, names) for p in (5401, 5402)])
        show('the same, asked by dnsperf', 'answers/s', tarn, 'unbound', unbound)


if __name__ == '__main__':
    main()
