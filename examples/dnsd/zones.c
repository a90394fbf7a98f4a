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

static enum tarn_err read_all(struct tarn_kv *kv, struct tarn_span key, struct tarn_bytes out) {
    for (size_t at = 0, n; at < out.len; at += n) {
        enum tarn_err err = kv->ops->get_partial(kv, key, at, tarn_bytes_after(out, at), &n);
        if (err || n == 0)
            return err ? err : TARN_IO;
    }
    return TARN_OK;
}

static enum tarn_err include(void *user, struct tarn_span file, struct tarn_span *text) {
    struct load *load = user;
    struct tarn_kv *kv = load->d->kv;
    char path[TARN_KV_NAME_MAX + 8];
    struct tarn_writer key = TARN_WRITER_ARRAY(path);
    uint64_t bytes;
    tarn_writer_str(&key, "zones/");
    tarn_writer_span_put(&key, file);
    if (!tarn_writer_ok(&key) || load->text_count == TEXTS_MAX)
        return TARN_LIMIT;
    enum tarn_err err = kv->ops->size(kv, tarn_writer_span(&key), &bytes);
    if (err)
        return err;
    uint8_t *ptr = bytes ? tarn_alloc_get(tarn_env_alloc(load->d->env), bytes, 1) : NULL;
    if (bytes && !ptr)
        return TARN_LIMIT;
    struct tarn_bytes all = tarn_bytes_of(ptr, bytes);
    load->texts[load->text_count++] = all;
    *text = tarn_bytes_span(all);
    return read_all(kv, tarn_writer_span(&key), all);
}

static enum tarn_err record(void *user, const struct tarn_dns_record *r, const char **why) {
    struct load *load = user;
    load->d->records++;
    return tarn_dns_zone_add(load->zone, r, why);
}

static void drop_texts(struct load *load) {
    while (load->text_count--)
        tarn_alloc_put(tarn_env_alloc(load->d->env), load->texts[load->text_count].ptr,
                       load->texts[load->text_count].len);
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
    struct tarn_dns_name origin;
    struct tarn_dns_zone *was;
    if (!tarn_dns_name_parse(name, TARN_SPAN_LIT("\0"), &origin)) {
        dnsd_say(d->env, name, ": not the name of a zone", TARN_SPAN_EMPTY);
        return false;
    }
    struct tarn_dns_zone_config config = {.alloc = tarn_env_alloc(d->env),
                                          .random = tarn_env_random(d->env),
                                          .origin = tarn_dns_name_span(&origin),
                                          .memory_max = DNSD_ZONE_MEMORY_MAX};
    enum tarn_err err = tarn_dns_zone_new(&config, &load.zone);
    bool ok = !err && parse(&load, name, config.origin);
    drop_texts(&load);
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
