/* SPDX-License-Identifier: ISC */
/* A zone that comes in: RFC 5936 section 2.2, RFC 1995 section 4. */
#include <tarn/dns_secondary.h>

#define REQUEST_ID_NONE 0u

enum {
    FIRST,    /* the SOA of what is offered */
    SECOND,   /* what tells a whole zone from changes */
    WHOLE,    /* records up to the same SOA again */
    DELETING, /* of the version serial_at, up to the SOA of the next */
    ADDING,   /* up to an SOA: the last one, or of the next change */
    DONE,
};

void tarn_dns_xfr_init(struct tarn_dns_xfr *x, struct tarn_alloc *alloc, struct tarn_random *random,
                       struct tarn_span origin, const struct tarn_dns_zone *current,
                       uint64_t memory_max, const struct tarn_dns_tsig_key *key) {
    *x = (struct tarn_dns_xfr){.alloc = alloc,
                               .random = random,
                               .current = current,
                               .memory_max = memory_max,
                               .id = (uint16_t)tarn_random_u32(random)};
    tarn_dns_name_copy(&x->origin, origin);
    tarn_dns_tsig_start(&x->tsig, key);
}

void tarn_dns_xfr_fini(struct tarn_dns_xfr *x) {
    if (x->zone)
        tarn_dns_zone_free(x->zone);
    x->zone = NULL;
}

bool tarn_dns_xfr_request(struct tarn_dns_xfr *x, uint64_t wall_seconds, struct tarn_bytes out,
                          struct tarn_span *request) {
    struct tarn_dns_builder b;
    struct tarn_dns_record soa;
    struct tarn_span origin = tarn_dns_name_span(&x->origin);
    bool ok;
    tarn_dns_build(&b, out, x->id, 0);
    ok = tarn_dns_put_question(&b, origin, x->current ? TARN_DNS_IXFR : TARN_DNS_AXFR, TARN_DNS_IN);
    if (ok && x->current && tarn_dns_zone_get(x->current, origin, TARN_DNS_SOA, 0, &soa))
        ok = tarn_dns_put_rr(&b, TARN_DNS_AUTHORITY, origin, TARN_DNS_SOA, TARN_DNS_IN, soa.ttl,
                             soa.rdata);
    if (ok && x->tsig.key)
        return tarn_dns_tsig_sign(&x->tsig, &b, wall_seconds, request);
    *request = tarn_dns_finish(&b);
    return ok;
}

static enum tarn_err fail(struct tarn_dns_xfr *x, enum tarn_err err, const char *why) {
    x->why = why;
    return err;
}

static bool serial_of(const struct tarn_dns_record *soa, uint32_t *serial) {
    struct tarn_span s = soa->rdata, name;
    return tarn_dns_name_take(&s, &name) && tarn_dns_name_take(&s, &name)
           && tarn_span_u32be(&s, serial);
}

static enum tarn_err zone_start(struct tarn_dns_xfr *x, const struct tarn_dns_zone *copied) {
    struct tarn_dns_zone_config config = {.alloc = x->alloc,
                                          .random = x->random,
                                          .origin = tarn_dns_name_span(&x->origin),
                                          .memory_max = x->memory_max};
    struct tarn_dns_zone_walk walk = {0};
    struct tarn_dns_record r;
    enum tarn_err err = tarn_dns_zone_new(&config, &x->zone);
    if (err)
        return fail(x, err, "no memory for the zone");
    while (copied && tarn_dns_zone_next(copied, &walk, &r))
        if ((err = tarn_dns_zone_add(x->zone, &r, &x->why)) != TARN_OK)
            return err;
    return TARN_OK;
}

static enum tarn_err add(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    /* Primaries send what is below a zone's cuts too, and must: it is glue. What is not in the zone
     * at all is nobody's business (RFC 5936 section 3.4). */
    enum tarn_err err = tarn_dns_zone_add(x->zone, r, &x->why);
    return err == TARN_INVALID ? TARN_PEER : err;
}

static enum tarn_err done(struct tarn_dns_xfr *x) {
    enum tarn_err err = tarn_dns_zone_seal(x->zone, &x->why);
    if (err)
        return err == TARN_INVALID ? TARN_PEER : err;
    x->state = DONE;
    return TARN_OK;
}

static enum tarn_err first(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    uint32_t have;
    if (r->type != TARN_DNS_SOA || !serial_of(r, &x->serial_new))
        return fail(x, TARN_PEER, "it does not start with an SOA");
    if (x->current && tarn_dns_zone_serial(x->current, &have)
        && !tarn_dns_serial_newer(x->serial_new, have)) {
        x->state = DONE; /* RFC 1995 section 2: the SOA alone says so */
        return TARN_OK;
    }
    x->state = x->current ? SECOND : WHOLE;
    if (x->current)
        return TARN_AGAIN;
    enum tarn_err err = zone_start(x, NULL);
    if (!err)
        err = add(x, r);
    return err ? err : TARN_AGAIN;
}

/* The SOA of the version that changes, or any other record of a whole zone. */
static enum tarn_err second(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    uint32_t serial, have;
    bool changes = r->type == TARN_DNS_SOA && serial_of(r, &serial)
                   && tarn_dns_zone_serial(x->current, &have) && serial == have;
    enum tarn_err err = zone_start(x, changes ? x->current : NULL);
    if (err)
        return err;
    if (changes) {
        x->state = DELETING;
        x->serial_at = serial;
        return TARN_AGAIN;
    }
    if (r->type == TARN_DNS_SOA)
        return fail(x, TARN_UNSUPPORTED, "changes of another version than is here");
    x->state = WHOLE;
    err = add(x, r);
    return err ? err : TARN_AGAIN;
}

