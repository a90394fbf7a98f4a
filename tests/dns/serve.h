/* SPDX-License-Identifier: ISC */
/* A server with zones from text, and what it answers as text. */
#ifndef TESTS_DNS_SERVE_H
#define TESTS_DNS_SERVE_H

#include "../base/memory.h"
#include "text.h"
#include <tarn/dns_server.h>

struct serve {
    struct memory mem;
    struct tarn_random_seeded random;
    struct tarn_dns_server *server;
    struct tarn_dns_request request;
    struct tarn_dns_transfer transfer;
    uint16_t udp_bytes, flags; /* of EDNS; 0 bytes: none */
    struct tarn_span options;
    uint8_t query[1024], out[65535];
    struct tarn_span answer;
};

static inline enum tarn_err zone_record(void *user, const struct tarn_dns_record *r,
                                        const char **why) {
    return tarn_dns_zone_add(user, r, why);
}

/* Aborts where the text is no zone. */
static inline struct tarn_dns_zone *zone_of(struct serve *s, const char *origin, const char *text) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    struct tarn_dns_name name = name_of(origin);
    struct tarn_dns_zone_config config = {.alloc = &s->mem.alloc,
                                          .random = &s->random.random,
                                          .origin = tarn_dns_name_span(&name),
                                          .journal_bytes_max = 1 << 12};
    struct tarn_dns_zone *zone;
    if (tarn_dns_zone_new(&config, &zone))
        abort();
    struct tarn_dns_zonefile_config file = {.name = TARN_SPAN_LIT("zone"),
                                            .text = tarn_span_str(text),
                                            .origin = config.origin,
                                            .scratch = TARN_BYTES_ARRAY(scratch),
                                            .record = zone_record,
                                            .user = zone};
    struct tarn_dns_zonefile_error error;
    const char *why = NULL;
    if (tarn_dns_zonefile_parse(&file, &error)) {
        fprintf(stderr, "line %u: %s\n", error.line, error.why);
        abort();
    }
    if (tarn_dns_zone_seal(zone, &why)) {
        fprintf(stderr, "%s\n", why);
        abort();
    }
    return zone;
}

static inline void serve_zone(struct serve *s, const char *origin, const char *text) {
    struct tarn_dns_zone *was;
    if (tarn_dns_server_set_zone(s->server, zone_of(s, origin, text), &was))
        abort();
    if (was)
        tarn_dns_zone_free(was);
}

static inline void serve_init(struct serve *s, struct tarn_dns_server_config config) {
    memset(s, 0, sizeof *s);
    s->mem = MEMORY((size_t)1 << 30);
    tarn_random_seeded_init(&s->random, 1);
    config.alloc = &s->mem.alloc;
    config.random = &s->random.random;
    s->request.client = (struct tarn_endpoint){TARN_IP_ADDR_V4(192, 0, 2, 1), 5353};
    s->request.wall_seconds = 1700000000;
    if (tarn_dns_server_new(&config, &s->server))
        abort();
}

static inline void serve_fini(struct serve *s, const char *const *origins) {
    for (; *origins; origins++) {
        struct tarn_dns_name name = name_of(*origins);
        struct tarn_dns_zone *z = tarn_dns_server_remove_zone(s->server, tarn_dns_name_span(&name));
        if (z)
            tarn_dns_zone_free(z);
    }
    tarn_dns_server_free(s->server);
    if (s->mem.bytes)
        abort();
}

static inline struct tarn_span serve_raw(struct serve *s, struct tarn_span query) {
    s->answer = tarn_dns_server_answer(s->server, &s->request, query, TARN_BYTES_ARRAY(s->out),
                                       &s->transfer);
    return s->answer;
}

static inline struct tarn_span query_of(struct serve *s, const char *name, const char *type) {
    struct tarn_dns_builder b;
    struct tarn_dns_name n = name_of(name);
    uint16_t t;
    if (!tarn_dns_type_parse(tarn_span_str(type), &t))
        abort();
    tarn_dns_build(&b, TARN_BYTES_ARRAY(s->query), 7, TARN_DNS_RD);
    struct tarn_dns_edns e = {.udp_bytes = s->udp_bytes, .flags = s->flags, .options = s->options};
    if (!tarn_dns_put_question(&b, tarn_dns_name_span(&n), t, TARN_DNS_IN)
        || (s->udp_bytes && !tarn_dns_put_opt(&b, &e, 0)))
        abort();
    return tarn_dns_finish(&b);
}

/* "RCODE flags", then each record behind a letter for its section: an, ns, ar. */
static inline const char *print_answer(struct tarn_span msg) {
    static char text[70000];
    static uint8_t data[TARN_DNS_RDATA_MAX];
    static const char *const sections[] = {"", "an ", "ns ", "ar "};
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(text, sizeof text - 1));
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    struct tarn_dns_edns e = {0};
    if (!tarn_dns_reader_init(&r, msg))
        return "none";
    uint16_t flags = r.header.flags;
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK) {
        struct tarn_writer d = TARN_WRITER_ARRAY(data);
        if (tarn_dns_edns_read(&rr, &e))
            continue;
        if (!tarn_dns_rr_data(&r, &rr, &d))
            abort();
        tarn_writer_str(&w, sections[rr.section]);
        tarn_dns_record_print(&w, tarn_dns_name_span(&rr.owner), rr.type, rr.klass, rr.ttl,
                              tarn_writer_span(&d));
        tarn_writer_u8(&w, '\n');
    }
    if (!tarn_dns_reader_done(&r) || !(flags & TARN_DNS_QR))
        abort();
    static char all[70100];
    unsigned rcode = (unsigned)e.rcode_high << 4 | TARN_DNS_RCODE(flags);
    snprintf(all, sizeof all, "%.*s%s%s\n%.*s", (int)tarn_dns_rcode_name(rcode).len,
             (const char *)tarn_dns_rcode_name(rcode).ptr, flags & TARN_DNS_AA ? " aa" : "",
             flags & TARN_DNS_TC ? " tc" : "", (int)w.len, text);
    return all;
}

static inline const char *ask(struct serve *s, const char *name, const char *type) {
    return print_answer(serve_raw(s, query_of(s, name, type)));
}

#endif
