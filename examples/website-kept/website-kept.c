/* SPDX-License-Identifier: ISC */
/* The website, which over HTTPS is the same after a new start: its key and its certificates are in
 * a store on a device, as PEM. They are the operator's,
 *
 *     tarn-kv mkfs disk.img --size=2M
 *     tarn-kv set disk.img tls/key.pem < key.pem
 *     tarn-kv set disk.img tls/chain.pem < chain.pem
 *
 * or made at the first start. Nothing of them is ever replaced: who wants others removes "tls". */
#include "../website/identity.h"

#include <tarn/kv_tree.h>
#include <tarn/pem.h>

TARN_BLK(storage);
TARN_KEY_BOOL(format, "make an empty store where there is none on the device");

#define KEY TARN_SPAN_LIT("tls/key.pem")
#define CHAIN TARN_SPAN_LIT("tls/chain.pem")
#define DAYS 3650
#define CACHE_BYTES ((size_t)64 << 10)
#define TABLE_BYTES ((size_t)256 << 10)

struct texts {
    uint8_t key[8192], chain[24576];
};

static void said(struct tarn_env *env, const char *what, const char *why) {
    tarn_puts(env, "website: ");
    tarn_puts(env, what);
    tarn_puts(env, why);
    tarn_puts(env, "\n");
}

static struct tarn_waiter *waiter(void *user) {
    return tarn_env_waiter(user);
}

static enum tarn_err store_open(struct tarn_env *env, struct tarn_kv_tree **tree) {
    struct tarn_kv_tree_config config = {
        .alloc = tarn_env_alloc(env),
        .waiter = waiter,
        .user = env,
        .clock = tarn_env_clock(env),
        .random = tarn_env_random(env),
        .cache_bytes = CACHE_BYTES,
        .table_bytes = TABLE_BYTES,
    };
    enum tarn_err err = tarn_env_blk(env, &storage, &config.blk);
    if (err)
        return err;
    err = tarn_kv_tree_open(&config, tree);
    if (err != TARN_NOT_FOUND || !tarn_key_bool(env, &format))
        return err;
    err = tarn_kv_tree_format(&config, 0);
    return err ? err : tarn_kv_tree_open(&config, tree);
}

/* All of a value. TARN_LIMIT: `room` is full. */
static enum tarn_err read_all(struct tarn_kv *kv, struct tarn_span key, struct tarn_bytes room,
                              struct tarn_span *text) {
    size_t len = 0, n;
    enum tarn_err err;
    do {
        err = kv->ops->get_partial(kv, key, len, tarn_bytes_after(room, len), &n);
        len += err ? 0 : n;
    } while (!err && n > 0 && len < room.len);
    *text = tarn_bytes_span(tarn_bytes_first(room, len));
    return err ? err : len == room.len ? TARN_LIMIT : TARN_OK;
}

/* Decoded where they are. A file of `openssl ecparam` has its parameters in front of the key. */
static bool parse_key(struct tarn_bytes room, struct tarn_span text, struct website_identity *id) {
    struct tarn_span label, der;
    while (tarn_pem_next(&text, &label, room, &der) == TARN_OK)
        if (tarn_private_key_parse(der, id->point, &id->key) == TARN_OK)
            return true;
    return false;
}

static bool parse_chain(struct tarn_bytes room, struct tarn_span text,
                        struct website_identity *id) {
    struct tarn_span label, der;
    enum tarn_err err;
    size_t used = 0;
    for (id->chain_len = 0; id->chain_len < WEBSITE_CHAIN_MAX; id->chain_len++) {
        if ((err = tarn_pem_next(&text, &label, tarn_bytes_after(room, used), &der)) != TARN_OK)
            return err == TARN_NOT_FOUND && id->chain_len > 0;
        used += der.len;
        TARN_AT(id->chain, id->chain_len) = der;
    }
    return tarn_pem_next(&text, &label, tarn_bytes_after(room, used), &der) == TARN_NOT_FOUND;
}

