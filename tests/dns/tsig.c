/* SPDX-License-Identifier: ISC */
#include "serve.h"
#include <criterion/criterion.h>
#include <tarn/dns_secondary.h>

#define NOW 1700000000u

static struct tarn_dns_tsig_key keys[2];
static uint8_t memory[4096];

static void setup(void) {
    cr_assert(tarn_dns_tsig_key_parse(
        TARN_SPAN_LIT("hmac-sha256:One.Key.:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        &keys[0]));
    cr_assert(tarn_dns_tsig_key_parse(TARN_SPAN_LIT("HMAC-SHA512:two:c2VjcmV0"), &keys[1]));
}
TestSuite(tsig, .init = setup);

/* A message with a question, signed as t goes on. */
static struct tarn_span signed_with(struct tarn_dns_tsig *t, uint16_t flags, uint64_t when) {
    struct tarn_dns_builder b;
    struct tarn_span m;
    tarn_dns_build(&b, TARN_BYTES_ARRAY(memory), 77, flags);
    cr_assert(tarn_dns_put_question(&b, wire_of("example."), TARN_DNS_SOA, TARN_DNS_IN));
    cr_assert(tarn_dns_tsig_sign(t, &b, when, &m));
    return m;
}
static struct tarn_span request_with(const struct tarn_dns_tsig_key *key, struct tarn_dns_tsig *t) {
    tarn_dns_tsig_start(t, key);
    return signed_with(t, 0, NOW);
}

Test(tsig, rfc8945_a_request_and_its_answer) {
    for (int i = 0; i < 2; i++) {
        struct tarn_dns_tsig client, server;
        struct tarn_span m = request_with(&keys[i], &client);
        tarn_dns_tsig_start(&server, NULL);
        cr_assert_eq(tarn_dns_tsig_verify(&server, keys, 2, m, NOW + 5), TARN_OK);
        cr_assert_eq(server.key, &keys[i]);
        m = signed_with(&server, TARN_DNS_QR, NOW + 5);
        cr_assert_leq(m.len, 12 + 13 + tarn_dns_tsig_bytes(&server));
        cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW + 5), TARN_OK);
    }
}

Test(tsig, any_changed_byte_is_found) {
    struct tarn_dns_tsig client, server;
    struct tarn_span m = request_with(&keys[0], &client);
    unsigned accepted = 0;
    for (size_t i = 0; i < m.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            memory[i] ^= (uint8_t)(1u << bit);
            tarn_dns_tsig_start(&server, NULL);
            bool ok = tarn_dns_tsig_verify(&server, keys, 2, m, NOW) == TARN_OK;
            /* Not signed: the id, which forwarders change; the case of the names of key and
             * algorithm; the top bit of a TTL, which is read as 0 (RFC 2181). */
            bool free_byte = i < 2 || (i >= 25 && bit == 5) || (i == 38 && bit == 7);
            cr_assert(!ok || free_byte, "byte %zu bit %u", i, bit);
            accepted += ok;
            memory[i] ^= (uint8_t)(1u << bit);
        }
    cr_assert_gt(accepted, 15, "the original id stands in the record");
}

Test(tsig, rfc8945_5_2_errors) {
    struct tarn_dns_tsig client, server;
    struct tarn_span m = request_with(&keys[0], &client);
    tarn_dns_tsig_start(&server, NULL);
    cr_assert_eq(tarn_dns_tsig_verify(&server, keys + 1, 1, m, NOW), TARN_PEER);
    cr_assert(server.error == TARN_DNS_BADKEY && server.key == NULL);
    m = signed_with(&server, TARN_DNS_QR, NOW);
    cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW), TARN_PEER,
                 "unsigned errors prove "
                 "nothing");
    m = request_with(&keys[0], &client);
    tarn_dns_tsig_start(&server, NULL);
    cr_assert_eq(tarn_dns_tsig_verify(&server, keys, 2, m, NOW + 301), TARN_PEER);
    cr_assert(server.error == TARN_DNS_BADTIME && server.key == &keys[0]);
    m = signed_with(&server, TARN_DNS_QR, NOW + 301);
    cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW), TARN_OK, "that one is signed");
    m = request_with(&keys[0], &client);
    cr_assert_eq(tarn_dns_tsig_verify(&server, NULL, 0, tarn_span_first(m, 25), NOW), TARN_PEER,
                 "cut off");
    struct tarn_dns_tsig_key other = keys[0];
    other.secret[0] ^= 1;
    tarn_dns_tsig_start(&server, NULL);
    cr_assert_eq(tarn_dns_tsig_verify(&server, &other, 1, m, NOW), TARN_PEER);
    cr_assert_eq(server.error, TARN_DNS_BADSIG);
}

