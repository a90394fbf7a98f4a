/* SPDX-License-Identifier: ISC */
/* A server and a client in memory, from a seed, and the bytes between them. */
#ifndef TARN_TESTS_TLS_RIG_H
#define TARN_TESTS_TLS_RIG_H

#include <tarn/tls.h>
#include <tarn/x509_issue.h>

#define RIG_NOW 1800000000
#define RIG_WIRE_MAX (1 << 17)

struct rig_end {
    struct tarn_tls tls;
    uint8_t memory[TARN_TLS_MEMORY_BYTES];
    struct tarn_random_seeded random;
    struct tarn_tls_config config;
};
struct rig {
    struct rig_end server, client;
    struct tarn_x509 ca;
    struct tarn_x509_policy trust;
    struct tarn_tls_identity identity, client_identity;
    struct tarn_span chain[1], client_chain[1];
    struct tarn_private_key key, ca_key, client_key;
    uint8_t secrets[3][32], points[3][65], ders[3][1024];
    char name[32];
    int64_t later; /* seconds after RIG_NOW */
    uint8_t wire[RIG_WIRE_MAX];
};

/* Keys and certificates, made from a seed; the engines are not started. */
void rig_init(struct rig *r, uint64_t seed);
/* Both engines anew, from a seed. */
void rig_start(struct rig *r, uint64_t seed);
/* All that an end has to send, to `out`; how much. */
size_t rig_take(struct rig_end *from, uint8_t *out, size_t max);
/* Feeds bytes in pieces of at most `step`, until they are used up or the end takes no more; how
 * many were taken. What can be read meanwhile is thrown away. */
size_t rig_feed(struct rig_end *to, const uint8_t *data, size_t len, size_t step);
/* Until neither has anything to say. */
void rig_run(struct rig *r, size_t step);
/* Sends text from one to the other and says whether it came. */
bool rig_says(struct rig_end *from, struct rig_end *to, struct tarn_span text);
static inline bool rig_connected(const struct rig_end *e) {
    return (tarn_tls_state(&e->tls) & (TARN_TLS_CONNECTED | TARN_TLS_CLOSED)) == TARN_TLS_CONNECTED;
}

#endif
