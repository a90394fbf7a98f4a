/* SPDX-License-Identifier: ISC */
/* A key-value service that speaks the Redis protocol and answers when it is on disk. */
#include "kvd.h"

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_U16(port, 6379, "TCP port to listen on");
TARN_KEY_BOOL(format, "make an empty store where there is none on the device");
TARN_KEY_U32(connections, 128, "clients at the same time");
TARN_KEY_U32(value_kib, 128, "KiB that a value may have; each connection has memory for three");
TARN_KEY_U32(cache_mib, 8, "MiB of memory for what was read from the device");
TARN_KEY_U32(table_mib, 8,
             "MiB of memory for what is not merged yet; an eighth may change at once");
TARN_KEY_U32(idle, 0, "seconds after which a silent client is dropped; 0: never");

static int failed(struct tarn_env *env, const char *what, const char *why) {
    tarn_puts(env, "kvd: ");
    tarn_puts(env, what);
    tarn_puts(env, why);
    tarn_puts(env, "\n");
    return 1;
}

static struct tarn_waiter *waiter(void *user) {
    return tarn_env_waiter(user);
}

static bool limits_take(struct tarn_env *env, struct kvd_limits *l) {
    uint64_t seconds = tarn_key_u64(env, &idle);
    l->connections_max = (uint32_t)tarn_key_u64(env, &connections);
    l->value_bytes_max = (size_t)tarn_key_u64(env, &value_kib) << 10;
    l->request_bytes_max = l->value_bytes_max + (16u << 10);
    l->answer_bytes_max = 2 * l->value_bytes_max + (4u << 10);
    l->idle = seconds ? TARN_SEC(seconds) : TARN_NEVER;
    /* A value must fit into a batch, with a header for each of its pieces. */
    return l->connections_max > 0 && l->connections_max <= 4096
           && l->value_bytes_max >= KVD_VALUE_BYTES_MIN
           && l->value_bytes_max * 10 <= (size_t)tarn_key_u64(env, &table_mib) << 20;
}

static enum tarn_err store_open(struct tarn_env *env, struct kvd *kvd) {
    struct tarn_kv_tree_config config = {
        .alloc = tarn_env_alloc(env),
        .waiter = waiter,
        .user = env,
        .clock = tarn_env_clock(env),
        .random = tarn_env_random(env),
        .cache_bytes = (size_t)tarn_key_u64(env, &cache_mib) << 20,
        .table_bytes = (size_t)tarn_key_u64(env, &table_mib) << 20,
    };
    enum tarn_err err = tarn_env_blk(env, &storage, &config.blk);
    if (err)
        return err;
    err = tarn_kv_tree_open(&config, &kvd->db.tree);
    if (err != TARN_NOT_FOUND || !tarn_key_bool(env, &format))
        return err;
    err = tarn_kv_tree_format(&config, 0);
    return err ? err : tarn_kv_tree_open(&config, &kvd->db.tree);
}

static enum tarn_err kvd_init(struct tarn_env *env, struct kvd *kvd) {
    struct tarn_alloc *alloc = tarn_env_alloc(env);
    size_t half = KVD_ARGS_MAX / 2;
    kvd->clock = tarn_env_clock(env);
    kvd->started = tarn_now(env);
    kvd->scan_id = tarn_random_u32(tarn_env_random(env));
    kvd->scans = TARN_NEW_ARRAY(alloc, KVD_SCANS, struct scan_place);
    kvd->batch.changes = TARN_NEW_ARRAY(alloc, half, struct tarn_kv_change);
    kvd->batch.keys = TARN_NEW_ARRAY(alloc, half, struct db_key);
    kvd->batch.bytes.len = kvd->limits.request_bytes_max + half * DB_HEADER_BYTES;
    kvd->batch.bytes.ptr = tarn_alloc_get(alloc, kvd->batch.bytes.len, 16);
    if (!kvd->scans || !kvd->batch.changes || !kvd->batch.keys || !kvd->batch.bytes.ptr)
        return TARN_LIMIT;
    kvd->db.clock = kvd->clock;
    kvd->db.value_bytes_max = kvd->limits.value_bytes_max;
    return db_init(&kvd->db, alloc);
}

static void say_listening(struct tarn_env *env, uint16_t number) {
    char text[64];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "kvd: listening on port ");
    tarn_writer_dec(&w, number);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

int tarn_main(struct tarn_env *env) {
    static struct kvd kvd;
    struct tarn_endpoint local = {TARN_IP_ADDR_NONE, (uint16_t)tarn_key_u64(env, &port)};
    struct tarn_listener *listener;
    struct tarn_net *net;
    if (!limits_take(env, &kvd.limits))
        return failed(env, "1 to 4096 connections, values of 16 KiB or more",
                      ", and a table of ten");
    enum tarn_err err = store_open(env, &kvd);
    if (err == TARN_NOT_FOUND)
        return failed(env, "there is no store on the device:", " say --format to make one");
    if (err)
        return failed(env, "the store cannot be opened: ", tarn_err_name(err));
    if (kvd_init(env, &kvd))
        return failed(env, "not enough memory", " for so many connections");
    if (tarn_env_net(env, &service, &net))
        return 1;
    err = tarn_net_listen(net, &local, 128, &listener);
    if (err)
        return failed(env, "cannot listen; choose another --port: ", tarn_err_name(err));
    say_listening(env, local.port);
    err = server_run(env, &kvd, listener);
    return failed(
        env, err == TARN_LIMIT ? "not enough memory: " : "the device failed: ", tarn_err_name(err));
}
