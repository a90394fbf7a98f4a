#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""x509-limbo's cases (limbo.json, in TARN_VECTORS/x509-limbo) put to `tarn-x509 verify`. A case that ends otherwise
than limbo wants stands in DIFFERENT, with the reason.

usage: limbo.py TARN-X509 [--all]
"""
import json
import os
import subprocess
import sys
import tempfile
from datetime import datetime

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
NO_CN = 'RFC 9525: commonName is not looked at; other cases of limbo want such certificates taken'
BROWSERS = 'the CA/Browser Forum is stricter than RFC 5280 here, and limbo has a case for each: strict is both'
NO_LIST = 'there is no list of public suffixes'
DIFFERENT = {
    'pathlen::validation-ignores-pathlen-in-leaf': BROWSERS,
    'rfc5280::ca-as-leaf': BROWSERS,
    'rfc5280::eku::ee-without-eku': BROWSERS,
    'rfc5280::aki::cross-signed-root-missing-aki': 'an anchor is trusted as it is; cve::cve-2024-0567 wants this taken',
    'webpki::nc::permitted-dns-match-noncritical': 'RFC 5280 is stricter than the CA/Browser Forum here',
    'webpki::san::public-suffix-multi-label-wildcard-san': NO_LIST,
    'webpki::san::public-suffix-private-namespace-wildcard-san': NO_LIST,
    'webpki::cn::ipv4-hex-mismatch': NO_CN,
    'webpki::cn::ipv4-leading-zeros-mismatch': NO_CN,
    'webpki::cn::ipv6-uppercase-mismatch': NO_CN,
    'webpki::cn::ipv6-uncompressed-mismatch': NO_CN,
    'webpki::cn::ipv6-non-rfc5952-mismatch': NO_CN,
    'webpki::cn::punycode-not-in-san': NO_CN,
    'webpki::cn::utf8-vs-punycode-mismatch': NO_CN,
    'webpki::cn::not-in-san': NO_CN,
    'webpki::cn::case-mismatch': NO_CN,
}


def corpus():
    folder = os.environ.get('TARN_VECTORS', os.path.join(ROOT, '..', 'shared', 'vectors'))
    return os.path.join(folder, 'x509-limbo', 'limbo.json')


def why_skipped(case):
    if case['max_chain_depth'] is not None:
        return 'a depth that is set by the caller'
    if case['signature_algorithms'] or case['key_usage']:
        return 'constraints that the command has not'
    name = case['expected_peer_name']
    if name and name['kind'] not in ('DNS', 'IP'):
        return f'a peer named by {name["kind"]}'
    return None


def put(path, pems):
    with open(path, 'w') as f:
        f.write('\n'.join(pems) + '\n')


def ask(tool, case):
    put('trust.pem', case['trusted_certs'])
    put('chain.pem', [case['peer_certificate'], *case['untrusted_intermediates']])
    when = case['validation_time']
    seconds = int(datetime.fromisoformat(when).timestamp()) if when else int(datetime.now().timestamp())
    words = [tool, 'verify', '--trust', 'trust.pem', '--chain', 'chain.pem', '--time', str(seconds)]
    if case['validation_kind'] == 'CLIENT':
        words += ['--purpose', 'client']
    if case['expected_peer_name']:
        words += ['--name', case['expected_peer_name']['value']]
    if case.get('crls'):
        put('crl.pem', case['crls'])
        words += ['--crl', 'crl.pem']
    return subprocess.run(words, capture_output=True, text=True)


def main():
    tool = os.path.abspath(sys.argv[1])
    if not os.path.exists(corpus()):
        print(f'SKIP: no {corpus()}')
        return 77
    with open(corpus()) as f:
        cases = json.load(f)['testcases']
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for case in cases:
            if why_skipped(case):
                skipped += 1
                continue
            out = ask(tool, case)
            wanted = 0 if case['expected_result'] == 'SUCCESS' else 1
            same = out.returncode == wanted
            ok = same != (case['id'] in DIFFERENT) and out.returncode in (0, 1)
            passed += ok
            failed += not ok
            if not ok:
                print(f'FAIL: {case["id"]} ({case["importance"]}): wanted {case["expected_result"]}, got '
                      f'{out.stdout.strip()} {out.stderr.strip()}')
        os.chdir('/')
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
