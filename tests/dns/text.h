/* SPDX-License-Identifier: ISC */
/* Names and records from text, for tests. */
#ifndef TESTS_DNS_TEXT_H
#define TESTS_DNS_TEXT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tarn/dns_message.h>
#include <tarn/dns_zonefile.h>

static inline struct tarn_dns_name name_of(const char *text) {
    struct tarn_dns_name n;
    if (!tarn_dns_name_parse(tarn_span_str(text), TARN_SPAN_EMPTY, &n)) {
        fprintf(stderr, "not a name: %s\n", text);
        abort();
    }
    return n;
}
/* A span that lives as long as the process. */
static inline struct tarn_span wire_of(const char *text) {
    struct tarn_dns_name *n = malloc(sizeof *n);
    *n = name_of(text);
    return tarn_dns_name_span(n);
}
static inline const char *text_of(struct tarn_span name) {
    static char out[4][TARN_DNS_NAME_TEXT_MAX + 1];
    static unsigned turn;
    char *buf = out[turn++ % 4];
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(buf, TARN_DNS_NAME_TEXT_MAX));
    tarn_dns_name_print(&w, name);
    buf[tarn_writer_span(&w).len] = 0;
    return buf;
}

#endif
