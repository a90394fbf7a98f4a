/* SPDX-License-Identifier: ISC */
/* Servers and clients that say what the input says. However they do, a question costs at most what
 * tarn/recursor.h promises, and it ends. */
#include "../net.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static struct tarn_span input;

static uint8_t next_byte(void) {
    uint8_t b;
    return tarn_span_u8(&input, &b) ? b : 0;
}

/* Names that are close to each other, so that answers are about what was asked. */
static struct tarn_span some_name(const struct tarn_dns_question *q) {
    static const char *const names[] = {".",     "a.", "b.a.", "c.b.a.", "ns.a.",
                                        "ns.d.", "d.", "*.a.", "z.a.",   "e.d."};
    uint8_t b = next_byte();
    if (b & 0x80) {
        struct tarn_span n = tarn_dns_name_span(&q->name);
        for (unsigned i = b & 3; i; i--)
            n = tarn_dns_name_parent(n);
        return n;
    }
    return net_name(names[b % TARN_COUNT_OF(names)]);
}

static void put_record(const struct tarn_dns_question *q, enum tarn_dns_section section) {
    static const uint16_t types[] = {TARN_DNS_A,      TARN_DNS_NS,    TARN_DNS_CNAME,
                                     TARN_DNS_SOA,    TARN_DNS_DNAME, TARN_DNS_RRSIG,
                                     TARN_DNS_NSEC,   TARN_DNS_NSEC3, TARN_DNS_DS,
                                     TARN_DNS_DNSKEY, TARN_DNS_AAAA,  TARN_DNS_TXT};
    uint8_t data[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    uint16_t type = types[next_byte() % TARN_COUNT_OF(types)];
    struct tarn_span owner = some_name(q), raw;
    if (type == TARN_DNS_NS || type == TARN_DNS_CNAME || type == TARN_DNS_DNAME
        || type == TARN_DNS_NSEC || type == TARN_DNS_SOA)
        tarn_writer_span_put(&w, some_name(q));
    if (type == TARN_DNS_SOA)
        tarn_writer_span_put(&w, some_name(q));
    if (type == TARN_DNS_RRSIG) {
        tarn_writer_u16be(&w, types[next_byte() % TARN_COUNT_OF(types)]);
        tarn_writer_u8(&w, 13);
        tarn_writer_u8(&w, next_byte() & 3);
        tarn_writer_u32be(&w, 300);
        tarn_writer_u32be(&w, 1800000000);
        tarn_writer_u32be(&w, 1600000000);
        tarn_writer_u16be(&w, 1);
        tarn_writer_span_put(&w, some_name(q));
    }
    raw = tarn_span_first(input, next_byte() & 31);
    input = tarn_span_after(input, raw.len);
    tarn_writer_span_put(&w, raw);
    (void)!tarn_dns_put_rr(&net_out.b, section, owner, type, TARN_DNS_IN, next_byte() * 16u,
                           tarn_writer_span(&w));
}

static void script(const struct tarn_endpoint *server, bool stream,
                   const struct tarn_dns_question *q) {
    uint8_t how = next_byte();
    (void)server;
    (void)stream;
    if (!input.len || how == 0)
        return;
    if (how == 1) { /* not a message of this library's making */
        uint8_t copy[600];
        size_t n = tarn_bytes_copy(TARN_BYTES_ARRAY(copy), input);
        input = TARN_SPAN_EMPTY;
        if (n > 2)
            memcpy(copy, net.question, 2);
        tarn_recursor_input(net.r, net.query, &net.server, tarn_span_of(copy, n));
        return;
    }
    net_begin((uint16_t)((how & 1 ? TARN_DNS_AA : 0) | (how >> 1 & 7)
                         | ((how & 0xf0) == 0xf0 ? TARN_DNS_TC : 0)));
    for (unsigned s = TARN_DNS_ANSWER; s <= TARN_DNS_EXTRA; s++)
        for (unsigned n = next_byte() & 7; n; n--)
            put_record(q, s);
    net_reply();
}

static void check(const struct tarn_recursor_stats *was) {
    struct tarn_recursor_stats st;
    tarn_recursor_stats(net.r, &st);
    if (net.sent > TARN_RECURSOR_QUERIES_MAX || st.steps - was->steps > TARN_RECURSOR_STEPS_MAX + 10
        || st.verifications - was->verifications > TARN_RECURSOR_VERIFICATIONS_MAX
        || st.hash_rounds - was->hash_rounds > 8 * TARN_RECURSOR_HASH_ROUNDS_MAX || !net.answered)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static const char *const names[] = {"a.", "b.a.", "c.b.a.", "e.d.", "x.y.z.a."};
    static const uint16_t types[] = {TARN_DNS_A, TARN_DNS_DS, TARN_DNS_CNAME, TARN_DNS_ANY};
    input = tarn_span_of(bytes, size);
    memset(&net, 0, sizeof net);
    net.script = script;
    uint8_t how = next_byte();
    struct tarn_recursor_config config = {.cache_bytes = 1 << 20,
                                          .questions_max = 16,
                                          .no_validation = how & 1,
                                          .no_random_case = true,
                                          .additional = how & 2,
                                          .stale_seconds = how & 4 ? 1000 : 0};
    if (!net_new(config))
        return 0;
    for (unsigned i = 0; i < 4; i++) {
        struct tarn_recursor_stats was;
        tarn_recursor_stats(net.r, &was);
        net.sent = 0;
        (void)net_ask(names[next_byte() % TARN_COUNT_OF(names)],
                      types[next_byte() % TARN_COUNT_OF(types)], 0);
        check(&was);
        net.now += TARN_SEC(next_byte());
    }
    net_free();
    if (net.live)
        abort();
    return 0;
}
