/* SPDX-License-Identifier: ISC */
/* What msan.py must be told of: a branch on a variable that nobody wrote. */
#include <stdio.h>

int main(int argc, char **argv) {
    int x[2];
    (void)argv;
    x[argc - 1] = 1;
    return x[argc % 2] ? puts("it was set") : 0;
}
