/* SPDX-License-Identifier: ISC */
/* Application-layer protocol negotiation (RFC 7301). */
#include "internal.h"

static bool remember(struct tarn_tls *t, struct tarn_span name) {
    if (name.len > sizeof t->alpn)
        return false;
    t->alpn_len = (uint8_t)tarn_bytes_copy(TARN_BYTES_ARRAY(t->alpn), name);
    return true;
}

enum tarn_tls_alert alpn_choose(struct tarn_tls *t, struct tarn_span ext) {
    struct tarn_span list, name;
    if (!vector16(&ext, &list) || ext.len > 0 || list.len == 0)
        return TARN_TLS_DECODE_ERROR;
    for (struct tarn_span rest = list; rest.len > 0;)
        if (!vector8(&rest, &name) || name.len == 0)
            return TARN_TLS_DECODE_ERROR;
    if (t->config->alpn_count == 0)
        return FINE;
    for (size_t i = 0; i < t->config->alpn_count; i++)
        for (struct tarn_span rest = list; rest.len > 0 && vector8(&rest, &name);)
            if (tarn_span_equal(name, TARN_AT_N(t->config->alpn, t->config->alpn_count, i)))
                return remember(t, name) ? FINE : TARN_TLS_INTERNAL_ERROR;
    return TARN_TLS_NO_APPLICATION_PROTOCOL;
}

enum tarn_tls_alert alpn_accept(struct tarn_tls *t, struct tarn_span ext) {
    struct tarn_span list, name;
    if (!vector16(&ext, &list) || ext.len > 0 || !vector8(&list, &name) || name.len == 0
        || list.len > 0)
        return TARN_TLS_DECODE_ERROR;
    for (size_t i = 0; i < t->config->alpn_count; i++)
        if (tarn_span_equal(name, TARN_AT_N(t->config->alpn, t->config->alpn_count, i)))
            return remember(t, name) ? FINE : TARN_TLS_INTERNAL_ERROR;
    return TARN_TLS_ILLEGAL_PARAMETER;
}

void alpn_put(struct tarn_writer *w, const struct tarn_tls *t) {
    tarn_writer_u16be(w, EXT_ALPN);
    size_t ext = vector_open(w), list = vector_open(w);
    for (size_t i = 0; i < t->config->alpn_count; i++) {
        struct tarn_span name = TARN_AT_N(t->config->alpn, t->config->alpn_count, i);
        if (t->config->server) /* the one that was chosen */
            name = tarn_span_of(t->alpn, t->alpn_len);
        tarn_writer_u8(w, (uint8_t)name.len);
        tarn_writer_span_put(w, name);
        if (t->config->server)
            break;
    }
    vector_close(w, list);
    vector_close(w, ext);
}
