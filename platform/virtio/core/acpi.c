/* SPDX-License-Identifier: ISC */
/* The few facts that are wanted of a machine's ACPI tables. Most of a short program's way to its
 * first line goes through here, so nothing is looked at that is not needed: a table is what its
 * signature and its length say, and is not summed up. */
#include "boot.h"

#define HEADER 36u
#define TABLE_BYTES_MAX (1u << 20)
#define TABLES_MAX 64u

static bool sums_to_zero(struct tarn_span s) {
    uint8_t sum = 0, byte;
    while (tarn_span_u8(&s, &byte))
        sum = (uint8_t)(sum + byte);
    return sum == 0;
}

static uint32_t u32_at(struct tarn_span s, size_t at) {
    uint32_t v = 0;
    s = tarn_span_after(s, at);
    return tarn_span_u32le(&s, &v) ? v : 0;
}

static uint64_t u64_at(struct tarn_span s, size_t at) {
    uint64_t v = 0;
    s = tarn_span_after(s, at);
    return tarn_span_u64le(&s, &v) ? v : 0;
}

static uint8_t u8_at(struct tarn_span s, size_t at) {
    return at < s.len ? tarn_span_at(s, at) : 0;
}

/* The table at `addr`, whole, with its header; empty: none. */
static struct tarn_span table_at(const struct acpi_memory *memory, uint64_t addr) {
    struct tarn_span head = addr ? memory->at(addr, HEADER) : TARN_SPAN_EMPTY;
    uint32_t len = u32_at(head, 4);
    if (len < HEADER || len > TABLE_BYTES_MAX)
        return TARN_SPAN_EMPTY;
    return memory->at(addr, len);
}

static bool is(struct tarn_span table, const char *signature) {
    return tarn_span_starts(table, tarn_span_str(signature));
}

/* -- the root -------------------------------------------------------------------------------------
 */

static struct tarn_span rsdp_at(const struct acpi_memory *memory, uint64_t addr) {
    struct tarn_span rsdp = memory->at(addr, HEADER);
    if (is(rsdp, "RSD PTR ") && sums_to_zero(tarn_span_first(rsdp, 20)))
        return rsdp;
    return TARN_SPAN_EMPTY;
}

static struct tarn_span find_rsdp(const struct acpi_memory *memory, uint64_t addr) {
    enum { FROM = 0xe0000, BYTES = 0x20000 };
    uint64_t signature = u64_at(TARN_SPAN_LIT("RSD PTR "), 0);
    if (addr)
        return rsdp_at(memory, addr);
    struct tarn_span area = memory->at(FROM, BYTES);
    const uint64_t *word = (const uint64_t *)(const void *)area.ptr;
    for (size_t i = 0; i < area.len / 8; i += 2) { /* they lie at multiples of 16 */
        struct tarn_span rsdp = TARN_SPAN_EMPTY;
        if (word[i] == signature)
            rsdp = rsdp_at(memory, FROM + 8 * i);
        if (rsdp.len)
            return rsdp;
    }
    return TARN_SPAN_EMPTY;
}

/* -- tables ---------------------------------------------------------------------------------------
 */

/* A generic address structure: space (0 memory, 1 I/O), width, offset, access, address. */
static struct acpi_reg reg_at(struct tarn_span table, size_t at) {
    uint8_t space = u8_at(table, at);
    uint64_t addr = space <= 1 ? u64_at(table, at + 4) : 0;
    return (struct acpi_reg){.addr = addr, .in_memory = space == 0};
}

static void read_fadt(const struct acpi_memory *memory, struct tarn_span fadt,
                      struct acpi_info *out, struct boot_machine *machine) {
    enum { RESET_SUPPORTED = 1 << 10, HW_REDUCED = 1 << 20 };
    uint32_t flags = u32_at(fadt, 112);
    if (flags & HW_REDUCED) {
        out->sleep = reg_at(fadt, 244);
    } else {
        out->pm1a_cnt = (uint16_t)u32_at(fadt, 64);
        out->pm1b_cnt = (uint16_t)u32_at(fadt, 68);
    }
    if (flags & RESET_SUPPORTED) {
        out->reset = reg_at(fadt, 116);
        out->reset_value = u8_at(fadt, 128);
    }
    uint64_t dsdt = u64_at(fadt, 140);
    struct tarn_span table = table_at(memory, dsdt ? dsdt : u32_at(fadt, 40));
    if (!is(table, "DSDT"))
        return;
    out->dsdt = tarn_span_after(table, HEADER);
    acpi_find_devices(out->dsdt, machine);
}

static void read_madt(struct tarn_span madt, struct acpi_info *out) {
    enum { IOAPIC = 1 };
    struct tarn_span rest = tarn_span_after(madt, 44), entry;
    while (rest.len >= 2) {
        if (!tarn_span_take(&rest, TARN_MAX(tarn_span_at(rest, 1), (uint8_t)2), &entry))
            return;
        if (tarn_span_at(entry, 0) != IOAPIC || entry.len < 12
            || out->ioapic_count == BOOT_IOAPICS_MAX)
            continue;
        TARN_AT(out->ioapic, out->ioapic_count) =
            (struct acpi_ioapic){u32_at(entry, 4), u32_at(entry, 8)};
        out->ioapic_count++;
    }
}

