/* SPDX-License-Identifier: ISC */
#include "server.h"

#define ZONES_MAX_DEFAULT 64u
#define RRL_ENTRIES_DEFAULT 16384u
#define OPTIONS_MAX 320u
#define EDE_NOT_AUTHORITATIVE 20u
#define EDE_INVALID_QUERY_TYPE 30u
#define TYPE_NXNAME 128u
#define CHAOS_ANSWER_TTL 0u

/* -- zones --------------------------------------------------------------------------------------
 */

static uint64_t hash_origin(const struct tarn_dns_server *s, struct tarn_span origin) {
    uint8_t buf[TARN_DNS_NAME_MAX], c;
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    while (tarn_span_u8(&origin, &c))
        tarn_writer_u8(&w, tarn_dns_lower(c));
    return tarn_hash(&s->key, tarn_writer_span(&w));
}

/* The slot of a zone with that origin, or the first free one on the way. */
static struct tarn_dns_zone **slot(const struct tarn_dns_server *s, struct tarn_span origin) {
    for (uint64_t at = hash_origin(s, origin);; at++) {
        struct tarn_dns_zone **z = &TARN_AT_N(s->zones, s->slots, at & (s->slots - 1));
        if (!*z || tarn_dns_name_equal(tarn_dns_zone_origin(*z), origin))
            return z;
    }
}

struct tarn_dns_zone *tarn_dns_server_zone(const struct tarn_dns_server *s,
                                           struct tarn_span origin) {
    return *slot(s, origin);
}

/* The deepest zone that a name is in. For a DS, the parent's (RFC 4035 section 3.1.4.1). */
static struct tarn_dns_zone *zone_for(const struct tarn_dns_server *s, struct tarn_span name,
                                      uint16_t type) {
    unsigned labels = tarn_dns_name_labels(name);
    struct tarn_dns_zone *own = NULL;
    for (; labels > s->labels_max; labels--)
        name = tarn_dns_name_parent(name);
    for (bool first = true;; first = false) {
        struct tarn_dns_zone *z = tarn_dns_server_zone(s, name);
        if (z && (type != TARN_DNS_DS || !first || labels == 0))
            return z;
        own = z ? z : own;
        if (name.len <= 1)
            return own;
        name = tarn_dns_name_parent(name);
    }
}

enum tarn_err tarn_dns_server_set_zone(struct tarn_dns_server *s, struct tarn_dns_zone *zone,
                                       struct tarn_dns_zone **was) {
    struct tarn_dns_zone **at = slot(s, tarn_dns_zone_origin(zone));
    TARN_ASSERT(zone->sealed);
    *was = *at;
    if (!*at && s->zone_count == s->config.zones_max)
        return TARN_LIMIT;
    s->zone_count += !*at;
    *at = zone;
    s->labels_max = TARN_MAX(s->labels_max, tarn_dns_name_labels(tarn_dns_zone_origin(zone)));
    return TARN_OK;
}

struct tarn_dns_zone *tarn_dns_server_remove_zone(struct tarn_dns_server *s,
                                                  struct tarn_span origin) {
    struct tarn_dns_zone **at = slot(s, origin), *was = *at;
    if (!was)
        return NULL;
    *at = NULL;
    s->zone_count--;
    /* What was put behind it because its place was taken moves up. */
    for (uint64_t i = hash_origin(s, origin), n = 0; n < s->slots; i++, n++) {
        struct tarn_dns_zone **z = &TARN_AT_N(s->zones, s->slots, i & (s->slots - 1)), *moved = *z;
        if (!moved)
            continue;
        *z = NULL;
        *slot(s, tarn_dns_zone_origin(moved)) = moved;
    }
    return was;
}

/* -- reading a query ----------------------------------------------------------------------------
 */

static void read_options(struct dns_query *q) {
    struct tarn_span value;
    if (tarn_dns_option_find(q->edns.options, TARN_DNS_OPT_COOKIE, &value))
        dns_cookie_read(q, value);
}

