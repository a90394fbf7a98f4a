/* SPDX-License-Identifier: ISC */
/* kvd.h: what the files of the service share.
 *
 *   kvd.c       the manifest: opens the store, listens, runs
 *   server.c    connections: requests in, rounds, answers out
 *   command.c   which command it is; those about the connection and the server
 *   strings.c   commands about values
 *   keys.c      commands about names
 *   db.c        names, values and expiry in the store
 */
#ifndef KVD_KVD_H
#define KVD_KVD_H

#include "db.h"

#include <tarn/app.h>
#include <tarn/resp.h>

#define KVD_NAME_BYTES 64u    /* of a connection, CLIENT SETNAME */
#define KVD_SMALL_BYTES 1024u /* no answer but those that carry values or names is longer */
#define KVD_SCANS 1024u       /* places that SCAN remembers */
#define KVD_ARGS_MAX 1024u    /* of a request */
#define KVD_TEXT_BYTES 12288u /* INFO and COMMAND are not longer */
#define KVD_VALUE_BYTES_MIN 16384u

struct kvd_limits {
    uint32_t connections_max;
    size_t value_bytes_max;
    size_t request_bytes_max, answer_bytes_max; /* for each connection, of memory */
    tarn_time idle;                             /* TARN_NEVER: it may be silent for ever */
};

/* Where a SCAN goes on: a client has but the number. */
struct scan_place {
    uint64_t id;
    uint32_t db;
    struct tarn_kv_cursor cursor;
};

/* Memory for one command at a time. */
struct batch {
    struct tarn_kv_change *changes; /* KVD_ARGS_MAX / 2, and as many keys */
    struct db_key *keys;
    struct tarn_bytes bytes; /* request_bytes_max, and a header for each value */
};

struct kvd {
    struct kvd_limits limits;
    struct db db;
    struct batch batch;
    struct scan_place *scans;
    uint64_t scan_id;
    struct tarn_clock *clock;
    tarn_time started;
    uint64_t commands, connections, refused;
    uint32_t clients;
};

struct client {
    uint64_t id;
    uint8_t name[KVD_NAME_BYTES];
    size_t name_len;
    uint32_t db;
    unsigned version;  /* of the protocol */
    uint32_t progress; /* of a command whose answer did not fit at once */
    bool closing;
};

/* One command: its arguments live until it returns. */
struct call {
    struct kvd *kvd;
    struct client *client;
    const struct tarn_resp_parser *parser;
    struct tarn_span request;
    struct tarn_writer *out;
    const struct command *command;
};
static inline struct tarn_span arg(const struct call *c, uint32_t i) {
    return tarn_resp_arg(c->parser, c->request, i);
}
static inline uint32_t arg_count(const struct call *c) {
    return c->parser->count;
}
bool arg_is(const struct call *c, uint32_t i, const char *word);
/* Name `i` as a key; false: an error was answered. */
bool arg_key(struct call *c, uint32_t i, struct db_key *key);
/* A number; false: an error was answered. */
bool arg_int(struct call *c, uint32_t i, int64_t *out);

/* Answers an error. */
enum tarn_err fail(struct call *c, const char *text);
enum tarn_err fail_syntax(struct call *c);
enum tarn_err ok(struct call *c);
enum tarn_err put_int(struct call *c, int64_t value);

/* Room that an answer may take; a command is run when there is that much. */
enum room { ROOM_SMALL, ROOM_VALUE, ROOM_ALL };
enum command_flags { WRITES = 1, READS = 2, FAST = 4 };

struct command {
    const char *name; /* lower case */
    /* TARN_OK: answered. TARN_AGAIN: again when the answer is out (client->progress says how far it
     * is). TARN_LIMIT: the store is full. TARN_IO: it failed. */
    enum tarn_err (*run)(struct call *c);
    int arity; /* as Redis counts: the name included, negative: at least */
    enum room room;
    unsigned flags;
    int first_key, last_key, step; /* where names stand; 0: none */
};
extern const struct command string_commands[], key_commands[];
extern const size_t string_command_count, key_command_count;

/* Runs the command that the parser has, at the front of `request`. TARN_OK: the answer is in `out`.
 * TARN_AGAIN: there was no room, again when some of it is out. TARN_IO: the store failed. */
enum tarn_err command_run(struct kvd *kvd, struct client *client,
                          const struct tarn_resp_parser *parser, struct tarn_span request,
                          struct tarn_writer *out);

/* Whether it is a command with as many arguments as that takes; otherwise the error is in `out`. */
bool command_check(struct kvd *kvd, struct client *client, const struct tarn_resp_parser *parser,
                   struct tarn_span request, struct tarn_writer *out);

/* Serves until the store fails. */
enum tarn_err server_run(struct tarn_env *env, struct kvd *kvd, struct tarn_listener *listener);

#endif
