/* SPDX-License-Identifier: ISC */
/* The server's messages, opened with its keys and sealed again in another order: skipped, repeated,
 * swapped, cut short, from the future. The client must see each. */
#include "rig.h"

#include <criterion/criterion.h>
#include <string.h>

static struct rig rig;
static uint8_t handshake_secret[32];

static void keylog(void *user, const char *label, struct tarn_span random,
                   struct tarn_span secret) {
    (void)user, (void)random;
    if (!strcmp(label, "SERVER_HANDSHAKE_TRAFFIC_SECRET"))
        tarn_bytes_copy(TARN_BYTES_ARRAY(handshake_secret), secret);
}

struct keys {
    struct tarn_aead_ctx aead;
    uint8_t iv[12];
    uint8_t seq;
};

/* RFC 8446 section 7.3, for AES-128-GCM with SHA-256. */
static void keys_from(struct keys *k, const uint8_t secret[32]) {
    uint8_t key[16];
    cr_assert_eq(tarn_hkdf_expand(&tarn_sha256, tarn_span_of(secret, 32),
                                  TARN_SPAN_LIT("\x00\x10\x09tls13 key\x00"),
                                  TARN_BYTES_ARRAY(key)),
                 TARN_OK);
    cr_assert_eq(tarn_hkdf_expand(&tarn_sha256, tarn_span_of(secret, 32),
                                  TARN_SPAN_LIT("\x00\x0c\x08tls13 iv\x00"),
                                  TARN_BYTES_ARRAY(k->iv)),
                 TARN_OK);
    cr_assert_eq(tarn_aead_init(&k->aead, &tarn_aes128_gcm, TARN_SPAN_ARRAY(key), 0), TARN_OK);
    k->seq = 0;
}

static struct tarn_span nonce(struct keys *k, uint8_t out[12]) {
    memcpy(out, k->iv, 12);
    out[11] ^= k->seq++;
    return tarn_span_of(out, 12);
}

struct messages {
    uint8_t hello[2000];
    size_t hello_len;
    uint8_t text[4][3000]; /* EncryptedExtensions, Certificate, CertificateVerify, Finished */
    size_t len[4];
};

/* Runs up to the server's flight, and takes that apart. */
static void open_flight(struct messages *m) {
    static uint8_t flight[RIG_WIRE_MAX];
    uint8_t n12[12];
    struct keys k;
    rig_init(&rig, 1);
    rig.server.config.keylog = keylog;
    rig.client.config.groups_off = 1 << TARN_TLS_X25519MLKEM768;
    rig_start(&rig, 4);
    size_t n = rig_take(&rig.client, flight, sizeof flight);
    rig_feed(&rig.server, flight, n, 1 << 20);
    n = rig_take(&rig.server, flight, sizeof flight);
    keys_from(&k, handshake_secret);
    size_t at = 0, i = 0;
    while (at < n) {
        size_t len = 5u + (size_t)(flight[at + 3] << 8) + flight[at + 4];
        if (flight[at] != 23) {
            memcpy(m->hello + m->hello_len, flight + at, len);
            m->hello_len += len;
        } else {
            cr_assert_eq(tarn_aead_open(&k.aead, nonce(&k, n12), tarn_span_of(flight + at, 5),
                                        tarn_span_of(flight + at + 5, len - 5),
                                        TARN_BYTES_ARRAY(m->text[i]), &m->len[i]),
                         TARN_OK);
            m->len[i++]--; /* the content type */
        }
        at += len;
    }
    cr_assert_eq(i, 4);
}

static size_t seal(struct keys *k, uint8_t *out, const uint8_t *text, size_t len, uint8_t type) {
    static uint8_t plain[1 << 15];
    uint8_t n12[12];
    size_t sealed = len + 17;
    memcpy(plain, text, len);
    plain[len] = type;
    out[0] = 23;
    out[1] = out[2] = 3;
    out[3] = (uint8_t)(sealed >> 8);
    out[4] = (uint8_t)sealed;
    cr_assert_eq(tarn_aead_seal(&k->aead, nonce(k, n12), tarn_span_of(out, 5),
                                tarn_span_of(plain, len + 1), tarn_bytes_of(out + 5, sealed)),
                 TARN_OK);
    return 5 + sealed;
}

