/* SPDX-License-Identifier: ISC */
#include "boot.h"

#define PVH_MAGIC 0x336ec578u
#define RAM 1u

bool pvh_read(struct tarn_span info, struct pvh_info *out) {
    uint32_t magic, version, flags, reserved;
    *out = (struct pvh_info){0};
    return tarn_span_u32le(&info, &magic) && magic == PVH_MAGIC && tarn_span_u32le(&info, &version)
           && version >= 1 && tarn_span_u32le(&info, &flags)
           && tarn_span_u32le(&info, &out->modules) && tarn_span_u64le(&info, &out->modlist)
           && tarn_span_u64le(&info, &out->cmdline) && tarn_span_u64le(&info, &out->rsdp)
           && tarn_span_u64le(&info, &out->memmap) && tarn_span_u32le(&info, &out->memmap_entries)
           && tarn_span_u32le(&info, &reserved);
}

/* What begins at or behind `from` ends the range; what reaches over it leaves nothing. */
static void clip(struct boot_range *range, uint64_t addr, uint64_t size) {
    uint64_t end = addr + size < addr ? UINT64_MAX : addr + size;
    if (size == 0 || end <= range->from || addr >= range->to)
        return;
    range->to = TARN_MAX(addr, range->from);
}

static bool next_entry(struct tarn_span *map, uint64_t *addr, uint64_t *size, uint32_t *type) {
    uint32_t reserved;
    return tarn_span_u64le(map, addr) && tarn_span_u64le(map, size) && tarn_span_u32le(map, type)
           && tarn_span_u32le(map, &reserved);
}

bool pvh_memory(struct tarn_span memmap, struct tarn_span modlist, uint64_t from,
                struct boot_range *out) {
    struct tarn_span map = memmap;
    uint64_t addr, size, cmdline, reserved;
    uint32_t type;
    *out = (struct boot_range){from, from};
    while (next_entry(&map, &addr, &size, &type))
        if (type == RAM && addr <= from && size > from - addr)
            out->to = size > UINT64_MAX - addr ? UINT64_MAX : addr + size;
    while (next_entry(&memmap, &addr, &size, &type))
        if (type != RAM)
            clip(out, addr, size);
    while (tarn_span_u64le(&modlist, &addr) && tarn_span_u64le(&modlist, &size)
           && tarn_span_u64le(&modlist, &cmdline) && tarn_span_u64le(&modlist, &reserved))
        clip(out, addr, size);
    return out->to > out->from;
}

/* -- the command line -----------------------------------------------------------------------------
 */

/* Up to the next blank that is in no quotes; as the runtime splits words, but nothing is changed.
 */
static struct tarn_span next_word(struct tarn_span *rest) {
    uint8_t c, quote = 0;
    *rest = tarn_span_trim(*rest, " \t\n\r");
    struct tarn_span word = *rest;
    while (rest->len) {
        struct tarn_span before = *rest;
        if (!tarn_span_u8(rest, &c))
            break;
        if (quote ? c == quote : c == '"' || c == '\'') {
            quote = quote ? 0 : c;
        } else if (!quote && (c == ' ' || c == '\t' || c == '\n' || c == '\r')) {
            return tarn_span_first(word, word.len - before.len);
        } else if (c == '\\' && quote != '\'') {
            (void)!tarn_span_u8(rest, &c);
        }
    }
    return word;
}

/* "0x" means hexadecimal. */
static bool number(struct tarn_span text, uint64_t *out) {
    if (tarn_span_starts(text, TARN_SPAN_LIT("0x")))
        return tarn_span_parse_hex(tarn_span_after(text, 2), UINT64_MAX, out);
    return tarn_span_parse_dec(text, UINT64_MAX, out);
}

/* SIZE@ADDRESS:IRQ[:ID]; the size is what the registers need and is not looked at. */
static void take_device(struct tarn_span value, struct boot_machine *out) {
    struct tarn_span size, addr, irq;
    uint64_t at, gsi;
    if (!tarn_span_split(&value, '@', &size) || !tarn_span_split(&value, ':', &addr))
        return;
    tarn_span_split(&value, ':', &irq);
    if (!number(addr, &at) || !number(irq, &gsi) || gsi > 255
        || out->mmio_count == BOOT_DEVICES_MAX)
        return;
    TARN_AT(out->mmio, out->mmio_count) = (struct boot_mmio){.addr = at, .gsi = (uint32_t)gsi};
    out->mmio_count++;
}

static bool is_key(struct tarn_span word) {
    struct tarn_span bare = tarn_span_trim(word, "\"'");
    return tarn_span_starts(bare, TARN_SPAN_LIT("--"));
}

void boot_cmdline(struct tarn_span text, struct tarn_writer *keys, struct boot_machine *out) {
    struct tarn_span device = TARN_SPAN_LIT("virtio_mmio.device=");
    for (struct tarn_span word; (word = next_word(&text)).len > 0;) {
        if (is_key(word)) {
            tarn_writer_span_put(keys, word);
            tarn_writer_u8(keys, ' ');
        } else if (tarn_span_starts(word, device)) {
            take_device(tarn_span_after(word, device.len), out);
        } else if (tarn_span_equal(word, TARN_SPAN_LIT("tarn.counters"))) {
            out->counters = true;
        } else if (tarn_span_equal(word, TARN_SPAN_LIT("tarn.stay"))) {
            out->stay = true;
        }
    }
}
