/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "unix.h"

static void write_all(int fd, struct tarn_span text) {
    while (text.len > 0) {
        ssize_t n = write(fd, text.ptr, text.len);
        if (n >= 0) {
            text = tarn_span_after(text, (size_t)n);
        } else if (errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (errno != EINTR) {
            return; /* nobody is left to tell */
        }
    }
}

void tarn_platform_console(struct tarn_span text) {
    write_all(STDOUT_FILENO, text);
}

void unix_say(const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    size_t len = n < 0 ? 0 : TARN_MIN((size_t)n, sizeof line - 2);
    line[len] = '\n';
    write_all(STDERR_FILENO, tarn_span_of(line, len + 1));
}

void tarn_platform_exit(int status) {
    exit(status);
}
