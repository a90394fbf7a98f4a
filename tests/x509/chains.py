#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Chains that openssl made, good and hostile, before tarn-x509 verify and openssl verify. Where the two
differ, the case says so and why. And what tarn-x509 makes, before openssl.

usage: chains.py TARN-X509
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

NOW = int(time.time())
DAY = 86400
LEAF = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName=DNS:www.example.com,DNS:*.wild.example.com,IP:192.0.2.1,IP:2001:db8::1
"""
CA = """basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def openssl(*args, **kw):
    out = subprocess.run(['openssl', *args], capture_output=True, text=True, **kw)
    if out.returncode != 0:
        raise RuntimeError(f'openssl {" ".join(args)}: {out.stderr.strip()[-400:]}')
    return out.stdout


class Lab:
    """Keys by name, and certificates issued with them."""

    def __init__(self, folder):
        self.folder = folder
        self.serial = 1000

    def path(self, name):
        return os.path.join(self.folder, name)

    def key(self, name, kind='ec'):
        path = self.path(f'{name}.{kind}.key')
        if not os.path.exists(path):
            what = {'ec': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
                    'p192': ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:prime192v1'],
                    'ed': ['-algorithm', 'ED25519'],
                    'rsa': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
                    'rsa1024': ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024']}[kind]
            openssl('genpkey', *what, '-out', path)
        return path

    def issue(self, name, issuer, ext, kind='ec', start=-DAY, end=90 * DAY, subject=None, md='sha256',
              issuer_kind='ec', more=()):
        """A certificate in name.pem, by issuer.pem; self-signed where the two are the same."""
        key, out = self.key(name, kind), self.path(f'{name}.pem')
        self.serial += 1
        with open(self.path('ext.cnf'), 'w') as f:
            f.write(f'[ca]\ndefault_ca=d\n[d]\ndatabase={self.path("db")}\nnew_certs_dir={self.folder}\n'
                    f'serial={self.path("serial")}\ncrlnumber={self.path("crlnumber")}\npolicy=p\nemail_in_dn=no\nunique_subject=no\nx509_extensions=x\n[p]\n'
                    f'commonName=optional\n'
                    f'[req]\ndistinguished_name=dn\n[dn]\n[x]\n{ext}')
        open(self.path('db'), 'w').close()
        subject = f'/CN={name}' if subject is None else subject
        openssl('req', '-new', '-key', key, '-subj', subject, '-config', self.path('ext.cnf'), '-out',
                self.path('csr'))

        def stamp(t):
            return subprocess.run(['date', '-u', '-d', f'@{NOW + t}', '+%Y%m%d%H%M%SZ'],
                                  capture_output=True, text=True).stdout.strip()
        signer = ['-selfsign', '-keyfile', key] if issuer == name else \
            ['-cert', self.path(f'{issuer}.pem'), '-keyfile', self.key(issuer, issuer_kind)]
        with open(self.path('serial'), 'w') as f:
            f.write(f'{self.serial:04X}\n')
        openssl('ca', '-batch', '-notext', '-md', md, '-config', self.path('ext.cnf'), *signer, '-in',
                self.path('csr'), '-out', out, '-startdate', stamp(start), '-enddate', stamp(end),
                *more)
        return out


def write_chain(lab, names):
    with open(lab.path('chain.pem'), 'w') as out:
        for n in names:
            with open(lab.path(f'{n}.pem')) as f:
                out.write(f.read())
    return lab.path('chain.pem')


def tarn(tool, lab, chain, trust='root', name='www.example.com', now=NOW, more=()):
    out = subprocess.run([tool, 'verify', '--trust', lab.path(f'{trust}.pem'), '--chain', chain, '--time',
                          str(now), '--name', name, *more], capture_output=True, text=True)
    if out.returncode not in (0, 1):
        raise RuntimeError(out.stderr)
    return out.stdout.strip()


def by_openssl(lab, chain, trust='root', name='www.example.com', now=NOW):
    option = '-verify_ip' if re.fullmatch(r'[\d.]+|[0-9a-f:]+', name) else '-verify_hostname'
    out = subprocess.run(['openssl', 'verify', '-x509_strict', '-purpose', 'sslserver', '-attime', str(now),
                          '-CAfile', lab.path(f'{trust}.pem'), '-untrusted', chain, option, name, chain],
                         capture_output=True, text=True)
    return out.returncode == 0


def replaced(text, key, value):
    out = re.sub(rf'^{key}=.*\n', f'{key}={value}\n' if value else '', text, flags=re.M)
    return out if re.search(rf'^{key}=', text, re.M) or not value else text + f'{key}={value}\n'


def cases(lab):
    """(what, chain, keywords for verify, Tarn's answer begins with, openssl differs because)"""
    ca, leaf = CA, LEAF
    lab.issue('root', 'root', ca)
    lab.issue('mid', 'root', ca)
    lab.issue('leaf', 'mid', leaf)
    good = ['leaf', 'mid']
    yield 'a good chain', good, {}, 'good', None
    yield 'with the root sent too', good + ['root'], {}, 'good', None
    lab.issue('stray', 'stray', ca)
    yield 'with strangers in between', ['leaf', 'stray', 'mid'], {}, 'good', None
    yield 'without the intermediate', ['leaf'], {}, 'refused: no path', None
    yield 'another root', good, {'trust': 'stray'}, 'refused: no path', None
    for name, ok in (('a.wild.example.com', True), ('wild.example.com', False),
                     ('a.b.wild.example.com', False), ('WWW.EXAMPLE.COM', True), ('192.0.2.1', True),
                     ('192.0.2.2', False), ('2001:db8::1', True), ('www.example.org', False)):
        yield f'the name {name}', good, {'name': name}, \
            'good' if ok else 'refused: not for this name', None
    yield 'too late', good, {'now': NOW + 91 * DAY}, 'refused: expired', None
    yield 'too early', good, {'now': NOW - 2 * DAY}, 'refused: not yet valid', None

    def one(what, expect, differs=None, leaf_ext=leaf, mid_ext=ca, chain=('leaf2', 'mid2'), leaf_args={},
            mid_args={}, **kw):
        lab.issue('mid2', 'root', mid_ext, **mid_args)
        lab.issue('leaf2', 'mid2', leaf_ext, issuer_kind=mid_args.get('kind', 'ec'), **leaf_args)
        return what, list(chain), kw, expect, differs
    yield one('the intermediate expired', 'refused: expired', mid_args={'end': -1})
    yield one('an RSA intermediate', 'good', mid_args={'kind': 'rsa'})
    yield one('an Ed25519 intermediate', 'good', mid_args={'kind': 'ed'}, leaf_args={'md': 'default'})
    yield one('an RSA key of 1024 bits', 'refused: an algorithm', 'openssl takes 1024 bits',
              leaf_args={'kind': 'rsa1024'})
    yield one('a P-192 key', 'refused: an algorithm', 'openssl takes P-192', leaf_args={'kind': 'p192'})
    yield one('signed with SHA-1', 'refused: an algorithm', 'openssl takes SHA-1 here',
              leaf_args={'md': 'sha1'})
    yield one('the issuer is no CA', 'refused: an issuer may not',
              mid_ext=replaced(replaced(ca, 'basicConstraints', 'critical,CA:FALSE'), 'keyUsage',
                               'critical,digitalSignature'))
    yield one('the issuer has no basicConstraints', 'refused: an issuer may not',
              mid_ext=replaced(ca, 'basicConstraints', ''))
    yield one('the issuer may not sign certificates', 'refused: an issuer may not',
              mid_ext=replaced(ca, 'keyUsage', 'critical,cRLSign'))
    yield one('a client certificate', 'refused: the key may not',
              leaf_ext=replaced(leaf, 'extendedKeyUsage', 'clientAuth'))
    yield one('no extKeyUsage', 'refused: the key may not', 'openssl takes it for any use',
              leaf_ext=replaced(leaf, 'extendedKeyUsage', ''))
    yield one('an intermediate for clients only', 'refused: the key may not',
              mid_ext=ca + 'extendedKeyUsage=clientAuth\n')
    yield one('a critical extension that nobody knows', 'refused: a critical',
              leaf_ext=leaf + '1.2.3.4=critical,DER:0500\n')
    yield one('one that is not critical', 'good', leaf_ext=leaf + '1.2.3.4=DER:0500\n')
    yield one('no subjectAltName', 'refused: against', 'openssl then looks at the common name',
              leaf_ext=replaced(leaf, 'subjectAltName', ''),
              leaf_args={'subject': '/CN=www.example.com'})
    yield one('an empty subject', 'refused: against', leaf_args={'subject': '/'})
    yield one('an empty subject and a critical subjectAltName', 'good', leaf_args={'subject': '/'},
              leaf_ext=replaced(leaf, 'subjectAltName', 'critical,DNS:www.example.com'))
    yield one('no authorityKeyIdentifier', 'refused: against',
              leaf_ext=replaced(leaf, 'authorityKeyIdentifier', 'none'))
    yield one('a wildcard in the middle', 'refused: the certificate is malformed',
              'openssl only does not match it',
              leaf_ext=replaced(leaf, 'subjectAltName', 'DNS:www.*.com,DNS:www.example.com'))
    yield one('a wildcard for a whole top-level domain', 'refused: the certificate is malformed', None,
              leaf_ext=replaced(leaf, 'subjectAltName', 'DNS:*.com'))

    def constrained(what, constraints, expect, differs=None, names='DNS:www.example.com', **kw):
        return one(what, expect, differs, mid_ext=ca + f'nameConstraints=critical,{constraints}\n',
                   leaf_ext=replaced(leaf, 'subjectAltName', names), **kw)
    outside = 'refused: a name is outside'
    yield constrained('names as permitted', 'permitted;DNS:example.com', 'good')
    yield constrained('other names permitted', 'permitted;DNS:example.org', outside)
    yield constrained('a name that only ends alike', 'permitted;DNS:ple.com', outside)
    yield constrained('excluded names', 'excluded;DNS:example.com', outside)
    yield constrained('others excluded', 'excluded;DNS:example.org', 'good')
    yield constrained('a wildcard over an excluded name', 'excluded;DNS:secret.example.com', outside,
                      'openssl lets the wildcard through', names='DNS:*.example.com,DNS:www.example.com')
    yield constrained('an address as permitted', 'permitted;IP:192.0.2.0/255.255.255.0', 'good',
                      names='IP:192.0.2.77', name='192.0.2.77')
    yield constrained('an address outside', 'permitted;IP:192.0.2.0/255.255.255.128', outside,
                      names='IP:192.0.2.177', name='192.0.2.177')
    yield constrained('directory names outside', 'permitted;dirName:dn_sect\n[dn_sect]\nCN=other\n[y]',
                      outside)
    for what, permitted, address, expect in (
            ('of a host', 'example.com', 'a@example.com', 'good'),
            ('of a host below', 'example.com', 'a@mail.example.com', outside),
            ('below a domain', '.example.com', 'a@mail.example.com', 'good'),
            ('one alone', 'a@example.com', 'a@EXAMPLE.com', 'good'),
            ('another', 'a@example.com', 'b@example.com', outside)):
        yield constrained(f'mail, {what}', f'permitted;email:{permitted}', expect,
                          names=f'DNS:www.example.com,email:{address}')
    for what, base, uri, expect in (
            ('of a host', 'permitted;URI:example.com', 'https://example.com:8443/x', 'good'),
            ('of a host below', 'permitted;URI:example.com', 'https://www.example.com/', outside),
            ('below a domain', 'permitted;URI:.example.com', 'https://www.example.com/', 'good'),
            ('excluded', 'excluded;URI:.example.com', 'https://www.example.com/', outside)):
        yield constrained(f'URI, {what}', base, expect, names=f'DNS:www.example.com,URI:{uri}')
    yield constrained('a URI without a host', 'permitted;URI:example.com', outside,
                      names='DNS:www.example.com,URI:urn:example.com')

    told = 'openssl asks for policies only where it is told to'
    demand, has = 'policyConstraints=critical,requireExplicitPolicy:0\n', 'certificatePolicies='
    missing = 'refused: a certificate policy'
    yield one('a policy demanded and there', 'good', mid_ext=ca + demand + has + '1.2.3.4\n',
              leaf_ext=leaf + has + '1.2.3.4,1.2.3.5\n')
    yield one('a policy demanded and missing', missing, told, mid_ext=ca + demand + has + '1.2.3.4\n')
    yield one('another policy than the issuer has', missing, told, mid_ext=ca + demand + has + '1.2.3.4\n',
              leaf_ext=leaf + has + '1.2.3.5\n')
    yield one('any policy of the issuer', 'good', mid_ext=ca + demand + has + '2.5.29.32.0\n',
              leaf_ext=leaf + has + '1.2.3.5\n')
    yield one('a policy demanded only further down', 'good',
              mid_ext=ca + 'policyConstraints=critical,requireExplicitPolicy:2\n')
    yield one('a policy under another name', 'good', leaf_ext=leaf + has + '1.2.3.9\n',
              mid_ext=ca + demand + has + '1.2.3.4\npolicyMappings=critical,1.2.3.4:1.2.3.9\n')
    yield one('the old name of a policy that is mapped', missing, told, leaf_ext=leaf + has + '1.2.3.4\n',
              mid_ext=ca + demand + has + '1.2.3.4\npolicyMappings=critical,1.2.3.4:1.2.3.9\n')

    lab.issue('mid0', 'root', replaced(ca, 'basicConstraints', 'critical,CA:TRUE,pathlen:0'))
    lab.issue('below', 'mid0', ca)
    lab.issue('deep', 'below', leaf)
    yield 'longer than pathLenConstraint', ['deep', 'below', 'mid0'], {}, 'refused: the path is longer', None
    lab.issue('flat', 'mid0', leaf)
    yield 'exactly as long', ['flat', 'mid0'], {}, 'good', None
    # Two intermediates of one name and key, of which the first found has expired.
    lab.issue('old', 'root', ca, end=-1, subject='/CN=twin')
    shutil.copy(lab.key('old'), lab.path('new.ec.key'))
    lab.issue('new', 'root', ca, subject='/CN=twin')
    lab.issue('child', 'new', leaf)
    yield 'a way around an expired twin', ['child', 'old', 'new'], {}, 'good', None
    # A stranger who took the name and the key identifier of the intermediate.
    lab.issue('fake', 'stray', ca, subject='/CN=mid')
    yield 'a stranger of the same name in front', ['leaf', 'fake', 'mid'], {}, 'good', None
    lab.issue('forged', 'fake', leaf)
    yield 'signed by the stranger', ['forged', 'mid'], {}, 'refused: ', None
    # Many of one name: the search ends.
    for i in range(12):
        shutil.copy(lab.key('mid'), lab.path(f'loop{i}.ec.key'))
        lab.issue(f'loop{i}', 'mid', ca, subject='/CN=mid')
    yield 'a tangle of twelve that certify each other', ['leaf'] + [f'loop{i}' for i in range(12)], {}, \
        'refused: ', None


def flipped(tool, lab):
    """Every 16th byte of a good leaf changed: never good."""
    with open(write_chain(lab, ['leaf', 'mid'])) as f:
        pem = f.read()
    first = re.search(r'-----BEGIN CERTIFICATE-----\n(.*?)-----END', pem, re.S)
    import base64
    der = bytearray(base64.b64decode(first.group(1)))
    bad = 0
    for at in range(0, len(der), 16):
        der[at] ^= 0x01
        text = base64.encodebytes(bytes(der)).decode()
        with open(lab.path('flipped.pem'), 'w') as f:
            f.write(f'-----BEGIN CERTIFICATE-----\n{text}-----END{pem[first.end():]}')
        bad += tarn(tool, lab, lab.path('flipped.pem')) == 'good'
        der[at] ^= 0x01
    return bad == 0


def revoked(tool, lab):
    """A CRL by openssl that has the leaf's number, and one that has not."""
    with open(lab.path('crlnumber'), 'w') as f:
        f.write('01\n')
    serial = openssl('x509', '-in', lab.path('leaf.pem'), '-noout', '-serial').strip().split('=')[1]
    answers = []
    for line in ('', f'R\t280101000000Z\t260101000000Z\t{serial}\tunknown\t/CN=leaf\n'):
        with open(lab.path('db'), 'w') as f:
            f.write(line)
        crl = openssl('ca', '-gencrl', '-config', lab.path('ext.cnf'), '-cert', lab.path('mid.pem'), '-keyfile',
                      lab.key('mid'), '-crldays', '30', '-md', 'sha256')
        with open(lab.path('crl.pem'), 'w') as f:
            f.write(crl)
        answers.append(tarn(tool, lab, write_chain(lab, ['leaf', 'mid']),
                            now=NOW + 3600, more=['--crl', lab.path('crl.pem')]))
    return answers[0] == 'good' and answers[1].startswith('refused: revoked')


def stapled(tool, lab):
    """OCSP responses by openssl: of the issuer and of its delegate, good, revoked, too old, of another."""
    serial = openssl('x509', '-in', lab.path('leaf.pem'), '-noout', '-serial').strip().split('=')[1]
    lab.issue('delegate', 'mid', replaced(LEAF, 'extendedKeyUsage', 'OCSPSigning'))
    answers = []
    for signer, line, now in (('mid', 'V\t280101000000Z\t', 3600),
                              ('delegate', 'V\t280101000000Z\t', 3600),
                              ('mid', 'R\t280101000000Z\t260101000000Z', 3600),
                              ('mid', 'V\t280101000000Z\t', 10 * DAY),
                              ('leaf', 'V\t280101000000Z\t', 3600)):
        with open(lab.path('index'), 'w') as f:
            f.write(f'{line}\t{serial}\tunknown\t/CN=leaf\n')
        openssl('ocsp', '-index', lab.path('index'), '-CA', lab.path('mid.pem'), '-issuer', lab.path('mid.pem'),
                '-serial', f'0x{serial}', '-rsigner', lab.path(f'{signer}.pem'), '-rkey', lab.key(signer),
                '-respout', lab.path('ocsp'), '-ndays', '7', '-noverify')
        answers.append(tarn(tool, lab, write_chain(lab, ['leaf', 'mid']), now=NOW + now,
                            more=['--ocsp', lab.path('ocsp')]).split(':')[0])
    return answers == ['good', 'good', 'refused', 'refused', 'refused']


def made(tool, lab):
    """tarn-x509 makes a CA, a request and a certificate for it; openssl verifies all."""
    def run(out, *args):
        with open(lab.path(out), 'w') as f:
            subprocess.run([tool, *args], stdout=f, check=True)
        return lab.path(out)
    for kind in ('p256', 'p384', 'p521', 'ed25519', 'ed448', 'rsa2048'):
        key = run('t.key', 'key', kind)
        openssl('pkey', '-in', key, '-check', '-noout')
        run('troot.pem', 'make', '--key', key, '--ca', '--subject', 'made', '--time', str(NOW))
        child = run('t2.key', 'key', 'p256')
        csr = run('t.csr', 'request', '--key', child, '--subject', 'leaf', '--names',
                  'www.example.com,192.0.2.1,2001:db8::1')
        openssl('req', '-in', csr, '-verify', '-noout')
        run('tleaf.pem', 'make', '--csr', csr, '--issuer', lab.path('troot.pem'), '--issuer-key', key,
            '--time', str(NOW))
        chain = write_chain(lab, ['tleaf'])
        for name in ('www.example.com', '192.0.2.1', '2001:db8::1'):
            if not by_openssl(lab, chain, 'troot', name) or tarn(tool, lab, chain, 'troot', name) != 'good':
                return False
    return True


def main():
    tool = sys.argv[1]
    if not shutil.which('openssl'):
        print('SKIP: openssl is not installed')
        return 77
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(folder)
        for what, names, kw, expect, differs in cases(lab):
            chain = write_chain(lab, names)
            got, theirs = tarn(tool, lab, chain, **kw), by_openssl(lab, chain, **kw)
            same = theirs == (got == 'good')
            ok = got.startswith(expect) and same != bool(differs)
            passed += ok
            failed += not ok
            if not ok:
                print(f'FAIL: {what}: {got!r}, wanted {expect!r}; openssl says {theirs}'
                      + (f', expected to differ: {differs}' if differs else ''))
        for check in (flipped, revoked, stapled, made):
            ok = check(tool, lab)
            passed += ok
            failed += not ok
            if not ok:
                print(f'FAIL: {check.__doc__}')
    print(f'{passed} passed, {failed} failed, 0 skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
