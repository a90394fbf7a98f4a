#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The website example with the Linux kernel, curl, ping and a hand-made peer on the other side.

usage: website.py (tap|plain|host) PROGRAM
       website.py spt SOURCE BUILD TENDER
  tap    PROGRAM on a tap with the kernel's offloads
  plain  PROGRAM on a tap without any: its own segmentation and checksums
  host   PROGRAM over the host's own sockets
  spt    the image, built from SOURCE in the folder BUILD (or found in TARN_SPT_BUILD), under TENDER, on
         a tap

Everything happens in a network namespace without a name, that ends with this process: there is nothing
to clean up, however it ends. Skipped (status 77) where no such namespace or tap can be made.
"""
import fcntl
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import raw  # noqa: E402

SKIPPED = 77
US, SERVER, STRANGER = '10.77.0.1', '10.77.0.2', '10.77.0.9'
TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454ca, 0x0002, 0x1000
SECONDS_MAX = 120


def skip(why):
    print(f'skipped: {why}')
    sys.exit(SKIPPED)


def run(*command, seconds=20, **more):
    return subprocess.run(command, capture_output=True, timeout=seconds, **more)


def must(*command):
    result = run(*command)
    if result.returncode:
        raise AssertionError(f'{" ".join(command)}: {result.stderr.decode().strip()}')


# -- the server ------------------------------------------------------------------------------------


class Server:
    """One running website, and the way to it."""

    def __init__(self, kind, program, tender, folder):
        self.kind, self.folder, self.program = kind, folder, program
        self.address, self.port = (SERVER, 80) if kind != 'host' else ('127.0.0.1', 8080)
        self.capture = os.path.join(folder, 'server.pcap')
        self.log = open(os.path.join(folder, 'console'), 'w+b')
        must('ip', 'link', 'set', 'lo', 'up')
        keys = [f'--ipv4={SERVER}/24']
        if kind == 'host':
            command = [program, '--port=8080']
        elif kind == 'plain':
            command = [program, f'--net:service=@{self.open_tap()}'] + keys
        else:
            must('ip', 'tuntap', 'add', 'tap0', 'mode', 'tap', 'vnet_hdr')
            attach = ['--net:service=tap0', f'--pcap={self.capture}']
            command = [tender, *attach, '--', program] if kind == 'spt' else [program, *attach]
            command += keys
        if kind != 'host':
            must('ip', 'addr', 'add', f'{US}/24', 'dev', 'tap0')
            must('ip', 'link', 'set', 'tap0', 'up')
        self.child = subprocess.Popen(command, stdout=self.log, stderr=self.log, pass_fds=self.fds())
        self.wait_until_it_serves()

    tap = None
    kernel_capture = None  # made by tcpdump, where nothing is left to an offload

    def open_tap(self):
        """A tap without virtio headers, so without offloads."""
        self.tap = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
        fcntl.ioctl(self.tap, TUNSETIFF, struct.pack('16sH22x', b'tap0', IFF_TAP | IFF_NO_PI))
        return self.tap

    def fds(self):
        return [self.tap] if self.tap is not None else []

    def wait_until_it_serves(self):
        for _ in range(100):
            if self.child.poll() is not None:
                break
            try:
                socket.create_connection((self.address, self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError(f'the server does not answer; it said: {self.said()}')

    def said(self):
        self.log.seek(0)
        return self.log.read().decode(errors='replace')

    def url(self, path='/'):
        return f'http://{self.address}:{self.port}{path}'

    def connect(self, receive_bytes=None):
        s = socket.socket()
        s.settimeout(10)
        if receive_bytes:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        s.connect((self.address, self.port))
        return s

    def check_alive(self):
        assert self.child.poll() is None, f'the server ended with {self.child.returncode}: {self.said()}'

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        if self.tap is not None:
            os.close(self.tap)


# -- HTTP by hand ----------------------------------------------------------------------------------


def request(path='/', method='GET', extra=''):
    return f'{method} {path} HTTP/1.1\r\nHost: website\r\n{extra}\r\n'.encode()


def read_response(file):
    """(status, headers, body) of the next response."""
    status = file.readline()
    assert status.startswith(b'HTTP/1.1 '), f'not a status line: {status!r}'
    headers = {}
    while (line := file.readline().strip()):
        name, _, value = line.partition(b':')
        headers[name.strip().lower()] = value.strip()
    length = int(headers.get(b'content-length', b'0'))
    body = file.read(length)
    assert len(body) == length, f'{len(body)} of {length} bytes came'
    return int(status.split()[1]), headers, body


def page(server, path='/'):
    with server.connect() as s, s.makefile('rb') as f:
        s.sendall(request(path))
        status, _, body = read_response(f)
        assert status == 200
        return body


# -- cases -----------------------------------------------------------------------------------------


def curl(server, *more, path='/'):
    result = run('curl', '-sS', '--max-time', '10', *more, server.url(path))
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout


def curl_gets_a_page(server):
    body = curl(server)
    assert body.lower().startswith(b'<!doctype html') and b'</html>' in body.lower(), body[:80]
    assert body == page(server)


def curl_asks_for_the_head_only(server):
    head = curl(server, '-I')
    assert head.startswith(b'HTTP/1.1 200') and b'content-length' in head.lower()


def curl_asks_for_a_range(server):
    whole = page(server, '/style.css')
    assert curl(server, '-r', '100-299', path='/style.css') == whole[100:300]


def curl_asks_for_what_is_not_there(server):
    out = curl(server, '-o', '/dev/null', '-w', '%{http_code}', path='/no/such/page')
    assert out == b'404', out


def curl_asks_again_with_the_etag(server):
    head = curl(server, '-I').decode()
    etag = next(line.split(': ', 1)[1].strip() for line in head.splitlines()
                if line.lower().startswith('etag'))
    out = curl(server, '-o', '/dev/null', '-w', '%{http_code}', '-H', f'If-None-Match: {etag}')
    assert out == b'304', out


def one_connection_carries_many_requests(server):
    want = page(server)
    with server.connect() as s, s.makefile('rb') as f:
        for i in range(300):
            s.sendall(request())
            status, _, body = read_response(f)
            assert status == 200 and body == want, f'request {i}'


def fifty_clients_at_once(server):
    want = page(server)
    clients = [server.connect() for _ in range(50)]
    for turn in range(10):
        for s in clients:
            s.sendall(request())
        for s in clients:
            with s.makefile('rb') as f:
                status, _, body = read_response(f)
            assert status == 200 and body == want, f'turn {turn}'
    for s in clients:
        s.close()


def a_reader_of_megabytes_is_slow(server):
    """Hundreds of requests are pipelined while nothing is read: the answers wait in a closed window."""
    count, want = 400, page(server)
    with server.connect(receive_bytes=4096) as s, s.makefile('rb', buffering=4096) as f:
        s.setblocking(False)
        left = request() * count
        sent = 0
        deadline = time.monotonic() + 1.5
        while sent < len(left) and time.monotonic() < deadline:
            try:
                sent += s.send(left[sent:])
            except BlockingIOError:
                time.sleep(0.05)
        s.settimeout(10)
        time.sleep(0.5)
        whole = sent // len(request())
        assert whole > 5
        for i in range(whole):
            status, _, body = read_response(f)
            assert status == 200 and body == want, f'response {i} of {whole}'
            if i % 50 == 0:
                time.sleep(0.1)


def a_client_resets_in_the_middle(server):
    for i in range(20):
        s = server.connect()
        s.sendall(request() * (1 + i))
        if i % 2:
            s.recv(100)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        s.close()


def a_client_closes_its_half(server):
    want = page(server)
    with server.connect() as s, s.makefile('rb') as f:
        s.sendall(request() * 3)
        s.shutdown(socket.SHUT_WR)
        for _ in range(3):
            status, _, body = read_response(f)
            assert status == 200 and body == want
        assert f.read() == b'', 'the server ends its half, too'


def a_connection_to_a_closed_port_is_refused(server):
    try:
        socket.create_connection((server.address, 81), 3).close()
    except ConnectionRefusedError:
        return
    raise AssertionError('connected')


def ping(server):
    # The last answer gets only the interval to come in, where the ones before came at once.
    result = run('ping', '-n', '-c', '3', '-i', '0.4', '-W', '2', server.address)
    assert result.returncode == 0 and b' 0% packet loss' in result.stdout, result.stdout.decode()


def ping_in_fragments(server):
    for size in (1473, 8000, 65000):
        result = run('ping', '-n', '-c', '3', '-i', '0.4', '-W', '2', '-s', str(size), server.address)
        assert b' 0% packet loss' in result.stdout, f'{size}: {result.stdout.decode()}'


def nonsense_is_survived(server):
    """Malformed frames, packets and segments, then a page."""
    want = page(server)
    wire = raw.Wire('tap0', STRANGER, SERVER)
    wire.resolve()
    for name, frame in raw.nonsense(wire):
        wire.send(frame)
        server.check_alive()
    time.sleep(0.2)
    server.check_alive()
    assert page(server) == want


def overlapping_segments_are_put_together(server):
    """A client by hand: its request comes in pieces that overlap, in a bad order, some of them urgent
    with an urgent pointer of 0, with damaged segments between them."""
    want = page(server)
    wire = raw.Wire('tap0', STRANGER, SERVER)
    wire.resolve()
    for attempt in range(3):
        client = raw.Client(wire, 40000 + attempt, server.port)
        client.open()
        text = request('/', extra=f'X-Padding: {"p" * 200}\r\nConnection: close\r\n')
        pieces = [(o, text[o:o + 60]) for o in range(0, len(text), 25)]
        first, rest = pieces[0], pieces[1:]
        for offset, data in rest[::-1]:
            client.send(offset, data, urgent=offset % 2 == 0)
            client.send_damaged(offset, data)
        client.send(*first, urgent=True)
        response = client.read_all(len(want))
        head, _, body = response.partition(b'\r\n\r\n')
        assert head.startswith(b'HTTP/1.1 200'), head[:80]
        assert body == want, f'{len(body)} of {len(want)} bytes'
        client.close()


def options_about_frames_are_refused(server):
    for option in ('--net:service=tap0', '--net-mac:service=02:00:00:00:00:01', '--pcap=frames.pcap'):
        result = run(server.program, option)
        assert result.returncode == 64, f'{option}: {result}'
        assert b"has the host's sockets" in result.stderr, f'{option}: {result}'


ANYWHERE = [curl_gets_a_page, curl_asks_for_the_head_only, curl_asks_for_a_range,
            curl_asks_for_what_is_not_there, curl_asks_again_with_the_etag,
            one_connection_carries_many_requests, fifty_clients_at_once,
            a_reader_of_megabytes_is_slow, a_client_resets_in_the_middle, a_client_closes_its_half,
            a_connection_to_a_closed_port_is_refused]
HOST_SOCKETS = [options_about_frames_are_refused]
OWN_STACK = [ping, ping_in_fragments, nonsense_is_survived, overlapping_segments_are_put_together]


def the_capture_is_well_formed(server):
    """What the server sent is well formed, says somebody else's dissector. Checksums are complete only
    where no offload is left to do them."""
    path, kernel_side = server.capture, server.kernel_capture
    # Streams are not put together: one of the clients above says things that differ.
    options = ['-o', 'ip.check_checksum:TRUE', '-o', 'tcp.desegment_tcp_streams:FALSE',
               '--disable-protocol', 'http']
    bad = '_ws.malformed || ip.checksum.status == 0'
    if kernel_side:
        path = kernel_side
        options += ['-o', 'tcp.check_checksum:TRUE']
        bad += ' || tcp.checksum.status == 0 || icmp.checksum.status == 0'
    result = run('tshark', '-r', path, *options, '-Y', f'eth.src == {mac_of(server)} && ({bad})',
                 seconds=60)
    assert result.returncode == 0, result.stderr.decode()
    assert not result.stdout, result.stdout.decode()[:2000]
    good = 'tcp.checksum.status == 1 && tcp.len > 1000' if kernel_side else 'tcp.len > 1000'
    total = run('tshark', '-r', path, *options, '-Y', f'eth.src == {mac_of(server)} && {good}',
                seconds=60)
    assert total.stdout.count(b'\n') > 100, 'the capture is all but empty'


def mac_of(server):
    line = run('ip', 'neigh', 'show', server.address).stdout.decode().split()
    return line[line.index('lladdr') + 1]


# -- running ---------------------------------------------------------------------------------------


def in_namespace():
    """Runs this program again in a namespace of its own, as root or as a user who may make one."""
    if not os.access('/dev/net/tun', os.R_OK | os.W_OK):
        skip('no /dev/net/tun that may be opened')
    for tool in ('unshare', 'ip', 'curl', 'ping'):
        if not shutil.which(tool):
            skip(f'no {tool}')
    # LeakSanitizer wants a /proc that knows the new namespace's processes.
    os.environ['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', '') + ':detect_leaks=0'
    # The kernel keeps the child from outliving us.
    prefix = ['unshare', '--net'] + ([] if os.geteuid() == 0 else ['--map-root-user'])
    if run(*prefix, 'true').returncode:
        skip('no right to make a network namespace')
    command = prefix + ['--fork', '--kill-child', '--pid', sys.executable, os.path.abspath(__file__),
                        '--inside'] + sys.argv[1:]
    child = subprocess.Popen(command)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sig, lambda *_: child.terminate())
    try:
        sys.exit(child.wait(SECONDS_MAX))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
        sys.exit(f'not done after {SECONDS_MAX} s')


def run_cases(server, cases):
    failed = 0
    for case in cases:
        start = time.monotonic()
        try:
            case(server)
            server.check_alive()
            verdict = 'ok'
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as problem:
            verdict = f'FAILED: {type(problem).__name__}: {problem}'
            failed += 1
        print(f'{case.__name__:45} {time.monotonic() - start:6.2f} s  {verdict}', flush=True)
    return failed


def over_tls(program, tender):
    """Once more, behind the same tap, with --tls: curl believes the certificate that it made of itself."""
    start = time.monotonic()
    child = subprocess.Popen(([tender, '--net:service=tap0', '--', program] if tender else
                              [program, '--net:service=tap0']) +
                             [f'--ipv4={SERVER}/24', '--tls', f'--tls-name={SERVER}', '--port=443'],
                             stdout=subprocess.DEVNULL)
    try:
        for _ in range(50):
            pem = run('sh', '-c', f'openssl s_client -connect {SERVER}:443 </dev/null 2>/dev/null | openssl x509')
            if b'BEGIN' in pem.stdout or child.poll() is not None:
                break
            time.sleep(0.1)
        with tempfile.NamedTemporaryFile() as trust:
            trust.write(pem.stdout)
            trust.flush()
            curl = ['curl', '-s', '--max-time', '20', '--cacert', trust.name]
            page = run(*curl, f'https://{SERVER}/')
            ten = run(*curl, *[f'https://{SERVER}/'] * 10)
        good = page.returncode == 0 and b'<html' in page.stdout and ten.stdout == page.stdout * 10
        good = good and child.poll() is None
    finally:
        child.terminate()
        child.wait(10)
    print(f'{"over_tls":45} {time.monotonic() - start:6.2f} s  '
          + ('ok' if good else f'FAILED: curl ended with {page.returncode}'))
    return not good


def build_image(source, build):
    """The website's spt image, made outside of the namespace."""
    commands = [['ninja', '-j2', '-C', build, 'examples/bin/website']]
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        cross = os.path.join(source, 'platform', 'spt', 'spt.ini')
        commands.insert(0, ['meson', 'setup', build, source, '--cross-file', cross, '-Dtarget=spt'])
    for command in commands:
        result = run(*command, seconds=SECONDS_MAX)
        if result.returncode:
            sys.exit(f'{" ".join(command)}: {result.stdout.decode()[-2000:]}')


