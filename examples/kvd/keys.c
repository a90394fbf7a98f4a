/* SPDX-License-Identifier: ISC */
#include "kvd.h"

#define SCAN_COUNT_MAX 10000 /* names looked at by one SCAN */

/* -- names that are there -------------------------------------------------------------------------
 */

static enum tarn_err cmd_del(struct call *c) {
    int64_t n = 0;
    for (uint32_t i = 1; i < arg_count(c); i++) {
        struct db_entry e = {0};
        struct db_key key;
        enum tarn_err err = TARN_OK;
        if (db_key(&key, c->client->db, arg(c, i)))
            err = db_find(&c->kvd->db, &key, &e, NULL);
        if (!err && e.stored)
            err = db_remove(&c->kvd->db, &key);
        if (err)
            return err;
        n += e.there;
    }
    return put_int(c, n);
}

static enum tarn_err cmd_exists(struct call *c) {
    int64_t n = 0;
    for (uint32_t i = 1; i < arg_count(c); i++) {
        struct db_entry e = {0};
        struct db_key key;
        if (db_key(&key, c->client->db, arg(c, i))) {
            enum tarn_err err = db_find(&c->kvd->db, &key, &e, NULL);
            if (err)
                return err;
        }
        n += e.there;
    }
    return put_int(c, n);
}

static enum tarn_err cmd_type(struct call *c) {
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_find(&c->kvd->db, &key, &e, NULL);
    if (!err)
        tarn_resp_put_simple(c->out, e.there ? "string" : "none");
    return err;
}

static enum tarn_err rename_to(struct call *c, bool only_new, bool *done) {
    struct db *db = &c->kvd->db;
    struct db_entry from, to = {0};
    struct db_key key, dest;
    *done = false;
    if (!arg_key(c, 1, &key) || !arg_key(c, 2, &dest))
        return TARN_EOF;
    enum tarn_err err = db_find(db, &key, &from, NULL);
    if (!err && only_new)
        err = db_find(db, &dest, &to, NULL);
    if (err)
        return err;
    if (!from.there) {
        fail(c, "ERR no such key");
        return TARN_EOF;
    }
    if (to.there)
        return TARN_OK;
    *done = true;
    return tarn_span_equal(db_key_span(&key), db_key_span(&dest)) ? TARN_OK
                                                                  : db_rename(db, &key, &dest);
}
static enum tarn_err cmd_rename(struct call *c) {
    bool done;
    enum tarn_err err = rename_to(c, false, &done);
    return err == TARN_EOF ? TARN_OK : err ? err : ok(c);
}
static enum tarn_err cmd_renamenx(struct call *c) {
    bool done;
    enum tarn_err err = rename_to(c, true, &done);
    return err == TARN_EOF ? TARN_OK : err ? err : put_int(c, done);
}

/* -- expiry ---------------------------------------------------------------------------------------
 */

/* NX XX GT LT, of which some exclude each other. */
struct when {
    bool nx, xx, gt, lt;
};

static bool when_option(struct call *c, uint32_t i, struct when *w) {
    w->nx |= arg_is(c, i, "nx");
    w->xx |= arg_is(c, i, "xx");
    w->gt |= arg_is(c, i, "gt");
    w->lt |= arg_is(c, i, "lt");
    return (arg_is(c, i, "nx") || arg_is(c, i, "xx") || arg_is(c, i, "gt") || arg_is(c, i, "lt"))
           && !(w->nx && (w->xx || w->gt || w->lt)) && !(w->gt && w->lt);
}

/* What never expires counts as the latest. */
static bool when_holds(const struct when *w, uint64_t was, uint64_t at) {
    return !(w->nx && was) && !(w->xx && !was) && !(w->gt && (!was || at <= was))
           && !(w->lt && was && at >= was);
}