static enum tarn_err whole(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    uint32_t serial;
    enum tarn_err err = add(x, r);
    if (err)
        return err;
    if (r->type != TARN_DNS_SOA)
        return TARN_AGAIN;
    if (!serial_of(r, &serial) || serial != x->serial_new)
        return fail(x, TARN_PEER, "it ends with another SOA than it starts with");
    return done(x);
}

static enum tarn_err change(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    enum tarn_err err = TARN_OK;
    uint32_t serial = 0;
    bool soa = r->type == TARN_DNS_SOA && serial_of(r, &serial);
    if (x->state == DELETING && !soa) {
        if (tarn_dns_zone_remove(x->zone, r))
            err = fail(x, TARN_UNSUPPORTED, "it deletes what is not here");
    } else if (x->state == DELETING) {
        if (!tarn_dns_serial_newer(serial, x->serial_at))
            return fail(x, TARN_PEER, "changes that lead back");
        x->state = ADDING;
        x->serial_at = serial;
        err = add(x, r);
    } else if (!soa) {
        err = add(x, r);
    } else if (serial == x->serial_new && x->serial_at == serial) {
        return done(x);
    } else if (serial == x->serial_at) {
        x->state = DELETING;
    } else {
        err = fail(x, TARN_PEER, "changes that do not follow each other");
    }
    return err ? err : TARN_AGAIN;
}

static enum tarn_err record(struct tarn_dns_xfr *x, const struct tarn_dns_record *r) {
    x->records++;
    if (r->klass != TARN_DNS_IN)
        return fail(x, TARN_PEER, "a record of another class");
    switch (x->state) {
    case FIRST: return first(x, r);
    case SECOND: return second(x, r);
    case WHOLE: return whole(x, r);
    case DONE: return fail(x, TARN_PEER, "records behind the last one");
    default: return change(x, r);
    }
}

static enum tarn_err check_head(struct tarn_dns_xfr *x, struct tarn_dns_reader *r) {
    struct tarn_dns_question q;
    enum tarn_err err;
    unsigned rcode = TARN_DNS_RCODE(r->header.flags);
    if (r->header.id != x->id || !(r->header.flags & TARN_DNS_QR) || (r->header.flags & TARN_DNS_TC)
        || TARN_DNS_OPCODE(r->header.flags))
        return fail(x, TARN_PEER, "not an answer to what was asked");
    if (x->current && x->state == FIRST
        && (rcode == TARN_DNS_NOTIMP || rcode == TARN_DNS_FORMERR || rcode == TARN_DNS_REFUSED))
        return fail(x, TARN_UNSUPPORTED, "the primary sends no changes");
    if (rcode)
        return fail(x, TARN_PEER, "the primary refuses");
    while ((err = tarn_dns_read_question(r, &q)) == TARN_OK)
        if (!tarn_dns_name_equal(tarn_dns_name_span(&q.name), tarn_dns_name_span(&x->origin)))
            return fail(x, TARN_PEER, "not an answer to what was asked");
    return err == TARN_EOF ? TARN_OK : fail(x, TARN_PEER, "malformed");
}

/* Every message is signed, or one a little later is, and the last one. */
static enum tarn_err verify(struct tarn_dns_xfr *x, uint64_t wall_seconds,
                            struct tarn_span message) {
    if (!x->tsig.key)
        return TARN_OK;
    enum tarn_err err = tarn_dns_tsig_verify(&x->tsig, NULL, 0, message, wall_seconds);
    if (err && (err != TARN_NOT_FOUND || !x->tsig.skipped))
        return fail(x, TARN_PEER, "the signature is wrong or missing");
    return TARN_OK;
}

enum tarn_err tarn_dns_xfr_input(struct tarn_dns_xfr *x, uint64_t wall_seconds,
                                 struct tarn_span message) {
    uint8_t data[4096];
    struct tarn_dns_reader r;
    struct tarn_dns_rr rr;
    enum tarn_err err, result = TARN_AGAIN;
    if (!tarn_dns_reader_init(&r, message))
        return fail(x, TARN_PEER, "malformed");
    if ((err = verify(x, wall_seconds, message)) != TARN_OK || (err = check_head(x, &r)) != TARN_OK)
        return err;
    while ((err = tarn_dns_read_rr(&r, &rr)) == TARN_OK) {
        struct tarn_writer w = TARN_WRITER_ARRAY(data);
        if (rr.section != TARN_DNS_ANSWER)
            continue;
        /* Data that has no names in it, however long, is taken from where it lies. */
        struct tarn_span rdata = rr.rdata;
        if (!tarn_dns_rdata_valid(rdata, rr.type) || rdata.len <= sizeof data / 2) {
            if (!tarn_dns_rr_data(&r, &rr, &w))
                return fail(x, TARN_PEER, "malformed data");
            rdata = tarn_writer_span(&w);
        }
        struct tarn_dns_record one = {tarn_dns_name_span(&rr.owner), rdata, rr.type, rr.klass,
                                      rr.ttl};
        result = record(x, &one);
        if (result != TARN_OK && result != TARN_AGAIN)
            return result;
    }
    if (err == TARN_EOF && result == TARN_OK && x->tsig.skipped)
        return fail(x, TARN_PEER, "the last message is not signed");
    return err == TARN_EOF ? result : fail(x, TARN_PEER, "malformed");
}
