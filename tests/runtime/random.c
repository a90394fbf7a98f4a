/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_platform.h"

static uint8_t got[1024];

static int draw(struct tarn_env *env) {
    struct tarn_random *random = tarn_env_random(env);
    size_t at = 0;
    /* Pieces that do not divide the generator's own: none may be given out twice. */
    for (size_t n = 1; at < sizeof got; n = n * 2 + 1) {
        n = TARN_MIN(n, sizeof got - at);
        tarn_random_fill(random, tarn_bytes_of(got + at, n));
        at += n;
    }
    return random == tarn_env_random(env) ? 0 : 1;
}

/* RFC 8439 appendix A.1, test vectors 1 and 2: the keystream for key and nonce zero. The first half
 * of block 0 is the next key, and never seen. */
static const uint8_t keystream[] = {
    0xda, 0x41, 0x59, 0x7c, 0x51, 0x57, 0x48, 0x8d, 0x77, 0x24, 0xe0, 0x3f, 0xb8, 0xd8, 0x4a, 0x37,
    0x6a, 0x43, 0xb8, 0xf4, 0x15, 0x18, 0xa1, 0x1c, 0xc3, 0x87, 0xb6, 0x69, 0xb2, 0xee, 0x65, 0x86,
    0x9f, 0x07, 0xe7, 0xbe, 0x55, 0x51, 0x38, 0x7a, 0x98, 0xba, 0x97, 0x7c, 0x73, 0x2d, 0x08, 0x0d,
    0xcb, 0x0f, 0x29, 0xa0, 0x48, 0xe3, 0x65, 0x69, 0x12, 0xc6, 0x53, 0x3e, 0x32, 0xee, 0x7a, 0xed,
    0x29, 0xb7, 0x21, 0x76, 0x9c, 0xe6, 0x4e, 0x43, 0xd5, 0x71, 0x33, 0xb0, 0x74, 0xd8, 0x39, 0xd5,
    0x31, 0xed, 0x1f, 0x28, 0x51, 0x0a, 0xfb, 0x45, 0xac, 0xe1, 0x0a, 0x1f, 0x4b, 0x79, 0x4d, 0x6f};

Test(random, rfc8439_a1_keystream) {
    cr_assert_eq(fake_run(draw, NULL, 0, ""), 0);
    cr_assert_arr_eq(got, keystream, sizeof keystream);
}

Test(random, a_refill_goes_on_with_another_key) {
    cr_assert_eq(fake_run(draw, NULL, 0, ""), 0);
    cr_assert_neq(memcmp(got, got + 480, 480), 0);
}

Test(random, another_seed_gives_other_bytes) {
    fake.entropy_byte = 1;
    cr_assert_eq(fake_run(draw, NULL, 0, ""), 0);
    cr_assert_neq(memcmp(got, keystream, sizeof keystream), 0);
}

Test(random, without_entropy_the_program_ends, .exit_code = 1) {
    fake.entropy = TARN_UNSUPPORTED;
    fake_run(draw, NULL, 0, "");
}
