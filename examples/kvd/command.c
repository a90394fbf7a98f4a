/* SPDX-License-Identifier: ISC */
#include "kvd.h"

#define VERSION "7.0.0" /* of Redis, whose commands these are: clients ask */

/* -- arguments and short answers ------------------------------------------------------------------
 */

bool arg_is(const struct call *c, uint32_t i, const char *word) {
    return tarn_span_equal_nocase(arg(c, i), tarn_span_str(word));
}

enum tarn_err fail(struct call *c, const char *text) {
    tarn_resp_put_error(c->out, tarn_span_str(text));
    return TARN_OK;
}
enum tarn_err fail_syntax(struct call *c) {
    return fail(c, "ERR syntax error");
}
enum tarn_err ok(struct call *c) {
    tarn_resp_put_simple(c->out, "OK");
    return TARN_OK;
}
enum tarn_err put_int(struct call *c, int64_t value) {
    tarn_resp_put_int(c->out, value);
    return TARN_OK;
}

bool arg_key(struct call *c, uint32_t i, struct db_key *key) {
    if (db_key(key, c->client->db, arg(c, i)))
        return true;
    fail(c, "ERR the name is too long: 255 bytes, and two more for each '%', '/' and NUL in it");
    return false;
}

bool arg_int(struct call *c, uint32_t i, int64_t *out) {
    if (tarn_resp_int(arg(c, i), out))
        return true;
    fail(c, "ERR value is not an integer or out of range");
    return false;
}

static void put_word(struct call *c, const char *word) {
    tarn_resp_put_bulk(c->out, tarn_span_str(word));
}

/* "ERR ", text, argument i (some of it), more text. */
static enum tarn_err fail_about(struct call *c, const char *before, struct tarn_span what,
                                const char *after) {
    char text[256];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, before);
    tarn_writer_span_put(&w, tarn_span_first(what, 100));
    tarn_writer_str(&w, after);
    tarn_resp_put_error(c->out, tarn_writer_span(&w));
    return TARN_OK;
}

/* -- the connection -------------------------------------------------------------------------------
 */

static enum tarn_err cmd_ping(struct call *c) {
    if (arg_count(c) > 2)
        return fail(c, "ERR wrong number of arguments for 'ping' command");
    if (arg_count(c) == 2)
        tarn_resp_put_bulk(c->out, arg(c, 1));
    else
        tarn_resp_put_simple(c->out, "PONG");
    return TARN_OK;
}

static enum tarn_err cmd_echo(struct call *c) {
    tarn_resp_put_bulk(c->out, arg(c, 1));
    return TARN_OK;
}

static enum tarn_err cmd_select(struct call *c) {
    int64_t n;
    if (!arg_int(c, 1, &n))
        return TARN_OK;
    if (n < 0 || n >= DB_COUNT)
        return fail(c, "ERR DB index is out of range");
    c->client->db = (uint32_t)n;
    return ok(c);
}

static enum tarn_err cmd_quit(struct call *c) {
    c->client->closing = true;
    return ok(c);
}

/* What a browser says to a server it takes for a web server: it must not get to talk to this one.
 */
static enum tarn_err cmd_http(struct call *c) {
    c->client->closing = true;
    return TARN_OK;
}