/* What a client, as it was after its first message, makes of these messages: digits are indices,
 * the rest is below. */
static enum tarn_tls_alert client_after(const struct messages *m, const char *order) {
    static uint8_t wire[RIG_WIRE_MAX];
    static const uint8_t padding[16385];
    static const uint8_t update[5] = {24, 0, 0, 1, 0}, app[3] = {'a', 'b', 'c'};
    struct keys k;
    bool theirs;
    rig_start(&rig, 4);
    (void)rig_take(&rig.client, wire, sizeof wire);
    keys_from(&k, handshake_secret);
    memcpy(wire, m->hello, m->hello_len);
    size_t n = m->hello_len;
    for (; *order; order++) {
        size_t i = (size_t)(*order - '0');
        if (*order == 'u')
            n += seal(&k, wire + n, update, sizeof update, 22);
        else if (*order == 'a')
            n += seal(&k, wire + n, app, sizeof app, 23);
        else if (*order == 'p') /* text and padding of more than a record may have */
            n += seal(&k, wire + n, padding, sizeof padding, 0);
        else if (*order == 'e') /* an alert of nothing */
            n += seal(&k, wire + n, padding, 0, 21);
        else if (*order == 'h') { /* the ServerHello again */
            memcpy(wire + n, m->hello, m->hello_len);
            n += m->hello_len;
        } else if (*order == '-') { /* the next one, a byte short and no more of it */
            i = (size_t)(*++order - '0');
            n += seal(&k, wire + n, m->text[i], m->len[i] - 1, 22);
        } else if (*order == '+') { /* the next one with the one behind it in one record */
            uint8_t both[6000];
            i = (size_t)(*++order - '0');
            memcpy(both, m->text[i], m->len[i]);
            memcpy(both + m->len[i], m->text[(i + 1) % 4], m->len[(i + 1) % 4]);
            n += seal(&k, wire + n, both, m->len[i] + m->len[(i + 1) % 4], 22);
        } else
            n += seal(&k, wire + n, m->text[i], m->len[i], 22);
    }
    rig_feed(&rig.client, wire, n, 1 << 20);
    if (rig_connected(&rig.client))
        return TARN_TLS_FINE;
    enum tarn_tls_alert alert = tarn_tls_alert_of(&rig.client.tls, &theirs);
    return alert == TARN_TLS_FINE ? TARN_TLS_CLOSE_NOTIFY : alert; /* still waiting */
}

Test(order, only_the_right_order_connects) {
    static struct messages m;
    open_flight(&m);
    cr_assert_eq(client_after(&m, "0123"), TARN_TLS_FINE);
    cr_assert_eq(client_after(&m, "+0+2"), TARN_TLS_FINE);
    static const char *const wrong[] = {
        "123",  "023",  "013",   "0023", "01123", "01223", "0213", "1023", "3",    "03",
        "0132", "u123", "0u123", "012u", "a",     "0a",    "012a", "h",    "0h",   "2",
        "0121", "+3",   "012+3", "00",   "10",    "20",    "0131", "0122", "03210"};
    for (size_t i = 0; i < TARN_COUNT_OF(wrong); i++) {
        enum tarn_tls_alert alert = client_after(&m, wrong[i]);
        cr_assert(alert == TARN_TLS_UNEXPECTED_MESSAGE || alert == TARN_TLS_DECRYPT_ERROR
                      || alert == TARN_TLS_ILLEGAL_PARAMETER,
                  "%s: %s", wrong[i], tarn_tls_alert_name(alert));
    }
    /* What is only not there yet is waited for. */
    static const char *const waiting[] = {"", "0", "01", "012", "-0", "0-1", "012-3"};
    for (size_t i = 0; i < TARN_COUNT_OF(waiting); i++)
        cr_assert_eq(client_after(&m, waiting[i]), TARN_TLS_CLOSE_NOTIFY, "%s", waiting[i]);
    cr_assert_eq(client_after(&m, "0p"), TARN_TLS_RECORD_OVERFLOW);
    cr_assert_eq(client_after(&m, "0e"), TARN_TLS_UNEXPECTED_MESSAGE);
    /* The peer's record must not be cut into by another kind. */
    cr_assert_eq(client_after(&m, "0-1a"), TARN_TLS_UNEXPECTED_MESSAGE);
}
