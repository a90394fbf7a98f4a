/* SPDX-License-Identifier: ISC */
/* What UPDATEs change is kept in the store: each change is a value of the dictionary
 * "journal/ZONE", under its number. An UPDATE is acknowledged when that is safe; changes that come
 * together are written together. When they have become long beside the zone, the zone is written as
 * a zone file in the place of the old one, and they go, in one step. */
#include "dnsd.h"

#include <tarn/dns_update.h>

#define CHANGES_MAX 64u                /* that are written together */
#define REWRITE_BYTES_MIN (256u << 10) /* fewer changes than this are no reason */
#define PIECE_BYTES (64u << 10)        /* of a zone file, written at once */
#define LINE_BYTES (4 * TARN_DNS_RDATA_MAX + 2048)

struct dnsd_change {
    struct dnsd_change *next;
    struct dnsd_zone *zone;
    uint64_t number;
    size_t len;
    uint8_t bytes[];
};

static struct tarn_span error_text(enum tarn_err err) {
    return tarn_span_str(tarn_err_name(err));
}

static struct tarn_span name_of(const struct dnsd_zone *z) {
    return tarn_span_first(TARN_SPAN_ARRAY(z->name), z->name_len);
}

static void put_key(struct tarn_writer *w, const char *dictionary, const struct dnsd_zone *z) {
    tarn_writer_str(w, dictionary);
    tarn_writer_span_put(w, name_of(z));
}

/* -- as the server asks ---------------------------------------------------------------------------
 */

static struct dnsd_zone *zone_of(const struct dnsd *d, struct tarn_span origin) {
    struct dnsd_zone *z = d->zones;
    while (z && !tarn_dns_name_equal(tarn_dns_name_span(&z->origin), origin))
        z = z->next;
    return z;
}

static bool keep(struct dnsd *d, struct dnsd_zone *z, struct tarn_span delta) {
    struct dnsd_change *c =
        tarn_alloc_get(tarn_env_alloc(d->env), sizeof *c + delta.len, _Alignof(struct dnsd_change));
    if (!c)
        return false;
    *c = (struct dnsd_change){.zone = z, .number = z->next_change++, .len = delta.len};
    tarn_bytes_copy(tarn_bytes_of(c->bytes, c->len), delta);
    *d->last_change = c;
    d->last_change = &c->next;
    d->writer->ops->wake(d->writer);
    return true;
}

unsigned dnsd_update(void *user, struct tarn_dns_zone *zone, const struct tarn_endpoint *client,
                     const struct tarn_dns_tsig_key *key, struct tarn_span message) {
    struct dnsd *d = user;
    struct tarn_span delta;
    struct dnsd_zone *z = zone_of(d, tarn_dns_zone_origin(zone));
    (void)client;
    if (!key || !z || dnsd_is_copy(d, tarn_dns_zone_origin(zone)))
        return TARN_DNS_REFUSED;
    if (d->store_failed || !d->writer)
        return TARN_DNS_SERVFAIL;
    unsigned rcode = tarn_dns_update(tarn_env_alloc(d->env), zone, message, &delta);
    if (rcode || !delta.len)
        return rcode;
    tarn_dns_service_forget(d->service, zone);
    if (d->notifier)
        tarn_dns_notifier_changed(d->notifier, tarn_dns_zone_origin(zone));
    if (!keep(d, z, delta)) {
        d->store_failed = true; /* what is served and what is kept are not the same any more */
        dnsd_say(d->env, name_of(z), ": no memory to keep a change", TARN_SPAN_EMPTY);
        return TARN_DNS_SERVFAIL;
    }
    return rcode | TARN_DNS_HOLD;
}

/* -- into the store -------------------------------------------------------------------------------
 */

static void put_change_key(struct tarn_writer *w, const struct dnsd_change *c) {
    put_key(w, "journal/", c->zone);
    tarn_writer_u8(w, '/');
    for (unsigned shift = 64; shift; shift -= 4) /* in the order of the numbers */
        tarn_writer_u8(w, (uint8_t) "0123456789abcdef"[c->number >> (shift - 4) & 15]);
}

