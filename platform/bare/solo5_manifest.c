/* SPDX-License-Identifier: ISC */
#include "solo5_guest.h"

extern char __start_tarn_devices[], __stop_tarn_devices[];
static const struct solo5_manifest *manifest SEALED;

bool solo5_take_manifest(const struct solo5_manifest *m) {
    struct tarn_span ours =
        tarn_span_of(__start_tarn_devices, (size_t)(__stop_tarn_devices - __start_tarn_devices));
    if (m->version != SOLO5_MANIFEST_VERSION
        || m->entries != 1 + ours.len / sizeof(struct solo5_entry))
        return false;
    for (uint32_t i = 1; i < m->entries; i++) {
        struct tarn_span mine;
        size_t declared = offsetof(struct solo5_entry, u); /* name and type */
        if (!tarn_span_take(&ours, sizeof(struct solo5_entry), &mine)
            || !tarn_span_equal(tarn_span_first(mine, declared),
                                tarn_span_of(&m->entry[i], declared)))
            return false;
    }
    manifest = m;
    return true;
}

const struct solo5_entry *solo5_entry(const char *name, enum solo5_entry_type type,
                                      uint32_t *index) {
    struct tarn_span wanted = tarn_span_str(name);
    for (uint32_t i = 1; i < manifest->entries; i++) {
        const struct solo5_entry *e = &TARN_AT(manifest->entry, i);
        if (e->type != type || !tarn_span_equal(wanted, tarn_span_str(e->name)))
            continue;
        *index = i;
        if (e->attached == 1)
            return e;
    }
    tarn_platform_console(TARN_SPAN_LIT("tarn: the tender attached no device "));
    tarn_platform_console(wanted);
    tarn_platform_console(TARN_SPAN_LIT("\n"));
    return NULL;
}

bool solo5_find_cmdline(uint64_t low, uint64_t at, uint64_t cmdline, struct tarn_span *out) {
    if (at < low || at > SOLO5_IMAGE_BASE - SOLO5_MANIFEST_BYTES(SOLO5_ENTRIES_MAX) || at % 8
        || cmdline < low || cmdline > SOLO5_IMAGE_BASE - SOLO5_CMDLINE_BYTES_MAX)
        return false;
    struct tarn_span text = tarn_span_of((const void *)(uintptr_t)cmdline, SOLO5_CMDLINE_BYTES_MAX);
    return tarn_span_split(&text, 0, out);
}
