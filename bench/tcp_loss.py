#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TCP over a lossy path, in virtual time, beside the figures published for smoltcp and lwIP."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
from tools.common import build_dir, configure_tests, quietly  # noqa: E402


def main():
    configure_tests('unix')
    quietly('build tcp-loss', ['ninja', '-C', build_dir('unix'), 'bench/tcp-loss'])
    program = os.path.join(build_dir('unix'), 'bench', 'tcp-loss')
    sys.exit(subprocess.run([program] + sys.argv[1:]).returncode)


if __name__ == '__main__':
    main()