/* What was kept, and whether it can be used. */
static bool take(struct tarn_env *env, struct tarn_bytes key_room, struct tarn_span key,
                 struct tarn_bytes chain_room, struct tarn_span chain,
                 struct website_identity *id) {
    struct tarn_x509 leaf;
    if (!parse_key(key_room, key, id)) {
        said(env, "tls/key.pem has no private key in PEM", "");
        return false;
    }
    if (!parse_chain(chain_room, chain, id) || tarn_x509_parse(id->chain[0], &leaf) != TARN_OK) {
        said(env, "tls/chain.pem is not one to eight certificates in PEM", "");
        return false;
    }
    if (!tarn_public_key_equal(&leaf.key, &id->key.pub)) {
        said(env, "the first certificate of tls/chain.pem is not for the key of tls/key.pem", "");
        return false;
    }
    if ((int64_t)(tarn_wall_ns(env) / 1000000000) > leaf.not_after)
        said(env, "the certificate of tls/chain.pem has expired", "");
    return true;
}

/* Makes them, and keeps both or neither. */
static bool make(struct tarn_env *env, struct tarn_kv *kv, struct texts *t, struct tarn_span name,
                 struct website_identity *id) {
    uint8_t der[256];
    struct tarn_der_writer d = tarn_der_writer_over(TARN_BYTES_ARRAY(der));
    struct tarn_writer key = TARN_WRITER_ARRAY(t->key), chain = TARN_WRITER_ARRAY(t->chain);
    size_t which;
    if (!website_identity_make(env, name, DAYS, id)
        || tarn_private_key_put(&d, &id->key) != TARN_OK) {
        said(env, "--tls-name is neither a DNS name nor an address", "");
        return false;
    }
    tarn_pem_put(&key, "PRIVATE KEY", tarn_der_written(&d));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(der));
    tarn_pem_put(&chain, "CERTIFICATE", id->chain[0]);
    struct tarn_kv_change changes[2] = {
        {.verb = TARN_KV_SET, .key = KEY, .value = tarn_writer_span(&key)},
        {.verb = TARN_KV_SET, .key = CHAIN, .value = tarn_writer_span(&chain)}};
    enum tarn_err err = kv->ops->batch(kv, changes, TARN_COUNT_OF(changes), &which);
    if (err)
        said(env, "what was made cannot be kept: ", tarn_err_name(err));
    return !err;
}

static bool load(struct tarn_env *env, struct tarn_kv *kv, struct texts *t, struct tarn_span name,
                 struct website_identity *id) {
    struct tarn_bytes key_room = TARN_BYTES_ARRAY(t->key), chain_room = TARN_BYTES_ARRAY(t->chain);
    struct tarn_span key, chain;
    enum tarn_err no_key = read_all(kv, KEY, key_room, &key);
    enum tarn_err no_chain = read_all(kv, CHAIN, chain_room, &chain);
    if (!no_key && !no_chain)
        return take(env, key_room, key, chain_room, chain, id);
    if (no_key == TARN_NOT_FOUND && no_chain == TARN_NOT_FOUND)
        return make(env, kv, t, name, id);
    said(env,
         no_key ? "tls/key.pem: " : "tls/chain.pem: ", tarn_err_name(no_key ? no_key : no_chain));
    return false;
}

bool website_identity(struct tarn_env *env, struct tarn_span name, struct website_identity *id) {
    /* Kept as long as the identity, whose spans point into it. */
    struct texts *t = TARN_NEW(tarn_env_alloc(env), struct texts);
    struct tarn_kv_tree *tree;
    enum tarn_err err = t ? store_open(env, &tree) : TARN_LIMIT;
    if (err) {
        said(env, "the store cannot be opened (--format makes one): ", tarn_err_name(err));
        return false;
    }
    bool ok = load(env, tarn_kv_tree_kv(tree), t, name, id);
    tarn_kv_tree_close(tree);
    return ok;
}