static bool name_take(struct call *c, struct tarn_span name) {
    if (name.len > KVD_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (tarn_span_at(name, i) <= ' ' || tarn_span_at(name, i) > '~')
            return false;
    c->client->name_len = tarn_bytes_copy(TARN_BYTES_ARRAY(c->client->name), name);
    return true;
}

static enum tarn_err fail_name(struct call *c) {
    return fail(c, "ERR Client names cannot contain spaces, newlines or special characters, and "
                   "have 64 at the most.");
}

static void hello_put(struct call *c) {
    tarn_resp_put_map(c->out, c->client->version, 7);
    put_word(c, "server");
    put_word(c, "redis");
    put_word(c, "version");
    put_word(c, VERSION);
    put_word(c, "proto");
    put_int(c, c->client->version);
    put_word(c, "id");
    put_int(c, (int64_t)c->client->id);
    put_word(c, "mode");
    put_word(c, "standalone");
    put_word(c, "role");
    put_word(c, "master");
    put_word(c, "modules");
    tarn_resp_put_array(c->out, 0);
}

static const char no_password[] =
    "ERR AUTH called without any password configured: there is none, and everybody is let in";

static enum tarn_err cmd_hello(struct call *c) {
    int64_t version = c->client->version;
    if (arg_count(c) > 1 && (!tarn_resp_int(arg(c, 1), &version) || version < 2 || version > 3))
        return fail(c, "NOPROTO unsupported protocol version");
    for (uint32_t i = 2; i < arg_count(c); i += 2) {
        if (arg_is(c, i, "auth"))
            return fail(c, no_password);
        if (i + 1 == arg_count(c) || !arg_is(c, i, "setname"))
            return fail_syntax(c);
        if (!name_take(c, arg(c, i + 1)))
            return fail_name(c);
    }
    c->client->version = (unsigned)version;
    hello_put(c);
    return TARN_OK;
}

static enum tarn_err cmd_auth(struct call *c) {
    return fail(c, no_password);
}

static enum tarn_err cmd_reset(struct call *c) {
    c->client->version = 2;
    c->client->db = 0;
    c->client->name_len = 0;
    tarn_resp_put_simple(c->out, "RESET");
    return TARN_OK;
}

static enum tarn_err client_info(struct call *c) {
    char text[256];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "id=");
    tarn_writer_dec(&w, c->client->id);
    tarn_writer_str(&w, " name=");
    tarn_writer_span_put(&w,
                         tarn_span_first(TARN_SPAN_ARRAY(c->client->name), c->client->name_len));
    tarn_writer_str(&w, " db=");
    tarn_writer_dec(&w, c->client->db);
    tarn_writer_str(&w, " resp=");
    tarn_writer_dec(&w, c->client->version);
    tarn_writer_str(&w, "\n");
    tarn_resp_put_text(c->out, c->client->version, tarn_writer_span(&w));
    return TARN_OK;
}

static enum tarn_err cmd_client(struct call *c) {
    if (arg_is(c, 1, "id") && arg_count(c) == 2)
        return put_int(c, (int64_t)c->client->id);
    if (arg_is(c, 1, "info") && arg_count(c) == 2)
        return client_info(c);
    if (arg_is(c, 1, "setname") && arg_count(c) == 3)
        return name_take(c, arg(c, 2)) ? ok(c) : fail_name(c);
    if (arg_is(c, 1, "getname") && arg_count(c) == 2) {
        tarn_resp_put_bulk(c->out,
                           tarn_span_first(TARN_SPAN_ARRAY(c->client->name), c->client->name_len));
        return TARN_OK;
    }
    if (arg_is(c, 1, "setinfo") || arg_is(c, 1, "no-evict") || arg_is(c, 1, "no-touch"))
        return ok(c);
    return fail_about(c, "ERR unknown subcommand '", arg(c, 1), "' of CLIENT, or other arguments");
}

/* -- the server -----------------------------------------------------------------------------------
 */

struct setting {
    const char *name, *value; /* NULL: `number` */
    uint64_t number;
};

