#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Runs timing.c under valgrind's memcheck: no branch and no address may depend on a secret.

Two things are let through. A conditional jump that goes to __assert_fail, in nettle, and is never
taken: that is checked in the disassembly, jump by jump. And the verdicts below, which are public once
they are known.

usage: timing.py PROGRAM
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import sys

CASES = ['hmac', 'compare', 'chacha20-poly1305', 'x25519', 'x448', 'ecdh-p256', 'ecdh-p384', 'ecdh-p521',
         'ecdsa-p256', 'ecdsa-p384', 'ecdsa-p521', 'ed25519', 'ed448', 'mlkem768', 'pkcs7']
# With the processor's AES instructions only.
AES_CASES = ['aes-128-gcm', 'aes-256-gcm-fast', 'chacha20-poly1305-fast']
LOADED_AT = 0x108000  # where valgrind puts a position-independent program
PUBLIC = {
    'tarn_aead_open': 'whether the tag was right',
    'tarn_agree': 'whether the result is zero',
    'tarn_pkcs7_unpad': 'whether the padding was right', 'unpad': 'the same',
    'ec_scalar_is_valid': 'whether the scalar is one of the group: always, of a made key',
    'scalar_from': 'the same', 'ec_public': 'the same', 'ec_agree': 'the same',
    'sample_ntt': 'rho is a part of the public key',
    '_nettle_ecc_mod_random': 'whether a candidate for a nonce was thrown away',
    'nettle_ecdsa_sign': 'whether r or s is zero',
    'number_get': 'r and s are the signature',
    'number_trim': 'the same', 'positive_bytes': 'the same', 'put_positive': 'the same',
    'der_pair_write': 'the same', 'der_head': 'the same', 'der_head_bytes': 'the same',
    'nettle_mpz_get_str_256': 'the same',
    '__gmpz_sizeinbase': 'the same', '__gmpz_limbs_finish': 'the same', 'nettle_mpz_to_octets': 'the same',
    'sign_numbers': 'the same', 'tarn_writer_u8': 'the same', 'tarn_writer_span_put': 'the same',
    '_nettle_mpz_set_n': 'the same', 'nettle_mpz_set_n': 'the same',
}


def disassembly(program):
    """address -> (instruction, operands), in order."""
    out = subprocess.run(['objdump', '-d', '--no-show-raw-insn', program], check=True,
                         capture_output=True, text=True).stdout
    lines = re.findall(r'^ +([0-9a-f]+):[ \t]+(\S+)[ \t]*(.*)$', out, re.M)
    return [(int(a, 16), op, rest) for a, op, rest in lines]


def leads_to_assert(code, index, base, address):
    """Whether the jump at `address` has a way that ends in __assert_fail, with nothing else on it."""
    at = index.get(address - base)
    if at is None or not code[at][1].startswith('j'):
        return False
    for start in (index.get(int(code[at][2].split()[0], 16), -1), at + 1):
        for _, op, rest in code[start:start + 8] if start >= 0 else []:
            if op.startswith('call'):
                if '__assert_fail' in rest:
                    return True
                break
            if op.startswith(('j', 'ret')):
                break
    return False


def reports(text):
    """(what, [(address, function)]) of every report."""
    for block in re.split(r'==\d+== \n', text):
        m = re.search(r'==\d+== (Conditional jump|Use of uninit|Invalid|Syscall param)', block)
        if m:
            yield m.group(1), [(int(a, 16), f) for a, f in
                               re.findall(r'(?:at|by) 0x([0-9A-F]+): (\S+)', block)]


def findings(program, case, code, index):
    out = subprocess.run(['valgrind', '--error-limit=no', '--num-callers=6', program, case],
                         capture_output=True, text=True)
    if out.returncode != 0 or 'ERROR SUMMARY' not in out.stderr:
        yield f'{case}: ended with {out.returncode}: {out.stderr[-300:]}'
    for what, frames in reports(out.stderr):
        address, function = frames[0]
        if function in PUBLIC:
            continue
        if what == 'Conditional jump' and leads_to_assert(code, index, LOADED_AT, address):
            continue
        yield f'{case}: {what} in ' + ' <- '.join(f for _, f in frames[:4])


def main():
    program = sys.argv[1]
    if not shutil.which('valgrind') or not shutil.which('objdump'):
        print('SKIP: valgrind or objdump is not installed')
        return 77
    with open('/proc/cpuinfo') as f:
        aes = re.search(r'^flags.*\baes\b', f.read(), re.M)
    code = disassembly(program)
    index = {a: i for i, (a, _, _) in enumerate(code)}
    failed = 0
    if not list(findings(program, 'leak', code, index)):
        print('FAIL: the case that leaks was not caught')
        failed += 1
    cases = CASES + (AES_CASES if aes else [])
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        answers = list(pool.map(lambda case: sorted(set(findings(program, case, code, index))), cases))
    for said in answers:
        failed += bool(said)
        for line in said:
            print(f'FAIL: {line}')
    print(f'{len(cases) + 1 - failed} passed, {failed} failed, {0 if aes else 1} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
