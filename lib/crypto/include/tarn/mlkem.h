/* SPDX-License-Identifier: ISC */
/* tarn/mlkem.h: ML-KEM-768 (FIPS 203), a key encapsulation that quantum computers are not known to
 * break. In TLS it stands beside X25519, never alone.
 *
 * Never allocates, blocks or reads a clock; about 20 KB of stack. All buffers are the caller's.
 *
 * Timing: everything here runs in a time that does not depend on secrets; no division and no branch
 * or index of secret data (tests/crypto/timing.c). The matrix comes from the public seed.
 */
#ifndef TARN_MLKEM_H
#define TARN_MLKEM_H

#include <tarn/env.h>
#include <tarn/err.h>

#define TARN_MLKEM768_PUBLIC_BYTES 1184
#define TARN_MLKEM768_SECRET_BYTES 2400 /* the expanded decapsulation key */
#define TARN_MLKEM768_CIPHERTEXT_BYTES 1088
#define TARN_MLKEM768_SHARED_BYTES 32
#define TARN_MLKEM768_SEED_BYTES 64 /* d, then z */

/* Algorithm 16: a key pair from its seed. */
void tarn_mlkem768_from_seed(const uint8_t seed[64], uint8_t pub[1184], uint8_t secret[2400]);
/* Algorithm 19. */
void tarn_mlkem768_generate(struct tarn_random *random, uint8_t pub[1184], uint8_t secret[2400]);
/* Algorithm 17 with the message given: for tests. TARN_PEER: no encapsulation key (section 7.2). */
TARN_MUST_USE enum tarn_err tarn_mlkem768_encapsulate_with(const uint8_t message[32],
                                                           struct tarn_span pub, uint8_t ct[1088],
                                                           uint8_t shared[32]);
/* Algorithm 20. */
TARN_MUST_USE enum tarn_err tarn_mlkem768_encapsulate(struct tarn_random *random,
                                                      struct tarn_span pub, uint8_t ct[1088],
                                                      uint8_t shared[32]);
/* Algorithm 21. A wrong ciphertext gives an unpredictable secret and no error. TARN_PEER: a length,
 * or the key's own hash does not fit (section 7.3). */
TARN_MUST_USE enum tarn_err tarn_mlkem768_decapsulate(struct tarn_span secret, struct tarn_span ct,
                                                      uint8_t shared[32]);

#endif