/* Up to CHANGES_MAX of them; *written are in the store. */
static enum tarn_err write_some(struct dnsd *d, unsigned *written) {
    static char keys[CHANGES_MAX][TARN_KV_NAME_MAX + 32];
    struct tarn_kv_change changes[CHANGES_MAX] = {0};
    unsigned n = 0;
    size_t failed;
    for (struct dnsd_change *c = d->changes; c && n < CHANGES_MAX; c = c->next, n++) {
        struct tarn_writer key = TARN_WRITER_ARRAY(keys[n]);
        put_change_key(&key, c);
        changes[n] = (struct tarn_kv_change){.verb = TARN_KV_SET,
                                             .key = tarn_writer_span(&key),
                                             .value = tarn_span_of(c->bytes, c->len)};
    }
    enum tarn_err err = d->kv->ops->batch(d->kv, changes, n, &failed);
    if (err == TARN_LIMIT && n > 1) /* more than the store takes at once */
        err = d->kv->ops->batch(d->kv, changes, n = 1, &failed);
    *written = n;
    return err;
}

static void forget_written(struct dnsd *d, unsigned n) {
    while (n--) {
        struct dnsd_change *c = d->changes;
        c->zone->journal_bytes += c->len;
        d->changes = c->next;
        tarn_alloc_put(tarn_env_alloc(d->env), c, sizeof *c + c->len);
    }
    if (!d->changes)
        d->last_change = &d->changes;
}

/* -- the zone anew --------------------------------------------------------------------------------
 */

/* The text of the zone, SOA first, as the zone file's; it is as it was at one moment. */
static bool print_zone(const struct tarn_dns_zone *zone, struct tarn_writer *w) {
    struct tarn_dns_zone_walk walk = {0};
    struct tarn_dns_record r;
    if (!tarn_dns_zone_get(zone, tarn_dns_zone_origin(zone), TARN_DNS_SOA, 0, &r))
        return false;
    do {
        if (walk.node && r.type == TARN_DNS_SOA)
            continue;
        tarn_dns_record_print(w, r.owner, r.type, r.klass, r.ttl, r.rdata);
        tarn_writer_u8(w, '\n');
    } while (tarn_dns_zone_next(zone, &walk, &r));
    return tarn_writer_ok(w);
}

static enum tarn_err write_text(struct dnsd *d, struct dnsd_zone *z, struct tarn_span text) {
    char fresh[TARN_KV_NAME_MAX + 16], old[TARN_KV_NAME_MAX + 16], journal[TARN_KV_NAME_MAX + 16];
    struct tarn_writer from = TARN_WRITER_ARRAY(fresh), to = TARN_WRITER_ARRAY(old);
    struct tarn_writer gone = TARN_WRITER_ARRAY(journal);
    enum tarn_err err = TARN_OK;
    size_t failed;
    put_key(&from, "rewrite/", z);
    put_key(&to, "zones/", z);
    put_key(&gone, "journal/", z);
    struct tarn_span key = tarn_writer_span(&from);
    for (size_t at = 0; !err && at < text.len; at += PIECE_BYTES) {
        struct tarn_span piece = tarn_span_first(tarn_span_after(text, at), PIECE_BYTES);
        err = at ? tarn_kv_set_partial(d->kv, key, at, piece) : tarn_kv_set(d->kv, key, piece);
    }
    struct tarn_kv_change swap[] = {
        {.verb = TARN_KV_RENAME, .key = key, .dest = tarn_writer_span(&to)},
        {.verb = TARN_KV_REMOVE, .key = tarn_writer_span(&gone)},
    };
    return err ? err : d->kv->ops->batch(d->kv, swap, TARN_COUNT_OF(swap), &failed);
}

/* While it is written, changes go on being made; they wait, and come behind it. Those that wait
 * already are in the text too, which loading them notices. */