bool acpi_read(const struct acpi_memory *memory, uint64_t rsdp_addr, struct acpi_info *out,
               struct boot_machine *machine) {
    *out = (struct acpi_info){0};
    struct tarn_span rsdp = find_rsdp(memory, rsdp_addr);
    if (rsdp.len == 0)
        return false;
    enum { OEM = 9 };
    out->has_boot_timer = tarn_span_starts(tarn_span_after(rsdp, OEM), TARN_SPAN_LIT("FIRECK"));
    bool wide = u8_at(rsdp, 15) >= 2 && u64_at(rsdp, 24) != 0;
    struct tarn_span root = table_at(memory, wide ? u64_at(rsdp, 24) : u32_at(rsdp, 16));
    if (!is(root, wide ? "XSDT" : "RSDT"))
        return false;
    size_t step = wide ? 8 : 4;
    for (size_t n = 0, at = HEADER; n < TABLES_MAX && at + step <= root.len; n++, at += step) {
        struct tarn_span table = table_at(memory, wide ? u64_at(root, at) : u32_at(root, at));
        if (is(table, "FACP"))
            read_fadt(memory, table, out, machine);
        else if (is(table, "APIC"))
            read_madt(table, out);
    }
    return true;
}

/* -- AML (ACPI 6.4, chapter 20) -------------------------------------------------------------------
 */

/* The length of a package counts its own encoding (20.2.4). */
static bool package(struct tarn_span *s, struct tarn_span *body) {
    struct tarn_span all = *s;
    uint8_t lead, byte;
    if (!tarn_span_u8(s, &lead))
        return false;
    unsigned more = lead >> 6;
    size_t len = more ? lead & 15u : lead & 63u;
    for (unsigned i = 0; i < more; i++) {
        if (!tarn_span_u8(s, &byte))
            return false;
        len |= (size_t)byte << (4 + 8 * i);
    }
    return len >= 1 + more && tarn_span_take(&all, len, body) && tarn_span_skip(body, 1 + more);
}

/* Behind the first `text` in s. */
static bool skip_to(struct tarn_span *s, struct tarn_span text) {
    size_t at;
    while (tarn_span_find(*s, tarn_span_at(text, 0), &at)) {
        *s = tarn_span_after(*s, at);
        bool found = tarn_span_starts(*s, text);
        *s = tarn_span_after(*s, found ? text.len : 1);
        if (found)
            return true;
    }
    return false;
}

static bool small_number(struct tarn_span *s, uint8_t *out) {
    enum { BYTE_PREFIX = 0x0a };
    return tarn_span_u8(s, out) && (*out <= 1 || (*out == BYTE_PREFIX && tarn_span_u8(s, out)));
}

/* Name (_S5_, Package () {a, b, ...}) */
bool acpi_find_s5(struct tarn_span aml, uint8_t *a, uint8_t *b) {
    struct tarn_span body;
    uint8_t count;
    while (skip_to(&aml, TARN_SPAN_LIT("\x08_S5_\x12"))) {
        struct tarn_span s = aml;
        if (!package(&s, &body) || !tarn_span_u8(&body, &count) || count < 1
            || !small_number(&body, a))
            continue;
        if (count < 2 || !small_number(&body, b))
            *b = *a;
        return true;
    }
    return false;
}

/* The resources of a virtio-mmio transport: Memory32Fixed and Interrupt (6.4.3.4, 6.4.3.6). */
static void read_transport(struct tarn_span device, struct boot_machine *machine) {
    struct tarn_span s = device, interrupt;
    uint32_t addr, gsi;
    uint8_t writable, flags, count;
    if (!skip_to(&s, TARN_SPAN_LIT("LNRO0005")))
        return;
    s = device;
    if (!skip_to(&s, TARN_SPAN_LIT("\x86\x09\x00")) || !tarn_span_u8(&s, &writable)
        || !tarn_span_u32le(&s, &addr))
        return;
    interrupt = device;
    if (!skip_to(&interrupt, TARN_SPAN_LIT("\x89\x06\x00")) || !tarn_span_u8(&interrupt, &flags)
        || !tarn_span_u8(&interrupt, &count) || count != 1 || !tarn_span_u32le(&interrupt, &gsi)
        || gsi > 255 || machine->mmio_count == BOOT_DEVICES_MAX)
        return;
    TARN_AT(machine->mmio, machine->mmio_count) =
        (struct boot_mmio){.addr = addr, .gsi = gsi, .level = !(flags & 2)};
    machine->mmio_count++;
}

void acpi_find_devices(struct tarn_span aml, struct boot_machine *machine) {
    struct tarn_span device = TARN_SPAN_LIT("\x5b\x82"), body, inner, any = aml;
    if (!skip_to(&any, TARN_SPAN_LIT("LNRO0005")))
        return;
    while (skip_to(&aml, device)) {
        struct tarn_span rest = aml;
        if (!package(&rest, &body))
            continue;
        inner = body; /* a device with others inside is a bus: those are met later */
        if (!skip_to(&inner, device))
            read_transport(body, machine);
    }
}
