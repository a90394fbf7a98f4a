/* SPDX-License-Identifier: ISC */
#include "kvd.h"

static enum tarn_err put_value(struct call *c, const struct db_entry *e) {
    if (e->there)
        tarn_resp_put_bulk(c->out, e->value);
    else
        tarn_resp_put_null(c->out, c->client->version);
    return TARN_OK;
}

static enum tarn_err fail_time(struct call *c) {
    char text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "ERR invalid expire time in '");
    tarn_writer_str(&w, c->command->name);
    tarn_writer_str(&w, "' command");
    tarn_resp_put_error(c->out, tarn_writer_span(&w));
    return TARN_OK;
}

static enum tarn_err fail_size(struct call *c) {
    return fail(c, "ERR string exceeds maximum allowed size");
}

/* -- when it expires ------------------------------------------------------------------------------
 */

/* EX, PX, EXAT, PXAT at argument `i`: the time in *expires_ms, or 0 where it is not a good one.
 * False: it is none of these. */
static bool take_expiry(struct call *c, uint32_t i, uint64_t *expires_ms) {
    bool seconds = arg_is(c, i, "ex") || arg_is(c, i, "exat");
    bool absolute = arg_is(c, i, "exat") || arg_is(c, i, "pxat");
    int64_t n, now = (int64_t)db_now_ms(&c->kvd->db);
    if ((!seconds && !absolute && !arg_is(c, i, "px")) || i + 1 >= arg_count(c))
        return false;
    *expires_ms = 0;
    if (!tarn_resp_int(arg(c, i + 1), &n) || n <= 0
        || (seconds && __builtin_mul_overflow(n, 1000, &n))
        || (!absolute && __builtin_add_overflow(n, now, &n)))
        return true;
    *expires_ms = (uint64_t)n;
    return true;
}

/* -- get, set -------------------------------------------------------------------------------------
 */

static enum tarn_err cmd_get(struct call *c) {
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_get(&c->kvd->db, &key, &e);
    return err ? err : put_value(c, &e);
}

struct set {
    bool nx, xx, get, keep, expiry;
    uint64_t expires_ms;
};

static bool set_option(struct call *c, uint32_t *i, struct set *s) {
    if (arg_is(c, *i, "nx") && !s->xx)
        return s->nx = true;
    if (arg_is(c, *i, "xx") && !s->nx)
        return s->xx = true;
    if (arg_is(c, *i, "get"))
        return s->get = true;
    if (s->keep || s->expiry)
        return false;
    if (arg_is(c, *i, "keepttl"))
        return s->keep = true;
    s->expiry = take_expiry(c, *i, &s->expires_ms);
    ++*i;
    return s->expiry;
}

/* The value is argument `v`. What was there is answered before it is replaced. */
static enum tarn_err set(struct call *c, const struct set *s, uint32_t v) {
    struct db *db = &c->kvd->db;
    struct db_entry e = {0};
    struct db_key key;
    enum tarn_err err = TARN_OK;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    if (arg(c, v).len > db->value_bytes_max)
        return fail_size(c);
    if (s->get)
        err = db_get(db, &key, &e);
    else if (s->nx || s->xx || s->keep)
        err = db_find(db, &key, &e, NULL);
    if (err)
        return err;
    if (s->get)
        put_value(c, &e);
    if ((s->nx && e.there) || (s->xx && !e.there)) {
        if (!s->get)
            tarn_resp_put_null(c->out, c->client->version);
        return TARN_OK;
    }
    err = db_set(db, &key, arg(c, v), s->keep && e.there ? e.expires_ms : s->expires_ms);
    return err || s->get ? err : ok(c);
}

static enum tarn_err cmd_set(struct call *c) {
    struct set s = {0};
    for (uint32_t i = 3; i < arg_count(c); i++)
        if (!set_option(c, &i, &s))
            return fail_syntax(c);
    return s.expiry && !s.expires_ms ? fail_time(c) : set(c, &s, 2);
}

static enum tarn_err cmd_getset(struct call *c) {
    return set(c, &(struct set){.get = true}, 2);
}

