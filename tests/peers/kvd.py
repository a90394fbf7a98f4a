#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""kvd with clients that speak the Redis protocol: one by hand, redis-cli, redis-benchmark, Python's
library; and the real server beside it, which must answer the same.

usage: kvd.py (host|tap) PROGRAM
       kvd.py spt SOURCE BUILD TENDER

Over a tap it needs root; what is not installed is said and left out.
"""
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

import lab
from resp_client import Client, Error, Server, kvd_host, real_redis

VALUE_MAX = 128 << 10
ODD_NAMES = [b'', b'.', b'..', b'.a', b'a/b', b'/', b'%', b'%2F', b'a%', b'\0', b'a\0b', b'\r\n',
             b'\xff\xfe', b' ', 'é'.encode(), b'x' * 255]


# -- by hand ---------------------------------------------------------------------------------------


def everyday(server):
    with server.client() as c:
        c('FLUSHALL')
        for words, want in [
                (('PING',), 'PONG'), (('ECHO', 'a b'), b'a b'), (('SET', 'a', '1'), 'OK'),
                (('GET', 'a'), b'1'), (('GET', 'nothing'), None), (('SET', 'a', '2', 'NX'), None),
                (('SET', 'b', '2', 'XX'), None), (('SET', 'a', '3', 'XX', 'GET'), b'1'),
                (('INCR', 'a'), 4), (('INCRBY', 'a', '-10'), -6), (('DECR', 'a'), -7),
                (('APPEND', 'a', 'x'), 3), (('STRLEN', 'a'), 3), (('GETSET', 'a', 'new'), b'-7x'),
                (('MSET', 'x', '1', 'y', '2'), 'OK'), (('MGET', 'x', 'none', 'y'), [b'1', None, b'2']),
                (('EXISTS', 'x', 'x', 'none'), 2), (('TYPE', 'x'), 'string'), (('TYPE', 'q'), 'none'),
                (('DBSIZE',), 3), (('DEL', 'x', 'none'), 1), (('UNLINK', 'y'), 1), (('DBSIZE',), 1),
                (('SELECT', '3'), 'OK'), (('DBSIZE',), 0), (('SET', 'a', 'other'), 'OK'),
                (('SELECT', '0'), 'OK'), (('GET', 'a'), b'new'), (('FLUSHDB',), 'OK'),
                (('GET', 'a'), None), (('SELECT', '3'), 'OK'), (('GET', 'a'), b'other')]:
            got = c(*words)
            assert got == want, f'{words}: {got!r}, not {want!r}'
        assert b'redis_version' in c('INFO') and c('COMMAND', 'COUNT') > 40
        assert c('CONFIG', 'GET', 'append*') == [b'appendfsync', b'always', b'appendonly', b'yes']
        assert c('QUIT') == 'OK' and c.file.read() == b''


def version_three(server):
    with server.client() as c:
        hello = c('HELLO', '3')
        assert hello[b'proto'] == 3, hello
        assert c('GET', 'nothing') is None
        assert c('CONFIG', 'GET', 'databases') == {b'databases': b'16'}
        c.socket.sendall(Client.request('GET', 'nothing'))
        assert c.file.readline() == b'_\r\n'
        assert str(c('HELLO', '4')).startswith('NOPROTO')
        assert isinstance(c('HELLO', '2'), list)


def lines_as_a_person_types_them(server):
    with server.client() as c:
        c.socket.sendall(b'\r\n  set "a b" \'c d\'\r\nget "a\\x20b"\nquit\r\n')
        assert [c.answer() for _ in range(3)] == ['OK', b'c d', 'OK']
    with server.client() as c:
        c.socket.sendall(b'multi\r\nset a "b c"\r\nexec\r\n')
        got = [c.answer() for _ in range(3)]
        assert got[0] == 'OK' and all(isinstance(e, Error) for e in got[1:]), 'a line is not queued'


def answers_come_in_order(server):
    """Pipelined requests, cut anywhere."""
    dice = random.Random(1)
    requests = [r for i in range(1500) for r in (('SET', f'k{i % 50}', i), ('GET', f'k{i % 50}'))]
    data = b''.join(Client.request(*r) for r in requests)
    with server.client() as c:
        at = 0
        while at < len(data):
            n = dice.choice([1, 2, 7, 100, 20000])
            c.socket.sendall(data[at:at + n])
            at += n
        for i in range(1500):
            assert c.answer() == 'OK' and c.answer() == b'%d' % i, i


def transactions(server):
    with server.client() as c, server.client() as other:
        c('FLUSHDB')
        got = c.pipeline([('MULTI',), ('SET', 'a', '1'), ('INCR', 'a'), ('GET', 'a'), ('EXEC',), ('GET', 'a')])
        assert got == ['OK', 'QUEUED', 'QUEUED', 'QUEUED', ['OK', 2, b'2'], b'2'], got
        assert c('MULTI') == 'OK' and c('SET', 'a', 'x') == 'QUEUED' and other('GET', 'a') == b'2'
        assert c('DISCARD') == 'OK' and c('GET', 'a') == b'2'
        assert c('MULTI') == 'OK' and isinstance(c('NOSUCH'), Error) and c('SET', 'a', 'x') == 'QUEUED'
        assert str(c('EXEC')).startswith('EXECABORT') and c('GET', 'a') == b'2'
        assert c('MULTI') == 'OK' and c('INCR', 'a') == 'QUEUED' and isinstance(c('MULTI'), Error)
        assert c('EXEC') == [3] and isinstance(c('EXEC'), Error) and c('DECR', 'a') == 2
        c.socket.sendall(b'*1\r\n$5\r\nMULTI\r\n*0\r\n' + c.request('GET', 'a') + b'*0\r\n' + c.request('EXEC'))
        assert [c.answer() for _ in range(3)] == ['OK', 'QUEUED', [b'2']]
        assert isinstance(c('DISCARD'), Error) and c('MULTI') == 'OK' and c('EXEC') == []
        many = [('MULTI',)] + [('INCRBY', 'n', i) for i in range(3000)] + [('EXEC',), ('PING',)]
        got = c.pipeline(many)
        assert got[-2] == [sum(range(i + 1)) for i in range(3000)] and got[-1] == 'PONG'


def any_name(server):
    with server.client() as c:
        c('FLUSHDB')
        for i, name in enumerate(ODD_NAMES):
            assert c('SET', name, i) == 'OK', name
        for i, name in enumerate(ODD_NAMES):
            assert c('GET', name) == b'%d' % i, name
        assert sorted(c('KEYS', '*')) == sorted(ODD_NAMES)
        assert c('DBSIZE') == len(ODD_NAMES)
        assert isinstance(c('SET', 'x' * 256, 1), Error) and c('GET', 'x' * 256) == c('SET', 'x' * 256, 1)
        assert c('EXISTS', 'x' * 256) == 0


def limits(server):
    with server.client() as c:
        big = os.urandom(VALUE_MAX)
        assert c('SET', 'big', big) == 'OK' and c('GET', 'big') == big
        assert isinstance(c('APPEND', 'big', 'x'), Error)
        assert c('GETRANGE', 'big', '-10', '-1') == big[-10:]
        # Larger answers than the memory for them, to a client that does not read meanwhile.
        c.send(*[('MGET',) + ('big',) * 20] * 5)
        time.sleep(0.2)
        for _ in range(5):
            assert c.answer() == [big] * 20
    for bad in (Client.request('SET', 'big', big + b'x'), b'*1\r\n$x\r\n', b'*2000\r\n', b'x' * 9000,
                b'GET "unbalanced\r\n', Client.request(*['MSET'] + ['x' * 1000] * 400)):
        with server.client() as c:
            c.socket.sendall(bad)
            answer = c.answer()
            assert 'Protocol error' in str(answer), (bad[:20], answer)
            assert c.file.read() == b''
    with server.client() as c:
        c.socket.sendall(b'POST / HTTP/1.1\r\nHost: x\r\n\r\nSET hacked 1\r\n')
        assert c.file.read() == b''
    with server.client() as c:
        assert c('GET', 'hacked') is None and c('FLUSHDB') == 'OK'


def until_alone(server):
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            with server.client() as c:
                if b'connected_clients:1\r' in c('INFO', 'clients'):
                    return
        except (EOFError, OSError, TypeError):
            pass
        time.sleep(0.05)
    raise AssertionError('those who left made no room')


def too_many_clients(server):
    clients = []
    until_alone(server)
    time.sleep(0.1)  # until the last one is gone too
    try:
        for _ in range(128):
            clients.append(server.client())
        assert all(c('PING') == 'PONG' for c in clients)
        with server.client() as c:
            assert str(c.answer()) == 'ERR max number of clients reached'
    finally:
        for c in clients:
            c.close()
    until_alone(server)


def scans_see_all_that_stays(server):
    with server.client() as c, server.client() as other:
        c('FLUSHDB')
        stays = {b'stay:%d' % i for i in range(500)}
        c.pipeline([('SET', n, 'v') for n in stays])
        seen, cursor, i = set(), b'0', 0
        while True:
            cursor, names = c('SCAN', cursor, 'COUNT', '7')
            seen.update(names)
            other.pipeline([('SET', f'new:{i}', 1), ('DEL', f'new:{i - 3}'), ('SET', f'a{i}', 1)])
            i += 1
            if cursor == b'0':
                break
        assert stays <= seen, len(stays - seen)
        found, cursor = [], b'0'
        while True:
            cursor, names = c('SCAN', cursor, 'MATCH', 'stay:1?', 'COUNT', '1000')
            found += names
            if cursor == b'0':
                break
        assert sorted(found) == sorted(b'stay:1%d' % i for i in range(10))
        assert isinstance(c('SCAN', '123456789'), Error)
        c('FLUSHDB')


def what_expires_is_gone(server):
    with server.client() as c:
        c('FLUSHDB')
        c.pipeline([('SET', f'e{i}', 'v', 'PX', 150 + i) for i in range(300)])
        assert c('SET', 'stays', 'v', 'EX', '100') == 'OK' and 99 <= c('TTL', 'stays') <= 100
        assert c('PERSIST', 'stays') == 1 and c('TTL', 'stays') == -1
        assert c('DBSIZE') == 301 and c('TTL', 'none') == -2
        time.sleep(0.6)
        assert c('GET', 'e5') is None and c('EXISTS', 'e6') == 0 and c('KEYS', 'e*') == []
        end = time.monotonic() + 10
        while c('DBSIZE') != 1 and time.monotonic() < end:
            time.sleep(0.05)
        assert c('DBSIZE') == 1, 'nothing sweeps'
        assert c('EXPIRE', 'stays', '-1') == 1 and c('DBSIZE') == 0


# -- with others -----------------------------------------------------------------------------------


def request_at_random(dice):
    def key():
        return f'k{dice.randrange(12)}'

    # What lives for less than the comparison takes, or as long as GT asks for, would be up to chance.
    def number():
        return dice.choice(['0', '77', '-1', '500', '1000', 'x', '9223372036854775807'])
    word = dice.choice(['', 'a', '12', '-7', 'long' * 50, '0012', '9223372036854775800'])
    return dice.choice([
        lambda: ('SET', key(), word), lambda: ('SET', key(), word, dice.choice(['NX', 'XX', 'GET'])),
        lambda: ('SET', key(), word, 'EX', number()), lambda: ('SET', key(), word, 'KEEPTTL'),
        lambda: ('SET', key(), word, 'NX', 'XX'), lambda: ('SETEX', key(), number(), word),
        lambda: ('SETNX', key(), word), lambda: ('GET', key()), lambda: ('GETSET', key(), word),
        lambda: ('GETDEL', key()), lambda: ('GETEX', key(), 'EX', number()),
        lambda: ('GETEX', key(), 'PERSIST'), lambda: ('DEL', key(), key()),
        lambda: ('EXISTS', key(), key()), lambda: ('MGET', key(), key()),
        lambda: ('MSET', key(), word, key(), word), lambda: ('MSETNX', key(), word, key(), word),
        lambda: ('MSET', key(), word, key()), lambda: ('INCR', key()), lambda: ('DECR', key()),
        lambda: ('INCRBY', key(), number()), lambda: ('DECRBY', key(), number()),
        lambda: ('APPEND', key(), word), lambda: ('STRLEN', key()), lambda: ('TYPE', key()),
        lambda: ('GETRANGE', key(), number(), number()), lambda: ('SETRANGE', key(), '3', word),
        lambda: ('EXPIRE', key(), number()), lambda: ('EXPIRE', key(), '100', dice.choice(['NX', 'XX', 'GT'])),
        lambda: ('TTL', key()), lambda: ('PERSIST', key()), lambda: ('RENAME', key(), key()),
        lambda: ('RENAMENX', key(), key()), lambda: ('DBSIZE',), lambda: ('SELECT', dice.choice('0012')),
        lambda: ('FLUSHDB',) if dice.randrange(20) == 0 else ('TOUCH', key()),
        lambda: ('NOSUCH', 'x'), lambda: ('GET',), lambda: ('PING', word), lambda: ('SELECT', '99'),
    ])()


def as_compared(answer):
    return ('error', str(answer).split()[0]) if isinstance(answer, Error) else answer


def the_real_server_answers_the_same(server):
    with tempfile.TemporaryDirectory(prefix='tarn-redis-') as folder:
        redis = real_redis(folder)
        if not redis:
            return 'left out: no redis-server'
        try:
            with redis.client() as theirs, server.client() as ours:
                ours('FLUSHALL')
                for seed in range(40):
                    dice = random.Random(seed)
                    requests = [request_at_random(dice) for _ in range(100)]
                    got = ours.pipeline(requests)
                    for words, a, b in zip(requests, got, theirs.pipeline(requests)):
                        assert as_compared(a) == as_compared(b), (seed, words, a, b)
                    assert sorted(ours('KEYS', '*')) == sorted(theirs('KEYS', '*')), seed
        finally:
            redis.stop()
    return '4000 answers'


def redis_cli(server):
    if not shutil.which('redis-cli'):
        return 'left out: no redis-cli'
    base = ['redis-cli', '-h', server.address[0], '-p', str(server.address[1])]

    def cli(*words, data=None):
        done = subprocess.run([*base, *words], input=data, capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        return done.stdout
    assert cli('SET', 'cli', 'a b') == 'OK\n' and cli('GET', 'cli') == 'a b\n'
    assert cli('-3', 'GET', 'cli') == 'a b\n'
    assert cli('--scan', '--pattern', 'cl*') == 'cli\n'
    assert cli(data='set x 1\nincr x\ndel x cli\n') == 'OK\n2\n2\n'
    pipe = b''.join(Client.request('SET', f'p{i}', i) for i in range(1000)).decode()
    assert 'errors: 0, replies: 1000' in cli('--pipe', data=pipe)
    return None


def redis_benchmark(server):
    if not shutil.which('redis-benchmark'):
        return 'left out: no redis-benchmark'
    for more in ([], ['-P', '16']):
        done = subprocess.run(['redis-benchmark', '-h', server.address[0], '-p', str(server.address[1]),
                               '-t', 'ping,set,get,incr,mset', '-n', '3000', '-c', '20', '--csv', *more], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and 'rror' not in done.stdout + done.stderr, done
        assert done.stdout.count('\n') >= 6, done.stdout
    return None


def pythons_library(server):
    try:
        import redis
    except ImportError:
        return 'left out: no python3-redis'
    client = redis.Redis(*server.address)
    client.flushdb()
    assert client.set('a', 'b', ex=50) and client.get('a') == b'b' and client.ttl('a') <= 50
    with client.pipeline() as p:
        for i in range(100):
            p.set(f'n{i}', i)
        p.mget([f'n{i}' for i in range(100)])
        assert p.execute()[-1] == [b'%d' % i for i in range(100)]
    assert len(set(client.scan_iter(match='n*', count=13))) == 100
    assert client.info()['server_name'] == 'tarn-kvd' and client.dbsize() == 101
    client.flushdb()
    return None


def all_of_it_is_there_after_a_restart(server):
    with server.client() as c:
        c('FLUSHALL')
        c.pipeline([('SET', f'r{i}', 'v' * i) for i in range(300)])
        c('SET', 'goes', 'v', 'EX', '100')
    server.kill()
    server.start()
    with server.client() as c:
        assert c.pipeline([('GET', f'r{i}') for i in range(300)]) == [b'v' * i for i in range(300)]
        assert 90 < c('TTL', 'goes') <= 100 and c('DBSIZE') == 301


EVERYWHERE = [everyday, version_three, lines_as_a_person_types_them, answers_come_in_order, transactions, any_name,
              limits, too_many_clients, scans_see_all_that_stays, what_expires_is_gone,
              the_real_server_answers_the_same, redis_cli, redis_benchmark, pythons_library,
              all_of_it_is_there_after_a_restart]
SHORT = [everyday, answers_come_in_order, limits, redis_benchmark, all_of_it_is_there_after_a_restart]


# -- running ---------------------------------------------------------------------------------------


def run_cases(server, cases):
    failed = 0
    for case in cases:
        start = time.monotonic()
        try:
            verdict = case(server) or 'ok'
            server.alive()
        except (AssertionError, OSError, EOFError, ValueError, subprocess.TimeoutExpired) as problem:
            verdict = f'FAILED: {type(problem).__name__}: {problem}'
            failed += 1
        print(f'{case.__name__:40} {time.monotonic() - start:6.2f} s  {verdict}', flush=True)
    if failed:
        print(f'the server said: {server.said()}')
    return failed


def image_in(folder):
    path = os.path.join(folder, 'disk')
    with open(path, 'wb') as f:
        f.truncate(64 << 20)
    return path


def build_image(source, build):
    commands = [['ninja', '-j2', '-C', build, 'examples/bin/kvd']]
    if not os.path.exists(os.path.join(build, 'build.ninja')):
        cross = os.path.join(source, 'platform', 'spt', 'spt.ini')
        commands.insert(0, ['meson', 'setup', build, source, '--cross-file', cross, '-Dtarget=spt'])
    for command in commands:
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return os.path.join(build, 'examples', 'bin', 'kvd')


def over_a_tap(l, program, tender):
    """In a namespace of its own, whose kernel is the client."""
    lab.libc_setns(l.space('clients'))
    for words in ('tuntap add tap0 mode tap vnet_hdr', 'addr add 10.77.0.1/24 dev tap0', 'link set tap0 up'):
        subprocess.run(['ip', *words.split()], check=True)
    attach = ['--net:service=tap0', f'--block:storage={image_in(l.dir)}']
    command = [tender, *attach, '--', program] if tender else [program, *attach]
    return Server([*command, '--ipv4=10.77.0.2/24', '--format'], ('10.77.0.2', 6379), l.path('log'))


def main(kind, program, tender=None):
    if kind == 'host':
        with tempfile.TemporaryDirectory(prefix='tarn-kvd-') as folder:
            server = kvd_host(program, folder, image_in(folder))
            try:
                return run_cases(server, EVERYWHERE)
            finally:
                server.stop()
    lab.want('ip')
    with lab.Lab('kvd') as l:
        server = over_a_tap(l, program, tender)
        try:
            return run_cases(server, SHORT)
        finally:
            server.stop()


if __name__ == '__main__':
    if len(sys.argv) == 5 and sys.argv[1] == 'spt':
        sys.exit(main('spt', build_image(*sys.argv[2:4]), sys.argv[4]) != 0)
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]) != 0)