static void read_serial(struct dns_query *q, const struct tarn_dns_reader *r,
                        const struct tarn_dns_rr *rr) {
    uint8_t data[2 * TARN_DNS_NAME_MAX + 20];
    struct tarn_writer w = TARN_WRITER_ARRAY(data);
    if (!tarn_dns_rr_data(r, rr, &w))
        return;
    struct tarn_span serial = tarn_span_after(tarn_writer_span(&w), w.len - 20);
    q->has_serial = tarn_span_u32be(&serial, &q->serial);
}

/* False: malformed. Whatever was understood until then is in q. */
static bool read_query(struct dns_query *q, struct tarn_dns_reader *r) {
    struct tarn_dns_rr rr;
    enum tarn_err err;
    if (r->header.counts[0] != 1 || tarn_dns_read_question(r, &q->question) != TARN_OK)
        return false;
    while ((err = tarn_dns_read_rr(r, &rr)) == TARN_OK) {
        if (rr.type == TARN_DNS_OPT) {
            if (rr.section != TARN_DNS_EXTRA || q->has_edns || !tarn_dns_edns_read(&rr, &q->edns))
                return false;
            q->has_edns = true;
        } else if (rr.type == TARN_DNS_TSIG) {
            q->has_tsig = true;
        } else if (rr.type == TARN_DNS_SOA && rr.section == TARN_DNS_AUTHORITY) {
            read_serial(q, r, &rr);
        }
    }
    return err == TARN_EOF && tarn_dns_reader_done(r);
}

/* False: malformed, and the answer is not signed. */
static bool verify(struct dns_query *q, struct tarn_span query) {
    struct tarn_dns_tsig *t = &q->server->tsig;
    const struct tarn_dns_server_config *c = &q->server->config;
    if (!q->has_tsig)
        return true;
    tarn_dns_tsig_start(t, NULL);
    enum tarn_err err =
        tarn_dns_tsig_verify(t, c->keys, c->key_count, query, q->request->wall_seconds);
    q->has_tsig = !err || t->error;
    return q->has_tsig;
}

/* -- the answer's frame -------------------------------------------------------------------------
 */

static size_t answer_bytes(const struct dns_query *q, size_t room) {
    size_t max = q->server->config.udp_bytes_max;
    if (q->request->stream)
        return room;
    if (!q->has_edns)
        max = TARN_DNS_UDP_PLAIN_MAX;
    else
        max = TARN_MIN(max, (size_t)q->edns.udp_bytes);
    return TARN_MIN(room, max);
}

static void put_options(struct dns_query *q, struct tarn_writer *w) {
    struct tarn_span value;
    if (q->has_cookie)
        dns_cookie_put(q, w);
    if (q->server->config.nsid.len
        && tarn_dns_option_find(q->edns.options, TARN_DNS_OPT_NSID, &value))
        tarn_dns_option_put(w, TARN_DNS_OPT_NSID, q->server->config.nsid);
    if (q->ede != DNS_EDE_NONE)
        tarn_dns_option_put_ede(w, q->ede, TARN_SPAN_EMPTY);
}

static struct tarn_span finish(struct dns_query *q, struct tarn_span options) {
    struct tarn_span signed_message;
    struct tarn_dns_server_stats *stats = &q->server->stats;
    uint8_t high = (uint8_t)(q->rcode >> 4);
    q->b.header.flags |= (uint16_t)(q->rcode & 15);
    if (q->truncated) {
        q->b.header.flags |= TARN_DNS_TC;
        stats->truncated++;
    }
    if (q->has_edns) {
        uint16_t known = TARN_DNS_EDNS_DO | (q->denied.len ? TARN_DNS_EDNS_CO : 0u);
        struct tarn_dns_edns e = {.udp_bytes = q->server->config.udp_bytes_max,
                                  .flags = q->edns.flags & known,
                                  .rcode_high = high,
                                  .options = options};
        TARN_ASSERT(tarn_dns_reserve(&q->b, 0));
        TARN_ASSERT(tarn_dns_put_opt(&q->b, &e, 0));
    }
    stats->answers++;
    stats->nxdomain += q->rcode == TARN_DNS_NXDOMAIN;
    stats->refused += q->rcode == TARN_DNS_REFUSED;
    stats->malformed += q->rcode == TARN_DNS_FORMERR;
    if (!q->has_tsig)
        return tarn_dns_finish(&q->b);
    bool ok =
        tarn_dns_tsig_sign(&q->server->tsig, &q->b, q->request->wall_seconds, &signed_message);
    return ok ? signed_message : TARN_SPAN_EMPTY;
}