static enum tarn_err set_for(struct call *c, int64_t unit_ms) {
    struct set s = {0};
    int64_t n;
    if (!arg_int(c, 2, &n))
        return TARN_OK;
    if (n <= 0 || __builtin_mul_overflow(n, unit_ms, &n)
        || __builtin_add_overflow(n, (int64_t)db_now_ms(&c->kvd->db), &n))
        return fail_time(c);
    s.expires_ms = (uint64_t)n;
    return set(c, &s, 3);
}
static enum tarn_err cmd_setex(struct call *c) {
    return set_for(c, 1000);
}
static enum tarn_err cmd_psetex(struct call *c) {
    return set_for(c, 1);
}

static enum tarn_err cmd_setnx(struct call *c) {
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    if (arg(c, 2).len > c->kvd->db.value_bytes_max)
        return fail_size(c);
    enum tarn_err err = db_find(&c->kvd->db, &key, &e, NULL);
    if (!err && !e.there)
        err = db_set(&c->kvd->db, &key, arg(c, 2), 0);
    return err ? err : put_int(c, !e.there);
}

static enum tarn_err cmd_getdel(struct call *c) {
    struct db_key key;
    struct db_entry e;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_get(&c->kvd->db, &key, &e);
    if (err)
        return err;
    put_value(c, &e);
    return e.there ? db_remove(&c->kvd->db, &key) : TARN_OK;
}

static enum tarn_err cmd_getex(struct call *c) {
    bool persist = arg_count(c) == 3 && arg_is(c, 2, "persist");
    uint64_t expires_ms = 0;
    struct db_key key;
    struct db_entry e;
    if (arg_count(c) > 2 && !persist && (arg_count(c) != 4 || !take_expiry(c, 2, &expires_ms)))
        return fail_syntax(c);
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_get(&c->kvd->db, &key, &e);
    if (err)
        return err;
    if (e.there && arg_count(c) == 4 && !expires_ms)
        return fail_time(c);
    put_value(c, &e);
    return e.there && arg_count(c) > 2 ? db_expire(&c->kvd->db, &key, expires_ms) : TARN_OK;
}

/* -- many at once ---------------------------------------------------------------------------------
 */

/* An answer that is larger than the memory for it goes out in pieces, and others may write between
 * them. */
static enum tarn_err cmd_mget(struct call *c) {
    uint32_t *i = &c->client->progress;
    if (*i == 0) {
        tarn_resp_put_array(c->out, arg_count(c) - 1);
        *i = 1;
    }
    for (; *i < arg_count(c); ++*i) {
        struct db_entry e = {0};
        struct db_key key;
        if (tarn_writer_room(c->out) < c->kvd->limits.value_bytes_max + KVD_SMALL_BYTES)
            return TARN_AGAIN;
        /* A name that cannot be stored has no value. */
        bool possible = db_key(&key, c->client->db, arg(c, *i));
        enum tarn_err err = possible ? db_get(&c->kvd->db, &key, &e) : TARN_OK;
        if (err == TARN_LIMIT)
            e.there = false;
        else if (err)
            return err;
        put_value(c, &e);
    }
    *i = 0;
    return TARN_OK;
}

/* Whether pair `i` is one name more in the store; `changes` before it are made first. */
static enum tarn_err is_new(struct call *c, uint32_t i, bool *there, bool *more) {
    const struct batch *b = &c->kvd->batch;
    struct db_entry e;
    enum tarn_err err = db_find(&c->kvd->db, &b->keys[i], &e, NULL);
    *there = e.there;
    *more = !e.stored;
    for (uint32_t j = 0; *more && j < i; j++)
        *more = !tarn_span_equal(b->changes[j].key, db_key_span(&b->keys[i]));
    return err;
}

