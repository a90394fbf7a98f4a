# SPDX-License-Identifier: ISC
"""What each job needs from the system, and installing it on Debian."""
import os
import shutil
import subprocess
import sys
import tempfile

from tools.common import Problem, build_dir, run, say

BUILD = ['gcc', 'libc6-dev', 'meson', 'ninja-build', 'pkgconf', 'libpcap-dev', 'nettle-dev', 'libgmp-dev', 'libssl-dev', 'binutils']
RUN = BUILD + ['iproute2']
QEMU = ['qemu-system-x86']
TEST = BUILD + ['redis-tools', 'python3-redis', 'mtools', 'dosfstools', 'libarchive-tools',
                'libcriterion-dev', 'iproute2', 'iputils-ping', 'curl', 'git', 'clang-19',
                'clang-format', 'dnsmasq-base', 'udhcpc', 'radvd', 'isc-dhcp-server',
                'isc-dhcp-client', 'nmap', 'tshark', 'traceroute',
                'qemu-utils', 'libnbd-bin', 'fio', 'fdisk', 'procps', 'tcpdump', 'bind9-utils', 'bind9-dnsutils',
                'ldnsutils', 'knot', 'knot-dnsutils', 'nsd', 'unbound',
                'valgrind', 'openssl', 'gnutls-bin', 'python3-cryptography',
                'frama-c-base', 'cvc4', 'z3', 'libclang-rt-19-dev', 'busybox', 'gdb'] + QEMU
FUZZ = TEST
BENCH = RUN + ['libcriterion-dev', 'nginx-light', 'wrk', 'nftables', 'slirp4netns', 'passt',
               'qemu-utils', 'fio', 'redis-tools', 'nsd', 'knot', 'unbound', 'dnsperf']  # some are built with the tests
# A package that another one stands in for: nginx-light by any nginx.
STAND_INS = {'busybox': 'busybox', 'nginx-light': 'nginx', 'pkgconf': 'pkg-config', 'clang-format': 'clang-format-14'}
# What these would start on the machine, now and at every boot: tests start their own, in namespaces.
SERVICES = {'isc-dhcp-server': ['isc-dhcp-server'], 'radvd': ['radvd'], 'nsd': ['nsd'], 'knot': ['knot'],
            'unbound': ['unbound'], 'nginx-light': ['nginx']}
# What tests use of a package that nobody wants installed: unpacked into build/packages/NAME. A package whose
# name changes with its version is named by another one that depends on it, and how its name begins.
UNPACKED = {'linux': ('linux-image-cloud-amd64', 'linux-image-'), 'xen': ('xen-hypervisor-4.17-amd64', None)}


def installed(package):
    if package in STAND_INS and shutil.which(STAND_INS[package]):
        return True
    out = subprocess.run(['dpkg-query', '-W', '-f', '${Status}', package], capture_output=True,
                         text=True)
    return out.stdout.startswith('install ok')


def ensure(packages, yes=False):
    """Installs what is missing: says what, and asks unless it is root or was told not to."""
    if not shutil.which('dpkg-query'):
        tools = [t for t in ('gcc', 'meson', 'ninja') if not shutil.which(t)]
        if tools:
            raise Problem(f'this is no Debian, so install by hand: {" ".join(tools)}')
        return
    missing = [p for p in packages if not installed(p)]
    if not missing:
        return
    root = os.geteuid() == 0
    command = ([] if root else ['sudo']) + ['apt-get', 'install', '-y', '--no-install-recommends']
    say(f'These Debian packages are missing: {" ".join(missing)}')
    if not root and not yes:
        if not sys.stdin.isatty():
            raise Problem(f'install them: {" ".join(command + missing)}   (or say ./tarn ... -y)')
        answer = input('Install them with sudo apt-get? [Y/n] ')
        if answer.strip().lower() not in ('', 'y', 'yes'):
            raise Problem('not installed')
    env = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    quiet = [s for p in missing for s in SERVICES.get(p, []) if shutil.which('systemctl')]
    update = subprocess.run(command[:-3] + ['update', '-q'], env=env)
    if update.returncode != 0:
        say('apt-get update failed; trying with the lists that are there')
    if subprocess.run(command + ['-q'] + missing, env=env).returncode != 0:
        raise Problem(f'apt-get could not install all of: {" ".join(missing)}')
    for service in quiet:
        subprocess.run(([] if root else ['sudo']) + ['systemctl', '-q', 'disable', '--now', service],
                       stderr=subprocess.DEVNULL)
    if quiet:
        say(f'The services that came along are switched off: {" ".join(quiet)}')


def unpack(names):
    """Fetches what is missing of UNPACKED, and puts it where tests look for it. Without it they skip, and say so."""
    for name, (package, begins) in UNPACKED.items():
        folder = os.path.join(build_dir('packages'), name)
        if name not in names or os.path.exists(folder) or not shutil.which('apt-get'):
            continue
        said = subprocess.run(['apt-cache', 'depends', package], capture_output=True, text=True).stdout
        real = [line.split()[-1] for line in said.splitlines() if begins and 'Depends: ' + begins in line]
        say(f'unpack {(real or [package])[0]} into build/packages/{name} ...')
        with tempfile.TemporaryDirectory() as where:
            got = subprocess.run(['apt-get', 'download', '-q', *(real or [package])[:1]], cwd=where, capture_output=True)
            archives = os.listdir(where)
            if got.returncode != 0 or not archives:
                say(f'  could not be fetched: {got.stderr.decode(errors="replace").strip()[-200:]}')
                continue
            os.makedirs(os.path.dirname(folder), exist_ok=True)
            run(['dpkg-deb', '-x', os.path.join(where, archives[0]), folder + '.part'])
            os.rename(folder + '.part', folder)