/* -- what is asked ------------------------------------------------------------------------------
 */

static const struct tarn_dns_tsig_key *key_of(const struct dns_query *q) {
    return q->has_tsig ? q->server->tsig.key : NULL;
}

static bool is_transfer(uint16_t type) {
    return type == TARN_DNS_AXFR || type == TARN_DNS_IXFR;
}

static bool put_apex_soa(struct dns_query *q) {
    dns_ref set = dns_zone_find_set(q->zone, q->zone->apex, TARN_DNS_SOA);
    return dns_put_set(q, TARN_DNS_ANSWER, tarn_dns_name_span(&q->zone->origin), q->zone->apex, set,
                       dns_set(q->zone, set)->ttl);
}

static bool put_record(struct tarn_dns_builder *b, const struct tarn_dns_record *r) {
    return tarn_dns_put_rr(b, TARN_DNS_ANSWER, r->owner, r->type, r->klass, r->ttl, r->rdata);
}

static struct tarn_span delta_span(const struct dns_delta *d) {
    return d ? tarn_span_of(d->bytes, d->len) : TARN_SPAN_EMPTY;
}

/* Where they are longer than the zone, all of the zone is less (RFC 1995 section 5). */
static const struct dns_delta *changes_since(const struct tarn_dns_zone *z, uint32_t serial) {
    const struct dns_delta *from = dns_journal_from(z, serial);
    uint64_t bytes = 0;
    for (const struct dns_delta *d = from; d; d = d->next)
        bytes += d->len;
    return bytes <= z->heap.bytes ? from : NULL;
}

/* By UDP: all that changed and the SOA again, or, where that does not fit, only the first SOA. */
static void put_changes(struct dns_query *q, const struct dns_delta *from) {
    struct tarn_dns_builder before = q->b;
    struct tarn_dns_record r;
    bool fits = from != NULL;
    for (const struct dns_delta *d = from; fits && d; d = d->next)
        for (struct tarn_span s = delta_span(d); fits && s.len;)
            fits = dns_delta_next(&s, &r) && put_record(&q->b, &r);
    if (!fits || !put_apex_soa(q))
        tarn_dns_rewind(&q->b, &before);
}

/* RFC 5936, RFC 1995. What is sent here is the first SOA; the rest follows by transfer_next. */
static void answer_transfer(struct dns_query *q, struct tarn_dns_transfer *t) {
    const struct tarn_dns_server_config *c = &q->server->config;
    uint32_t serial;
    bool incremental = q->question.type == TARN_DNS_IXFR;
    if (!tarn_dns_name_equal(tarn_dns_name_span(&q->question.name),
                             tarn_dns_name_span(&q->zone->origin))) {
        q->rcode = TARN_DNS_NOTAUTH;
        return;
    }
    if (!c->may_transfer
        || !c->may_transfer(c->user, tarn_dns_name_span(&q->zone->origin), &q->request->client,
                            key_of(q))) {
        q->rcode = TARN_DNS_REFUSED;
        return;
    }
    if (incremental && !q->has_serial) {
        q->rcode = TARN_DNS_FORMERR;
        return;
    }
    if (!q->request->stream && !incremental) { /* RFC 5936 section 4.2 */
        q->rcode = TARN_DNS_NOTIMP;
        return;
    }
    q->b.header.flags |= TARN_DNS_AA;
    q->edns.flags = 0;
    if (!put_apex_soa(q))
        q->truncated = true;
    /* RFC 1995 section 2: up to date. */
    if (incremental && tarn_dns_zone_serial(q->zone, &serial)
        && !tarn_dns_serial_newer(serial, q->serial))
        return;
    const struct dns_delta *delta = incremental ? changes_since(q->zone, q->serial) : NULL;
    if (!q->request->stream || !t) {
        put_changes(q, delta);
        return;
    }
    q->server->stats.transfers++;
    q->server->stats.incremental += delta != NULL;
    *t = (struct tarn_dns_transfer){.zone = q->zone,
                                    .version = q->zone->version,
                                    .id = q->header.id,
                                    .delta = delta,
                                    .left = delta_span(delta)};
    q->transfer = t;
}

