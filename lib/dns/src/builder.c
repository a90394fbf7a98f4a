/* SPDX-License-Identifier: ISC */
/* Messages going out. Compression remembers where each suffix of a name stands, under a small hash;
 * pointers reach the first 16 KiB only (RFC 1035 section 4.1.4). */
#include "types.h"

#include <tarn/dns_message.h>

#define POINTER 0xc000u
#define POINTER_MAX 0x3fffu

void tarn_dns_build(struct tarn_dns_builder *b, struct tarn_bytes out, uint16_t id,
                    uint16_t flags) {
    TARN_ASSERT(out.len >= TARN_DNS_HEADER_BYTES);
    b->w = tarn_writer_over(tarn_bytes_first(out, TARN_DNS_MESSAGE_MAX));
    b->limit = b->w.cap;
    b->header = (struct tarn_dns_header){.id = id, .flags = flags};
    b->name_count = 0;
    b->compress = true;
    tarn_writer_zero(&b->w, TARN_DNS_HEADER_BYTES);
}

/* The suffix as it stands in the message at `at`, which this file wrote, is `name`. */
static bool same_name(struct tarn_span msg, size_t at, struct tarn_span name) {
    for (;;) {
        uint8_t len = tarn_span_at(msg, at);
        if (len >= 0xc0) {
            at = (size_t)(len & 0x3f) << 8 | tarn_span_at(msg, at + 1);
            continue;
        }
        struct tarn_span label = tarn_dns_name_label(name), there;
        if (len != label.len)
            return false;
        if (len == 0)
            return true;
        if (!tarn_span_sub(msg, at + 1, len, &there) || !tarn_span_equal_nocase(there, label))
            return false;
        at += 1u + len;
        name = tarn_dns_name_parent(name);
    }
}

/* A hint only, what matches is compared: how long the suffix is, and two of its letters. */
static uint16_t hash_name(struct tarn_span name) {
    uint8_t len = tarn_span_at(name, 0);
    unsigned first = tarn_dns_lower(tarn_span_at(name, 1));
    unsigned last = tarn_dns_lower(tarn_span_at(name, len));
    return (uint16_t)(name.len << 8 ^ first << 3 ^ last);
}

/* Only among the first `count`: a name that is being written has no end yet. */
static bool known(const struct tarn_dns_builder *b, size_t count, struct tarn_span name,
                  uint16_t hash, uint16_t *at) {
    struct tarn_span msg = tarn_span_of(b->w.ptr, b->w.len);
    for (size_t i = 0; i < count; i++)
        if (TARN_AT(b->names, i).hash == hash && same_name(msg, TARN_AT(b->names, i).at, name)) {
            *at = TARN_AT(b->names, i).at;
            return true;
        }
    return false;
}

static void remember(struct tarn_dns_builder *b, uint16_t hash, size_t at) {
    if (b->name_count == TARN_DNS_COMPRESS_MAX || at > POINTER_MAX)
        return;
    TARN_AT(b->names, b->name_count).hash = hash;
    TARN_AT(b->names, b->name_count).at = (uint16_t)at;
    b->name_count++;
}

static void put_name(struct tarn_dns_builder *b, struct tarn_span name) {
    size_t count = b->name_count;
    while (name.len > 1) {
        uint16_t hash = hash_name(name), at;
        if (b->w.len > b->w.cap)
            return;
        if (known(b, count, name, hash, &at)) {
            tarn_writer_u16be(&b->w, (uint16_t)(POINTER | at));
            return;
        }
        struct tarn_span label = tarn_span_first(name, 1u + tarn_dns_name_label(name).len);
        if (tarn_writer_room(&b->w) >= label.len)
            remember(b, hash, b->w.len);
        tarn_writer_span_put(&b->w, label);
        name = tarn_dns_name_parent(name);
    }
    tarn_writer_u8(&b->w, 0);
}

static void put_any_name(struct tarn_dns_builder *b, struct tarn_span name) {
    if (b->compress)
        put_name(b, name);
    else
        tarn_writer_span_put(&b->w, name);
}