Test(tsig, rfc8945_5_3_1_messages_of_a_transfer) {
    struct tarn_dns_tsig client, server;
    struct tarn_span m = request_with(&keys[0], &client);
    tarn_dns_tsig_start(&server, NULL);
    cr_assert_eq(tarn_dns_tsig_verify(&server, keys, 2, m, NOW), TARN_OK);
    for (int i = 0; i < 5; i++) {
        m = signed_with(&server, TARN_DNS_QR, NOW + (unsigned)i);
        cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW), TARN_OK, "%d", i);
    }
    struct tarn_dns_tsig before = client;
    struct tarn_span lost = signed_with(&server, TARN_DNS_QR, NOW);
    (void)lost;
    m = signed_with(&server, TARN_DNS_QR, NOW);
    cr_assert_eq(tarn_dns_tsig_verify(&before, NULL, 0, m, NOW), TARN_PEER, "one is missing");
    /* Unsigned messages between: signed by the next signature. */
    struct tarn_dns_builder b;
    uint8_t plain[64];
    tarn_dns_build(&b, TARN_BYTES_ARRAY(plain), 77, TARN_DNS_QR);
    m = tarn_dns_finish(&b);
    for (unsigned i = 0; i < TARN_DNS_TSIG_SKIPPED_MAX; i++) {
        cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW), TARN_NOT_FOUND);
        cr_assert_eq(client.skipped, i + 1);
    }
    cr_assert_eq(tarn_dns_tsig_verify(&client, NULL, 0, m, NOW), TARN_NOT_FOUND);
    cr_assert_eq(client.skipped, TARN_DNS_TSIG_SKIPPED_MAX, "and no more");
}

Test(tsig, keys_are_parsed_strictly) {
    struct tarn_dns_tsig_key key;
    static const char *const bad[] = {"",
                                      "hmac-sha256",
                                      "hmac-sha256:k",
                                      "hmac-sha256:k:",
                                      "hmac-sha256:k:AAA",
                                      "hmac-md5:k:AAAA",
                                      "hmac-sha256:a..b:AAAA",
                                      "hmac-sha256:k:A!AA"};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert(!tarn_dns_tsig_key_parse(tarn_span_str(bad[i]), &key), "%s", bad[i]);
    cr_assert(tarn_dns_tsig_key_parse(TARN_SPAN_LIT("hmac-sha1:K.Example:AAECAw=="), &key));
    cr_assert(key.secret_len == 4 && key.digest == &tarn_sha1);
    cr_assert_str_eq(text_of(tarn_dns_name_span(&key.name)), "k.example.");
}

/* -- a server that wants them, and a transfer ----------------------------------------------------
 */

static const struct tarn_dns_tsig_key *seen;
static bool with_key(void *user, struct tarn_span zone, const struct tarn_endpoint *client,
                     const struct tarn_dns_tsig_key *key) {
    (void)user;
    (void)zone;
    (void)client;
    seen = key;
    return key != NULL;
}

Test(tsig, a_transfer_needs_the_key_and_is_signed) {
    static struct serve s;
    static const char *const origins[] = {"example.", NULL};
    struct tarn_dns_xfr x;
    struct tarn_span query;
    uint8_t out[600], message[700];
    unsigned messages = 1;
    serve_init(&s, (struct tarn_dns_server_config){
                       .may_transfer = with_key, .keys = keys, .key_count = 2});
    serve_zone(&s, "example.",
               "$TTL 60\n@ SOA ns root 5 1 1 1 60\n@ NS ns\n"
               "$GENERATE 1-100 n$ A 10.0.0.1\n");
    s.request.stream = true;
    s.request.wall_seconds = NOW;
    for (int round = 0; round < 4; round++) {
        const struct tarn_dns_tsig_key *key = round == 0 ? NULL : &keys[1];
        tarn_dns_xfr_init(&x, &s.mem.alloc, &s.random.random, wire_of("example."), NULL, 1 << 24,
                          key);
        cr_assert(tarn_dns_xfr_request(&x, NOW, TARN_BYTES_ARRAY(out), &query));
        if (round == 1)
            out[query.len - 20] ^= 1; /* the signature */
        enum tarn_err err = tarn_dns_xfr_input(&x, NOW, serve_raw(&s, query));
        cr_assert_eq(err, round < 2 ? TARN_PEER : TARN_AGAIN, "%d: %s", round, x.why);
        cr_assert_eq(s.transfer.zone != NULL, round >= 2);
        cr_assert_eq(seen, round == 1 ? NULL : key);
        while (err == TARN_AGAIN) {
            struct tarn_span m =
                tarn_dns_transfer_next(&s.transfer, NOW + messages, TARN_BYTES_ARRAY(message));
            cr_assert_leq(m.len, sizeof message);
            if (round == 3 && ++messages == 3)
                message[m.len / 2] ^= 1;
            err = tarn_dns_xfr_input(&x, NOW, m);
        }
        cr_assert_eq(err, round == 2 ? TARN_OK : TARN_PEER);
        tarn_dns_xfr_fini(&x);
    }
    serve_fini(&s, origins);
}