static enum tarn_err set_all(struct call *c, bool only_new, bool *done) {
    struct batch *b = &c->kvd->batch;
    struct tarn_writer w = tarn_writer_over(b->bytes);
    int64_t *names = &c->kvd->db.counts[c->client->db];
    uint32_t pairs = (arg_count(c) - 1) / 2;
    int64_t more = 0;
    enum tarn_err err = TARN_OK;
    *done = false;
    for (uint32_t i = 0; i < pairs; i++) {
        size_t start = w.len;
        bool there = false, new = false;
        tarn_writer_u64le(&w, 0);
        tarn_writer_span_put(&w, arg(c, 2 + 2 * i));
        struct tarn_span value = tarn_span_after(tarn_writer_span(&w), start);
        if (!tarn_writer_ok(&w) || value.len > DB_HEADER_BYTES + c->kvd->db.value_bytes_max)
            return TARN_LIMIT;
        if (only_new || *names >= 0)
            err = is_new(c, i, &there, &new);
        if (err || (only_new && there))
            return err;
        b->changes[i] = db_change(&b->keys[i], value);
        more += new;
    }
    err = db_apply(&c->kvd->db, b->changes, pairs);
    *done = !err;
    if (!err && *names >= 0)
        *names += more;
    return err;
}

static enum tarn_err mset(struct call *c, bool only_new) {
    bool done;
    if (arg_count(c) % 2 == 0)
        return fail(c, "ERR wrong number of arguments for 'mset' command");
    for (uint32_t i = 0; 2 * i + 1 < arg_count(c); i++)
        if (!arg_key(c, 2 * i + 1, &c->kvd->batch.keys[i]))
            return TARN_OK;
    enum tarn_err err = set_all(c, only_new, &done);
    return err ? err : only_new ? put_int(c, done) : ok(c);
}
static enum tarn_err cmd_mset(struct call *c) {
    return mset(c, false);
}
static enum tarn_err cmd_msetnx(struct call *c) {
    return mset(c, true);
}

/* -- numbers --------------------------------------------------------------------------------------
 */