static enum tarn_err expire(struct call *c, int64_t unit_ms, bool relative) {
    struct db *db = &c->kvd->db;
    uint64_t now = db_now_ms(db);
    struct when when = {0};
    struct db_key key;
    struct db_entry e;
    int64_t at;
    if (!arg_key(c, 1, &key) || !arg_int(c, 2, &at))
        return TARN_OK;
    for (uint32_t i = 3; i < arg_count(c); i++)
        if (!when_option(c, i, &when))
            return fail(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
    if (__builtin_mul_overflow(at, unit_ms, &at)
        || (relative && __builtin_add_overflow(at, (int64_t)now, &at)))
        return fail(c, "ERR invalid expire time");
    uint64_t at_ms = at > 0 ? (uint64_t)at : 1;
    enum tarn_err err = db_find(db, &key, &e, NULL);
    if (err)
        return err;
    if (!e.there || !when_holds(&when, e.expires_ms, at_ms))
        return put_int(c, 0);
    err = at_ms <= now ? db_remove(db, &key) : db_expire(db, &key, at_ms);
    return err ? err : put_int(c, 1);
}
static enum tarn_err cmd_expire(struct call *c) {
    return expire(c, 1000, true);
}
static enum tarn_err cmd_pexpire(struct call *c) {
    return expire(c, 1, true);
}
static enum tarn_err cmd_expireat(struct call *c) {
    return expire(c, 1000, false);
}
static enum tarn_err cmd_pexpireat(struct call *c) {
    return expire(c, 1, false);
}

/* -2: nothing there; -1: it does not expire. */
static enum tarn_err ttl(struct call *c, uint64_t unit_ms, bool relative) {
    uint64_t now = db_now_ms(&c->kvd->db);
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_find(&c->kvd->db, &key, &e, NULL);
    if (err)
        return err;
    if (!e.there || !e.expires_ms)
        return put_int(c, e.there ? -1 : -2);
    uint64_t ms = relative ? e.expires_ms - TARN_MIN(now, e.expires_ms) : e.expires_ms;
    return put_int(c, (int64_t)((ms + unit_ms / 2) / unit_ms));
}
static enum tarn_err cmd_ttl(struct call *c) {
    return ttl(c, 1000, true);
}
static enum tarn_err cmd_pttl(struct call *c) {
    return ttl(c, 1, true);
}
static enum tarn_err cmd_expiretime(struct call *c) {
    return ttl(c, 1000, false);
}
static enum tarn_err cmd_pexpiretime(struct call *c) {
    return ttl(c, 1, false);
}

static enum tarn_err cmd_persist(struct call *c) {
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_find(&c->kvd->db, &key, &e, NULL);
    bool does = e.there && e.expires_ms;
    if (!err && does)
        err = db_expire(&c->kvd->db, &key, 0);
    return err ? err : put_int(c, does);
}

/* -- all names ------------------------------------------------------------------------------------
 */

/* Names that match, each behind its length, in the memory for a batch. */
struct names {
    struct tarn_writer w;
    uint64_t count;
    size_t answer_bytes; /* of all, as bulk strings */
    size_t room;
};

static bool names_fit(const struct names *n) {
    size_t most = TARN_KV_NAME_MAX + 8;
    return tarn_writer_room(&n->w) >= most && n->answer_bytes + most <= n->room;
}

static void names_add(struct names *n, const struct db_key *key, bool there,
                      struct tarn_span pattern) {
    uint8_t room[TARN_KV_NAME_MAX];
    struct tarn_span name = db_name(key, room);
    if (!there || !tarn_resp_glob(pattern, name))
        return;
    tarn_writer_u8(&n->w, (uint8_t)name.len);
    tarn_writer_span_put(&n->w, name);
    n->count++;
    n->answer_bytes += name.len + 8;
}

static enum tarn_err names_put(struct call *c, const struct names *n) {
    struct tarn_span all = tarn_writer_span(&n->w), name;
    uint8_t len;
    tarn_resp_put_array(c->out, n->count);
    while (tarn_span_u8(&all, &len) && tarn_span_take(&all, len, &name))
        tarn_resp_put_bulk(c->out, name);
    return TARN_OK;
}

static struct names names_begin(struct call *c) {
    size_t room = tarn_writer_room(c->out);
    return (struct names){.w = tarn_writer_over(c->kvd->batch.bytes),
                          .room = room - TARN_MIN(room, (size_t)64)};
}

static enum tarn_err cmd_keys(struct call *c) {
    struct names names = names_begin(c);
    struct tarn_kv_cursor cursor = {0};
    struct db_key key;
    enum tarn_err err;
    bool there;
    while ((err = db_list(&c->kvd->db, c->client->db, &cursor, &key, &there)) == TARN_OK) {
        if (!names_fit(&names))
            return fail(c, "ERR there are too many names for one answer: use SCAN");
        names_add(&names, &key, there, arg(c, 1));
    }
    return err == TARN_EOF ? names_put(c, &names) : err;
}

struct scan {
    struct tarn_span pattern;
    int64_t count;
    bool none; /* a TYPE that nothing has */
};

static bool scan_options(struct call *c, struct scan *s) {
    for (uint32_t i = 2; i < arg_count(c); i += 2) {
        if (i + 1 == arg_count(c))
            return false;
        if (arg_is(c, i, "match"))
            s->pattern = arg(c, i + 1);
        else if (arg_is(c, i, "type"))
            s->none = !arg_is(c, i + 1, "string");
        else if (!arg_is(c, i, "count") || !tarn_resp_int(arg(c, i + 1), &s->count) || s->count < 1)
            return false;
    }
    return true;
}

/* The place that a number stands for; false: it is not known any more. */
static bool scan_find(struct call *c, struct tarn_kv_cursor *cursor) {
    int64_t id;
    *cursor = (struct tarn_kv_cursor){0};
    if (!tarn_resp_int(arg(c, 1), &id) || id < 0)
        return false;
    if (id == 0)
        return true;
    const struct scan_place *p = &c->kvd->scans[(uint64_t)id % KVD_SCANS];
    if (p->id != (uint64_t)id || p->db != c->client->db)
        return false;
    *cursor = p->cursor;
    return true;
}

static uint64_t scan_remember(struct call *c, const struct tarn_kv_cursor *cursor) {
    uint64_t id = ++c->kvd->scan_id;
    c->kvd->scans[id % KVD_SCANS] = (struct scan_place){id, c->client->db, *cursor};
    return id;
}

static enum tarn_err cmd_scan(struct call *c) {
    struct scan s = {.pattern = TARN_SPAN_LIT("*"), .count = 10};
    struct names names = names_begin(c);
    struct tarn_kv_cursor cursor;
    enum tarn_err err = TARN_OK;
    uint8_t text[24];
    struct tarn_writer id = TARN_WRITER_ARRAY(text);
    if (!scan_options(c, &s))
        return fail_syntax(c);
    if (!scan_find(c, &cursor))
        return fail(c, "ERR invalid cursor: begin again with 0");
    s.count = TARN_MIN(s.count, SCAN_COUNT_MAX);
    for (int64_t i = 0; i < s.count && names_fit(&names); i++) {
        struct db_key key;
        bool there;
        err = db_list(&c->kvd->db, c->client->db, &cursor, &key, &there);
        if (err)
            break;
        names_add(&names, &key, there && !s.none, s.pattern);
    }
    if (err && err != TARN_EOF)
        return err;
    tarn_writer_dec(&id, err == TARN_EOF ? 0 : scan_remember(c, &cursor));
    tarn_resp_put_array(c->out, 2);
    tarn_resp_put_bulk(c->out, tarn_writer_span(&id));
    return names_put(c, &names);
}

static enum tarn_err cmd_dbsize(struct call *c) {
    int64_t n;
    enum tarn_err err = db_count(&c->kvd->db, c->client->db, &n);
    return err ? err : put_int(c, n);
}

static bool flush_option(struct call *c) {
    return arg_count(c) == 1
           || (arg_count(c) == 2 && (arg_is(c, 1, "sync") || arg_is(c, 1, "async")));
}
static enum tarn_err cmd_flushdb(struct call *c) {
    if (!flush_option(c))
        return fail_syntax(c);
    enum tarn_err err = db_flush(&c->kvd->db, c->client->db);
    return err ? err : ok(c);
}
static enum tarn_err cmd_flushall(struct call *c) {
    enum tarn_err err = TARN_OK;
    if (!flush_option(c))
        return fail_syntax(c);
    for (uint32_t i = 0; !err && i < DB_COUNT; i++)
        err = db_flush(&c->kvd->db, i);
    return err ? err : ok(c);
}

const struct command key_commands[] = {
    {"del", cmd_del, -2, ROOM_SMALL, WRITES, 1, -1, 1},
    {"unlink", cmd_del, -2, ROOM_SMALL, WRITES | FAST, 1, -1, 1},
    {"exists", cmd_exists, -2, ROOM_SMALL, READS | FAST, 1, -1, 1},
    {"touch", cmd_exists, -2, ROOM_SMALL, READS | FAST, 1, -1, 1},
    {"type", cmd_type, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"rename", cmd_rename, 3, ROOM_SMALL, WRITES, 1, 2, 1},
    {"renamenx", cmd_renamenx, 3, ROOM_SMALL, WRITES | FAST, 1, 2, 1},
    {"expire", cmd_expire, -3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"pexpire", cmd_pexpire, -3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"expireat", cmd_expireat, -3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"pexpireat", cmd_pexpireat, -3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"ttl", cmd_ttl, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"pttl", cmd_pttl, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"expiretime", cmd_expiretime, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"pexpiretime", cmd_pexpiretime, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"persist", cmd_persist, 2, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"keys", cmd_keys, 2, ROOM_ALL, READS, 0, 0, 0},
    {"scan", cmd_scan, -2, ROOM_VALUE, READS, 0, 0, 0},
    {"dbsize", cmd_dbsize, 1, ROOM_SMALL, READS | FAST, 0, 0, 0},
    {"flushdb", cmd_flushdb, -1, ROOM_SMALL, WRITES, 0, 0, 0},
    {"flushall", cmd_flushall, -1, ROOM_SMALL, WRITES, 0, 0, 0},
};
const size_t key_command_count = TARN_COUNT_OF(key_commands);
