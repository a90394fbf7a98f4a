#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""kvd killed (SIGKILL) under load, again and again: what was answered is there, and nothing else.

usage: kvd_kill.py PROGRAM [KILLS [SEED]]

Several clients write numbers that grow, pipelined, each under names of its own, and increment a
counter that they share. After every kill the service is started on the same device, and each name
must have a number between the last one that was answered and the last one that was asked for.
"""
import os
import random
import sys
import tempfile
import threading
import time

from resp_client import kvd_host

CLIENTS, NAMES, DEPTH = 6, 20, 8


class Writer(threading.Thread):
    """Sets its names round and round; `asked` and `answered` count its requests."""

    def __init__(self, server, index, done):
        super().__init__()
        self.server, self.index, self.first = server, index, done
        self.asked = self.answered = done
        self.increments_asked = self.increments_answered = 0
        self.problem = None

    def requests(self):
        for _ in range(DEPTH):
            yield ('SET', f'w{self.index}:{self.asked % NAMES}', self.asked, *self.more())
            self.asked += 1
        yield ('INCR', 'shared')
        self.increments_asked += 1

    def more(self):
        return ('EX', '1000') if self.asked % 3 == 0 else ()

    def run(self):
        try:
            with self.server.client() as c:
                while True:
                    c.send(*self.requests())
                    for _ in range(DEPTH):
                        if c.answer() != 'OK':
                            self.problem = 'a SET was not answered with OK'
                            return
                        self.answered += 1
                    if not isinstance(c.answer(), int):
                        self.problem = 'an INCR was not answered with a number'
                        return
                    self.increments_answered += 1
        except (OSError, EOFError):
            pass


def newest(count, name):
    """The greatest number below `count` that was set under `name`, or -1."""
    if count <= name:
        return -1
    return count - 1 - (count - 1 - name) % NAMES


def check(server, writers, shared_low, shared_high):
    """What is there must be a state that was: for each writer a number of requests that were carried
    out, at least those answered."""
    done = []
    with server.client() as c:
        for w in writers:
            assert not w.problem, w.problem
            got = c('MGET', *[f'w{w.index}:{n}' for n in range(NAMES)])
            got = [-1 if v is None else int(v) for v in got]
            count = max(got) + 1
            assert w.answered <= count <= w.asked, (w.index, w.answered, count, w.asked)
            want = [newest(count, n) for n in range(NAMES)]
            assert got == want, f'writer {w.index}: not the state after {count} requests: {got}'
            done.append(count)
        shared = int(c('GET', 'shared') or 0)
        assert shared_low <= shared <= shared_high, (shared_low, shared, shared_high)
    return done, shared


def main(program, kills=20, seed=1):
    dice = random.Random(seed)
    done, shared, answers = [0] * CLIENTS, 0, 0
    with tempfile.TemporaryDirectory(prefix='tarn-kill-') as folder:
        image = os.path.join(folder, 'disk')
        with open(image, 'wb') as f:
            f.truncate(16 << 20)
        server = kvd_host(program, folder, image, '--table-mib=2', '--value-kib=64')
        try:
            for i in range(kills):
                writers = [Writer(server, n, done[n]) for n in range(CLIENTS)]
                for w in writers:
                    w.start()
                time.sleep(dice.uniform(0.005, 0.12))
                server.alive()
                server.kill()
                for w in writers:
                    w.join()
                server.start()
                low = shared + sum(w.increments_answered for w in writers)
                high = shared + sum(w.increments_asked for w in writers)
                done, shared = check(server, writers, low, high)
                answers += sum(w.answered - w.first for w in writers)
                if (i + 1) % 100 == 0:
                    print(f'{i + 1} kills, {answers} answers', flush=True)
        finally:
            server.stop()
    assert answers > 20 * kills, 'hardly anything was written'
    print(f'{kills} kills, {answers} writes answered, none lost')


if __name__ == '__main__':
    if not 2 <= len(sys.argv) <= 4:
        sys.exit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))
