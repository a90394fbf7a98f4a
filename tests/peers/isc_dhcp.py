#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""ISC's DHCP: dhcpd gives a program its addresses of both families, with radvd to say so for IPv6; dhclient gets one
from natbox, renews it and gives it back."""
import os
import re
import sys

import lab

DHCPD = """
authoritative;
ping-check false;
default-lease-time 600;
subnet 10.77.0.0 netmask 255.255.255.0 {
    range 10.77.0.50 10.77.0.60;
    option routers 10.77.0.1;
    option domain-name-servers 10.77.0.53;
}
"""
DHCPD6 = """
default-lease-time 600;
subnet6 2001:db8:6::/64 {
    range6 2001:db8:6::50 2001:db8:6::60;
    option dhcp6.name-servers 2001:db8:6::53;
}
"""
RADVD = """
interface srv0 {
    AdvSendAdvert on;
    AdvManagedFlag on;
    MinRtrAdvInterval 3;
    MaxRtrAdvInterval 4;
    prefix 2001:db8:6::/64 { AdvOnLink on; AdvAutonomous off; };
};
"""
# dhclient's own script wants resolvconf and more.
SCRIPT = """#!/bin/sh
case "$reason" in BOUND|RENEW|REBIND)
    ip addr replace "$new_ip_address/24" dev "$interface" ;;
esac
echo "$reason $new_ip_address$old_ip_address router $new_routers dns $new_domain_name_servers"
"""


def serve(l, space, family, config):
    path, leases = l.write(f"dhcpd{family}.conf", config), l.write(f"leases{family}", "")
    child = l.spawn(space, "dhcpd", f"-{family}", "-f", "-d", "-cf", path, "-lf", leases, "-user", "root", "-group",
                    "root", "--no-pid", "srv0", log=f"dhcpd{family}")
    l.wait_for("Server starting service", f"dhcpd{family}", child)
    return leases


def program_asks(l, program):
    space = l.space("srv")
    fd = l.tap(space, "srv0")
    l.run(space, "ip", "addr", "add", "10.77.0.1/24", "dev", "srv0")
    l.run(space, "ip", "addr", "add", "2001:db8:6::1/64", "dev", "srv0", "nodad")
    l.run(space, "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    leases = serve(l, space, 4, DHCPD)
    leases6 = serve(l, space, 6, DHCPD6)
    l.spawn(space, "radvd", "-n", "-m", "stderr", "-C", l.write("radvd.conf", RADVD), "-p", l.path("radvd.pid"),
            log="radvd")
    for run in "first", "second":
        child = l.spawn(None, program, f"--net:service=@{fd}", "--net-mac:service=02:00:00:00:77:06",
                        f"--pcap={l.path(run + '.pcap')}", "--ipv4=dhcp", "--ipv6=dhcp", fds=(fd,), log=run)
        l.wait_for("by DHCPv6", run, child)
        v4, v6 = (re.search(p, l.log(run))[1] for p in (r"(10\.77\.0\.\d+)/24 by DHCP\n", r"(2001:\S+) by DHCPv6"))
        l.run(space, "ping", "-c", "1", "-W", "5", v4)
        l.run(space, "ping", "-c", "1", "-W", "5", v6)
        child.terminate()
        child.wait(5)
        print(f"dhcpd, {run} time:", v4, v6, "and both answer; capture:", l.check_capture(run + ".pcap"))
    assert l.log("first").split("listening")[0] == l.log("second").split("listening")[0], "the same addresses again"
    for path, address in (leases, v4), (leases6, v6):
        with open(path) as f:
            assert address in f.read(), (address, path)
    assert not re.search("DHCPNAK|DHCPDECLINE|Decline|malformed|Discarding", l.log("dhcpd4") + l.log("dhcpd6"))


def natbox_serves(l, natbox):
    inside, outside = l.space("in"), l.space("out")
    fds = l.tap(inside, "in0"), l.tap(outside, "out0")
    box = l.spawn(None, natbox, f"--net:inside=@{fds[0]}", f"--net:outside=@{fds[1]}", f"--pcap={l.path('natbox.pcap')}",
                  "--outside-ipv4=203.0.113.2/24", "--dns=203.0.113.53", "--lease=120", fds=fds, log="natbox")
    l.wait_for("natbox: inside", "natbox", box)
    script = l.write("script", SCRIPT, 0o755)
    files = ("-sf", script, "-cf", "/dev/null", "-lf", l.path("client.leases"), "-pf", l.path("client.pid"))
    once = l.run(inside, "dhclient", "-4", "-1", "-v", *files, "in0").stdout
    bound = re.search(r"BOUND (192\.168\.77\.\d+) router 192\.168\.77\.1 dns 203\.0\.113\.53", once)
    assert bound, once
    l.run(inside, "dhclient", "-4", "-x", *files, "in0")  # ends, and keeps the lease
    again = l.run(inside, "dhclient", "-4", "-1", "-v", *files, "in0").stdout
    assert f"bound to {bound[1]}" in again and "DHCPDISCOVER" not in again, again
    l.run(inside, "ping", "-c", "1", "-W", "5", "192.168.77.1")
    freed = l.run(inside, "dhclient", "-4", "-r", "-v", *files, "in0").stdout
    assert f"DHCPRELEASE of {bound[1]}" in freed, freed
    assert box.poll() is None, l.log("natbox")
    box.terminate()
    box.wait(5)
    print("dhclient:", bound[1], "from natbox, the same when it comes back, and released; capture:",
          l.check_capture("natbox.pcap"))


def main(program, natbox):
    lab.want("ip", "dhcpd", "dhclient", "radvd", "ping")
    if not os.path.exists(program) or not os.path.exists(natbox):
        lab.skip("the programs are not built")
    with lab.Lab("isc") as l:
        program_asks(l, program)
        natbox_serves(l, natbox)


main(*sys.argv[1:])
