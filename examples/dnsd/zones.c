/* SPDX-License-Identifier: ISC */
/* Zones from the store: each value of the dictionary "zones" is a zone file, and its name the
 * zone's. What a file includes is another value of that dictionary, which begins with a dot or is
 * in a dictionary of its own, so that it is no zone itself. */
#include "dnsd.h"

#define TEXTS_MAX 32u /* a file, and all that it includes */

struct load {
    struct dnsd *d;
    struct tarn_dns_zone *zone;
    struct tarn_bytes texts[TEXTS_MAX];
    unsigned text_count;
};

void dnsd_say(struct tarn_env *env, struct tarn_span a, const char *b, struct tarn_span c) {
    char text[600];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    tarn_writer_str(&w, "dnsd: ");
    tarn_writer_span_put(&w, a);
    tarn_writer_str(&w, b);
    tarn_writer_span_put(&w, c);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
}

static struct tarn_span error_text(enum tarn_err err) {
    return tarn_span_str(tarn_err_name(err));
}

enum tarn_err dnsd_read(struct dnsd *d, struct tarn_span key, struct tarn_bytes *out) {
    struct tarn_alloc *alloc = tarn_env_alloc(d->env);
    uint64_t bytes;
    enum tarn_err err = d->kv->ops->size(d->kv, key, &bytes);
    *out = tarn_bytes_of(err || !bytes ? NULL : tarn_alloc_get(alloc, bytes, 1), 0);
    if (err || !bytes || !out->ptr)
        return err ? err : bytes ? TARN_LIMIT : TARN_OK;
    *out = tarn_bytes_of(out->ptr, bytes);
    for (size_t at = 0, n = 0; !err && at < bytes; at += n) {
        err = d->kv->ops->get_partial(d->kv, key, at, tarn_bytes_after(*out, at), &n);
        if (!err && n == 0)
            err = TARN_IO;
    }
    if (err)
        tarn_alloc_put(alloc, out->ptr, bytes);
    return err;
}

static enum tarn_err include(void *user, struct tarn_span file, struct tarn_span *text) {
    struct load *load = user;
    char path[TARN_KV_NAME_MAX + 8];
    struct tarn_writer key = TARN_WRITER_ARRAY(path);
    tarn_writer_str(&key, "zones/");
    tarn_writer_span_put(&key, file);
    if (!tarn_writer_ok(&key) || load->text_count == TEXTS_MAX)
        return TARN_LIMIT;
    struct tarn_bytes all;
    enum tarn_err err = dnsd_read(load->d, tarn_writer_span(&key), &all);
    if (err)
        return err;
    load->texts[load->text_count++] = all;
    *text = tarn_bytes_span(all);
    return TARN_OK;
}

static enum tarn_err record(void *user, const struct tarn_dns_record *r, const char **why) {
    struct load *load = user;
    load->d->records++;
    return tarn_dns_zone_add(load->zone, r, why);
}

static uint64_t drop_texts(struct load *load) {
    uint64_t bytes = 0;
    while (load->text_count--) {
        struct tarn_bytes text = load->texts[load->text_count];
        bytes += text.len;
        if (text.len)
            tarn_alloc_put(tarn_env_alloc(load->d->env), text.ptr, text.len);
    }
    return bytes;
}

static bool parse(struct load *load, struct tarn_span name, struct tarn_span origin) {
    static uint8_t scratch[TARN_DNS_RDATA_MAX];
    struct tarn_dns_zonefile_config file = {.name = name,
                                            .origin = origin,
                                            .scratch = TARN_BYTES_ARRAY(scratch),
                                            .record = record,
                                            .include = include,
                                            .user = load};
    struct tarn_dns_zonefile_error error;
    char text[400];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    const char *why = "";
    enum tarn_err err = include(load, name, &file.text);
    if (err) {
        dnsd_say(load->d->env, name, ": cannot be read: ", error_text(err));
        return false;
    }
    if (tarn_dns_zonefile_parse(&file, &error)) {
        tarn_dns_zonefile_error_print(&w, &error);
        dnsd_say(load->d->env, tarn_writer_span(&w), "", TARN_SPAN_EMPTY);
        return false;
    }
    if (tarn_dns_zone_seal(load->zone, &why)) {
        dnsd_say(load->d->env, name, ": ", tarn_span_str(why));
        return false;
    }
    return true;
}

static bool load_zone(struct dnsd *d, struct tarn_span name) {
    struct load load = {.d = d};
    struct tarn_dns_zone *was;
    struct dnsd_zone *z = TARN_NEW(tarn_env_alloc(d->env), struct dnsd_zone);
    if (!z || !tarn_dns_name_parse(name, TARN_SPAN_LIT("\0"), &z->origin)) {
        dnsd_say(d->env, name, ": not the name of a zone", TARN_SPAN_EMPTY);
        return false;
    }
    z->name_len = tarn_bytes_copy(TARN_BYTES_ARRAY(z->name), name);
    z->next = d->zones;
    d->zones = z;
    struct tarn_dns_zone_config config = {.alloc = tarn_env_alloc(d->env),
                                          .random = tarn_env_random(d->env),
                                          .origin = tarn_dns_name_span(&z->origin),
                                          .journal_bytes_max = DNSD_JOURNAL_BYTES_MAX,
                                          .memory_max = DNSD_ZONE_MEMORY_MAX};
    enum tarn_err err = tarn_dns_zone_new(&config, &load.zone);
    bool ok = !err && parse(&load, name, config.origin);
    z->text_bytes = drop_texts(&load);
    ok = ok && dnsd_load_changes(d, z, load.zone) && dnsd_sign(d, z, load.zone);
    if (ok)
        err = tarn_dns_server_set_zone(d->server, load.zone, &was);
    if (err)
        dnsd_say(d->env, name, ": ", error_text(err));
    return ok && !err;
}

bool dnsd_load_zones(struct dnsd *d) {
    struct tarn_kv_cursor cursor = {0};
    struct tarn_kv_entry entry;
    enum tarn_err err;
    uint8_t name[TARN_KV_NAME_MAX];
    while ((err = d->kv->ops->list(d->kv, TARN_SPAN_LIT("zones"), &cursor, &entry)) == TARN_OK) {
        struct tarn_span copy = tarn_span_first(TARN_SPAN_ARRAY(name), entry.name.len);
        if (entry.kind != TARN_KV_VALUE || tarn_span_starts(entry.name, TARN_SPAN_LIT(".")))
            continue;
        tarn_bytes_copy(TARN_BYTES_ARRAY(name), entry.name);
        if (!load_zone(d, copy))
            return false;
    }
    if (err != TARN_EOF && err != TARN_NOT_FOUND)
        dnsd_say(d->env, TARN_SPAN_LIT("the zones cannot be listed: "), "", error_text(err));
    return err == TARN_EOF || err == TARN_NOT_FOUND;
}
