/* SPDX-License-Identifier: ISC */
#include <tarn/dns_name.h>

#define POINTER 0xc0u

bool tarn_dns_name_read(struct tarn_span msg, size_t *at, struct tarn_dns_name *out) {
    struct tarn_writer w = TARN_WRITER_ARRAY(out->bytes);
    size_t pos = *at, floor = *at;
    bool jumped = false;
    for (;;) {
        struct tarn_span s = tarn_span_after(msg, pos), label;
        uint8_t len, low;
        if (!tarn_span_u8(&s, &len))
            return false;
        if (len >= POINTER) {
            if (!tarn_span_u8(&s, &low))
                return false;
            if (!jumped)
                *at = pos + 2;
            size_t target = (size_t)(len & 0x3f) << 8 | low;
            if (target >= floor) /* RFC 9267 section 2: nothing that was read is read again */
                return false;
            jumped = true;
            pos = floor = target;
            continue;
        }
        if (len > TARN_DNS_LABEL_MAX || !tarn_span_take(&s, len, &label))
            return false;
        tarn_writer_u8(&w, len);
        tarn_writer_span_put(&w, label);
        if (!tarn_writer_ok(&w))
            return false;
        pos += 1u + len;
        if (len == 0)
            break;
    }
    if (!jumped)
        *at = pos;
    out->len = (uint8_t)w.len;
    return true;
}

bool tarn_dns_name_take(struct tarn_span *s, struct tarn_span *name) {
    struct tarn_span rest = *s;
    uint8_t len;
    do {
        if (!tarn_span_u8(&rest, &len) || len > TARN_DNS_LABEL_MAX || !tarn_span_skip(&rest, len))
            return false;
    } while (len);
    return s->len - rest.len <= TARN_DNS_NAME_MAX && tarn_span_take(s, s->len - rest.len, name);
}

void tarn_dns_name_copy(struct tarn_dns_name *out, struct tarn_span name) {
    TARN_ASSERT(name.len <= TARN_DNS_NAME_MAX);
    out->len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(out->bytes), name);
}

/* A label's length is below 'A', so lengths and bytes compare alike. */
bool tarn_dns_name_equal(struct tarn_span a, struct tarn_span b) {
    return tarn_span_equal_nocase(a, b);
}

struct tarn_span tarn_dns_name_parent(struct tarn_span name) {
    uint8_t len = name.len ? tarn_span_at(name, 0) : 0;
    return len ? tarn_span_after(name, 1u + len) : name;
}

struct tarn_span tarn_dns_name_label(struct tarn_span name) {
    uint8_t len = name.len ? tarn_span_at(name, 0) : 0;
    return tarn_span_first(tarn_span_after(name, 1), len);
}

unsigned tarn_dns_name_labels(struct tarn_span name) {
    unsigned n = 0;
    for (; name.len > 1; name = tarn_dns_name_parent(name))
        n++;
    return n;
}

bool tarn_dns_name_within(struct tarn_span name, struct tarn_span ancestor) {
    while (name.len > ancestor.len)
        name = tarn_dns_name_parent(name);
    return tarn_dns_name_equal(name, ancestor);
}

static int compare_labels(struct tarn_span a, struct tarn_span b) {
    for (;;) {
        uint8_t x, y;
        bool more_a = tarn_span_u8(&a, &x), more_b = tarn_span_u8(&b, &y);
        if (!more_a || !more_b)
            return (int)more_a - (int)more_b;
        if (tarn_dns_lower(x) != tarn_dns_lower(y))
            return tarn_dns_lower(x) < tarn_dns_lower(y) ? -1 : 1;
    }
}

static struct tarn_span strip(struct tarn_span name, unsigned labels) {
    while (labels--)
        name = tarn_dns_name_parent(name);
    return name;
}

int tarn_dns_name_compare(struct tarn_span a, struct tarn_span b) {
    unsigned na = tarn_dns_name_labels(a), nb = tarn_dns_name_labels(b);
    for (unsigned i = 1; i <= na && i <= nb; i++) {
        int order = compare_labels(tarn_dns_name_label(strip(a, na - i)),
                                   tarn_dns_name_label(strip(b, nb - i)));
        if (order)
            return order;
    }
    return na < nb ? -1 : na > nb;
}

void tarn_dns_name_lower(struct tarn_dns_name *name) {
    for (size_t i = 0; i < name->len; i++)
        TARN_AT(name->bytes, i) = tarn_dns_lower(TARN_AT(name->bytes, i));
}

bool tarn_dns_name_replace(struct tarn_span name, struct tarn_span from, struct tarn_span to,
                           struct tarn_dns_name *out) {
    struct tarn_writer w = TARN_WRITER_ARRAY(out->bytes);
    TARN_ASSERT(tarn_dns_name_within(name, from));
    tarn_writer_span_put(&w, tarn_span_first(name, name.len - from.len));
    tarn_writer_span_put(&w, to);
    out->len = (uint8_t)tarn_writer_span(&w).len;
    return tarn_writer_ok(&w);
}

bool tarn_dns_name_child(struct tarn_span label, struct tarn_span name, struct tarn_dns_name *out) {
    struct tarn_writer w = TARN_WRITER_ARRAY(out->bytes);
    TARN_ASSERT(label.len > 0 && label.len <= TARN_DNS_LABEL_MAX);
    tarn_writer_u8(&w, (uint8_t)label.len);
    tarn_writer_span_put(&w, label);
    tarn_writer_span_put(&w, name);
    out->len = (uint8_t)tarn_writer_span(&w).len;
    return tarn_writer_ok(&w);
}
