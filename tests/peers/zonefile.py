#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Zone files before two parsers that nobody here wrote: what BIND's named-checkzone and ldns read of a
zone is what we read of it, and what both refuse we refuse.

usage: zonefile.py DNS-PRINT-ZONE
"""
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

TOOL = os.path.abspath(sys.argv[1])
HEAD = '$TTL 1h\n@ IN SOA ns root 1 2h 15m 2w 1d\n@ NS ns\nns A 192.0.2.53\n'
# One a line: each is tried alone behind HEAD, and all that are good in one file.
LINES = r'''
a A 192.0.2.1
a IN A 192.0.2.2
b 5 A 192.0.2.1
c IN 6 A 192.0.2.1
d 1w2d3h4m5s IN A 192.0.2.1
e AAAA 2001:DB8::1
e2 AAAA ::ffff:192.0.2.1
f CNAME a
g MX 10 a
h TXT one "two three" "" \; "a\"b" \065
i TXT "semi;colon" ( "in" ; comment
i2 SRV 0 5 5060 a
j NAPTR 100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!i" .
k LOC 42 21 54 N 71 06 18 W -24m 30m
k2 LOC 52 22 23.5 N 4 53 32.001 E 0
l CAA 0 issue "ca.example.net; account=230123"
m TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
n SSHFP 2 1 123456789abcdef67890123456789abcdef67890
o SVCB 1 foo port=8004 alpn=h2,h3 mandatory=port,alpn
p HTTPS 1 . alpn="h2" ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1
p2 HTTPS 0 foo.example.
q DS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118
q NS a
r DNSKEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3Cbl+BBZH4b/0PY1kxkmvHjcZc8nokfzj31GajIQKY+5CptLr3buXA10hWqTkF7H6RfoRqXQeogmMHfpftf6zMv1LyBUgia7za6ZEzOJBOztyvhjL742iU/TpPSEDhm2SNKLijfUppn1UaNvv4w==
s NSEC a A MX RRSIG NSEC TYPE1234
t HINFO "PC" Linux
u RP a b
v AFSDB 1 a
w PTR a
x DNAME a.example.
y URI 10 1 "ftp://ftp1.example.com/public"
z TYPE731 \# 6 abcdef012345
z2 TYPE62347 \# 0
aa A \# 4 0a000001
ab OPENPGPKEY AQID
ac EUI48 00-00-5e-00-53-2a
ad EUI64 00-00-5e-ef-10-00-00-2a
ae L32 10 10.1.2.0
af L64 10 2001:0db8:1140:1000
ag NID 10 0014:4fff:ff20:ee64
ah LP 10 a
ai CDS 0 0 0 00
aj CDNSKEY 0 3 0 AA==
ak CSYNC 66 3 A NS AAAA
al ZONEMD 2018031500 1 1 FEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEEFEBE3D4CE2EC2FFA4BA99D46CD69D6D29711E55217057BEE
am SMIMEA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971
an IPSECKEY 10 1 2 192.0.2.38 AQNRU3mG7TVTO2BkR47usntb102uFJtugbo6BSGvgqt4AQ==
ao APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:ff00::/8
ap CERT PKIX 1 5 AQID
aq KX 10 a
ar SPF "v=spf1 -all"
as DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
\065t A 192.0.2.1
dot\.ted A 192.0.2.1
*.wild A 192.0.2.1
at\@sign A 192.0.2.1
sp\032ace A 192.0.2.1
dol\$lar A 192.0.2.1
deep.er.and.deeper A 192.0.2.1
UPPER A 192.0.2.1
abs.example. A 192.0.2.1
$GENERATE 1-20/3 gen$ A 192.0.2.$
$GENERATE 1-3 gen${10,4,d}.x CNAME ${0,2,x}.y
$GENERATE 8-10 ${0,5,n}.rev PTR host$
$INCLUDE inc.zone
$INCLUDE inc.zone under.example.
$ORIGIN sub
ba A 192.0.2.1 junk
bb A 192.0.2.256
bc A 1.2.3
bd AAAA 2001:db8:::1
be MX a
bf MX 70000 a
bg TXT "open
bh FROG a
bi SRV 1 2 a
bj CNAME a..b
bk A ( 192.0.2.1
bl DS 1 2 3 ABC
bm LOC 91 0 0 N 0 0 0 E 0
bn SVCB 1 . port=1 port=2
bo SVCB 1 . alpn=
bp TYPE731 \# 3 abcd
bq NSEC a A FROG
br CAA 0 is-sue x
bs A 192.0.2.1 )
bt TXT a\256
$TTL frog
$ORIGIN a..b
$GENERATE 5-1 x$ A 1.2.3.4
'''.strip().split('\n')
LINES[10] = 'i TXT "semi;colon" ( "in"\n ; comment\n "out" )'


def ours(path):
    done = subprocess.run([TOOL, path, 'example'], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode == 0 else None


def bind(path):
    done = subprocess.run(['named-checkzone', '-q', '-D', '-o', '-', '-F', 'text', '-s', 'full', '-i',
                           'none', '-k', 'ignore', '-m', 'ignore', '-M', 'ignore', '-n', 'ignore', '-r',
                           'ignore', '-S', 'ignore', '-T', 'ignore', '-W', 'ignore', 'example', path],
                          capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def ldns(path):
    done = subprocess.run(['ldns-read-zone', path], capture_output=True, text=True)
    return done.stdout if done.returncode == 0 else None


def records(text, folder):
    """What any of the three wrote, as we print it, in one order; the same record twice is one."""
    path = os.path.join(folder, 'read-back')
    with open(path, 'w', encoding='latin-1') as f:
        f.write(text)
    own = ours(path)
    assert own is not None, ('we refuse what a peer wrote', text)
    # BIND leaves out what is not in the zone; whoever loads our records does.
    return sorted({line for line in own.lower().splitlines()
                   if re.match(r'(\S*[^\\]\.)?example\. ', line)})


def check(folder, body, stats, what):
    path = os.path.join(folder, 'zone')
    with open(path, 'w') as f:
        f.write(HEAD + body + '\n')
    mine, theirs = ours(path), bind(path)
    if theirs is not None and mine is not None:
        a, b = records(mine, folder), records(theirs, folder)
        assert a == b, (what, sorted(set(a) ^ set(b)))
        stats['agreed'] += 1
    elif theirs is None and mine is None:
        stats['refused'] += 1
    else:
        other = ldns(path)
        assert (other is None) == (mine is None), (what, 'BIND and ldns are against us', mine, theirs)
        stats['split'].append(what)
    return mine is not None and theirs is not None


def main():
    for program in ('named-checkzone', 'ldns-read-zone'):
        if not shutil.which(program):
            print('skipped:', program, 'is not installed')
            return 77
    stats = {'agreed': 0, 'refused': 0, 'split': []}
    with tempfile.TemporaryDirectory(prefix='tarn-zonefile-') as folder:
        os.chdir(folder)
        with open('inc.zone', 'w') as f:
            f.write('inc A 192.0.2.9\n$ORIGIN other.example.\ninc2 A 192.0.2.9\n')
        good = [line for line in LINES if check(folder, line, stats, line)]
        assert check(folder, '\n'.join(good), stats, 'all good lines')
        # Damage: one byte of a good line is changed, removed or doubled.
        rng = random.Random(4711)
        for _ in range(200):
            line = rng.choice([g for g in good if not g.startswith('$')])
            at = rng.randrange(1, len(line))
            piece = rng.choice(['', line[at] * 2, chr(rng.randrange(33, 127)), ' '])
            check(folder, line[:at] + piece + line[at + 1:], stats, line[:at] + piece + line[at + 1:])
        print(f"{stats['agreed']} zones read alike, {stats['refused']} refused alike, "
              f"{len(stats['split'])} on which BIND and ldns differ and we side with ldns")
        for what in stats['split']:
            print('  ', what)
    return 0


sys.exit(main())