static enum tarn_err cmd_config(struct call *c) {
    const struct kvd_limits *l = &c->kvd->limits;
    const struct setting settings[] = {
        {"appendfsync", "always", 0},
        {"appendonly", "yes", 0},
        {"databases", NULL, DB_COUNT},
        {"maxclients", NULL, l->connections_max},
        {"maxmemory", "0", 0},
        {"maxmemory-policy", "noeviction", 0},
        {"proto-max-bulk-len", NULL, l->value_bytes_max},
        {"save", "", 0},
        {"timeout", NULL, l->idle == TARN_NEVER ? 0 : l->idle / TARN_SEC(1)},
    };
    bool wanted[TARN_COUNT_OF(settings)] = {0};
    uint64_t count = 0;
    if (arg_is(c, 1, "resetstat") && arg_count(c) == 2)
        return ok(c);
    if (!arg_is(c, 1, "get") || arg_count(c) < 3)
        return fail(c, "ERR CONFIG knows GET alone: what can be chosen is chosen at the start");
    for (size_t i = 0; i < TARN_COUNT_OF(settings); i++) {
        for (uint32_t a = 2; a < arg_count(c); a++)
            wanted[i] |= tarn_resp_glob(arg(c, a), tarn_span_str(settings[i].name));
        count += wanted[i];
    }
    tarn_resp_put_map(c->out, c->client->version, count);
    for (size_t i = 0; i < TARN_COUNT_OF(settings); i++) {
        uint8_t text[24];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        if (!wanted[i])
            continue;
        put_word(c, settings[i].name);
        tarn_writer_dec(&w, settings[i].number);
        tarn_resp_put_bulk(c->out, settings[i].value ? tarn_span_str(settings[i].value)
                                                     : tarn_writer_span(&w));
    }
    return TARN_OK;
}

static void info_line(struct tarn_writer *w, const char *name, uint64_t value) {
    tarn_writer_str(w, name);
    tarn_writer_u8(w, ':');
    tarn_writer_dec(w, value);
    tarn_writer_str(w, "\r\n");
}

static void info_server(struct call *c, struct tarn_writer *w) {
    tarn_writer_str(w, "# Server\r\nredis_version:" VERSION "\r\nredis_mode:standalone\r\n"
                       "server_name:tarn-kvd\r\n");
    info_line(w, "uptime_in_seconds",
              (tarn_clock_now(c->kvd->clock) - c->kvd->started) / TARN_SEC(1));
    tarn_writer_str(w, "\r\n");
}

static void info_clients(struct call *c, struct tarn_writer *w) {
    tarn_writer_str(w, "# Clients\r\n");
    info_line(w, "connected_clients", c->kvd->clients);
    info_line(w, "maxclients", c->kvd->limits.connections_max);
    tarn_writer_str(w, "\r\n");
}

static void info_persistence(struct call *c, struct tarn_writer *w) {
    struct tarn_kv_tree_stat s;
    tarn_kv_tree_stat(c->kvd->db.tree, &s);
    tarn_writer_str(w, "# Persistence\r\nloading:0\r\naof_enabled:1\r\n");
    info_line(w, "store_bytes", s.bytes);
    info_line(w, "store_used_bytes", s.used_bytes);
    info_line(w, "store_batches", s.batches);
    info_line(w, "store_log_writes", s.log_writes);
    info_line(w, "store_log_bytes_written", s.log_bytes_written);
    info_line(w, "store_pages_written", s.pages_written);
    info_line(w, "store_pages_read", s.pages_read);
    info_line(w, "store_cache_hits", s.cache_hits);
    tarn_writer_str(w, "\r\n");
}

static void info_stats(struct call *c, struct tarn_writer *w) {
    tarn_writer_str(w, "# Stats\r\n");
    info_line(w, "total_connections_received", c->kvd->connections);
    info_line(w, "rejected_connections", c->kvd->refused);
    info_line(w, "total_commands_processed", c->kvd->commands);
    info_line(w, "expired_keys", c->kvd->db.expired);
    tarn_writer_str(w, "\r\n");
}

/* The databases that have been counted, and the client's. */
static enum tarn_err info_keyspace(struct call *c, struct tarn_writer *w) {
    tarn_writer_str(w, "# Keyspace\r\n");
    for (uint32_t i = 0; i < DB_COUNT; i++) {
        int64_t n = c->kvd->db.counts[i];
        enum tarn_err err = i == c->client->db ? db_count(&c->kvd->db, i, &n) : TARN_OK;
        if (err)
            return err;
        if (n <= 0)
            continue;
        tarn_writer_str(w, "db");
        tarn_writer_dec(w, i);
        tarn_writer_str(w, ":keys=");
        tarn_writer_dec(w, (uint64_t)n);
        tarn_writer_str(w, ",expires=0,avg_ttl=0\r\n");
    }
    return TARN_OK;
}

