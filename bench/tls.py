#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TLS 1.3 in memory beside OpenSSL, in processor time: full and resumed handshakes, and bulk both ways
with AES-128-GCM and ChaCha20-Poly1305. The program takes turns itself.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main():
    build = os.path.join(ROOT, 'build', 'unix')
    made = subprocess.run(['ninja', '-C', build, 'bench/tls-bench'], capture_output=True, text=True)
    if made.returncode:
        sys.exit(f'bench/tls-bench is not made (libssl-dev is needed):\n{made.stdout[-1500:]}')
    subprocess.run([os.path.join(build, 'bench', 'tls-bench')], check=True)


if __name__ == '__main__':
    main()
