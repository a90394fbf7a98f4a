#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Bulk TCP, both directions: a Tarn program over a tap against the kernel's own stack over veth.

The client is the same C program on the kernel's sockets each time; only who serves it differs. Both
paths have all their offloads: vnet_hdr with TSO and checksums on the tap, TSO and GRO on veth. The
kernel's congestion control is Reno, which loses nothing here and does not pace. Beside the rate stands
what the server's process used of a processor; what the kernel does for it in interrupts is in neither.
"""
import common
from common import Place, alternate, keep, machine, show

ROUNDS, SECONDS, PORT = 5, 2, '5001'


def main():
    common.need_root()
    image, peer = common.tarn_image('bulk'), common.compile_c('bulk_peer')
    print(machine())
    with Place('tap') as ours, Place('veth') as kernel:
        ours.start(*common.tarn_command(image, f'--port={PORT}'))
        kernel.start(peer, 'serve', PORT)
        ours.wait_for(PORT)
        kernel.wait_for(PORT)
        for direction, what in (('down', 'to the client'), ('up', 'from the client')):
            def measure(place):
                def once():
                    before = place.cpu_seconds()
                    rate = float(place.run(peer, direction, common.SERVER, PORT, str(SECONDS)))
                    return rate, (place.cpu_seconds() - before) / (rate * SECONDS / 1e9)
                return once
            a, b = alternate(ROUNDS, measure(ours), measure(kernel))
            (a, a_cpu), (b, b_cpu) = zip(*a), zip(*b)
            keep(f'bulk-{direction}', {'tarn': a, 'kernel': b, 'tarn-cpu': a_cpu, 'kernel-cpu': b_cpu})
            show(f'bulk TCP {what}', 'Gbit/s', a, 'kernel over veth', b, scale=1e9 / 8, digits=2)
            show('  the server\'s processor', 's/GB', a_cpu, 'kernel over veth', b_cpu, digits=3)


if __name__ == '__main__':
    main()
