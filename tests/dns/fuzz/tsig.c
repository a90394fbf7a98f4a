/* SPDX-License-Identifier: ISC */
/* Messages, each behind its length, to somebody who has two keys: as requests, and as what follows
 * a request of its own. None can be signed rightly, but for the first, whose bytes a bit asks for.
 */
#include "../text.h"
#include <tarn/dns_tsig.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    static struct tarn_dns_tsig_key keys[2];
    static struct tarn_dns_tsig asked, t;
    uint8_t out[600], signed_bytes[600];
    struct tarn_span in = tarn_span_of(bytes, size), message;
    struct tarn_dns_builder b;
    uint16_t len;
    if (!tarn_dns_tsig_key_parse(TARN_SPAN_LIT("hmac-sha256:k:AAECAwQFBgcICQoLDA0ODw=="), &keys[0])
        || !tarn_dns_tsig_key_parse(TARN_SPAN_LIT("hmac-sha512:l.m:AAECAwQFBgcICQoLDA0ODw=="),
                                    &keys[1]))
        abort();
    tarn_dns_tsig_start(&asked, &keys[0]);
    tarn_dns_build(&b, TARN_BYTES_ARRAY(out), 7, 0);
    if (!tarn_dns_tsig_sign(&asked, &b, 1000, &message))
        abort();
    while (tarn_span_u16be(&in, &len)) {
        message = tarn_span_first(in, len);
        in = tarn_span_after(in, message.len);
        tarn_dns_tsig_start(&t, NULL);
        enum tarn_err err = tarn_dns_tsig_verify(&t, keys, 2, message, 1000);
        if (tarn_dns_tsig_verify(&asked, NULL, 0, message, 1000) == TARN_OK)
            abort();
        /* Whoever refuses says why, in a message that is whole. */
        tarn_dns_build(&b, TARN_BYTES_ARRAY(signed_bytes), 7, TARN_DNS_QR);
        if (err == TARN_PEER && t.error && tarn_dns_tsig_bytes(&t) < 500
            && !tarn_dns_tsig_sign(&t, &b, 1000, &message))
            abort();
    }
    return 0;
}
