# SPDX-License-Identifier: ISC
"""What the tests of tenders share: checks in TAP, processes that do not outlive theirs, taps."""
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

TENDER, SOURCE = sys.argv[1:3]
sys.path.append(SOURCE)
from tools import common  # noqa: E402

checks, parts, started = [], {}, []


class Skip(Exception):
    pass


def check(function):
    checks.append(function)
    return function


def start(*args, **kw):
    """A process that does not outlive its check, however that ends."""
    started.append(subprocess.Popen(*args, **kw))
    return started[-1]


def stop_all():
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
    started.clear()


def run(*args, tender=None, mem=2, timeout=30, **kw):
    """Status, and everything said on both streams."""
    words = [tender or TENDER]
    if mem:
        words.append(f"--mem={mem}")
    done = subprocess.run(words + [str(a) for a in args], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=timeout, **kw)
    return done.returncode, done.stdout.decode(errors="replace")


def expect(got, status, *texts):
    assert got[0] == status, f"status {got[0]} and not {status}: {got[1]}"
    for text in texts:
        assert text in got[1], f"no {text!r} in: {got[1]}"


def part_check(function, *needs):
    """The check runs in a process of its own, alone in a network namespace. `needs` raise Skip."""
    name = function.__name__
    parts[name] = function

    def go(folder):
        if os.getuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise Skip("needs root and /dev/net/tun")
        for need in needs:
            need()
        done = subprocess.run(["unshare", "-n", sys.executable, *sys.argv[:4], name, folder],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
        assert done.returncode == 0, done.stdout.decode(errors="replace")
    go.__doc__ = function.__doc__
    go.__name__ = name
    checks.append(go)
    return function


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_tap(name, address="10.0.0.1/24", mtu=1500):
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as file:
        file.write("1")
    ip("tuntap", "add", "dev", name, "mode", "tap", "user", "root")
    ip("addr", "add", address, "dev", name)
    ip("link", "set", name, "mtu", str(mtu), "up")


def ping(address, count, pattern="00"):
    return start(["sh", "-c", f"sleep 0.5; exec ping -fq -c {count} -p {pattern} {address}"],
                 stdout=subprocess.DEVNULL)


def make_disk(path, size):
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def build_images(target, work, guests):
    """Builds this tree's images for a target, in a folder of their own; the names of the examples among them."""
    cross_file = f"{SOURCE}/platform/{target}/{target}.ini"
    with open(f"{work}.log", "w") as log:
        def do(*words, **kw):
            return subprocess.run(words, check=True, **{"stdout": log, "stderr": log, **kw}).stdout
        common.drop_outdated(work, cross_file)
        if not os.path.exists(f"{work}/build.ninja"):
            do("meson", "setup", work, SOURCE, "--cross-file", cross_file, f"-Dtarget={target}",
               env={k: v for k, v in os.environ.items() if k != "CFLAGS"})
        do("ninja", "-C", work, "build.ninja")
        targets = do("ninja", "-C", work, "-t", "targets", "all", stdout=subprocess.PIPE).decode()
        examples = sorted(re.findall(r"^examples/bin/([\w-]+): c_LINKER", targets, re.M))
        assert "hello" in examples and "website" in examples, examples
        do("ninja", "-j2", "-C", work, *(f"examples/bin/{name}" for name in examples),
           *(f"tests/spt/guests/spt-{name}" for name in guests))
    return examples


def check_examples(paths):
    for path in paths:
        got = run(path, "--help", mem=16)
        expect(got, 0)
        assert os.path.basename(path) == "hello" or "--" in got[1], got


def check_no_entropy(path):
    """`path` is a website that finds none."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        got = run(f"--net:service=@{theirs.fileno()}", path, "--tls", "--ipv4=10.0.0.2/24", mem=8,
                  pass_fds=[theirs.fileno()])
    expect(got, 1, "no entropy: ")
    assert "listening" not in got[1] and "certificate" not in got[1], got


def main(first):
    """Runs all checks; where `first` fails, no other can run."""
    if len(sys.argv) > 4:
        try:
            parts[sys.argv[4]](sys.argv[5])
        finally:
            stop_all()
        return 0
    print(f"1..{len(checks)}", flush=True)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for number, function in enumerate(checks, 1):
            title = function.__doc__
            began = time.monotonic()
            try:
                function(folder)
                print(f"ok {number} - {title} ({time.monotonic() - began:.1f} s)")
            except Skip as why:
                print(f"ok {number} - {title} # SKIP {why}")
            except Exception as error:  # whatever it is, the others still run
                print(f"not ok {number} - {title}")
                print("\n".join(f"# {line}" for line in f"{type(error).__name__}: {error}".splitlines()))
                failed = True
                if function is first:
                    print(f"Bail out! {title}: no")
                    return 1
            stop_all()
            sys.stdout.flush()
    return failed
