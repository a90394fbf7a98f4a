#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""TCP over a lossy path, in virtual time, beside the figures published for smoltcp and lwIP."""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tools'))
import common

common.configure('unix')
common.quietly('build tcp-loss', ['ninja', '-C', common.build_dir('unix'), 'bench/tcp-loss'])
common.run([os.path.join(common.build_dir('unix'), 'bench', 'tcp-loss')] + sys.argv[1:])
