#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Serves the site with the example and reads it with clients that nobody here wrote."""
import gzip
import http.client
import os
import shutil
import socket
import subprocess
import sys
import unittest

PROGRAM, SITE = sys.argv[1:3]
sys.path.insert(0, os.path.dirname(SITE))
sys.dont_write_bytecode = True
import pack  # noqa: E402


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def pages():
    """Each path of the site, with the bytes that belong to it."""
    for _, name, data in pack.files(SITE):
        yield '/' + name, data
        if os.path.basename(name) == 'index.html':
            yield '/' + name[:-len('index.html')], data


class Website(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.port = free_port()
        cls.program = subprocess.Popen([PROGRAM, f'--port={cls.port}'], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        line = cls.program.stdout.readline()
        assert line == f'website: listening on port {cls.port}\n', line

    @classmethod
    def tearDownClass(cls):
        cls.program.terminate()
        cls.program.communicate(timeout=10)

    def setUp(self):
        self.client = http.client.HTTPConnection('127.0.0.1', self.port, timeout=10)
        self.addCleanup(self.client.close)

    def get(self, path, method='GET', **fields):
        self.client.request(method, path, headers={k.replace('_', '-'): v for k, v in fields.items()})
        response = self.client.getresponse()
        return response, response.read()

    def raw(self, data):
        """All that comes back for these bytes, until the server closes."""
        with socket.create_connection(('127.0.0.1', self.port), timeout=10) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            answer = b''
            while piece := s.recv(65536):
                answer += piece
            return answer

    def test_every_page_over_one_connection(self):
        count = 0
        for path, data in pages():
            for _ in range(3):
                response, body = self.get(path)
                self.assertEqual((response.status, body), (200, data), path)
                count += 1
        self.assertGreater(count, 30)

    def test_gzip_and_validators(self):
        for path, data in pages():
            response, body = self.get(path, Accept_Encoding='gzip')
            if response.getheader('Content-Encoding') == 'gzip':
                body = gzip.decompress(body)
            self.assertEqual(body, data)
            again, body = self.get(path, Accept_Encoding='gzip', If_None_Match=response.getheader('ETag'))
            self.assertEqual((again.status, body), (304, b''))
            self.assertEqual(self.get(path, If_Modified_Since=response.getheader('Last-Modified'))[0].status, 304)

    def test_statuses(self):
        self.assertEqual(self.get('/nothing')[0].status, 404)
        self.assertEqual(self.get('/architecture')[0].getheader('Location'), '/architecture/')
        self.assertEqual(self.get('/', 'POST')[0].status, 405)
        self.assertEqual(self.get('/', 'BREW')[0].status, 501)
        response, body = self.get('/style.css', Range='bytes=10-19')
        self.assertEqual((response.status, body), (206, dict(pages())['/style.css'][10:20]))
        response, body = self.get('/', 'HEAD')
        self.assertEqual((response.status, body), (200, b''))

    def test_pipelining(self):
        asks = b''.join(b'GET %s HTTP/1.1\r\nHost: a\r\n\r\n' % path.encode() for path, _ in pages()) * 5
        answer = self.raw(asks)
        for path, data in list(pages()) * 5:
            head, _, rest = answer.partition(b'\r\n\r\n')
            self.assertTrue(head.startswith(b'HTTP/1.1 200 OK'), path)
            self.assertEqual(rest[:len(data)], data)
            answer = rest[len(data):]
        self.assertEqual(answer, b'')

    def test_refusals_are_read_by_clients_that_go_on_sending(self):
        for _ in range(20):
            with socket.create_connection(('127.0.0.1', self.port), timeout=10) as s:
                s.sendall(b'BAD\r\n\r\n' + b'x' * 20000)
                self.assertTrue(s.recv(1000).startswith(b'HTTP/1.1 400 '))

    def test_resets_leave_it_standing(self):
        for i in range(200):
            s = socket.create_connection(('127.0.0.1', self.port), timeout=10)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\1\0\0\0\0\0\0\0')
            s.sendall((b'GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n' * 50)[:i * 11])
            s.close()
        self.assertEqual(self.get('/')[0].status, 200)

    @unittest.skipUnless(shutil.which('curl'), 'there is no curl')
    def test_curl(self):
        for path, data in pages():
            got = subprocess.run(['curl', '-sS', '--compressed', '--max-time', '10',
                                  f'http://127.0.0.1:{self.port}{path}'], capture_output=True, check=True)
            self.assertEqual(got.stdout, data)


if __name__ == '__main__':
    unittest.main(argv=sys.argv[:1])