/* Names in these types' data may be compressed (RFC 3597 section 4); all are below 16. */
static void put_rdata(struct tarn_dns_builder *b, uint16_t type, struct tarn_span rdata) {
    const char *format = type <= TARN_DNS_MX && b->compress ? dns_type_fields(type) : NULL;
    struct tarn_span fields = tarn_span_str(format ? format : ""), name;
    uint8_t f;
    while (tarn_span_u8(&fields, &f)) {
        if (f == 'c' && tarn_dns_name_take(&rdata, &name))
            put_name(b, name);
        else if (f == '2' && rdata.len >= 2) {
            tarn_writer_span_put(&b->w, tarn_span_first(rdata, 2));
            rdata = tarn_span_after(rdata, 2);
        } else
            break;
    }
    tarn_writer_span_put(&b->w, rdata);
}

/* What was written since `then` fits, or is taken back. */
static bool settle(struct tarn_dns_builder *b, size_t len, uint16_t names,
                   enum tarn_dns_section section) {
    uint16_t *count = &TARN_AT(b->header.counts, section);
    if (b->w.len > b->limit || *count == UINT16_MAX) {
        b->w.len = len;
        b->name_count = names;
        return false;
    }
    (*count)++;
    return true;
}

bool tarn_dns_put_question(struct tarn_dns_builder *b, struct tarn_span name, uint16_t type,
                           uint16_t klass) {
    size_t len = b->w.len;
    uint16_t names = b->name_count;
    put_any_name(b, name);
    tarn_writer_u16be(&b->w, type);
    tarn_writer_u16be(&b->w, klass);
    return settle(b, len, names, TARN_DNS_QUESTION);
}

bool tarn_dns_put_rr(struct tarn_dns_builder *b, enum tarn_dns_section section,
                     struct tarn_span owner, uint16_t type, uint16_t klass, uint32_t ttl,
                     struct tarn_span rdata) {
    size_t len = b->w.len;
    uint16_t names = b->name_count;
    put_any_name(b, owner);
    tarn_writer_u16be(&b->w, type);
    tarn_writer_u16be(&b->w, klass);
    tarn_writer_u32be(&b->w, ttl);
    size_t at = b->w.len;
    tarn_writer_u16be(&b->w, 0);
    put_rdata(b, type, rdata);
    if (!settle(b, len, names, section))
        return false;
    tarn_writer_patch_u16be(&b->w, at, (uint16_t)(b->w.len - at - 2));
    return true;
}

bool tarn_dns_reserve(struct tarn_dns_builder *b, size_t bytes) {
    if (bytes > b->w.cap - b->w.len)
        return false;
    b->limit = b->w.cap - bytes;
    return true;
}

bool tarn_dns_put_opt(struct tarn_dns_builder *b, const struct tarn_dns_edns *e, size_t padding) {
    size_t len = b->w.len, pad = 0, whole = len + TARN_DNS_OPT_BYTES + e->options.len;
    uint16_t names = b->name_count;
    if (padding && whole + 4 <= b->limit) {
        pad = 4 + (padding - (whole + 4) % padding) % padding;
        pad = TARN_MIN(pad, b->limit - whole);
    }
    tarn_writer_u8(&b->w, 0);
    tarn_writer_u16be(&b->w, TARN_DNS_OPT);
    tarn_writer_u16be(&b->w, e->udp_bytes);
    tarn_writer_u8(&b->w, e->rcode_high);
    tarn_writer_u8(&b->w, e->version);
    tarn_writer_u16be(&b->w, e->flags);
    tarn_writer_u16be(&b->w, (uint16_t)(e->options.len + pad));
    tarn_writer_span_put(&b->w, e->options);
    if (pad) {
        tarn_writer_u16be(&b->w, TARN_DNS_OPT_PADDING);
        tarn_writer_u16be(&b->w, (uint16_t)(pad - 4));
        tarn_writer_zero(&b->w, pad - 4);
    }
    return settle(b, len, names, TARN_DNS_EXTRA);
}

struct tarn_span tarn_dns_finish(struct tarn_dns_builder *b) {
    struct tarn_writer w = tarn_writer_over(tarn_bytes_of(b->w.ptr, b->w.len));
    tarn_writer_u16be(&w, b->header.id);
    tarn_writer_u16be(&w, b->header.flags);
    for (size_t i = 0; i < 4; i++)
        tarn_writer_u16be(&w, TARN_AT(b->header.counts, i));
    return tarn_writer_span(&b->w);
}
