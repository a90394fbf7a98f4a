/* SPDX-License-Identifier: ISC */
#include "internal.h"

/* The linker makes these for a section whose name is a C identifier. A program without keys or
 * devices has no such section, and then they are NULL. */
#define SECTION_EDGE __attribute__((weak, visibility("hidden")))
extern const struct tarn_key __start_tarn_keys[] SECTION_EDGE;
extern const struct tarn_key __stop_tarn_keys[] SECTION_EDGE;
extern struct tarn_device __start_tarn_devices[] SECTION_EDGE;
extern struct tarn_device __stop_tarn_devices[] SECTION_EDGE;

static size_t between(const void *start, const void *stop, size_t item_bytes) {
    return start ? ((uintptr_t)stop - (uintptr_t)start) / item_bytes : 0;
}

struct tarn_program tarn_program_linked(void) {
    return (struct tarn_program){
        .main = tarn_main,
        .keys = __start_tarn_keys,
        .key_count = between(__start_tarn_keys, __stop_tarn_keys, sizeof(struct tarn_key)),
        .devices = __start_tarn_devices,
        .device_count =
            between(__start_tarn_devices, __stop_tarn_devices, sizeof(struct tarn_device)),
        .baked = TARN_BAKED_KEYS,
    };
}
