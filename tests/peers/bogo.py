#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""BoringSSL's protocol runner before both roles. Each of its cases passes, or stands in bogo.json with the reason, or
needs what NOT_HERE has with the reason.

TARN_BOGO names the folder ssl/test/runner of BoringSSL's sources, with its golang.org/x/crypto in GOPATH or in
/usr/share/gocode; Debian has the sources in the package android-platform-external-boringssl, and golang-go and
golang-golang-x-crypto-dev.

usage: bogo.py BOGO-SHIM CONFIG [PATTERN]
"""
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile

OTHER = 'BoringSSL\'s own interface'
# What the shim was asked for and Tarn has not, or the shim does not do.
NOT_HERE = {
    'old version': 'TLS 1.2 and 1.3 only',
    'kind of key': 'a kind of key that is not served',
    '-dtls': 'no DTLS', '-mtu': 'no DTLS', '-srtp-profiles': 'no DTLS',
    '-verify-fail': 'the alert is that of a judge of certificates in the shim; x509 is ours',
    '-reverify-on-resume': 'certificates are judged once', '-curves': 'P-224, P-521, CECPQ2, or an order of groups',
    '-on-shim-curves': 'an order of groups', '-verify-prefs': 'schemes are not configured',
    '-signing-prefs': 'schemes are not configured', '-expect-peer-verify-pref': 'schemes are not configured',
    '-expect-peer-signature-algorithm': 'the engine does not tell', '-cipher': 'suites are chosen another way',
    '-enable-ocsp-stapling': 'the shim does not do it', '-use-ocsp-callback': OTHER,
    '-ocsp-response': 'the shim does not do it', '-expect-ocsp-response': 'the shim does not do it',
    '-enable-channel-id': 'no channel id', '-expect-channel-id': 'no channel id', '-send-channel-id': 'no channel id',
    '-expect-accept-early-data': 'the shim does not do it: tests/tls/resume.c',
    '-expect-reject-early-data': 'the shim does not do it: tests/tls/resume.c',
    '-enable-early-data': 'the shim does not do it: tests/tls/resume.c',
    '-expect-early-data-reason': OTHER, '-expect-ticket-supports-early-data': 'the shim does not do it',
    '-psk': 'no external keys', '-renegotiate-freely': 'no renegotiation', '-renegotiate-ignore': 'no renegotiation',
    '-renegotiate-explicit': 'no renegotiation', '-renegotiate-once': 'no renegotiation',
    '-forbid-renegotiation-after-handshake': 'no renegotiation',
    '-expect-no-secure-renegotiation': 'a server without RFC 5746 is not talked to',
    '-expect-msg-callback': OTHER, '-false-start': 'nothing is sent before the Finished', '-jdk11-workaround': OTHER,
    '-expect-advertised-alpn': OTHER, '-application-settings': 'no application settings (a draft)',
    '-defer-alps': 'no application settings (a draft)', '-retain-only-sha256-client-cert': OTHER,
    '-enable-signed-cert-timestamps': 'no timestamps of certificates', '-signed-cert-timestamps': OTHER,
    '-select-next-proto': 'no NPN', '-advertise-npn': 'no NPN', '-enforce-rsa-key-usage': OTHER,
    '-allow-hint-mismatch': OTHER, '-use-ticket-callback': OTHER, '-install-cert-compression-algs': OTHER,
    '-install-one-cert-compression-alg': OTHER, '-tls-unique': 'no tls-unique', '-send-alert': OTHER,
    '-expect-ticket-renewal': OTHER, '-expect-session-id': 'no sessions in TLS 1.2', '-expect-peer-cert-file': OTHER,
    '-ticket-key': 'keys of tickets are never given', '-write-different-record-sizes': 'for CBC',
    '-use-client-ca-list': 'no authorities are named', '-expect-client-ca-list': 'no authorities are named',
    '-permute-extensions': 'extensions have one order', '-max-send-fragment': OTHER, '-fail-ddos-callback': OTHER,
    '-fail-cert-callback': OTHER, '-fail-early-callback': OTHER, '-delegated-credential': 'no delegated credentials',
    '-allow-unknown-alpn-protos': OTHER, '-read-with-unfinished-write': OTHER, '-export-traffic-secrets': OTHER,
    '-expect-ticket-age-skew': OTHER, '-max-cert-list': OTHER, '-expect-certificate-types': OTHER,
    '-ech-config-list': 'no encrypted ClientHello', '-ech-server-config': 'no encrypted ClientHello',
    '-enable-ech-grease': 'no encrypted ClientHello', '-quic': 'no QUIC', '-handoff': OTHER,
    '-handshake-hints': OTHER, '-cbc-record-splitting': 'no CBC', '-select-empty-alpn': OTHER,
}


def build(folder, work):
    """The runner, where it is not there yet: half a minute."""
    root = os.path.abspath(os.path.join(folder, '..', '..', '..'))
    place = os.path.join(work, 'src', 'boringssl.googlesource.com')
    os.makedirs(place)
    os.symlink(root, os.path.join(place, 'boringssl'))
    program = os.path.join(work, 'runner')
    env = dict(os.environ, GO111MODULE='off', GOFLAGS='',
               GOPATH=':'.join(p for p in (work, os.environ.get('GOPATH'), '/usr/share/gocode') if p))
    made = subprocess.run(['go', 'test', '-c', '-o', program], env=env, capture_output=True, text=True, check=False,
                          cwd=os.path.join(place, 'boringssl', 'ssl', 'test', 'runner'))
    if made.returncode:
        print(made.stdout + made.stderr)
        sys.exit(1)
    return program


def main():
    folder = os.environ.get('TARN_BOGO')
    if not folder or not os.path.exists(os.path.join(folder, 'runner.go')):
        print('SKIP: no BoringSSL protocol runner (TARN_BOGO names its folder ssl/test/runner)')
        return 77
    if not shutil.which('go'):
        print('SKIP: no go to build the runner with')
        return 77
    shim, config = (os.path.abspath(p) for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as work:
        program = build(folder, work)
        log = os.path.join(work, 'log')
        out = subprocess.run([program, '-shim-path', shim, '-shim-config', config, '-loose-errors',
                              '-allow-unimplemented', '-num-workers', '4', '-idle-timeout', '5s', '-pipe',
                              *(['-test', sys.argv[3]] if len(sys.argv) > 3 else [])],
                             cwd=folder, env=dict(os.environ, TARN_BOGO_LOG=log), capture_output=True, text=True,
                             errors='replace', check=False).stdout
        with open(log, encoding='ascii') as f:
            missing = collections.Counter(f.read().split('\n'))
    del missing['']
    count = collections.Counter(re.findall(r'^(PASSED|FAILED|UNIMPLEMENTED) \(', out, re.M))
    failed = re.findall(r'^FAILED \(.*?\)\n.*?(?=^\w+ \(|\Z)', out, re.S | re.M)
    print(*failed[:20], sep='\n')
    unknown = [flag for flag in missing if flag not in NOT_HERE]
    for flag in unknown:
        print(f'no reason is known for {flag} ({missing[flag]} cases)')
    for reason in sorted(set(NOT_HERE.values())):
        n = sum(k for flag, k in missing.items() if NOT_HERE.get(flag) == reason)
        if n:
            print(f'{n} not run: {reason}')
    print(f'{count["PASSED"]} passed, {count["FAILED"]} failed, {count["UNIMPLEMENTED"]} skipped')
    return 1 if failed or unknown or count['PASSED'] < (1 if len(sys.argv) > 3 else 700) else 0


if __name__ == '__main__':
    sys.exit(main())
