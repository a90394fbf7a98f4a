/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* A lent piece up to this long is copied behind its head instead: one write, and nothing to hold.
 */
#define COPY_BYTES_MAX 2048u

void out_lend(struct out *out, struct tarn_span piece, struct tarn_lease *lease) {
    TARN_ASSERT(out->piece.len == 0);
    if (piece.len == 0)
        return;
    out->piece = piece;
    out->lease = lease;
    tarn_lease_hold(lease);
}

static void piece_done(struct out *out) {
    struct tarn_lease *lease = out->lease;
    out->piece = TARN_SPAN_EMPTY;
    out->lease = NULL;
    tarn_lease_drop(lease);
}

void out_drop(struct out *out) {
    out->copied.len = out->copied_sent = 0;
    if (out->piece.len)
        piece_done(out);
}

static void sent(struct out *out, size_t n) {
    size_t copied = TARN_MIN(n, out->copied.len - out->copied_sent);
    out->copied_sent += copied;
    n -= copied;
    if (n) {
        out->piece = tarn_span_after(out->piece, n);
        if (out->piece.len == 0)
            piece_done(out);
    }
    if (out->copied_sent == out->copied.len)
        out->copied.len = out->copied_sent = 0;
}

enum tarn_err out_flush(struct conn *c) {
    struct out *out = &c->out;
    while (!out_is_empty(out)) {
        struct tarn_span copied = tarn_span_after(tarn_writer_span(&out->copied), out->copied_sent);
        enum tarn_err err;
        size_t n;
        if (copied.len && out->piece.len && out->piece.len <= COPY_BYTES_MAX) {
            struct tarn_span v[2] = {copied, out->piece};
            err = tarn_flow_writev(c->flow, v, 2, &n);
        } else if (copied.len) {
            err = tarn_flow_write(c->flow, copied, &n);
        } else {
            err = tarn_flow_lend(c->flow, out->piece, out->lease, &n);
        }
        if (err)
            return err;
        sent(out, n);
        c->progress = true;
    }
    return TARN_OK;
}
