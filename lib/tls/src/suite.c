/* SPDX-License-Identifier: ISC */
#include "internal.h"

static const struct suite suites[SUITES] = {
    [TARN_TLS_AES128_GCM] = {0x1301, &tarn_aes128_gcm, &tarn_sha256},
    [TARN_TLS_AES256_GCM] = {0x1302, &tarn_aes256_gcm, &tarn_sha384},
    [TARN_TLS_CHACHA20_POLY1305] = {0x1303, &tarn_chacha20_poly1305, &tarn_sha256},
};

const struct suite *suite_at(size_t i) {
    return &TARN_AT(suites, i);
}

bool suite_is_on(const struct tarn_tls *t, size_t i) {
    return !(t->config->suites_off >> i & 1) && (i == TARN_TLS_CHACHA20_POLY1305 || t->has_aes);
}

int suite_of(const struct tarn_tls *t, uint16_t id) {
    for (size_t i = 0; i < SUITES; i++)
        if (TARN_AT(suites, i).id == id && suite_is_on(t, i))
            return (int)i;
    return -1;
}
