#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A program with --ipv4=dhcp and dnsmasq as its server: the address is given, recorded, used, and the
same after a restart."""
import os
import sys

import lab


def start(l, program, fd, log):
    child = l.spawn(None, program, f"--net:service=@{fd}", "--net-mac:service=02:00:00:00:77:01",
                    f"--pcap={l.path(log + '.pcap')}", "--ipv4=dhcp", fds=(fd,), log=log)
    l.wait_for("by DHCP", log, child)
    return child, l.log(log).split("/24 by DHCP")[0].split()[-1]


def main(program):
    lab.want("ip", "dnsmasq", "ping")
    if not os.path.exists(program):
        lab.skip("the program is not built")
    with lab.Lab("dnsmasq") as l:
        space = l.space("srv")
        fd = l.tap(space, "srv0")
        l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "srv0")
        server = l.spawn(space, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0",
                         "--interface=srv0", "--bind-interfaces", "--log-dhcp", "--user=root",
                         "--dhcp-range=10.77.0.50,10.77.0.60,255.255.255.0,10m",
                         "--dhcp-option=option:router,10.77.0.1", "--no-ping", "--no-hosts",
                         "--no-resolv", f"--dhcp-leasefile={l.path('leases')}",
                         f"--pid-file={l.path('pid')}", log="dnsmasq")
        l.wait_for("DHCP", "dnsmasq", server)
        child, address = start(l, program, fd, "first")
        assert address.startswith("10.77.0."), address
        print("leased:", address)
        assert f"02:00:00:00:77:01 {address}" in l.log("leases"), l.log("leases")
        l.run(space, "ping", "-c", "2", "-W", "5", address)
        print("ping: answered")
        child.terminate()
        child.wait(5)
        print("capture:", l.check_capture("first.pcap"))
        child, again = start(l, program, fd, "second")
        assert again == address, (again, address)
        l.run(space, "ping", "-c", "1", "-W", "5", address)
        print("restarted: the same address")
        assert "DHCPNAK" not in l.log("dnsmasq") and "DHCPDECLINE" not in l.log("dnsmasq")


main(sys.argv[1])
