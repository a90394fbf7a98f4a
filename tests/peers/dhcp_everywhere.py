#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Every program that asks for a network takes its address by DHCP where --ipv4=dhcp says so: dnsmasq gives it, and it
answers a ping."""
import os
import subprocess
import sys

import lab

ZONE = """example.org. 60 IN SOA ns.example.org. root.example.org. 1 60 60 60 60
example.org. 60 IN NS ns.example.org.
ns.example.org. 60 IN A 192.0.2.1
"""

# What a program does not start without, beside a network. Nobody answers lookup, so that it stays for a while.
NEEDS = {"lookup": ["--server=10.77.0.2", "--names=example.org"]}


def store(l, tool, name):
    """A store with a zone, which only name servers look at."""
    path = l.path(f"{name}.img")
    subprocess.run([tool, "mkfs", path, "--size=8M"], check=True)
    subprocess.run([tool, "set", path, "zones/example.org"], input=ZONE.encode(), check=True)
    return path


def main(tool, programs):
    lab.want("ip", "dnsmasq", "ping")
    with lab.Lab("dhcpall") as l:
        space = l.space("srv")
        fd = l.tap(space, "srv0")
        l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "srv0")
        server = l.spawn(space, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=srv0",
                         "--bind-interfaces", "--log-dhcp", "--user=root",
                         "--dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,10m", "--no-ping", "--no-hosts",
                         "--no-resolv", f"--dhcp-leasefile={l.path('leases')}", f"--pid-file={l.path('pid')}",
                         log="dnsmasq")
        l.wait_for("DHCP", "dnsmasq", server)
        for number, program in enumerate(programs):
            name, mac = os.path.basename(program), f"02:00:00:00:78:{number:02x}"
            said = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
            devices = said.stdout + said.stderr
            disk = [f"--block:storage={store(l, tool, name)}"] if "Block devices: storage" in devices else []
            child = l.spawn(None, program, f"--net:service=@{fd}", f"--net-mac:service={mac}", "--ipv4=dhcp", *disk,
                            *NEEDS.get(name, []), fds=(fd,), log=name)
            l.wait_for("by DHCP", name, child)
            address = l.log(name).split("/24 by DHCP")[0].split()[-1]
            assert f"{mac} {address}" in l.log("leases"), (name, address, l.log("leases"))
            l.run(space, "ping", "-c", "1", "-W", "5", address)
            print(f"{name}: {address}")
            child.terminate()
            child.wait(5)


main(sys.argv[1], sys.argv[2:])
