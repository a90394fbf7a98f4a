/* SPDX-License-Identifier: ISC */
/* Makes one system call and says what it answered. */
#include <tarn/app.h>

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_U32(nr, 0, "system call number");
TARN_KEY_STR(a0, "0", "first argument, hex");
TARN_KEY_STR(a1, "0", "second argument, hex; 'buf' is the address of some memory");
TARN_KEY_STR(a2, "0", "third argument, hex");
TARN_KEY_STR(a3, "0", "fourth argument, hex");
TARN_KEY_BOOL(int80, "by int 0x80, in 32-bit numbers");

static uint8_t buf[1 << 18];

static long arg(struct tarn_env *env, const struct tarn_key *key) {
    struct tarn_span text = tarn_key_str(env, key);
    uint64_t v = 0;
    if (tarn_span_equal(text, TARN_SPAN_LIT("buf")))
        return (long)(uintptr_t)buf;
    TARN_ASSERT(tarn_span_parse_hex(text, UINT64_MAX, &v));
    return (long)v;
}

int tarn_main(struct tarn_env *env) {
    long ret = (long)tarn_key_u64(env, &nr);
    long a = arg(env, &a0), b = arg(env, &a1), c = arg(env, &a2), d = arg(env, &a3);
    uint8_t text[32];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (tarn_key_bool(env, &int80)) {
        __asm__ volatile("int $0x80" : "+a"(ret) : "b"(0), "c"(0), "d"(0) : "memory");
    } else {
        register long r10 __asm__("r10") = d;
        __asm__ volatile("syscall"
                         : "+a"(ret)
                         : "D"(a), "S"(b), "d"(c), "r"(r10)
                         : "rcx", "r11", "memory");
    }
    tarn_writer_str(&w, ret < 0 ? "answer -" : "answer ");
    tarn_writer_dec(&w, ret < 0 ? 0 - (uint64_t)ret : (uint64_t)ret);
    tarn_writer_str(&w, "\n");
    tarn_put(env, tarn_writer_span(&w));
    return 0;
}
