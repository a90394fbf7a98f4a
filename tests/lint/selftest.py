#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Shows every lint a tree that is clean and then one with the fault it is for: it must stay silent, and
then speak. A check that cannot fail is a defect."""
import os
import sys
import tempfile

sys.dont_write_bytecode = True
import lint  # noqa: E402

SPDX = '/* SPDX-License-Identifier: ISC */\n'
CLEAN = {
    'lib/meson.build': "# SPDX-License-Identifier: ISC\nlayers = {\n  'base': [],\n  'top': ['base'],\n}\n",
    'lib/base/include/tarn/b.h': SPDX + '#ifndef TARN_B_H\n#define TARN_B_H\nstruct b;\n#endif\n',
    'lib/base/src/b.c': SPDX + '#include <tarn/b.h>\n',
    'lib/base/README.md': '```c\nint main(void) {}\n```\n',
    'lib/top/include/tarn/t.h': SPDX + '#ifndef TARN_T_H\n#define TARN_T_H\n'
                                       '#include <tarn/b.h>\nint t(const int *p);\n#endif\n',
    'lib/top/src/t.c': SPDX + '#include <tarn/t.h>\n\nint t(const int *p) {\n    return *p;\n}\n',
    'lib/top/README.md': '```c\nint main(void) {}\n```\n',
    'README.md': '| [base](lib/base) | - | x |\n| [top](lib/top) | base | x |\n',
    '.clang-format': 'BasedOnStyle: LLVM\nIndentWidth: 4\nAllowShortFunctionsOnASingleLine: None\n',
}
T = 'lib/top/src/t.c'
H = 'lib/top/include/tarn/t.h'
# rule -> the files that each make it speak
FAULTS = {
    'spdx': [{T: 'int x;\n'}, {'tool.py': '#!/usr/bin/env python3\nprint()\n'},
             {'script': '#!/bin/sh\ntrue\n'}],
    'length': [{T: SPDX + '\n' * 801}, {H: SPDX + '\n' * 401}],
    'traces': [{T: SPDX + '/* TO' 'DO: later */\n'}, {T: SPDX + '#if 0\n#endif\n'},
               {'doc.md': 'see /wo' 'rk/shared\n'}, {'doc.md': 'blank \n'}],
    'libc': [{T: SPDX + 'void f(void) { memcpy(0, 0, 0); }\n'},
             {T: SPDX + 'void f(void) { __builtin_memset(0, 0, 0); }\n'},
             {T: SPDX + 'void f(void) { printf(""); }\n'}],
    'ifdef': [{T: SPDX + '#ifdef X\n#endif\n'}, {T: SPDX + '#if X\n#endif\n'},
              {T: SPDX + '__attribute__((weak)) int x(void);\n'}, {T: SPDX + '#pragma once\n'},
              {H: SPDX + '#ifndef DEBUG\n#endif\n'}],
    'integers': [{T: SPDX + 'double x;\n'}, {'lib/base/src/b.c': SPDX + 'float x;\n'}],
    'unsafe_regions': [{T: SPDX + 'TARN_UNSAFE_BEGIN\n'}],
    'clang': [{T: SPDX + 'int f(int *p);\nint f(int *p) { return p[1]; }\n'},
              {T: SPDX + 'int *f(int *p);\nint *f(int *p) { return p + 1; }\n'},
              {T: SPDX + 'typedef void (*a)(int *);\na f(void (*x)(char *));\n'
                         'a f(void (*x)(char *)) { return (a)x; }\n'},
              {T: SPDX + '#include <tarn/none.h>\n'},
              {H: SPDX + 'size_t alone(void);\n'}],
    'format': [{T: SPDX + 'int f( int x );\n'}],
    'readme': [{'README.md': '| [base](lib/base) | - | x |\n'},
               {'README.md': '| [base](lib/base) | - | x |\n| [top](lib/top) | - | x |\n'},
               {'README.md': CLEAN['README.md'] + '| [gone](lib/gone) | - | x |\n'},
               {'lib/top/README.md': 'no example\n'}, {'lib/top/README.md': None}],
}


def findings(rule, changes):
    with tempfile.TemporaryDirectory() as root:
        for name, text in {**CLEAN, **changes}.items():
            if text is None:
                continue
            path = os.path.join(root, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, 'w') as f:
                f.write(text)
        return list(lint.RULES[rule](root))


def main():
    passed = failed = skipped = 0
    for rule in lint.RULES:
        if not FAULTS.get(rule):
            print(f'FAIL: {rule} has no fault to show')
            failed += 1
            continue
        try:
            for changes in [{}] + FAULTS[rule]:
                said = findings(rule, changes)
                if bool(said) == bool(changes):
                    passed += 1
                else:
                    failed += 1
                    print(f'FAIL: {rule} over {changes or "the clean tree"} said {said}')
        except lint.Skip as why:
            print(f'SKIP: {rule}: {why}')
            skipped += 1
    print(f'{passed} passed, {failed} failed, {skipped} skipped')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
