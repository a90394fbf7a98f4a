# SPDX-License-Identifier: ISC
"""What benchmarks share: a place to run in, pinned processes, medians, ratios.

Everything runs in network namespaces made here and removed at the end, whatever happens. The server
has one core and the client the other, so the figures are of one core's work on each side.
"""
import contextlib
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)
sys.dont_write_bytecode = True
from tools.common import build, build_dir, configure, quietly, tender_path  # noqa: E402,F401

SERVER_CORE, CLIENT_CORE = '0', '1'
SERVER, CLIENT = '10.77.0.2', '10.77.0.1'
BUILD = os.path.join(ROOT, 'build', 'bench')


def need_root():
    if os.geteuid() != 0:
        sys.exit('this needs root, for network namespaces and a tap')
    if os.cpu_count() < 2:
        sys.exit('this needs two cores: one for the server, one for the client')


def sh(*command, **more):
    result = subprocess.run(command, capture_output=True, text=True, **more)
    if result.returncode != 0:
        raise RuntimeError(f'{" ".join(command)}: {result.stderr.strip()}')
    return result.stdout


class Place:
    """A client's namespace and a server's, joined by a veth pair or (one namespace) by a tap."""

    def __init__(self, kind, name=None):
        self.name = name or kind
        self.client = f'tarn-bench-{os.getpid()}-{self.name}-c'
        self.server = self.client if kind == 'tap' else f'tarn-bench-{os.getpid()}-{self.name}-s'
        self.kind, self.children = kind, []

    def __enter__(self):
        try:
            self.make()
        except Exception:
            self.__exit__()
            raise
        return self

    def make(self):
        for ns in {self.client, self.server}:
            sh('ip', 'netns', 'add', ns)
            sh('ip', '-n', ns, 'link', 'set', 'lo', 'up')
        if self.kind == 'tap':
            sh('ip', '-n', self.client, 'tuntap', 'add', 'dev', 'net0', 'mode', 'tap')
        else:
            sh('ip', '-n', self.client, 'link', 'add', 'net0', 'type', 'veth', 'peer', 'name', 'net0',
               'netns', self.server)
            sh('ip', '-n', self.server, 'addr', 'add', f'{SERVER}/24', 'dev', 'net0')
            sh('ip', '-n', self.server, 'link', 'set', 'net0', 'up')
        # The same on every machine: one that is set to BBR would pace both, and hide who is slower.
        for ns in {self.client, self.server}:
            sh('ip', 'netns', 'exec', ns, 'sh', '-c',
               'echo reno > /proc/sys/net/ipv4/tcp_congestion_control')
        sh('ip', '-n', self.client, 'addr', 'add', f'{CLIENT}/24', 'dev', 'net0')
        sh('ip', '-n', self.client, 'link', 'set', 'net0', 'up')

    def start(self, *command):
        """A server, on its core; its output is kept for the case that it fails."""
        child = subprocess.Popen(['ip', 'netns', 'exec', self.server, 'taskset', '-c', SERVER_CORE,
                                  *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.children.append(child)
        return child

    def run(self, *command, timeout=60, core=CLIENT_CORE):
        """A client, on its core or another; answers with what it printed."""
        return sh('ip', 'netns', 'exec', self.client, 'taskset', '-c', core, *command, timeout=timeout)

    def cpu_seconds(self):
        """What the servers have used so far, in and out of the kernel."""
        ticks = 0
        for child in self.children:
            with open(f'/proc/{child.pid}/stat') as f:
                ticks += sum(map(int, f.read().rsplit(')', 1)[1].split()[11:15]))
        return ticks / os.sysconf('SC_CLK_TCK')

    def wait_for(self, port, seconds=10):
        """Until the server takes connections."""
        probe = ('import socket,sys\ntry: socket.create_connection((sys.argv[1],int(sys.argv[2])),1)\n'
                 'except OSError: sys.exit(1)')
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for child in self.children:
                if child.poll() is not None:
                    raise RuntimeError(f'the server ended: {child.stdout.read()}')
            if subprocess.run(['ip', 'netns', 'exec', self.client, sys.executable, '-c', probe, SERVER,
                               str(port)]).returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError(f'nothing listens on port {port} after {seconds} s')

    def __exit__(self, *_):
        for child in self.children:
            child.send_signal(signal.SIGTERM)
        for child in self.children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for ns in {self.client, self.server}:
            with contextlib.suppress(RuntimeError):
                sh('ip', 'netns', 'del', ns)


def tarn_image(example, target='unix', site=None):
    """An image as ./tarn builds it; with a site of one's own, in a build folder of its own."""
    if site is None:
        return build(example, target)
    configure('bench-site', [f'-Dsite={site}', '-Dtests=disabled'])
    image = os.path.join('examples', 'bin', example)
    quietly(f'build {example} with the pages to measure',
            ['ninja', '-C', build_dir('bench-site'), image])
    return os.path.join(build_dir('bench-site'), image)


def tarn_command(image, *keys):
    return [image, '--net:service=net0', '--', f'--ipv4={SERVER}/24', *keys]


def compile_c(name):
    os.makedirs(BUILD, exist_ok=True)
    out = os.path.join(BUILD, name)
    sh('gcc', '-O2', '-Wall', '-Wextra', '-Werror', '-o', out, os.path.join(ROOT, 'bench', name + '.c'))
    return out


def alternate(rounds, *measures):
    """Each measure once a round, in turn, so that whatever else the machine does hits all alike.
    Answers with the list of each."""
    results = [[] for _ in measures]
    for _ in range(rounds):
        for result, measure in zip(results, measures):
            result.append(measure())
    return results


def machine():
    with open('/proc/cpuinfo') as f:
        cpu = next((line.split(':')[1].strip() for line in f if line.startswith('model name')), '?')
    return f'{cpu}, {os.cpu_count()} cores, Linux {platform.release()}'


def show(what, unit, ours, peer_name, peers, scale=1.0, digits=0):
    """One line: both medians, their ranges, the ratio of the medians."""
    def text(values):
        values = [v / scale for v in values]
        return (f'{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..'
                f'{max(values):.{digits}f})')
    ratio = statistics.median(ours) / statistics.median(peers)
    print(f'{what}: Tarn {text(ours)} {unit}, {peer_name} {text(peers)} {unit}: {ratio:.2f}x', flush=True)
    return ratio


def keep(name, data):
    """The raw figures, for whoever wants to look."""
    os.makedirs(BUILD, exist_ok=True)
    with open(os.path.join(BUILD, name + '.json'), 'w') as f:
        json.dump({'machine': machine(), **data}, f, indent=1)
