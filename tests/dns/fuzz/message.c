/* SPDX-License-Identifier: ISC */
/* A message is read, all its data expanded, printed; and written again, which must be the same
 * records. */
#include "../text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static uint8_t out[TARN_DNS_MESSAGE_MAX], data[2 * TARN_DNS_MESSAGE_MAX], again[sizeof data];
static char text[1 << 20];

static void rewrite(struct tarn_span msg) {
    struct tarn_dns_reader r, s;
    struct tarn_dns_question q, p;
    struct tarn_dns_rr rr, tt;
    struct tarn_dns_builder b;
    bool whole = true;
    if (!tarn_dns_reader_init(&r, msg))
        return;
    tarn_dns_build(&b, TARN_BYTES_ARRAY(out), r.header.id, r.header.flags);
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        whole &= tarn_dns_put_question(&b, tarn_dns_name_span(&q.name), q.type, q.klass);
    while (whole && tarn_dns_read_rr(&r, &rr) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(data);
        if (!tarn_dns_rr_data(&r, &rr, &w))
            return;
        if (!tarn_dns_rdata_valid(tarn_writer_span(&w), rr.type) && w.len <= TARN_DNS_RDATA_MAX)
            abort(); /* what was expanded is plain */
        whole = w.len <= TARN_DNS_RDATA_MAX
                && tarn_dns_put_rr(&b, rr.section, tarn_dns_name_span(&rr.owner), rr.type, rr.klass,
                                   rr.ttl, tarn_writer_span(&w));
    }
    if (!whole)
        return;
    if (!tarn_dns_reader_init(&r, msg) || !tarn_dns_reader_init(&s, tarn_dns_finish(&b)))
        abort();
    while (tarn_dns_read_question(&s, &p) == TARN_OK)
        if (tarn_dns_read_question(&r, &q) != TARN_OK
            || !tarn_dns_name_equal(tarn_dns_name_span(&p.name), tarn_dns_name_span(&q.name)))
            abort();
    while (tarn_dns_read_rr(&s, &tt) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(data), v = TARN_WRITER_ARRAY(again);
        if (tarn_dns_read_rr(&r, &rr) != TARN_OK || rr.type != tt.type || rr.ttl != tt.ttl
            || !tarn_dns_name_equal(tarn_dns_name_span(&rr.owner), tarn_dns_name_span(&tt.owner))
            || !tarn_dns_rr_data(&r, &rr, &w) || !tarn_dns_rr_data(&s, &tt, &v)
            || !tarn_span_equal_nocase(tarn_writer_span(&w), tarn_writer_span(&v)))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    struct tarn_span msg = tarn_span_of(bytes, size);
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (size > TARN_DNS_MESSAGE_MAX)
        return -1;
    tarn_dns_message_print(&w, msg, TARN_BYTES_ARRAY(data));
    rewrite(msg);
    return 0;
}
