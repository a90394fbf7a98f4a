#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""A static site: requests a second of a 1 KB and of a 100 KB page, keep-alive, 50 connections, by wrk;
and of the 1 KB page with a connection for each request.

The website example over a tap against nginx (one worker, no access log, sendfile) on the kernel's
stack over veth. Both serve the same two files; the server has one core and wrk the other. A core full of
connections is the client's, mostly, and over veth it does half of the server's stack as well: so the
connections are counted once more with client and server on one core, where all that a connection costs
counts.
"""
import os
import re

import common
from common import Place, alternate, keep, machine, show

ROUNDS, SECONDS, CONNECTIONS, PORT = 5, 3, 50, '8080'
PAGES = {'1 KB': ('1k.html', 1024), '100 KB': ('100k.html', 100 * 1024)}
CLOSE = ('-H', 'Connection: close')
NGINX = """
master_process off;
daemon off;
user root;
pid {work}/nginx.pid;
error_log {work}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000000;
  default_type text/html;
  client_body_temp_path {work}; proxy_temp_path {work}; fastcgi_temp_path {work};
  uwsgi_temp_path {work}; scgi_temp_path {work};
  server {{ listen {port}; root {site}; }}
}}
"""


def make_site():
    site = os.path.join(common.BUILD, 'site')
    os.makedirs(site, exist_ok=True)
    for name, size in list(PAGES.values()) + [('index.html', 100)]:
        line = '<p>The same text in every line of this page, so that it is as long as asked.\n'
        with open(os.path.join(site, name), 'w') as f:
            f.write((line * (size // len(line) + 1))[:size])
    return site


def requests_per_second(place, page, *headers, core=common.CLIENT_CORE):
    url = f'http://{common.SERVER}:{PORT}/{page}'
    out = place.run('wrk', '-t1', f'-c{CONNECTIONS}', f'-d{SECONDS}s', *headers, url,
                    timeout=SECONDS + 30, core=core)
    if 'Non-2xx' in out or 'Socket errors' in out:
        raise RuntimeError(f'{url} ({place.kind}): {out}')
    return float(re.search(r'Requests/sec:\s+([\d.]+)', out).group(1))


def connections(ours, kernel, page, where, core):
    """Their rate, and what each took of the server's process."""
    def measure(place):
        def once():
            before = place.cpu_seconds()
            rate = requests_per_second(place, page, *CLOSE, core=core)
            return rate, (place.cpu_seconds() - before) / (rate * SECONDS)
        return once
    a, b = alternate(ROUNDS, measure(ours), measure(kernel))
    (a, a_cpu), (b, b_cpu) = zip(*a), zip(*b)
    keep(f'web-connections-{core}', {'tarn': a, 'nginx': b, 'tarn-cpu': a_cpu, 'nginx-cpu': b_cpu})
    show(f'1 KB page, a connection for each, {where}', 'connections/s', a, 'nginx over veth', b)
    show('  the server\'s processor', 'us a connection', a_cpu, 'nginx over veth', b_cpu, scale=1e-6, digits=1)


def main():
    common.need_root()
    site = make_site()
    image = common.tarn_image('website', site=site)
    conf = os.path.join(common.BUILD, 'nginx.conf')
    with open(conf, 'w') as f:
        f.write(NGINX.format(work=common.BUILD, site=site, port=PORT))
    print(machine())
    with Place('tap') as ours, Place('veth') as kernel:
        ours.start(*common.tarn_command(image, f'--port={PORT}'))
        kernel.start('nginx', '-c', conf, '-p', common.BUILD)
        ours.wait_for(PORT)
        kernel.wait_for(PORT)
        for what, (page, size) in PAGES.items():
            for place in (ours, kernel):
                got = place.run('curl', '-sS', '-o', '/dev/null', '-w', '%{http_code} %{size_download}',
                                f'http://{common.SERVER}:{PORT}/{page}')
                if got != f'200 {size}':
                    raise RuntimeError(f'{page} over {place.kind} answered {got}')
            a, b = alternate(ROUNDS, lambda: requests_per_second(ours, page),
                             lambda: requests_per_second(kernel, page))
            keep(f'web-{page}', {'tarn': a, 'nginx': b})
            show(f'{what} page', 'requests/s', a, 'nginx over veth', b)
        page = PAGES['1 KB'][0]
        connections(ours, kernel, page, 'client and server on a core each', common.CLIENT_CORE)
        connections(ours, kernel, page, 'all on one core', common.SERVER_CORE)


if __name__ == '__main__':
    main()
