# SPDX-License-Identifier: ISC
"""How many packets move for each time that a virtual machine is left: under virtio (QEMU) and hvt (tarn-hvt).

The same program gives back over TCP what it is sent; besides, a port that nobody listens at is flooded with datagrams,
which is what a receive queue that is always busy costs. The guest counts what leaves the machine: kicks of a queue, waits
and their interrupts, timers set (virtio), hypercalls (hvt). Beside it stands what the plain ABI of hvt would cost: an exit
for each frame, and one for each look whether there is another. Counts, and not times: they are the same on a machine that
interprets its guests.
"""
import os
import re
import socket
import subprocess
import sys
import time

from common import ROOT, build_dir, need_root, tender_path

from tools import qemu
from tools.common import configure, make, options_of, quietly

STREAM = 'tests/virtio/guests/virtio-stream'
GUEST, HOST = '10.79.0.2', '10.79.0.1'
STREAM_BYTES = {'virtio': 16 << 20, 'hvt': 2 << 20}
DATAGRAMS = {'virtio': 50000, 'hvt': 4000}


def image(target):
    configure(target, options_of(target))
    quietly(f'build for {target}', ['ninja', '-C', build_dir(target), STREAM])
    return os.path.join(build_dir(target), STREAM)


def command(target, path):
    if target == 'hvt':
        return [tender_path('hvt'), '--mem=16', '--counters', '--net:service=tap0', '--', path, f'--ipv4={GUEST}/24']
    accel = {} if qemu.why_no_kvm() else {'accel': 'kvm', 'cpu': 'host'}
    return qemu.command(path, ['tarn.counters', f'--ipv4={GUEST}/24'], ['tap0'], machine='q35', pci=',disable-legacy=on',
                        mem=32, **accel)


def connect(guest):
    for _ in range(400):
        try:
            return socket.create_connection((GUEST, 7), 1)
        except OSError:
            if guest.poll() is not None:
                raise SystemExit('the guest ended: ' + guest.stdout.read().decode()) from None
            time.sleep(0.05)
    raise SystemExit('the guest does not answer')


def stream(connection, target):
    """Both ways at once."""
    data, sent, got, size = bytes(65536), 0, 0, STREAM_BYTES[target]
    connection.setblocking(False)
    while got < size:
        try:
            sent += connection.send(data) if sent < size else 0
        except BlockingIOError:
            pass
        try:
            got += len(connection.recv(1 << 20))
        except BlockingIOError:
            time.sleep(0.0002)


def flood(connection, target):
    """To a port that is closed; of the answers there are few, by their limit."""
    del connection
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect((GUEST, 9))
    for _ in range(DATAGRAMS[target]):
        try:
            udp.send(bytes(64))
        except OSError:
            pass  # an answer to one before


def counted(target, said):
    """Packets, and what left the machine by kind."""
    if target == 'hvt':
        calls, frames = map(int, re.search(r'(\d+) hypercalls, (\d+) frames', said).groups())
        return frames, {'hypercalls': calls}
    found = re.search(r'packets in (\d+), out (\d+); kicks (\d+), waits (\d+), timers set (\d+), interrupts acknowledged (\d+)',
                      said)
    got, sent, kicks, waits, timers, acks = map(int, found.groups())
    return got + sent, {'kicks': kicks, 'waits': waits, 'timers': timers, 'interrupts': acks}


def measure(target, path, load):
    guest = subprocess.Popen(command(target, path), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
    try:
        with connect(guest) as connection:
            load(connection, target)
            time.sleep(0.5)
            connection.shutdown(socket.SHUT_WR)
            said = guest.communicate(timeout=60)[0].decode(errors='replace')
    finally:
        guest.kill()
    packets, exits = counted(target, said)
    total = sum(exits.values())
    kinds = ', '.join(f'{n} {what}' for what, n in exits.items())
    print(f'{target:6} {load.__name__:6} {packets:6} packets, {total:6} exits ({kinds}): '
          f'{packets / total:.2f} packets an exit; the plain ABI {0.5 if load is flood else 1:.2f} at most')


def main():
    need_root()
    if len(sys.argv) == 1:
        make('unix', tender_path('hvt'))
        paths = [image(target) for target in ('virtio', 'hvt')]
        sys.exit(subprocess.run(['unshare', '-n', sys.executable, os.path.join(ROOT, 'bench', 'exits.py'), *paths]).returncode)
    for words in ('tuntap add dev tap0 mode tap vnet_hdr', f'addr add {HOST}/24 dev tap0', 'link set tap0 up'):
        subprocess.run(['ip', *words.split()], check=True)
    for target, path in zip(('virtio', 'hvt'), sys.argv[1:]):
        if target == 'hvt' and not os.path.exists('/dev/kvm'):
            print('hvt: no /dev/kvm')
            continue
        if target == 'hvt':
            subprocess.run(['ip', 'link', 'del', 'tap0'], check=True)
            for words in ('tuntap add dev tap0 mode tap', f'addr add {HOST}/24 dev tap0', 'link set tap0 up'):
                subprocess.run(['ip', *words.split()], check=True)
        for load in (stream, flood):
            measure(target, path, load)


main()
