# SPDX-License-Identifier: ISC
"""The Redis protocol from the client's side, by hand; kvd, and the real server, as processes."""
import os
import shutil
import socket
import subprocess
import time


class Error(Exception):
    """An error that the server answered."""

    def __eq__(self, other):
        return isinstance(other, Error) and str(self) == str(other)

    __hash__ = Exception.__hash__


class Client:
    def __init__(self, address, version=2, seconds=20):
        self.socket = socket.create_connection(address, seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile('rb')
        if version != 2:
            self('HELLO', version)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.socket.close()

    @staticmethod
    def request(*words):
        words = [w if isinstance(w, bytes) else str(w).encode() for w in words]
        return b'*%d\r\n' % len(words) + b''.join(b'$%d\r\n%s\r\n' % (len(w), w) for w in words)

    def send(self, *requests):
        self.socket.sendall(b''.join(self.request(*r) for r in requests))

    def answer(self):
        line = self.file.readline()
        if not line.endswith(b'\r\n'):
            raise EOFError(f'the server ended the connection after {line!r}')
        kind, rest = line[:1], line[1:-2]
        if kind == b'+':
            return rest.decode()
        if kind == b'-':
            return Error(rest.decode())
        if kind == b':':
            return int(rest)
        if kind == b'_':
            return None
        if kind in b'$=':
            if rest == b'-1':
                return None
            data = self.file.read(int(rest) + 2)
            assert data.endswith(b'\r\n'), data[-10:]
            return data[:-2] if kind == b'$' else data[4:-2]
        if kind == b'*':
            return None if rest == b'-1' else [self.answer() for _ in range(int(rest))]
        if kind == b'%':
            return dict((self.answer(), self.answer()) for _ in range(int(rest)))
        raise AssertionError(f'not an answer: {line!r}')

    def __call__(self, *words):
        self.send(words)
        return self.answer()

    def pipeline(self, requests):
        self.send(*requests)
        return [self.answer() for _ in requests]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


class Server:
    """A process that serves at `address`."""

    def __init__(self, command, address, log, fds=(), name=None):
        self.command, self.address, self.log, self.fds, self.name = command, address, log, fds, name
        self.start()

    def start(self):
        with open(self.log, 'ab') as out:
            self.child = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                          pass_fds=self.fds, executable=self.name)
        end = time.monotonic() + 30
        while time.monotonic() < end and self.child.poll() is None:
            try:
                Client(self.address, seconds=1).close()
                return
            except OSError:
                time.sleep(0.01)
        raise AssertionError(f'{self.command[0]} does not serve: {self.said()}')

    def said(self):
        with open(self.log, errors='replace') as f:
            return f.read()[-2000:]

    def client(self, version=2):
        return Client(self.address, version)

    def alive(self):
        assert self.child.poll() is None, f'ended with {self.child.returncode}: {self.said()}'

    def kill(self):
        self.child.kill()
        self.child.wait()

    def stop(self):
        if self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()


def kvd_host(program, folder, image, *keys):
    port = free_port()
    return Server([program, f'--block:storage={image}', '--format', f'--port={port}', *keys],
                  ('127.0.0.1', port), os.path.join(folder, 'kvd.log'))


def real_redis(folder):
    """The real one, in memory, or None. Debian's tools have it, under the name of one of them."""
    program = shutil.which('redis-server') or shutil.which('redis-check-rdb')
    if not program:
        return None
    port = free_port()
    return Server(['redis-server', '--port', str(port), '--save', '', '--appendonly', 'no', '--dir',
                   folder], ('127.0.0.1', port), os.path.join(folder, 'redis.log'), name=program)
