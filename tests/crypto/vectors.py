#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Published vectors against lib/crypto: the project's own file of vectors from RFCs and NIST, and the
Wycheproof files where they are (TARN_VECTORS, or ../shared/vectors from the project's root).

usage: vectors.py PROGRAM SOURCE-ROOT
"""
import glob
import json
import os
import subprocess
import sys

CURVES = {'secp256r1': 'p256', 'secp384r1': 'p384', 'secp521r1': 'p521', 'curve25519': 'x25519',
          'curve448': 'x448', 'edwards25519': 'ed25519', 'edwards448': 'ed448'}


def h(text):
    return text or '-'


def sha(name):
    return name.lower().replace('/', '-').replace('-', '', 1)


def good(test):
    return test['result'] == 'valid'


def verdict(test):
    """A signature: valid must verify and invalid must not; of acceptable ones either will do."""
    return {'valid': ['ok'], 'invalid': ['peer', 'invalid'],
            'acceptable': ['ok', 'peer', 'invalid']}[test['result']]


def public(key):
    return f'{h(key["modulus"])} {h(key["publicExponent"])}'


def private(k):
    return ' '.join(h(k[f]) for f in ('modulus', 'publicExponent', 'prime1', 'prime2', 'exponent1',
                                      'exponent2', 'coefficient'))


def aead(name):
    def lines(group, t):
        alg = name or f'aes-{group["keySize"]}-{group["type_name"]}'
        tag = group['tagSize'] // 8
        for kind in (alg, f'{alg}-fast'):
            args = f'{kind} {h(t["key"])} {h(t["iv"])} {h(t["aad"])}'
            sealed, refused = t['ct'] + t['tag'], ['peer', 'invalid']
            yield f'open {args} {h(sealed)} {tag}', [h(t['msg'])] if good(t) else refused
            if good(t):
                yield f'seal {args} {h(t["msg"])} {tag}', [sealed]
    return lines


def cbc(group, t):
    args = f'aes-{group["keySize"]}-cbc {t["key"]} {t["iv"]}'
    yield f'pad-decrypt {args} {h(t["ct"])}', [h(t['msg'])] if good(t) else ['peer', 'invalid']
    if good(t):
        yield f'pad-encrypt {args} {h(t["msg"])}', [t['ct']]


def xts(group, t):
    if len(t['key']) == 96:  # two AES-192 keys: IEEE 1619 has none
        yield f'xts-encrypt {t["key"]} {t["iv"]} {h(t["msg"])}', ['invalid']
        return
    yield f'xts-encrypt {t["key"]} {t["iv"]} {h(t["msg"])}', [t['ct']] if good(t) else ['invalid']
    if good(t):
        yield f'xts-decrypt {t["key"]} {t["iv"]} {h(t["ct"])}', [t['msg']]


def dsa(group, t):
    k = group['publicKey']
    yield (f'verify dsa-sha256 dsa {h(t["msg"])} {h(t["sig"])} {k["p"]} {k["q"]} {k["g"]} {k["y"]}',
           verdict(t))


def ecdsa(group, t):
    k = group['publicKey']
    # nettle adds points without the case of equal ones, so it refuses these three (one a curve), which
    # take a key and a message chosen for that.
    doubled = t['comment'] == 'point duplication during verification'
    yield (f'verify ecdsa-{sha(group["sha"])} {CURVES[k["curve"]]} {h(t["msg"])} {h(t["sig"])} '
           f'{k["uncompressed"]}', ['peer'] if doubled else verdict(t))


def eddsa(group, t):
    k = group['publicKey']
    name = CURVES[k['curve']]
    yield f'verify {name} {name} {h(t["msg"])} {h(t["sig"])} {k["pk"]}', verdict(t)


def rsa(group, t):
    yield (f'verify rsa-{sha(group["sha"])} rsa {h(t["msg"])} {h(t["sig"])} '
           f'{public(group["publicKey"])}', verdict(t))


def pss(group, t):
    yield (f'pss {sha(group["sha"])} {sha(group["mgfSha"])} {group["sLen"]} {h(t["msg"])} '
           f'{h(t["sig"])} {public(group["publicKey"])}', verdict(t))


def ecdh(group, t):
    kind = CURVES[group['curve']]
    n = {'p256': 32, 'p384': 48, 'p521': 66}.get(kind)
    # Private keys come as signed numbers: with a zero in front, or short.
    secret = t['private'].lstrip('0').zfill(2 * n) if n else t['private']
    want = [t['shared']] if good(t) else ['peer', 'invalid']
    if t['result'] == 'acceptable':
        want += ['peer', t['shared']]
    yield f'agree {kind} {secret} {h(t["public"])}', want


def hkdf(group, t):
    d = sha(group['file'].split('_')[1].replace('sha', 'sha-'))
    yield (f'hkdf {d} {h(t["ikm"])} {h(t["salt"])} {h(t["info"])} {t["size"]}',
           [h(t['okm'])] if good(t) else ['invalid'])


def hmac(group, t):
    n = group['tagSize'] // 8
    d = group['file'].split('_')[1]
    line = f'hmac {d} {h(t["key"])} {h(t["msg"])} {n}'
    yield line, [t['tag']] if good(t) else [('not', t['tag'])]


def pbkdf2(group, t):
    if t['iterationCount'] <= 100000:
        yield (f'pbkdf2 sha256 {h(t["password"])} {h(t["salt"])} {t["iterationCount"]} {t["dkLen"]}',
               [t['dk']])


def oaep(group, t):
    if group['sha'] == group['mgfSha'] == 'SHA-256':
        yield (f'oaep {h(t["ct"])} {h(t["label"])} {private(group["privateKey"])}',
               [h(t['msg'])] if good(t) else ['peer', 'invalid'])


def pkcs1(group, t):
    yield (f'pkcs1 {h(t["ct"])} - {private(group["privateKey"])}',
           [h(t['msg'])] if good(t) else ['peer', 'invalid'])


def mlkem_encaps(group, t):
    yield (f'mlkem-encaps {t["m"]} {h(t["ek"])}', [t['c'] + t['K']] if good(t) else ['peer'])


def mlkem_keygen(group, t):
    yield f'mlkem-keygen {t["seed"]}', [t['ek'] + t['dk']]


def mlkem_decaps(group, t):
    yield f'mlkem-decaps {h(t["dk"])} {h(t["c"])}', [t['K']] if good(t) else ['peer']


def mlkem(group, t):
    if len(t['seed']) != 128:  # such a seed cannot be passed
        return
    if t.get('ek'):
        yield f'mlkem-keygen {t["seed"]}', [('starts', t['ek'])]
    yield ('seeded', t['seed'], t['c']), [t['K']] if good(t) else ['peer']


FILES = {
    'aes_cbc_pkcs5': cbc, 'aes_ccm': aead(None), 'aes_gcm': aead(None), 'aes_xts': xts,
    'chacha20_poly1305': aead('chacha20-poly1305'), 'dsa_2048': dsa, 'ecdh_': ecdh, 'ecdsa_': ecdsa,
    'ed25519': eddsa, 'ed448': eddsa, 'hkdf': hkdf, 'hmac': hmac, 'mlkem_768_encaps': mlkem_encaps,
    'mlkem_768_keygen': mlkem_keygen, 'mlkem_768_semi': mlkem_decaps, 'mlkem_768_test': mlkem,
    'pbkdf2': pbkdf2, 'rsa_oaep': oaep, 'rsa_pkcs1': pkcs1, 'rsa_pss': pss, 'rsa_signature': rsa,
    'x25519': ecdh, 'x448': ecdh,
}


def ask(program, lines):
    out = subprocess.run([program], input='\n'.join(lines) + '\n', capture_output=True, text=True)
    answers = out.stdout.split('\n')[:-1]
    if out.returncode != 0 or len(answers) != len(lines):
        sys.exit(f'{program} ended with {out.returncode} after {len(answers)} of {len(lines)} '
                 f'answers, at: {lines[min(len(answers), len(lines) - 1)][:300]}\n{out.stderr[-3000:]}')
    return answers


def fits(answer, want):
    for w in want:
        if isinstance(w, tuple):
            if w[0] == 'not' and answer != w[1] or w[0] == 'starts' and answer.startswith(w[1]):
                return True
        elif answer == w:
            return True
    return False


def cases_of(path):
    name = os.path.basename(path)
    maker = max((p for p in FILES if name.startswith(p)), key=len, default=None)
    if not maker:
        sys.exit(f'{name}: no test for this file')
    with open(path) as f:
        data = json.load(f)
    for group in data['testGroups']:
        group['file'] = name[:-len('_test.json')]
        group['type_name'] = name.split('_')[1]
        for t in group['tests']:
            for line, want in FILES[maker](group, t):
                yield f'{name} {t["tcId"]} ({t.get("comment", "")})', line, want


def own_cases(path):
    """NAME: OPERATION = ANSWER"""
    with open(path) as f:
        for n, line in enumerate(f, 1):
            if line.strip() and not line.startswith('#'):
                op, want = line.rsplit(' = ', 1)
                yield f'{os.path.basename(path)}:{n}', op.split(': ', 1)[1], [want.strip()]


def main():
    program, source = sys.argv[1:3]
    folder = os.environ.get('TARN_VECTORS') or os.path.join(source, '..', 'shared', 'vectors')
    files = sorted(glob.glob(os.path.join(folder, 'wycheproof', '*_test.json')))
    cases = [c for p in sorted(glob.glob(os.path.join(source, 'tests/crypto/vectors/*.txt')))
             for c in own_cases(p)]
    for path in files:
        cases += cases_of(path)
    # A secret key from its seed first, then what is asked of it.
    seeds = sorted({c[1][1] for c in cases if isinstance(c[1], tuple)})
    made = dict(zip(seeds, ask(program, [f'mlkem-keygen {s}' for s in seeds]) if seeds else []))
    lines = [c[1] if isinstance(c[1], str) else f'mlkem-decaps {made[c[1][1]][2368:]} {h(c[1][2])}'
             for c in cases]
    failed = 0
    for (name, _, want), line, answer in zip(cases, lines, ask(program, lines)):
        if not fits(answer, want):
            failed += 1
            print(f'FAIL: {name}: {line[:200]}: {answer[:120]}, not {want}'[:500])
    if not files:
        print(f'SKIP: the Wycheproof vectors are not in {folder}')
    print(f'{len(cases) - failed} passed, {failed} failed, {0 if files else 1} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
