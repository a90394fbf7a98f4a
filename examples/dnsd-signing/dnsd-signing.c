/* SPDX-License-Identifier: ISC */
/* dnsd that signs. Keys that zones are signed with as they are served: a value of the dictionary
 * "keys", under the zone's name, is a private key file as dnssec-keygen and ldns-keygen write it.
 */
#include "../dnsd/dnsd.h"

#include <tarn/dns_sign.h>

struct keys {
    struct tarn_dns_key key;
    struct tarn_dns_keys signer;
};

static struct tarn_span error_text(enum tarn_err err) {
    return tarn_span_str(tarn_err_name(err));
}

static void say_ds(struct dnsd *d, const struct tarn_dns_key *key, struct tarn_span origin) {
    uint8_t data[64];
    char text[512];
    struct tarn_writer ds = TARN_WRITER_ARRAY(data), w = TARN_WRITER_ARRAY(text);
    tarn_dns_key_ds(key, origin, &ds);
    tarn_dns_record_print(&w, origin, TARN_DNS_DS, TARN_DNS_IN, 3600, tarn_writer_span(&ds));
    dnsd_say(d->env, TARN_SPAN_LIT("for the parent: "), "", tarn_writer_span(&w));
}

static enum tarn_err sign(struct dnsd *d, struct keys *k, struct tarn_dns_zone *zone,
                          const char **why) {
    struct tarn_dns_signing_config config = {.alloc = tarn_env_alloc(d->env),
                                             .random = tarn_env_random(d->env),
                                             .signer = &k->signer.signer};
    struct tarn_dns_signing *signing;
    tarn_dns_keys_init(&k->signer, &k->key, 1, config.random);
    enum tarn_err err = tarn_dns_signing_new(&config, &signing);
    return err ? err : tarn_dns_zone_sign(zone, signing, why);
}

bool dnsd_sign(struct dnsd *d, struct dnsd_zone *z, struct tarn_dns_zone *zone) {
    char path[TARN_KV_NAME_MAX + 8];
    struct tarn_writer w = TARN_WRITER_ARRAY(path);
    struct tarn_bytes file;
    const char *why = "";
    tarn_writer_str(&w, "keys/");
    tarn_writer_mem(&w, z->name, z->name_len);
    enum tarn_err err = dnsd_read(d, tarn_writer_span(&w), &file);
    if (err == TARN_NOT_FOUND)
        return true; /* it is not signed here */
    struct keys *k = err ? NULL : TARN_NEW(tarn_env_alloc(d->env), struct keys);
    if (k)
        err = tarn_dns_key_parse(&k->key, TARN_DNS_KEY_SEP, tarn_bytes_span(file));
    if (file.len) {
        tarn_bytes_wipe(file);
        tarn_alloc_put(tarn_env_alloc(d->env), file.ptr, file.len);
    }
    if (!err)
        err = k ? sign(d, k, zone, &why) : TARN_LIMIT;
    if (err) {
        dnsd_say(d->env, tarn_writer_span(&w),
                 ": the zone cannot be signed: ", *why ? tarn_span_str(why) : error_text(err));
        return false;
    }
    say_ds(d, &k->key, tarn_dns_zone_origin(zone));
    return true;
}
