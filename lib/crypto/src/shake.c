/* SPDX-License-Identifier: ISC */
/* The sponge of FIPS 202 over nettle's permutation, since nettle 3.8 has no SHAKE128 and squeezes
 * SHAKE256 only once. */
#include <nettle/sha3.h>
#include <tarn/digest.h>

static void permute(struct tarn_shake *s) {
    _Static_assert(sizeof(struct sha3_state) == sizeof s->lanes, "the same 25 lanes");
    sha3_permute((struct sha3_state *)s->lanes);
    s->at = 0;
}

static uint8_t *byte_at(struct tarn_shake *s, size_t i) {
    return tarn_bytes_at(tarn_bytes_of(s->lanes, sizeof s->lanes), i);
}

static void init(struct tarn_shake *s, size_t rate) {
    *s = (struct tarn_shake){.rate = rate};
}

void tarn_shake128_init(struct tarn_shake *s) {
    init(s, 168);
}

void tarn_shake256_init(struct tarn_shake *s) {
    init(s, 136);
}

void tarn_shake_absorb(struct tarn_shake *s, struct tarn_span data) {
    uint8_t byte;
    TARN_ASSERT(!s->squeezing);
    while (tarn_span_u8(&data, &byte)) {
        *byte_at(s, s->at++) ^= byte;
        if (s->at == s->rate)
            permute(s);
    }
}

void tarn_shake_squeeze(struct tarn_shake *s, struct tarn_bytes out) {
    if (!s->squeezing) {
        *byte_at(s, s->at) ^= 0x1f;
        *byte_at(s, s->rate - 1) ^= 0x80;
        permute(s);
        s->squeezing = true;
    }
    while (out.len > 0) {
        if (s->at == s->rate)
            permute(s);
        size_t n = TARN_MIN(out.len, s->rate - s->at);
        struct tarn_span state = TARN_SPAN_ARRAY(s->lanes);
        tarn_bytes_copy(out, tarn_span_first(tarn_span_after(state, s->at), n));
        s->at += n;
        out = tarn_bytes_after(out, n);
    }
}