/* RFC 1996 */
static void answer_notify(struct dns_query *q) {
    const struct tarn_dns_server_config *c = &q->server->config;
    struct tarn_span name = tarn_dns_name_span(&q->question.name);
    q->rcode = TARN_DNS_NOTAUTH;
    if (c->on_notify && c->on_notify(c->user, name, &q->request->client, key_of(q))) {
        q->rcode = TARN_DNS_NOERROR;
        q->b.header.flags |= TARN_DNS_AA;
    }
}

/* RFC 2136: the zone section is one question for the SOA. */
static void answer_update(struct dns_query *q) {
    const struct tarn_dns_server_config *c = &q->server->config;
    struct tarn_dns_zone *zone =
        tarn_dns_server_zone(q->server, tarn_dns_name_span(&q->question.name));
    if (!c->on_update)
        q->rcode = TARN_DNS_NOTIMP;
    else if (q->question.type != TARN_DNS_SOA)
        q->rcode = TARN_DNS_FORMERR;
    else if (!zone || q->question.klass != zone->klass)
        q->rcode = TARN_DNS_NOTAUTH;
    else
        q->rcode = c->on_update(c->user, zone, &q->request->client, key_of(q), q->message);
    q->server->holds = q->rcode & TARN_DNS_HOLD;
    q->rcode &= ~TARN_DNS_HOLD;
}

static void answer_query(struct dns_query *q, struct tarn_dns_transfer *t) {
    uint16_t type = q->question.type, klass = q->question.klass;
    q->zone = zone_for(q->server, tarn_dns_name_span(&q->question.name), type);
    if (!q->zone || (klass != q->zone->klass && klass != TARN_DNS_CLASS_ANY)) {
        q->rcode = TARN_DNS_REFUSED;
        q->ede = EDE_NOT_AUTHORITATIVE;
        return;
    }
    if (type == TYPE_NXNAME && q->zone->signing) { /* RFC 9824 section 3.6 */
        q->rcode = TARN_DNS_FORMERR;
        q->ede = EDE_INVALID_QUERY_TYPE;
    } else if (is_transfer(type))
        answer_transfer(q, t);
    else if (type == TARN_DNS_OPT || (type >= 249 && type <= 254))
        q->rcode = TARN_DNS_NOTIMP; /* meta-types, and MAILA and MAILB */
    else
        dns_answer(q);
}

static void answer(struct dns_query *q, bool well_formed, struct tarn_dns_transfer *t) {
    unsigned opcode = TARN_DNS_OPCODE(q->header.flags);
    if (!well_formed || q->cookie_bad)
        q->rcode = TARN_DNS_FORMERR;
    else if (q->has_tsig && q->server->tsig.error)
        q->rcode = TARN_DNS_NOTAUTH; /* RFC 8945 section 5.2 */
    else if (q->has_edns && q->edns.version)
        q->rcode = TARN_DNS_BADVERS; /* RFC 6891 section 6.1.3 */
    else if (opcode == TARN_DNS_NOTIFY)
        answer_notify(q);
    else if (opcode == TARN_DNS_UPDATE)
        answer_update(q);
    else if (opcode != TARN_DNS_QUERY)
        q->rcode = TARN_DNS_NOTIMP;
    else
        answer_query(q, t);
}

/* -- rate limits --------------------------------------------------------------------------------
 */

static uint64_t likeness(const struct dns_query *q) {
    uint64_t zone = q->zone ? (uint64_t)(uintptr_t)q->zone << 8 : 0;
    return (zone ^ (uint64_t)q->like << 32) | (q->rcode & 15);
}

