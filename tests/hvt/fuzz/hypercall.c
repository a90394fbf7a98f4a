/* SPDX-License-Identifier: ISC */
/* Any sequence of hypercalls over any memory: the host (calls.h) checks that it is only ever handed
 * memory that the guest may have, and what is not writable stays as it was. */
#include "../calls.h"

/* A record: the call's number, where its arguments are, then the arguments. */
struct record {
    uint8_t nr, place;
    uint8_t arguments[48];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t *memory;
    static struct machine m;
    struct tarn_span s = tarn_span_of(data, size);
    struct record r;
    if (!memory)
        memory = malloc(MEMORY_BYTES);
    if (!memory)
        return 0;
    memset(memory, 0, MEMORY_BYTES);
    memset(memory + TEXT, 0xcc, DATA - TEXT);
    machine_init(&m, memory, ~0u);
    while (tarn_span_copy(&s, &r, sizeof r)) {
        static const uint32_t places[] = {
            FREE,     DATA,      DATA - 8, GUARD - 24, MEMORY_BYTES - 64, MEMORY_BYTES - 40,
            HVT_BOOT, 0xfffffff0};
        uint32_t at = TARN_AT(places, r.place % TARN_COUNT_OF(places));
        m.frames_in = r.place >> 3;
        if (at >= DATA && at <= MEMORY_BYTES - sizeof r.arguments)
            memcpy(memory + at, r.arguments, sizeof r.arguments);
        if (hvt_hypercall(&m.calls, (uint16_t)(HVT_PORT + r.nr), at) != HVT_GOES_ON)
            break;
    }
    TARN_ASSERT(memory[0] == 0 && memcmp(memory, memory + 1, TEXT - 1) == 0);
    TARN_ASSERT(memory[TEXT] == 0xcc
                && memcmp(memory + TEXT, memory + TEXT + 1, DATA - TEXT - 1) == 0);
    return 0;
}
