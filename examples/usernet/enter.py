#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Runs a command in a network namespace of its own, whose network is usernet: no rights are needed where users may
make namespaces. Options up to the command are usernet's."""
import ctypes
import fcntl
import os
import re
import socket
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
USERNET = os.environ.get('USERNET', os.path.join(HERE, '../../build/unix/examples/bin/usernet'))
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 0x0002, 0x1000, 0x4000
libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        sys.exit(f'{what}: {os.strerror(ctypes.get_errno())}')


def new_namespaces():
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS), 'no namespaces for this user')
    for name, text in ('setgroups', 'deny'), ('uid_map', f'0 {uid} 1'), ('gid_map', f'0 {gid} 1'):
        with open(f'/proc/self/{name}', 'w') as f:
            f.write(text)
    check(libc.mount(None, b'/', None, MS_REC | MS_PRIVATE, None), 'mount')


def open_tap(name):
    tun = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TAP | IFF_NO_PI | IFF_VNET_HDR))
    return tun


def set_up(name, resolver):
    for line in ('link set lo up', f'addr add 10.0.2.15/24 dev {name}', f'link set {name} up',
                 'route add default via 10.0.2.2'):
        subprocess.run(['ip', *line.split()], check=True)
    if resolver:
        with tempfile.NamedTemporaryFile('w', suffix='.conf') as f:
            f.write('nameserver 10.0.2.2\n')
            f.flush()
            os.chmod(f.name, 0o644)
            check(libc.mount(f.name.encode(), os.path.realpath('/etc/resolv.conf').encode(), None, MS_BIND, None),
                  'mount')


def resolver_of_host():
    try:
        with open('/etc/resolv.conf') as f:
            found = re.search(r'^nameserver\s+([0-9a-f.:]+)\s*$', f.read(), re.M)
        return found and found[1]
    except OSError:
        return None


def main(args):
    options = []
    while args and args[0].startswith('--'):
        options.append(args.pop(0))
    if not args:
        sys.exit(f'usage: {sys.argv[0]} [USERNET OPTION]... COMMAND [ARGUMENT]...')
    dns = resolver_of_host()
    if dns and not any(o.startswith('--dns=') for o in options):
        options.append(f'--dns={dns}')
    ours, theirs = socket.socketpair()
    guest = os.fork()
    if guest == 0:
        ours.close()
        new_namespaces()
        socket.send_fds(theirs, [b'x'], [open_tap('eth0')])
        set_up('eth0', any(o.startswith('--dns=') for o in options))
        theirs.recv(1)  # usernet is there
        theirs.close()
        os.execvp(args[0], args)
    theirs.close()
    _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    if not fds:
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(guest, 0)[1]))
    with subprocess.Popen([USERNET, f'--net:guest=@{fds[0]}', *options], pass_fds=fds,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as usernet:
        os.close(fds[0])
        print(usernet.stdout.readline(), end='', file=sys.stderr)
        ours.send(b'x')
        status = os.waitstatus_to_exitcode(os.waitpid(guest, 0)[1])
        usernet.terminate()
    sys.exit(status)


main(sys.argv[1:])
