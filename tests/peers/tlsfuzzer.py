#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""tlsfuzzer's scripts before our server: misbehaviour of a client, and the alert that each is answered with.

TARN_TLSFUZZER names a folder with tlsfuzzer, tlslite-ng and python-ecdsa, as their repositories are. Every script
stands in RUN, or in NOT_RUN with its reason. `all` runs all probes of those in RUN, which takes minutes.

usage: tlsfuzzer.py TLS-PEER TARN-X509 [all | SCRIPT ...]
"""
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time

GCM = ['-C', 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']
EMS = [*GCM, '--ems']
# What the client shows itself with; the server then wants to see it.
SHOWN = ['-k', 'rsa2048.key', '-c', 'rsa2048.pem']
RUN = {
    'ccs': EMS, 'certificate-malformed': [*EMS, *SHOWN], 'certificate-verify': [*EMS, *SHOWN],
    'certificate-verify-malformed': [*EMS, *SHOWN], 'connection-abort': EMS, 'conversation': EMS,
    'cve-2004-0079': EMS, 'cve-2016-7054': ['-C', 'TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256'],
    'early-application-data': EMS, 'ecdhe-rsa-key-exchange-with-bad-messages': EMS, 'fuzzed-ciphertext': EMS,
    'hello-request-by-client': EMS, 'interleaved-CKE-with-CCS': EMS, 'invalid-client-hello-w-record-overflow': EMS,
    'invalid-compression-methods': EMS, 'invalid-content-type': EMS, 'no-mlkem-in-old-tls': EMS,
    'point-extension': EMS, 'renegotiation-disabled': GCM, 'sslv2-connection': [], 'sslv2-force-cipher': [],
    'sslv2-force-cipher-3des': [], 'sslv2-force-cipher-non3des': [], 'sslv2-force-export-cipher': [], 'tls13-ccs': [],
    'tls13-conversation': [], 'tls13-count-tickets': [], 'tls13-empty-alert': [], 'tls13-finished': [],
    'tls13-finished-plaintext': [], 'tls13-hrr': [], 'tls13-invalid-ciphers': [], 'tls13-keyshare-omitted': [],
    'tls13-keyupdate': [], 'tls13-legacy-version': [], 'tls13-multiple-ccs-messages': [], 'tls13-nociphers': [],
    'tls13-pkcs-signature': [], 'tls13-record-layer-limits': [], 'tls13-record-padding': [],
    'tls13-rsa-signatures': [], 'tls13-unencrypted-alert': [], 'tls13-zero-content-type': [],
    'tls13-zero-length-data': [], 'truncating-of-client-hello': [*EMS, '-e', 'huge pad: 131584 of "0" byte padding'],
    'version-numbers': EMS, 'zero-length-data': EMS,
    # With the probes left out of what is not here.
    'tls13-0rtt-garbage': ['-e', 'handshake with invalid 0-RTT and unknown version (downgrade to TLS 1.2)'],
    'tls13-eddsa': ['-e', 'ed25519 only', '-e', 'ed448 only'],
    'tls13-session-resumption': ['-e', 'session resumption - PSK_ONLY', '-e', 'use TLS 1.2 ticket in TLS 1.3',
                                 '-e', 'sanity - TLS 1.2'],
    'tls13-certificate-verify': [*SHOWN, '-e', 'check sigalgs in cert request'],
    'cve-2016-2107': [*EMS, '-e', 'CVE-2016-2107'],
}
OLD = 'its handshakes are with RSA key exchange, finite fields or CBC'
LONG = 'its ClientHellos are longer than 16 KiB, which is as long as a message may be: illegal_parameter'
TIMING = 'it measures, and changes nothing'
NOT_RUN = {
    OLD: ['SSLv3-padding', 'TLSv1_2-rejected-without-TLSv1_2', 'aesccm', 'alpn-negotiation', 'atypical-padding',
          'bleichenbacher-workaround', 'certificate-verify-malformed-sig', 'chacha20', 'client-compatibility',
          'client-hello-max-size', 'clienthello-md5', 'dhe-key-share-random', 'dhe-no-shared-secret-padding',
          'dhe-rsa-key-exchange', 'dhe-rsa-key-exchange-signatures', 'dhe-rsa-key-exchange-with-bad-messages',
          'downgrade-protection', 'dsa-in-certificate-verify', 'dsa-sig-flexibility', 'ecdhe-padded-shared-secret',
          'ecdhe-rsa-key-exchange', 'ecdhe-rsa-key-share-random', 'ecdsa-in-certificate-verify',
          'ecdsa-sig-flexibility', 'eddsa-in-certificate-verify', 'empty-extensions', 'encrypt-then-mac',
          'encrypt-then-mac-renegotiation', 'export-ciphers-rejected', 'extended-master-secret-extension',
          'extended-master-secret-extension-with-client-cert', 'extensions', 'fallback-scsv', 'ffdhe-expected-params',
          'ffdhe-negotiation', 'fuzzed-MAC', 'fuzzed-finished', 'fuzzed-padding', 'fuzzed-plaintext', 'heartbeat',
          'invalid-cipher-suites', 'invalid-client-hello', 'invalid-rsa-key-exchange-messages',
          'invalid-server-name-extension', 'invalid-server-name-extension-resumption', 'invalid-session-id',
          'invalid-version', 'legacy-renegotiation', 'message-duplication', 'message-skipping', 'no-heartbeat',
          'ocsp-stapling', 'openssl-3712', 'renegotiation-changed-clienthello', 'resumption-with-wrong-ciphers',
          'rsa-pss-sigs-on-certificate-verify', 'rsa-sigs-on-certificate-verify', 'serverhello-random',
          'sessionID-resumption', 'session-ticket-resumption', 'sig-algs', 'sig-algs-renegotiation-resumption',
          'signature-algorithms', 'ssl-death-alert', 'sslv2hello-protocol', 'truncating-of-finished',
          'truncating-of-kRSA-client-key-exchange', 'unsupported-curve-fallback', 'x25519', 'aes-gcm-nonces',
          'bleichenbacher-timing-marvin', 'bleichenbacher-timing-pregenerate', 'lucky13', 'tls13-version-negotiation',
          'tls13-non-support', 'tls13-dhe-shared-secret-padding', 'tls13-ffdhe-groups', 'tls13-ffdhe-sanity',
          'tls13-serverhello-random'],
    LONG: ['cve-2016-6309', 'large-hello', 'large-number-of-extensions', 'record-layer-fragmentation',
           'tls13-large-number-of-extensions', 'tls13-shuffled-extentions', 'tls13-signature-algorithms', 'lengths',
           'tls13-unrecognised-groups',
           'tls13-lengths', 'tls13-client-certificate-compression'],
    'there is one handshake on a connection': [
        'interleaved-application-data-and-fragmented-handshakes-in-renegotiation',
        'interleaved-application-data-in-renegotiation', 'renegotiation-disabled-client-cert'],
    'groups that are not here: X448, P-521, brainpool': [
        'tls13-crfg-curves', 'tls13-ecdhe-brainpool-curves', 'tls13-ecdhe-curves'],
    'clients that speak TLS 1.2, too, list obsolete groups (Java 11), so they are passed over': [
        'tls13-obsolete-curves'],
    'kinds of keys that the server was not given, or are not served': [
        'tls13-ecdsa-brainpool-in-certificate-verify', 'tls13-ecdsa-in-certificate-verify', 'tls13-ecdsa-support',
        'tls13-eddsa-in-certificate-verify', 'tls13-rsapss-signatures', 'tls13-mldsa-in-certificate-verify'],
    'it wants algorithms in the order of another server': ['tls13-certificate-request', 'certificate-request'],
    'its suites have CCM with a short tag': ['tls13-symetric-ciphers'],
    'it needs a server made for it': ['record-size-limit', 'tls13-keyupdate-from-server', 'tls13-connection-abort',
                                      'tls13-no-unknown-groups'],
    'not here: external keys, authentication after the handshake, compression of certificates by default': [
        'tls13-psk_dhe_ke', 'tls13-psk_ke', 'tls13-post-handshake-auth', 'tls13-certificate-compression'],
    'a library that Debian has not': ['tls13-mlkem'],
    TIMING: ['tls13-minerva'],
}


def make_keys(tool):
    now = str(int(time.time()) - 60)
    for out, words in (('rsa2048.key', ['key', 'rsa2048']),
                       ('rsa2048.pem', ['make', '--key', 'rsa2048.key', '--subject', 'localhost', '--time', now])):
        with open(out, 'w', encoding='ascii') as f:
            subprocess.run([tool, *words], stdout=f, check=True)


def run(script, words, folder, peer, many):
    shows = ['--client-auth'] if '-k' in words else []
    server = subprocess.Popen([peer, 'server', '0', '--cert', 'rsa2048.pem', '--key', 'rsa2048.key', '--times',
                               '100000', '--old-master-secret', '--answer', '--tickets', *shows],
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        port = server.stdout.readline().split()[1].decode()
        path = ':'.join(os.path.join(folder, p) for p in ('tlsfuzzer', 'tlslite-ng', 'python-ecdsa/src'))
        program = os.path.join(folder, 'tlsfuzzer', 'scripts', f'test-{script}.py')
        count = [] if script.startswith('sslv2') or script == 'no-mlkem-in-old-tls' else ['-n', '0' if many else '2']
        out = subprocess.run([sys.executable, program, '-h', '127.0.0.1', '-p', port, *count, *words],
                             env=dict(os.environ, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE='1'), capture_output=True,
                             text=True, timeout=3600 if many else 60, check=False)
        return script, out.returncode, out.stdout + out.stderr
    except subprocess.TimeoutExpired as e:
        return script, -1, str(e.stdout)
    finally:
        server.kill()
        server.communicate()


def main():
    folder = os.environ.get('TARN_TLSFUZZER', '')
    scripts = os.path.join(folder, 'tlsfuzzer', 'scripts')
    if not folder or not os.path.isdir(scripts):
        print('SKIP: no tlsfuzzer (TARN_TLSFUZZER names a folder with it, tlslite-ng and python-ecdsa)')
        return 77
    peer, tool = (os.path.abspath(p) for p in sys.argv[1:3])
    folder, only = os.path.abspath(folder), sys.argv[3:]
    there = {name[5:-3] for name in os.listdir(scripts) if name.startswith('test-')}
    known = set(RUN) | {name for names in NOT_RUN.values() for name in names}
    failed = passed = 0
    for name in sorted(there - known):
        print(f'FAIL: {name} stands in no list')
        failed += 1
    wanted = [name for name in RUN if name in there and (not only or only == ['all'] or name in only)]
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ThreadPoolExecutor(3) as pool:
        os.chdir(work)
        make_keys(tool)
        for name, status, said in pool.map(lambda n: run(n, RUN[n], folder, peer, only == ['all']), wanted):
            count = re.search(r'^PASS: (\d+)', said, re.M)
            passed += int(count.group(1)) if count else 0
            if status or not count:
                failed += 1
                print(f'FAIL: {name}: {said[-700:]}')
        os.chdir('/')
    left = 0
    for reason, names in NOT_RUN.items():
        print(f'{len(names)} not run: {reason}')
        left += len(names)
    print(f'{passed} passed, {failed} failed, {left} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
