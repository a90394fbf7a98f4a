# SPDX-License-Identifier: ISC
"""./tarn run: starts an image with what it asks for, and takes down again what it set up."""
import contextlib
import http.client
import ipaddress
import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from tools import packages, qemu
from tools.common import ROOT, Problem, build, check_example, has_network, say, tender_path
from tools.elf import Image

DISK_BYTES = 256 << 20
TAP_SUBNETS = ['10.88.0.0/24', '10.89.0.0/24', '172.31.88.0/24', '192.168.188.0/24']
HOST_PORT = 8080
UP_SECONDS_MAX = 20


def ip(*args, check=True):
    # Of its own session: a signal to all of ours is not to stop what takes down again.
    result = subprocess.run(['ip', *args], capture_output=True, text=True, start_new_session=True)
    if check and result.returncode != 0:
        raise Problem(f'ip {" ".join(args)}: {result.stderr.strip()}')
    return result.stdout


def used_networks():
    for link in json.loads(ip('-j', '-4', 'addr') or '[]'):
        for a in link.get('addr_info', []):
            yield ipaddress.ip_network(f'{a["local"]}/{a["prefixlen"]}', strict=False)
    for route in json.loads(ip('-j', '-4', 'route') or '[]'):
        if route.get('dst') not in (None, 'default'):
            with contextlib.suppress(ValueError):
                yield ipaddress.ip_network(route['dst'], strict=False)


def free_subnet():
    used = list(used_networks())
    for text in TAP_SUBNETS:
        subnet = ipaddress.ip_network(text)
        if not any(subnet.overlaps(u) for u in used):
            return subnet
    raise Problem(f'all of {", ".join(TAP_SUBNETS)} are in use here: make a tap yourself and start the '
                  'image by hand, or use --net=host')


def free_tap():
    names = set(os.listdir('/sys/class/net'))
    return next(f'tarn{i}' for i in range(1000) if f'tarn{i}' not in names)


@contextlib.contextmanager
def tap():
    """A tap interface with an address on this side; answers (its name, our address, the guest's)."""
    if not os.path.exists('/dev/net/tun'):
        raise Problem('this machine has no /dev/net/tun (modprobe tun makes it): use --net=host')
    name, subnet = free_tap(), free_subnet()
    host, guest = subnet[1], subnet[2]
    ip('tuntap', 'add', 'dev', name, 'mode', 'tap')
    try:
        ip('addr', 'add', f'{host}/{subnet.prefixlen}', 'dev', name)
        ip('link', 'set', name, 'up')
        yield name, str(host), f'{guest}/{subnet.prefixlen}'
    finally:
        ip('link', 'del', name, check=False)


def disks(example, blocks, known):
    """A file in build/disks for each block device, made at the first run and kept: what attaches them,
    and the keys that a program needs to find new ones good."""
    folder = os.path.join(ROOT, 'build', 'disks')
    attach, keys = [], []
    os.makedirs(folder, exist_ok=True)
    for name in blocks:
        path = os.path.join(folder, f'{example}-{name}.img')
        if not os.path.exists(path):
            with open(path, 'wb') as f:
                f.truncate(DISK_BYTES)
            say(f'made {os.path.relpath(path)}, the disk "{name}"; it stays, and what is on it')
            keys = ['--format'] if 'format' in known else []
        attach.append(f'--block:{name}={path}')
    return attach, keys


def key_of(keys, name):
    """The value of --name=VALUE in a list of keys, or None."""
    for key in keys:
        if key.startswith(f'--{name}='):
            return key.split('=', 1)[1]
    return None


def command_of(image, target, attach, keys):
    if target == 'virtio':
        nets, disks = ([option.split('=', 1)[1] for option in attach if option.startswith(kind)]
                       for kind in ('--net:', '--block:'))
        accel, cpu = ('tcg', 'max') if qemu.why_no_kvm() else ('kvm', 'host')
        return qemu.command(image, keys, nets, disks, accel=accel, cpu=cpu)
    if target == 'unix':
        return [image, *attach, '--', *keys]
    return [tender_path(target), *attach, '--', image, *keys]