def main():
    kind, program = sys.argv[1:3]
    tender = None
    if kind == 'spt':
        program, tender = os.path.join(sys.argv[3], 'examples', 'bin', 'website'), sys.argv[4]
    with tempfile.TemporaryDirectory(prefix='tarn-peers-') as folder:
        server = Server(kind, program, tender, folder)
        sniffer = None
        try:
            if kind == 'plain' and shutil.which('tcpdump'):
                server.kernel_capture = os.path.join(folder, 'kernel.pcap')
                sniffer = subprocess.Popen(['tcpdump', '-i', 'tap0', '-w', server.kernel_capture, '-U',
                                            '-B', '65536', '--immediate-mode', '-Z', 'root'],
                                           stderr=subprocess.DEVNULL)
                time.sleep(0.5)
            failed = run_cases(server, ANYWHERE + (OWN_STACK if kind != 'host' else HOST_SOCKETS))
            if sniffer:
                time.sleep(0.3)
                sniffer.terminate()
                sniffer.wait()
            if kind != 'host' and not shutil.which('tshark'):
                print('the capture is not looked at: no tshark')
            elif kind == 'plain' and not sniffer:
                print('the capture is not looked at: no tcpdump')
            elif kind != 'host':
                failed += run_cases(server, [the_capture_is_well_formed])
        finally:
            if sniffer and sniffer.poll() is None:
                sniffer.kill()
                sniffer.wait()
            server.stop()
        if failed:
            print(f'the server said: {server.said()}')
        if kind in ('tap', 'spt'):
            failed += over_tls(program, tender)
        sys.exit(1 if failed else 0)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--inside']:
        del sys.argv[1]
        main()
    elif len(sys.argv) == 3 and sys.argv[1] in ('tap', 'plain', 'host'):
        in_namespace()
    elif len(sys.argv) == 5 and sys.argv[1] == 'spt':
        sys.argv[3] = os.environ.get('TARN_SPT_BUILD') or sys.argv[3]
        build_image(*sys.argv[2:4])
        in_namespace()
    else:
        sys.exit(__doc__)