/* True: the message in the making is sent, maybe with nothing in it but TC. */
static bool within_rate(struct dns_query *q, const struct tarn_dns_builder *empty) {
    if (q->request->stream || q->cookie_ok || key_of(q))
        return true;
    enum dns_rrl_verdict v =
        dns_rrl_check(&q->server->rrl, &q->request->client.addr, likeness(q), q->request->now);
    if (v == DNS_RRL_SEND)
        return true;
    q->server->stats.limited++;
    tarn_dns_rewind(&q->b, empty);
    q->truncated = true;
    q->rcode = TARN_DNS_NOERROR;
    return v == DNS_RRL_SLIP;
}

struct tarn_span tarn_dns_server_answer(struct tarn_dns_server *s,
                                        const struct tarn_dns_request *request,
                                        struct tarn_span query, struct tarn_bytes out,
                                        struct tarn_dns_transfer *transfer) {
    struct dns_query q = {.server = s, .request = request, .message = query, .ede = DNS_EDE_NONE};
    uint8_t option_bytes[OPTIONS_MAX];
    struct tarn_writer options = TARN_WRITER_ARRAY(option_bytes);
    struct tarn_dns_reader r;
    struct tarn_dns_builder empty;
    if (transfer)
        transfer->zone = NULL;
    s->holds = false;
    if (!tarn_dns_reader_init(&r, query) || (r.header.flags & TARN_DNS_QR))
        return TARN_SPAN_EMPTY; /* never an answer to an answer */
    s->stats.queries++;
    q.header = r.header;
    bool well_formed = read_query(&q, &r) && verify(&q, query);
    size_t kept = 0;
    if (q.has_edns)
        read_options(&q);
    /* RFC 1035 section 4.1.1, RFC 6840 section 5.6: the opcode, RD and CD go back. */
    uint16_t keep = 0x7800 | TARN_DNS_RD | TARN_DNS_CD;
    tarn_dns_build(&q.b, tarn_bytes_first(out, answer_bytes(&q, out.len)), q.header.id,
                   (uint16_t)(TARN_DNS_QR | (q.header.flags & keep)));
    if (q.question.name.len
        && !tarn_dns_put_question(&q.b, tarn_dns_name_span(&q.question.name), q.question.type,
                                  q.question.klass))
        return TARN_SPAN_EMPTY;
    /* Sized before the answer is known: an extended error may come, and takes 6 bytes. */
    if (q.has_edns) {
        q.ede = 0;
        put_options(&q, &options);
        q.ede = DNS_EDE_NONE;
        kept = TARN_DNS_OPT_BYTES + options.len;
    }
    if (q.has_tsig)
        kept += tarn_dns_tsig_bytes(&s->tsig);
    if (!tarn_dns_reserve(&q.b, kept))
        return TARN_SPAN_EMPTY;
    empty = q.b;
    answer(&q, well_formed, transfer);
    if (!within_rate(&q, &empty))
        return TARN_SPAN_EMPTY;
    options = TARN_WRITER_ARRAY(option_bytes);
    if (q.has_edns)
        put_options(&q, &options);
    struct tarn_span answer_message = finish(&q, tarn_writer_span(&options));
    if (q.transfer && q.has_tsig)
        q.transfer->tsig = s->tsig; /* which goes on from the first message's signature */
    return answer_message;
}

bool tarn_dns_server_holds(const struct tarn_dns_server *s) {
    return s->holds;
}

/* -- the rest of a transfer ---------------------------------------------------------------------
 */

static struct tarn_span transfer_end(struct tarn_dns_transfer *t, struct tarn_dns_builder *b,
                                     uint32_t wall_seconds) {
    struct tarn_span message = TARN_SPAN_EMPTY;
    if (!t->tsig.key)
        return tarn_dns_finish(b);
    t->failed |= !tarn_dns_tsig_sign(&t->tsig, b, wall_seconds, &message);
    return message;
}