def port_in_use(port):
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind(('', port))
        except OSError:
            return True
    return False


def takes_connections(address, child):
    """Waits for it: true; false where the program ends or time runs out."""
    end = time.monotonic() + UP_SECONDS_MAX
    while time.monotonic() < end and child.poll() is None:
        try:
            socket.create_connection(address, timeout=1).close()
            return True
        except OSError:
            time.sleep(0.05)
    return False


def speaks_http(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        opener.open(url, timeout=5).read(1)
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError, http.client.HTTPException):
        return False
    return True


def announce(address, child):
    host, port = address
    url = f'http://{host}/' if port == 80 else f'http://{host}:{port}/'
    if not takes_connections(address, child):
        if child.poll() is None:
            say(f'{host} port {port} does not answer after {UP_SECONDS_MAX} s; the program still runs.')
    elif speaks_http(url):
        say(f'\n  {url}\n\nOpen it in a browser or with curl on this machine. ^C ends it.')
    else:
        say(f'\n  {host} port {port} takes connections. ^C ends it.')


def run_child(command, address=None):
    """Runs until the program ends or we are told to stop (^C, TERM, HUP), which we hand on."""
    child = None

    def stop(signum, frame):
        if child and child.poll() is None:
            child.terminate()

    for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(s, stop)
    child = subprocess.Popen(command, start_new_session=True)
    if address:
        announce(address, child)
    status = child.wait()
    return 128 - status if status < 0 else status


def run(example, target, net, keys, yes=False):
    """Builds and runs; the answer is the program's exit status."""
    if target == 'virtio':
        packages.ensure(packages.QEMU, yes)
        return qemu.status_of(build_and_run(example, target, net, keys))
    return build_and_run(example, target, net, keys)


def build_and_run(example, target, net, keys):
    root = os.geteuid() == 0
    check_example(example)
    if not has_network(example):
        net = 'direct'
    elif net is None:
        net = 'direct' if root or target != 'unix' else 'host'
    if net == 'host' and target != 'unix':
        raise Problem(f'--net=host is for the unix target: {target} needs a tap, so run as root')
    image = build(example, target, net)
    manifest = Image(image)
    nets = [name for name, kind in manifest.devices() if kind == 'network']
    blocks = [name for name, kind in manifest.devices() if kind == 'block']
    known = {name for name, *_ in manifest.keys()}
    if len(nets) > 1:
        raise Problem(f'the program has several network devices ({", ".join(nets)}): '
                      f'examples/{example}/README.md says how to start it')
    attach, more = disks(example, blocks, known)
    keys = [*more, *keys]
    if not nets:
        return run_child(command_of(image, target, attach, keys))
    default = next((d for n, _, d, _ in manifest.keys() if n == 'port'), None)
    serves = default is not None
    if net == 'host':
        if serves and key_of(keys, 'port') is None and int(default) < 1024:
            keys = [f'--port={HOST_PORT}', *keys]
        port = int(key_of(keys, 'port') or default) if serves else 0
        if serves and port_in_use(port):
            raise Problem(f'port {port} is in use: choose another with   -- --port=N')
        return run_child(command_of(image, target, attach, keys), ('127.0.0.1', port) if serves else None)
    if not root:
        raise Problem('a tap needs root: run this as root, or use --net=host')
    with tap() as (name, host, guest):
        say(f'made {name}: {host} here, {guest} in the program; it goes when the program ends')
        if key_of(keys, 'ipv4') is None:
            keys = [f'--ipv4={guest}', f'--ipv4-gateway={host}', *keys]
        port = key_of(keys, 'port') or default
        address = (key_of(keys, 'ipv4').split('/')[0], int(port)) if serves else None
        attach = [f'--net:{nets[0]}={name}', *attach]
        return run_child(command_of(image, target, attach, keys), address)
