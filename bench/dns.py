#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""DNS queries a second: an authoritative server with a zone of 20,000 names, mixed queries, one core.

dnsd over the host's sockets on the loopback, beside NSD and Knot there with one worker each; then dnsd on
a tap with Tarn's own UDP, beside NSD on the kernel's over veth. The client is the same C program, which
sends and receives by the batch; dnsperf, where it is installed, asks once more. Then memory for each
record, and what one query costs in instructions as the zone grows.
"""
import contextlib
import os
import random
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time

import common
from common import Place, alternate, keep, machine, show

ROUNDS, SECONDS, WINDOW, NAMES = 5, 2, '128', 20000
TYPES = {'A': 1, 'CNAME': 5, 'MX': 15, 'TXT': 16, 'AAAA': 28}


def zone_text():
    lines = ['$TTL 3600', '@ SOA ns root 1 7200 900 1209600 300', '@ NS ns', '@ MX 10 mail', 'ns A 192.0.2.53',
             'mail A 192.0.2.25']
    for i in range(NAMES):
        kind = i % 10
        if kind < 7:
            lines.append(f'host{i} A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}')
        elif kind == 7:
            lines.append(f'host{i} CNAME host{i - 7}')
        elif kind == 8:
            lines.append(f'host{i} MX 10 mail')
        else:
            lines.append(f'host{i} TXT "host {i}"')
    return '\n'.join(lines) + '\n'


def questions(count=50000):
    """80 in 100 find something, 10 ask for a type that is not there, 10 for a name that is not."""
    rng = random.Random(1)
    kinds = ['A'] * 7 + ['A', 'MX', 'TXT']
    for _ in range(count):
        i, dice = rng.randrange(NAMES), rng.random()
        if dice < 0.8:
            yield f'host{i}.example', kinds[i % 10]
        elif dice < 0.9:
            yield f'host{i}.example', 'AAAA'
        else:
            yield f'none{i}.example', 'A'


def query_file(path):
    with open(path, 'wb') as f:
        for name, kind in questions():
            q = struct.pack('>6H', 0, 0x0000, 1, 0, 0, 1)
            q += b''.join(bytes([len(x)]) + x.encode() for x in name.split('.')) + b'\0'
            q += struct.pack('>HH', TYPES[kind], 1) + b'\0' + struct.pack('>HHIH', 41, 1232, 0, 0)
            f.write(struct.pack('>H', len(q)) + q)


def family(pid):
    """A process and all below it: NSD answers in children."""
    parents = {}
    for entry in filter(str.isdigit, os.listdir('/proc')):
        with contextlib.suppress(OSError), open(f'/proc/{entry}/stat') as f:
            parents.setdefault(int(f.read().rsplit(')', 1)[1].split()[1]), []).append(int(entry))
    return [pid] + [q for child in parents.get(pid, []) for q in family(child)]


def cpu_seconds(child):
    ticks = 0
    for pid in family(child.pid):
        with open(f'/proc/{pid}/stat') as f:
            ticks += sum(map(int, f.read().rsplit(')', 1)[1].split()[11:13]))
    return ticks / os.sysconf('SC_CLK_TCK')


def drive(place, client, address, port, queries, seconds=SECONDS, child=None):
    """Answers a second; and, with a child, answers in a second of its processor time."""
    before = cpu_seconds(child) if child else 0
    rate, lost = place.run(client, address, str(port), str(seconds), queries, WINDOW).split()
    if float(lost) > 0.01:
        print(f'port {port}: {float(lost):.1%} lost')
    if not child:
        return float(rate)
    return float(rate), float(rate) * seconds / max(cpu_seconds(child) - before, 0.01)


def perf(place, address, port, path):
    out = place.run('dnsperf', '-s', address, '-p', str(port), '-d', path, '-l', str(SECONDS), '-c', '1', '-T', '1',
                    '-q', WINDOW)
    return float(re.search(r'Queries per second:\s+([\d.]+)', out).group(1))


def wait_for(place, client, address, port, queries):
    for _ in range(100):
        if drive(place, client, address, port, queries, 0.1) > 0:
            return
        time.sleep(0.1)
    raise RuntimeError(f'no answer on port {port}')


def nsd_conf(folder, address, port):
    path = os.path.join(folder, f'nsd-{port}.conf')
    with open(path, 'w') as f:
        f.write(f'''server:
    ip-address: {address}@{port}
    server-count: 1
    rrl-ratelimit: 0
    username: ""
    zonesdir: ""
    database: ""
    zonelistfile: {folder}/nsd-{port}.list
    xfrdfile: {folder}/nsd-{port}.xfrd
    xfrdir: {folder}
    pidfile: {folder}/nsd-{port}.pid
remote-control:
    control-enable: no
zone:
    name: example
    zonefile: {folder}/zone
''')
    return path


def knot_conf(folder, address, port):
    path = os.path.join(folder, 'knot.conf')
    os.makedirs(f'{folder}/knot', exist_ok=True)
    with open(path, 'w') as f:
        f.write(f'''server:
    rundir: {folder}/knot
    listen: [ {address}@{port} ]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}/knot
zone:
  - domain: example
    file: {folder}/zone
    zonefile-sync: -1
''')
    return path


def store(folder):
    tool = os.path.join(common.build_dir('unix'), 'tools', 'kv', 'tarn-kv')
    quiet = ['ninja', '-C', common.build_dir('unix'), 'tools/kv/tarn-kv', 'bench/dns-cost']
    common.quietly('build tarn-kv and dns-cost', quiet)
    image = os.path.join(folder, 'zones.img')
    common.sh(tool, 'mkfs', image, '--size=16M')
    with open(os.path.join(folder, 'zone'), 'rb') as f:
        subprocess.run([tool, 'set', image, 'zones/example'], stdin=f, check=True)
    return image


def compare(what, name, peers, ours, *theirs):
    keep(name, {'tarn': ours, **dict(zip(peers, theirs))})
    for peer, figures in zip(peers, theirs):
        for i, unit in enumerate(('answers/s', "answers in a second of the server's processor time")):
            show(what, unit, [f[i] for f in ours], peer, [f[i] for f in figures])


def over_sockets(folder, client, queries, image):
    host = common.build('dnsd', 'unix', 'host')
    with Place('tap', 'host') as place:
        children = [place.start(host, f'--block:storage={image}', '--', '--port=5301', '--address=127.0.0.1'),
                    place.start('nsd', '-d', '-c', nsd_conf(folder, '127.0.0.1', 5302)),
                    place.start('knotd', '-c', knot_conf(folder, '127.0.0.1', 5303))]
        for port in (5301, 5302, 5303):
            wait_for(place, client, '127.0.0.1', port, queries)
        run = [lambda p=p, c=c: drive(place, client, '127.0.0.1', p, queries, child=c)
               for p, c in zip((5301, 5302, 5303), children)]
        compare('20k names over loopback sockets', 'dns-host', ('NSD', 'Knot'), *alternate(ROUNDS, *run))
        if shutil.which('dnsperf'):
            text = os.path.join(folder, 'perf')
            with open(text, 'w') as f:
                f.writelines(f'{name} {kind}\n' for name, kind in questions())
            run = [lambda p=p: perf(place, '127.0.0.1', p, text) for p in (5301, 5302, 5303)]
            ours, nsd, knot = alternate(3, *run)
            keep('dns-perf', {'tarn': ours, 'nsd': nsd, 'knot': knot})
            show('the same, asked by dnsperf', 'answers/s', ours, 'NSD', nsd)
            show('the same, asked by dnsperf', 'answers/s', ours, 'Knot', knot)


def over_a_wire(folder, client, queries, image):
    unix = common.tarn_image('dnsd')
    with Place('tap') as tap, Place('veth') as kernel:
        children = [tap.start(unix, '--net:service=net0', f'--block:storage={image}', '--',
                              f'--ipv4={common.SERVER}/24'),
                    kernel.start('nsd', '-d', '-c', nsd_conf(folder, common.SERVER, 53))]
        for place in (tap, kernel):
            wait_for(place, client, common.SERVER, 53, queries)
        run = [lambda p=p, c=c: drive(p, client, common.SERVER, 53, queries, child=c)
               for p, c in zip((tap, kernel), children)]
        compare('20k names over a tap', 'dns-tap', ('NSD over veth',), *alternate(ROUNDS, *run))


def instructions(tool, names, *misses):
    def run(count):
        out = subprocess.run(['valgrind', '--tool=callgrind', '--callgrind-out-file=/dev/null', tool, str(names),
                              str(count), *misses], capture_output=True, text=True, check=True, timeout=600)
        return int(re.search(r'Collected : (\d+)', out.stderr).group(1))
    return (run(6000) - run(1000)) / 5000


def cost():
    tool = os.path.join(common.build_dir('unix'), 'bench', 'dns-cost')
    for names in (1000, 10000, 100000, 1000000):
        memory, ns = common.sh(tool, str(names), '1000000').split()
        line = f'{names} names: {memory} bytes a record, {ns} ns a query'
        if shutil.which('valgrind'):
            line += (f', {instructions(tool, names):.0f} instructions a query, '
                     f'{instructions(tool, names, "misses"):.0f} for a name that is not there')
        print(line, flush=True)


def resident_bytes(pid):
    with open(f'/proc/{pid}/status') as f:
        return int(re.search(r'VmRSS:\s+(\d+)', f.read()).group(1)) * 1024


def wait_for_answer(port, seconds=120):
    """Until a server on the loopback has its zone."""
    query = struct.pack('>6H', 1, 0, 1, 0, 0, 0) + b'\7example\0' + struct.pack('>HH', 6, 1)
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                s.sendto(query, ('127.0.0.1', port))
                if s.recv(512)[3] & 15 == 0:
                    return
            time.sleep(0.1)
    raise RuntimeError(f'no answer on port {port}')


def nsd_memory(folder, names=1000000):
    """What NSD takes for each record of a zone of addresses, by its resident memory with and without."""
    def resident(count):
        with open(f'{folder}/zone', 'w') as f:
            f.write('$TTL 3600\n@ SOA ns root 1 1 1 1 1\n@ NS ns\n')
            f.writelines(f'host{i} A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n' for i in range(count))
        child = subprocess.Popen(['nsd', '-d', '-c', nsd_conf(folder, '127.0.0.1', 5309)],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for_answer(5309)
            return max(map(resident_bytes, family(child.pid)))
        finally:
            child.terminate()
            child.wait()
    return (resident(names) - resident(10)) / names


def main():
    common.need_root()
    for program in ('nsd', 'knotd'):
        if not shutil.which(program):
            raise SystemExit(f'this needs {program}: apt-get install nsd knot')
    client = common.compile_c('dns_client')
    print(machine())
    with tempfile.TemporaryDirectory(prefix='tarn-dns-') as folder:
        queries = os.path.join(folder, 'queries')
        query_file(queries)
        with open(os.path.join(folder, 'zone'), 'w') as f:
            f.write(zone_text())
        image = store(folder)
        over_sockets(folder, client, queries, image)
        over_a_wire(folder, client, queries, image)
        cost()
        print(f'NSD: {nsd_memory(folder):.1f} bytes a record of resident memory, 1000000 names')


if __name__ == '__main__':
    main()