/* The next record, of what changed or of all but the SOA. False: no more. */
static bool transfer_record(struct tarn_dns_transfer *t, struct tarn_dns_record *r) {
    if (t->delta) {
        while (!t->left.len && (t->delta = t->delta->next) != NULL)
            t->left = delta_span(t->delta);
        return t->delta && dns_delta_next(&t->left, r);
    }
    while (tarn_dns_zone_next(t->zone, &t->walk, r))
        if (r->type != TARN_DNS_SOA)
            return true;
    return false;
}

/* Then the SOA again (RFC 5936 section 2.2, RFC 1995 section 4). */
struct tarn_span tarn_dns_transfer_next(struct tarn_dns_transfer *t, uint32_t wall_seconds,
                                        struct tarn_bytes out) {
    struct tarn_dns_builder b;
    struct tarn_dns_record r;
    if (!t->zone || t->version != t->zone->version) {
        t->failed |= t->zone != NULL;
        t->zone = NULL;
        return TARN_SPAN_EMPTY;
    }
    tarn_dns_build(&b, out, t->id, TARN_DNS_QR | TARN_DNS_AA);
    if (t->tsig.key && !tarn_dns_reserve(&b, tarn_dns_tsig_bytes(&t->tsig)))
        return TARN_SPAN_EMPTY;
    while (!t->whole) {
        struct tarn_dns_transfer before = *t;
        if (!transfer_record(t, &r)) {
            t->whole = true;
        } else if (!put_record(&b, &r)) {
            *t = before;
            return transfer_end(t, &b, wall_seconds);
        }
    }
    if (tarn_dns_zone_get(t->zone, tarn_dns_zone_origin(t->zone), TARN_DNS_SOA, 0, &r)
        && put_record(&b, &r))
        t->zone = NULL;
    return transfer_end(t, &b, wall_seconds);
}

/* -- the whole ----------------------------------------------------------------------------------
 */

static uint32_t power_of_two(uint32_t n) {
    uint32_t p = 1;
    while (p < n)
        p *= 2;
    return p;
}

enum tarn_err tarn_dns_server_new(const struct tarn_dns_server_config *config,
                                  struct tarn_dns_server **out) {
    struct tarn_dns_server *s = TARN_NEW(config->alloc, struct tarn_dns_server);
    if (!s)
        return TARN_LIMIT;
    s->config = *config;
    if (!s->config.zones_max)
        s->config.zones_max = ZONES_MAX_DEFAULT;
    if (!s->config.udp_bytes_max)
        s->config.udp_bytes_max = TARN_DNS_UDP_BYTES;
    s->slots = power_of_two(s->config.zones_max * 2);
    tarn_hash_key_init(&s->key, config->random);
    tarn_hash_key_init(&s->cookie_key, config->random);
    tarn_hash_key_init(&s->rrl.key, config->random);
    s->zones = TARN_NEW_ARRAY(config->alloc, s->slots, struct tarn_dns_zone *);
    if (config->rrl.per_second) {
        s->rrl.per_second = TARN_MIN(config->rrl.per_second, 100000u);
        s->rrl.slip = config->rrl.slip;
        s->rrl.count =
            power_of_two(config->rrl.entries ? config->rrl.entries : RRL_ENTRIES_DEFAULT);
        s->rrl.entries = TARN_NEW_ARRAY(config->alloc, s->rrl.count, struct dns_rrl_entry);
    }
    if (!s->zones || (config->rrl.per_second && !s->rrl.entries)) {
        tarn_dns_server_free(s);
        return TARN_LIMIT;
    }
    *out = s;
    return TARN_OK;
}

void tarn_dns_server_free(struct tarn_dns_server *s) {
    struct tarn_alloc *alloc = s->config.alloc;
    if (s->zones)
        tarn_alloc_put(alloc, s->zones, s->slots * sizeof *s->zones);
    if (s->rrl.entries)
        tarn_alloc_put(alloc, s->rrl.entries, s->rrl.count * sizeof *s->rrl.entries);
    tarn_alloc_put(alloc, s, sizeof *s);
}

void tarn_dns_server_stats(const struct tarn_dns_server *s, struct tarn_dns_server_stats *out) {
    *out = s->stats;
}