static enum tarn_err add(struct call *c, int64_t by) {
    uint8_t text[24];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    struct db_key key;
    struct db_entry e;
    int64_t n = 0;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_get(&c->kvd->db, &key, &e);
    if (err)
        return err;
    if (e.there && !tarn_resp_int(e.value, &n))
        return fail(c, "ERR value is not an integer or out of range");
    if (__builtin_add_overflow(n, by, &n))
        return fail(c, "ERR increment or decrement would overflow");
    if (n < 0)
        tarn_writer_u8(&w, '-');
    tarn_writer_dec(&w, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    err = db_set(&c->kvd->db, &key, tarn_writer_span(&w), e.there ? e.expires_ms : 0);
    return err ? err : put_int(c, n);
}
static enum tarn_err cmd_incr(struct call *c) {
    return add(c, 1);
}
static enum tarn_err cmd_decr(struct call *c) {
    return add(c, -1);
}
static enum tarn_err cmd_incrby(struct call *c) {
    int64_t by;
    return arg_int(c, 2, &by) ? add(c, by) : TARN_OK;
}
static enum tarn_err cmd_decrby(struct call *c) {
    int64_t by;
    if (!arg_int(c, 2, &by))
        return TARN_OK;
    return by == INT64_MIN ? fail(c, "ERR decrement would overflow") : add(c, -by);
}

/* -- parts ----------------------------------------------------------------------------------------
 */

static enum tarn_err cmd_append(struct call *c) {
    struct db *db = &c->kvd->db;
    struct db_key key;
    struct db_entry e;
    uint64_t bytes = 0;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_find(db, &key, &e, &bytes);
    if (err)
        return err;
    bytes = e.there ? bytes : 0;
    if (bytes + arg(c, 2).len > db->value_bytes_max)
        return fail_size(c);
    if (!e.there)
        err = db_set(db, &key, arg(c, 2), 0);
    else if (arg(c, 2).len)
        err = db_set_partial(db, &key, bytes, arg(c, 2));
    return err ? err : put_int(c, (int64_t)(bytes + arg(c, 2).len));
}

static enum tarn_err cmd_strlen(struct call *c) {
    struct db_key key;
    struct db_entry e;
    uint64_t bytes = 0;
    if (!arg_key(c, 1, &key))
        return TARN_OK;
    enum tarn_err err = db_find(&c->kvd->db, &key, &e, &bytes);
    return err ? err : put_int(c, e.there ? (int64_t)bytes : 0);
}

static enum tarn_err cmd_getrange(struct call *c) {
    struct db_key key;
    struct db_entry e;
    int64_t from, to;
    if (!arg_key(c, 1, &key) || !arg_int(c, 2, &from) || !arg_int(c, 3, &to))
        return TARN_OK;
    enum tarn_err err = db_get(&c->kvd->db, &key, &e);
    if (err)
        return err;
    int64_t len = e.there ? (int64_t)e.value.len : 0;
    from = from < 0 ? TARN_MAX(from, -len) + len : from;
    to = TARN_MIN(to < 0 ? TARN_MAX(to, -len - 1) + len : to, len - 1);
    struct tarn_span part = TARN_SPAN_EMPTY;
    if (from <= to)
        part = tarn_span_first(tarn_span_after(e.value, (size_t)from), (size_t)(to - from + 1));
    tarn_resp_put_bulk(c->out, part);
    return TARN_OK;
}

static enum tarn_err cmd_setrange(struct call *c) {
    struct db *db = &c->kvd->db;
    struct tarn_span part = arg(c, 3);
    struct db_key key;
    struct db_entry e;
    uint64_t bytes = 0;
    int64_t at;
    if (!arg_key(c, 1, &key) || !arg_int(c, 2, &at))
        return TARN_OK;
    if (at < 0)
        return fail(c, "ERR offset is out of range");
    if (part.len
        && ((uint64_t)at > db->value_bytes_max || (uint64_t)at + part.len > db->value_bytes_max))
        return fail_size(c);
    enum tarn_err err = db_find(db, &key, &e, &bytes);
    if (err)
        return err;
    bytes = e.there ? bytes : 0;
    if (!part.len)
        return put_int(c, (int64_t)bytes);
    if (e.there) {
        err = db_set_partial(db, &key, (uint64_t)at, part);
    } else {
        struct tarn_bytes room = tarn_bytes_after(db->scratch, DB_HEADER_BYTES);
        tarn_bytes_fill(tarn_bytes_first(room, (size_t)at), 0);
        tarn_bytes_copy(tarn_bytes_after(room, (size_t)at), part);
        err = db_set(db, &key, tarn_span_first(tarn_bytes_span(room), (size_t)at + part.len), 0);
    }
    return err ? err : put_int(c, (int64_t)TARN_MAX(bytes, (uint64_t)at + part.len));
}

const struct command string_commands[] = {
    {"get", cmd_get, 2, ROOM_VALUE, READS | FAST, 1, 1, 1},
    {"set", cmd_set, -3, ROOM_VALUE, WRITES, 1, 1, 1},
    {"setex", cmd_setex, 4, ROOM_SMALL, WRITES, 1, 1, 1},
    {"psetex", cmd_psetex, 4, ROOM_SMALL, WRITES, 1, 1, 1},
    {"setnx", cmd_setnx, 3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"getset", cmd_getset, 3, ROOM_VALUE, WRITES | FAST, 1, 1, 1},
    {"getdel", cmd_getdel, 2, ROOM_VALUE, WRITES | FAST, 1, 1, 1},
    {"getex", cmd_getex, -2, ROOM_VALUE, WRITES | FAST, 1, 1, 1},
    {"mget", cmd_mget, -2, ROOM_VALUE, READS | FAST, 1, -1, 1},
    {"mset", cmd_mset, -3, ROOM_SMALL, WRITES, 1, -1, 2},
    {"msetnx", cmd_msetnx, -3, ROOM_SMALL, WRITES, 1, -1, 2},
    {"incr", cmd_incr, 2, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"decr", cmd_decr, 2, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"incrby", cmd_incrby, 3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"decrby", cmd_decrby, 3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"append", cmd_append, 3, ROOM_SMALL, WRITES | FAST, 1, 1, 1},
    {"strlen", cmd_strlen, 2, ROOM_SMALL, READS | FAST, 1, 1, 1},
    {"getrange", cmd_getrange, 4, ROOM_VALUE, READS, 1, 1, 1},
    {"substr", cmd_getrange, 4, ROOM_VALUE, READS, 1, 1, 1},
    {"setrange", cmd_setrange, 4, ROOM_SMALL, WRITES, 1, 1, 1},
};
const size_t string_command_count = TARN_COUNT_OF(string_commands);
