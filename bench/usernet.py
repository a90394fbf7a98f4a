#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A guest's network without rights: usernet, slirp4netns and pasta, where they are installed.

The client is in a guest's namespace, the servers in a host's, the same C programs each time: one TCP connection in both
directions, and UDP echoes, 64 under way. usernet has a tap of 1,500 bytes with its offloads, the others frames of 65,520
bytes, as their manuals advise.
"""
import os
import shutil
import subprocess
import sys
import time

import common
from common import alternate, keep, machine, sh, show

ROUNDS, SECONDS, HOST, TCP_PORT, PORT, WINDOW = 5, 2, '192.0.2.1', '5001', '7007', '64'
TAP = ('import fcntl,os,struct,sys\n'
       'tun = os.open("/dev/net/tun", os.O_RDWR)\n'
       'fcntl.ioctl(tun, 0x400454CA, struct.pack("16sH22x", b"tap0", 0x5002))\n'
       'os.set_inheritable(tun, True)\n'
       'for c in sys.argv[3:]: os.system(c)\n'
       'os.execvp("ip", ["ip", "netns", "exec", sys.argv[1], sys.argv[2], f"--net:guest=@{tun}"])\n')


class Guest:
    """A guest's namespace whose network is `kind` in a host's."""

    def __init__(self, kind, usernet):
        self.name, self.usernet, self.children = kind, usernet, []
        self.guest, self.host = (f'tarn-bench-{os.getpid()}-{kind}-{s}' for s in 'gh')

    def __enter__(self):
        try:
            for ns in self.guest, self.host:
                sh('ip', 'netns', 'add', ns)
                sh('ip', '-n', ns, 'link', 'set', 'lo', 'up')
                sh('ip', 'netns', 'exec', ns, 'sh', '-c', 'echo reno > /proc/sys/net/ipv4/tcp_congestion_control')
            sh('ip', '-n', self.host, 'addr', 'add', f'{HOST}/32', 'dev', 'lo')
            getattr(self, self.name)()
        except Exception:
            self.__exit__()
            raise
        return self

    def start(self, ns, *command):
        child = subprocess.Popen(['ip', 'netns', 'exec', ns, *command], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        self.children.append(child)

    def tarn(self):
        self.start(self.guest, sys.executable, '-c', TAP, self.host, self.usernet,
                   'ip addr add 10.0.2.15/24 dev tap0', 'ip link set tap0 up', 'ip route add default via 10.0.2.2')

    def slirp4netns(self):
        self.start(self.host, 'slirp4netns', '--configure', '--mtu=65520', '--netns-type=path',
                   f'/run/netns/{self.guest}', 'tap0')

    def pasta(self):
        # It copies the addresses of an interface that leads outside: there has to be one.
        for line in ('tuntap add dev out0 mode tap', 'addr add 198.51.100.2/24 dev out0', 'link set out0 up',
                     'route add default via 198.51.100.1'):
            sh('ip', '-n', self.host, *line.split())
        self.start(self.host, 'pasta', '--foreground', '--quiet', '--config-net', '--runas', '0', '--netns',
                   f'/run/netns/{self.guest}')

    def run(self, *command):
        return sh('ip', 'netns', 'exec', self.guest, 'taskset', '-c', common.CLIENT_CORE, *command, timeout=60)

    def wait_for(self, peer):
        for _ in range(50):
            try:
                if float(self.run(peer, 'drive', HOST, PORT, '0.1', '64', WINDOW).split()[0]) > 0:
                    return
            except RuntimeError:
                pass
            time.sleep(0.1)
        raise RuntimeError(f'no network by {self.name}')

    def __exit__(self, *_):
        for child in self.children:
            child.terminate()
            child.wait()
        for ns in self.guest, self.host:
            subprocess.run(['ip', 'netns', 'del', ns], capture_output=True)


def main():
    common.need_root()
    others = [k for k in ('slirp4netns', 'pasta') if shutil.which(k)]
    if not others:
        sys.exit('the peers here are slirp4netns and pasta: install one (the latter is in the package passt)')
    usernet, udp, bulk = common.tarn_image('usernet'), common.compile_c('udp_peer'), common.compile_c('bulk_peer')
    print(machine())
    places = [Guest(kind, usernet) for kind in ('tarn', *others)]
    try:
        for place in places:
            place.__enter__()
            place.start(place.host, 'taskset', '-c', common.SERVER_CORE, udp, 'serve', PORT)
            place.start(place.host, 'taskset', '-c', common.SERVER_CORE, bulk, 'serve', TCP_PORT)
            place.wait_for(udp)

        def tcp(place, direction):
            return float(place.run(bulk, direction, HOST, TCP_PORT, str(SECONDS)))

        def echo(place, size):
            return float(place.run(udp, 'drive', HOST, PORT, str(SECONDS), size, WINDOW).split()[0])
        for what, unit, scale, measure, how in (('TCP to the guest', 'Gbit/s', 1e9 / 8, tcp, 'down'),
                                                ('TCP from the guest', 'Gbit/s', 1e9 / 8, tcp, 'up'),
                                                ('UDP echoes of 64 bytes', 'a second', 1, echo, '64'),
                                                ('UDP echoes of 1400 bytes', 'a second', 1, echo, '1400')):
            ours, *theirs = alternate(ROUNDS, *(lambda p=p: measure(p, how) for p in places))
            keep(f'usernet-{measure.__name__}-{how}', {'tarn': ours, **dict(zip(others, theirs))})
            for name, values in zip(others, theirs):
                show(what, unit, ours, name, values, scale=scale, digits=2 if scale > 1 else 0)
    finally:
        for place in places:
            place.__exit__()


if __name__ == '__main__':
    main()
