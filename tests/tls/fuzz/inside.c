/* SPDX-License-Identifier: ISC */
/* Messages behind the encryption: the input is what an honest server, whose keys the fuzzer has,
 * would seal: pieces of [kind, length of 2 bytes, text], to a client after the ServerHello. */
#include "../rig.h"

/* The engine of the server itself seals: its next record's text is replaced. */
static void seal(struct rig *r, uint8_t type, struct tarn_span text) {
    static uint8_t record[TARN_TLS_RECORD_BYTES_MAX];
    struct tarn_tls_keys *k = &r->client.tls.rx; /* one secret, both sides */
    uint8_t nonce[12];
    size_t sealed = text.len + 1 + 16;
    if (!k->on || sealed > 16384 + 256)
        return;
    for (size_t i = 0; i < 12; i++)
        nonce[i] = (uint8_t)(k->iv[i] ^ (i < 4 ? 0 : k->seq >> 8 * (11 - i)));
    struct tarn_writer w = TARN_WRITER_ARRAY(record);
    tarn_writer_u8(&w, 23);
    tarn_writer_u16be(&w, 0x0303);
    tarn_writer_u16be(&w, (uint16_t)sealed);
    tarn_writer_span_put(&w, text);
    tarn_writer_u8(&w, type);
    if (tarn_aead_seal(&k->aead, TARN_SPAN_ARRAY(nonce), tarn_span_of(record, 5),
                       tarn_span_of(record + 5, text.len + 1),
                       tarn_bytes_of(record + 5, sizeof record - 5)))
        return;
    rig_feed(&r->client, record, 5 + sealed, 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct rig rig;
    struct tarn_span in = tarn_span_of(data, size), text;
    uint8_t kind;
    uint16_t len;
    if (!rig.server.config.random) {
        rig_init(&rig, 1);
        rig.client.config.groups_off = 1;
        rig.client.config.trust_anybody = true;
        rig.client.config.identities = &rig.client_identity;
        rig.client.config.identity_count = 1;
    }
    rig_start(&rig, 1);
    size_t n = rig_take(&rig.client, rig.wire, sizeof rig.wire);
    rig_feed(&rig.server, rig.wire, n, 1 << 20);
    n = rig_take(&rig.server, rig.wire, sizeof rig.wire);
    rig_feed(&rig.client, rig.wire, 5u + (size_t)(rig.wire[3] << 8 | rig.wire[4]), 1 << 20);
    while (tarn_span_u8(&in, &kind) && tarn_span_u16be(&in, &len)) {
        text = tarn_span_first(in, len);
        in = tarn_span_after(in, text.len);
        seal(&rig, kind, text);
    }
    (void)rig_take(&rig.client, rig.wire, sizeof rig.wire);
    return 0;
}
