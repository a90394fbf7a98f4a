# SPDX-License-Identifier: ISC
"""tarn-hvt on a KVM with wide registers, whatever this machine's own can do: in a Linux that QEMU emulates, processor
and all. One machine runs every case, beside the other checks; the checks here read what it said."""
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time

import linux
from harness import Skip, TENDER, check, expect
from machine import UPSTREAM_TESTS

SECONDS_MAX = 90
ADDRESS = "10.0.0.2"
PAGES = ("style.css", "favicon.svg")

# Serves, fetches with curl, ends. The website says "listening" when it does.
SERVE = r"""
serve() {{ # NAME MEM URL KEYS...
    name=$1; mem=$2; url=$3; shift 3
    tarn-hvt --mem=$mem --net:service=tap0 -- /images/website --ipv4={address}/24 "$@" > /tmp/web 2>&1 &
    guest=$!; n=0
    until grep -q listening /tmp/web || [ $n = 200 ]; do usleep 50000; n=$((n+1)); done
    for page in {pages}; do
        curl -sSk -m 20 -o /tmp/page -w "%{{http_code}} %{{scheme}} %{{ssl_verify_result}}\n" $url/$page
        sha256sum < /tmp/page
    done
    kill $guest; wait $guest; cat /tmp/web
}}
"""

CASES = {
    "hello": "tarn-hvt --mem=2 /images/hello",
    "crypto": "tarn-hvt --mem=4 /images/crypto",
    "env one": "tarn-hvt --mem=2 /images/env",
    "env two": "tarn-hvt --mem=8 /images/env",
    "smash": "tarn-hvt --mem=2 /images/crash --how=smash",
    "index": "tarn-hvt --mem=8 /images/crash --how=index",
    "fpu": "[ -e /images/fpu ] && tarn-hvt --mem=4 /images/fpu",
    "http": f"serve http 8 http://{ADDRESS} --port=80",
    "https": f"serve https 8 https://{ADDRESS} --port=443 --tls",
}

machine = {}


def script():
    words = [SERVE.format(address=ADDRESS, pages=" ".join(PAGES)), "ip link set lo up",
             "ip tuntap add dev tap0 mode tap", "ip addr add 10.0.0.1/24 dev tap0", "ip link set tap0 up"]
    for name, what in CASES.items():
        words += [f"echo; echo '@begin {name}'", what, f"status=$?; echo; echo \"@end {name} $status\""]
    return "\n".join(words)


def begin(image):
    """Starts the machine; `image` answers with the path of an image."""
    try:
        if b"__asan_init" in open(TENDER, "rb").read():
            raise linux.Missing("a sanitizer is too slow in there: the plain build runs it")
        root, folder = linux.find(os.path.realpath(__file__ + "/../../..")), tempfile.mkdtemp(prefix="tarn-nested-")
        machine["folder"] = folder
        files = {f"images/{name}": image(name) for name in ("hello", "crypto", "env", "crash", "website")}
        for name, path in files.items():
            files[name] = f"{folder}/{os.path.basename(name)}"
            subprocess.run(["strip", "-o", files[name], path], check=True)
        fpu = f"{UPSTREAM_TESTS}/test_fpu/test_fpu.hvt"
        if UPSTREAM_TESTS and os.path.exists(fpu):
            files["images/fpu"] = fpu
        linux.program("qemu-system-x86_64")
        with open(f"{folder}/initrd", "wb") as file:
            file.write(linux.initial_files(root, (TENDER, "curl", "ip"), files, ("kvm-amd", "tun"), script()))
        machine["console"] = open(f"{folder}/console", "wb")
        machine["process"] = subprocess.Popen(linux.command(root, f"{folder}/initrd"), stdin=subprocess.DEVNULL,
                                              stdout=machine["console"], stderr=subprocess.STDOUT)
        machine["until"] = time.monotonic() + SECONDS_MAX
    except linux.Missing as why:
        machine["why"] = str(why)


def end():
    if "process" in machine:
        machine["process"].kill()
        machine["process"].wait()
    if "folder" in machine:
        shutil.rmtree(machine["folder"])


def case(name):
    """Status, and what was said."""
    if "why" in machine:
        raise Skip(machine["why"])
    while True:
        gone = machine["process"].poll() is not None
        said = open(f"{machine['folder']}/console", errors="replace").read().replace("\r", "")
        found = re.search(f"@begin {name}\n(.*)\n@end {name} (\\d+)\n", said, re.S)
        if found:
            return int(found.group(2)), found.group(1)
        assert not gone and time.monotonic() < machine["until"], f"the machine did not come to {name}: {said[-2000:]}"
        time.sleep(0.1)


@check
def nested_hello(folder):
    """on an emulated machine with all its registers: hello in 2 MB"""
    expect(case("hello"), 0, "hello\nhello\nhello\nhello\n")


@check
def nested_crypto(folder):
    """there: cryptography runs, with the wide registers that its archives use"""
    expect(case("crypto"), 0, "crypto works")


@check
def nested_env(folder):
    """there: random numbers and canaries differ, memory is zero, with 2 MB and, moved, with 8"""
    one, two = (dict(re.findall(r"^(\w+) (\S.*)$", said, re.M))
                for said in (case("env one")[1], case("env two")[1]))
    assert one["random"] != two["random"] and one["canary"] != two["canary"], (one, two)
    assert int(one["dirty"]) == 0 and int(two["dirty"]) == 0 and int(two["heap"]) > 4 << 20, (one, two)


@check
def nested_crash(folder):
    """there: a smashed stack and an index behind the end are reported"""
    expect(case("smash"), 255, "a stack buffer overflowed", "  rip 0", "  trace  0x")
    expect(case("index"), 255, "a check failed", "  moved by 0x", "  trace  0x")


@check
def nested_fpu(folder):
    """there: upstream's fpu"""
    if "why" not in machine and not os.path.exists(f"{UPSTREAM_TESTS}/test_fpu/test_fpu.hvt"):
        raise Skip("no upstream test guests (TARN_SOLO5_TESTS)")
    expect(case("fpu"), 0, "SUCCESS")


def check_pages(name, *texts):
    said = case(name)[1]
    site = os.path.realpath(__file__ + "/../../../examples/website/site")
    for page in PAGES:
        assert hashlib.sha256(open(f"{site}/{page}", "rb").read()).hexdigest() in said, said
    for text in texts:
        assert text in said, said


@check
def nested_http(folder):
    """there: curl gets the website's pages, from 8 MB"""
    check_pages("http", "200 HTTP 0")


@check
def nested_https(folder):
    """there: and over HTTPS, from 8 MB"""
    check_pages("https", "200 HTTPS", "certificate SHA-256")