static enum tarn_err rewrite(struct dnsd *d, struct dnsd_zone *z) {
    struct tarn_alloc *alloc = tarn_env_alloc(d->env);
    const struct tarn_dns_zone *zone =
        tarn_dns_server_zone(d->server, tarn_dns_name_span(&z->origin));
    struct tarn_writer w = {0};
    if (!zone)
        return TARN_OK;
    (void)print_zone(zone, &w); /* how long it is */
    size_t len = w.len;
    uint8_t *ptr = tarn_alloc_get(alloc, len, 1);
    z->journal_bytes = 0; /* not again before as much has changed, whatever comes of this */
    if (!ptr)
        return TARN_OK;
    w = tarn_writer_over(tarn_bytes_of(ptr, len));
    enum tarn_err err = print_zone(zone, &w) ? write_text(d, z, tarn_writer_span(&w)) : TARN_OK;
    if (!err)
        z->text_bytes = len;
    tarn_alloc_put(alloc, ptr, len);
    return err == TARN_LIMIT ? TARN_OK : err; /* no space: the changes stay */
}

static bool is_due(const struct dnsd_zone *z) {
    return z->journal_bytes > TARN_MAX((uint64_t)REWRITE_BYTES_MIN, z->text_bytes / 2);
}

void dnsd_write_changes(struct dnsd *d) {
    d->last_change = &d->changes;
    d->writer = tarn_env_waiter(d->env);
    for (;;) {
        enum tarn_err err = TARN_OK;
        unsigned n = 0;
        while (!d->changes)
            (void)d->writer->ops->wait(d->writer, TARN_NEVER);
        while (!err && d->changes) {
            err = write_some(d, &n);
            if (!err)
                forget_written(d, n);
        }
        if (err && !d->store_failed)
            dnsd_say(d->env, TARN_SPAN_LIT("the store takes no changes: "), "", error_text(err));
        d->store_failed |= err != TARN_OK;
        tarn_dns_service_release(d->service, !err);
        /* All that was acknowledged is in the store, and so the text below has it. */
        for (struct dnsd_zone *z = d->zones; z && !d->store_failed; z = z->next)
            if (is_due(z) && (err = rewrite(d, z)) != TARN_OK)
                d->store_failed = true;
        if (d->store_failed)
            tarn_run_forever(d->env);
    }
}

/* -- and from it ----------------------------------------------------------------------------------
 */

static bool load_change(struct dnsd *d, struct dnsd_zone *z, struct tarn_dns_zone *zone,
                        struct tarn_span key) {
    struct tarn_bytes delta;
    const char *why = "";
    enum tarn_err err = dnsd_read(d, key, &delta);
    if (err) {
        dnsd_say(d->env, key, ": cannot be read: ", error_text(err));
        return false;
    }
    err = tarn_dns_zone_apply(zone, tarn_bytes_span(delta), &why);
    z->journal_bytes += err ? 0 : delta.len;
    if (delta.len)
        tarn_alloc_put(tarn_env_alloc(d->env), delta.ptr, delta.len);
    if (err == TARN_EOF) /* the zone was written when this was made already, but not kept yet */
        return true;
    if (err)
        dnsd_say(d->env, key, ": this change does not follow the zone file: ", tarn_span_str(why));
    return err == TARN_OK;
}

bool dnsd_load_changes(struct dnsd *d, struct dnsd_zone *z, struct tarn_dns_zone *zone) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry entry;
    char text[TARN_KV_NAME_MAX + 16], one[TARN_KV_NAME_MAX + 64];
    struct tarn_writer dictionary = TARN_WRITER_ARRAY(text);
    enum tarn_err err;
    put_key(&dictionary, "journal/", z);
    while ((err = d->kv->ops->list(d->kv, tarn_writer_span(&dictionary), &cursor, &entry))
           == TARN_OK) {
        struct tarn_writer key = TARN_WRITER_ARRAY(one);
        uint64_t number;
        tarn_writer_span_put(&key, tarn_writer_span(&dictionary));
        tarn_writer_u8(&key, '/');
        tarn_writer_span_put(&key, entry.name);
        if (!tarn_span_parse_hex(entry.name, UINT64_MAX - 1, &number))
            continue;
        if (!load_change(d, z, zone, tarn_writer_span(&key)))
            return false;
        z->next_change = number + 1;
    }
    if (err != TARN_EOF && err != TARN_NOT_FOUND)
        dnsd_say(d->env, name_of(z), ": its changes cannot be listed: ", error_text(err));
    return err == TARN_EOF || err == TARN_NOT_FOUND;
}