static enum tarn_err cmd_info(struct call *c) {
    static const struct {
        const char *name;
        void (*put)(struct call *c, struct tarn_writer *w);
    } sections[] = {{"server", info_server},
                    {"clients", info_clients},
                    {"persistence", info_persistence},
                    {"stats", info_stats}};
    char text[4096];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    bool all = arg_count(c) == 1 || arg_is(c, 1, "all") || arg_is(c, 1, "default")
               || arg_is(c, 1, "everything");
    enum tarn_err err = TARN_OK;
    for (size_t i = 0; i < TARN_COUNT_OF(sections); i++)
        if (all || arg_is(c, 1, sections[i].name))
            sections[i].put(c, &w);
    if (all || arg_is(c, 1, "keyspace"))
        err = info_keyspace(c, &w);
    if (!err)
        tarn_resp_put_text(c->out, c->client->version, tarn_writer_span(&w));
    return err;
}

static enum tarn_err cmd_time(struct call *c) {
    uint64_t us = tarn_clock_wall_ns(c->kvd->clock) / 1000;
    uint64_t parts[] = {us / 1000000, us % 1000000};
    tarn_resp_put_array(c->out, 2);
    for (size_t i = 0; i < 2; i++) {
        uint8_t text[24];
        struct tarn_writer w = TARN_WRITER_ARRAY(text);
        tarn_writer_dec(&w, parts[i]);
        tarn_resp_put_bulk(c->out, tarn_writer_span(&w));
    }
    return TARN_OK;
}

static enum tarn_err cmd_command(struct call *c);

static const struct command server_commands[] = {
    {"ping", cmd_ping, -1, ROOM_VALUE, FAST, 0, 0, 0},
    {"echo", cmd_echo, 2, ROOM_VALUE, FAST, 0, 0, 0},
    {"select", cmd_select, 2, ROOM_SMALL, FAST, 0, 0, 0},
    {"quit", cmd_quit, -1, ROOM_SMALL, FAST, 0, 0, 0},
    {"hello", cmd_hello, -1, ROOM_SMALL, FAST, 0, 0, 0},
    {"auth", cmd_auth, -2, ROOM_SMALL, FAST, 0, 0, 0},
    {"reset", cmd_reset, 1, ROOM_SMALL, FAST, 0, 0, 0},
    {"client", cmd_client, -2, ROOM_SMALL, 0, 0, 0, 0},
    {"config", cmd_config, -2, ROOM_SMALL, 0, 0, 0, 0},
    {"command", cmd_command, -1, ROOM_VALUE, 0, 0, 0, 0},
    {"info", cmd_info, -1, ROOM_VALUE, 0, 0, 0, 0},
    {"time", cmd_time, 1, ROOM_SMALL, FAST, 0, 0, 0},
};
static const struct command web_commands[] = {
    {"post", cmd_http, -1, ROOM_SMALL, 0, 0, 0, 0},
    {"host:", cmd_http, -1, ROOM_SMALL, 0, 0, 0, 0},
};

static const struct command *find(struct tarn_span name, const struct command *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (tarn_span_equal_nocase(name, tarn_span_str(all[i].name)))
            return &all[i];
    return NULL;
}

static const struct command *command_find(struct tarn_span name) {
    const struct command *found = find(name, string_commands, string_command_count);
    if (!found)
        found = find(name, key_commands, key_command_count);
    return found ? found : find(name, server_commands, TARN_COUNT_OF(server_commands));
}

static void command_put(struct call *c, const struct command *k) {
    unsigned flags = 0;
    for (unsigned f = WRITES; f <= FAST; f *= 2)
        flags += (k->flags & f) != 0;
    tarn_resp_put_array(c->out, 6);
    put_word(c, k->name);
    put_int(c, k->arity);
    tarn_resp_put_array(c->out, flags);
    if (k->flags & WRITES)
        tarn_resp_put_simple(c->out, "write");
    if (k->flags & READS)
        tarn_resp_put_simple(c->out, "readonly");
    if (k->flags & FAST)
        tarn_resp_put_simple(c->out, "fast");
    put_int(c, k->first_key);
    put_int(c, k->last_key);
    put_int(c, k->step);
}

