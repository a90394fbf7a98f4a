/* SPDX-License-Identifier: ISC */
#include "internal.h"

static const struct suite suites[SUITES] = {
    [TARN_TLS_AES128_GCM] = {0x1301, 0xc02b, 0xc02f, 8, &tarn_aes128_gcm, &tarn_sha256},
    [TARN_TLS_AES256_GCM] = {0x1302, 0xc02c, 0xc030, 8, &tarn_aes256_gcm, &tarn_sha384},
    [TARN_TLS_CHACHA20_POLY1305] = {0x1303, 0xcca9, 0xcca8, 0, &tarn_chacha20_poly1305,
                                    &tarn_sha256},
    [TARN_TLS_AES128_CCM] = {0x1304, 0xc0ac, NO_SUITE, 8, &tarn_aes128_ccm, &tarn_sha256},
    [TARN_TLS_AES256_CCM] = {NO_SUITE, 0xc0ad, NO_SUITE, 8, &tarn_aes256_ccm, &tarn_sha256},
};

const struct suite *suite_at(size_t i) {
    return &TARN_AT(suites, i);
}

bool suite_is_on(const struct tarn_tls *t, size_t i) {
    return !(t->config->suites_off >> i & 1) && (i == TARN_TLS_CHACHA20_POLY1305 || t->has_aes);
}

int suite_of(const struct tarn_tls *t, uint16_t id) {
    for (size_t i = 0; i < SUITES; i++)
        if (TARN_AT(suites, i).id == id && id != NO_SUITE && suite_is_on(t, i))
            return (int)i;
    return -1;
}

int suite12_of(const struct tarn_tls *t, uint16_t id, bool *by_rsa) {
    for (size_t i = 0; i < SUITES; i++) {
        *by_rsa = TARN_AT(suites, i).id_12_rsa == id;
        if ((*by_rsa || TARN_AT(suites, i).id_12_ecdsa == id) && id != NO_SUITE
            && suite_is_on(t, i))
            return (int)i;
    }
    return -1;
}

bool version_is_on(const struct tarn_tls *t, uint16_t version) {
    uint16_t max = t->config->version_max;
    return version >= t->config->version_min && (max == 0 || version <= max);
}