static void commands_put(struct call *c, const struct command *all, size_t count) {
    for (size_t i = 0; i < count; i++)
        command_put(c, &all[i]);
}

static enum tarn_err cmd_command(struct call *c) {
    size_t count = string_command_count + key_command_count + TARN_COUNT_OF(server_commands);
    if (arg_count(c) == 1) {
        tarn_resp_put_array(c->out, count);
        commands_put(c, string_commands, string_command_count);
        commands_put(c, key_commands, key_command_count);
        commands_put(c, server_commands, TARN_COUNT_OF(server_commands));
    } else if (arg_is(c, 1, "count") && arg_count(c) == 2) {
        put_int(c, (int64_t)count);
    } else if (arg_is(c, 1, "docs")) {
        tarn_resp_put_map(c->out, c->client->version, 0);
    } else if (arg_is(c, 1, "info")) {
        if (arg_count(c) > 64)
            return fail(c, "ERR COMMAND INFO takes 62 names");
        tarn_resp_put_array(c->out, arg_count(c) - 2);
        for (uint32_t i = 2; i < arg_count(c); i++) {
            const struct command *k = command_find(arg(c, i));
            if (k)
                command_put(c, k);
            else
                tarn_resp_put_null(c->out, c->client->version);
        }
    } else {
        return fail_about(c, "ERR unknown subcommand '", arg(c, 1), "' of COMMAND");
    }
    return TARN_OK;
}

/* -- any of them ----------------------------------------------------------------------------------
 */

static size_t room_bytes(const struct kvd *kvd, enum room room) {
    return room == ROOM_SMALL   ? KVD_SMALL_BYTES
           : room == ROOM_VALUE ? kvd->limits.value_bytes_max + KVD_SMALL_BYTES
                                : kvd->limits.answer_bytes_max;
}

static bool arity_good(const struct command *k, uint32_t count) {
    return k->arity < 0 ? count >= (uint32_t)-k->arity : count == (uint32_t)k->arity;
}

static bool call_check(struct call *c, const struct command *k) {
    if (!k)
        fail_about(c, "ERR unknown command '", arg(c, 0), "'");
    else if (!arity_good(k, arg_count(c)))
        fail_about(c, "ERR wrong number of arguments for '", tarn_span_str(k->name), "' command");
    else
        return true;
    return false;
}

bool command_check(struct kvd *kvd, struct client *client, const struct tarn_resp_parser *parser,
                   struct tarn_span request, struct tarn_writer *out) {
    struct call c = {kvd, client, parser, request, out, NULL};
    return call_check(&c, command_find(arg(&c, 0)));
}

enum tarn_err command_run(struct kvd *kvd, struct client *client,
                          const struct tarn_resp_parser *parser, struct tarn_span request,
                          struct tarn_writer *out) {
    struct call c = {kvd, client, parser, request, out, NULL};
    const struct command *k = command_find(arg(&c, 0));
    size_t before = out->len;
    if (!k)
        k = find(arg(&c, 0), web_commands, TARN_COUNT_OF(web_commands));
    if (tarn_writer_room(out) < room_bytes(kvd, k ? k->room : ROOM_SMALL))
        return TARN_AGAIN;
    if (!call_check(&c, k))
        return TARN_OK;
    c.command = k;
    enum tarn_err err = k->run(&c);
    TARN_ASSERT(tarn_writer_ok(out));
    kvd->commands += err != TARN_AGAIN;
    if (err == TARN_OK || err == TARN_AGAIN)
        return err;
    out->len = before;
    return err == TARN_LIMIT ? fail(&c, "OOM the store has no room for this, or not at once")
                             : TARN_IO;
}
