/* SPDX-License-Identifier: ISC */
#include <boot.h>
#include <criterion/criterion.h>
#include <entropy.h>
#include <stdlib.h>
#include <string.h>

/* -- the start information ------------------------------------------------------------------------
 */

static struct boot_range memory_of(const uint64_t (*entries)[3], size_t n, const uint64_t *module) {
    uint8_t map[512], mods[32];
    struct tarn_writer w = TARN_WRITER_ARRAY(map), m = TARN_WRITER_ARRAY(mods);
    struct boot_range out;
    for (size_t i = 0; i < n; i++) {
        tarn_writer_u64le(&w, entries[i][0]);
        tarn_writer_u64le(&w, entries[i][1]);
        tarn_writer_u32le(&w, (uint32_t)entries[i][2]);
        tarn_writer_u32le(&w, 0);
    }
    if (module) {
        tarn_writer_u64le(&m, module[0]);
        tarn_writer_u64le(&m, module[1]);
        tarn_writer_zero(&m, 16);
    }
    bool ok = pvh_memory(tarn_writer_span(&w), tarn_writer_span(&m), 0x140000, &out);
    cr_assert_eq(ok, out.to > out.from);
    return out;
}

Test(pvh, memory_ends_with_its_ram_or_with_what_lies_in_it) {
    static const uint64_t plain[][3] = {
        {0, 0x9fc00, 1}, {0xf0000, 0x10000, 2}, {0x100000, 0xf00000, 1}, {0xfffc0000, 0x40000, 2}};
    static const uint64_t over[][3] = {{0x100000, 0xf00000, 1}, {0x800000, 0x1000, 3}};
    static const uint64_t under[][3] = {{0x100000, 0xf00000, 1}, {0x13f000, 0x2000, 2}};
    static const uint64_t wraps[][3] = {{0x100000, UINT64_MAX, 1}, {0x900000, UINT64_MAX, 2}};
    static const uint64_t module[] = {0x500000, 0x1000}, below[] = {0x1000, 0x1000};
    cr_assert_eq(memory_of(plain, 4, NULL).to, 0x1000000);
    cr_assert_eq(memory_of(plain, 4, below).to, 0x1000000);
    cr_assert_eq(memory_of(plain, 4, module).to, 0x500000);
    cr_assert_eq(memory_of(over, 2, NULL).to, 0x800000);
    cr_assert_eq(memory_of(under, 2, NULL).to, 0x140000, "none is left");
    cr_assert_eq(memory_of(wraps, 2, NULL).to, 0x900000);
    cr_assert_eq(memory_of(plain, 2, NULL).to, 0x140000, "the image lies in no RAM");
}

/* -- the command line -----------------------------------------------------------------------------
 */

static struct boot_machine machine_of(const char *text, const char *keys) {
    uint8_t buf[256];
    struct tarn_writer w = TARN_WRITER_ARRAY(buf);
    struct boot_machine m = {0};
    boot_cmdline(tarn_span_str(text), &w, &m);
    cr_assert(tarn_span_equal(tarn_writer_span(&w), tarn_span_str(keys)), "%.*s", (int)w.len, buf);
    return m;
}

Test(cmdline, keys_are_the_programs_and_devices_the_machines) {
    struct boot_machine m =
        machine_of("console=ttyS0 --port=80  virtio_mmio.device=512@0xfeb00e00:12 \"--a=b c\" "
                   "virtio_mmio.device=4K@0xd0000000:5:1 panic=1 --x='y \"z' tarn.counters",
                   "--port=80 \"--a=b c\" --x='y \"z' ");
    cr_assert_eq(m.mmio_count, 2);
    cr_assert(m.mmio[0].addr == 0xfeb00e00 && m.mmio[0].gsi == 12 && !m.mmio[0].level);
    cr_assert(m.mmio[1].addr == 0xd0000000 && m.mmio[1].gsi == 5);
    cr_assert(m.counters);
}

Test(cmdline, what_is_no_device_is_none) {
    static const char *const bad[] = {
        "virtio_mmio.device=",           "virtio_mmio.device=512@",
        "virtio_mmio.device=512@0x1000", "virtio_mmio.device=512@0x1000:",
        "virtio_mmio.device=512@:5",     "virtio_mmio.device=512@0xg:5",
        "virtio_mmio.device=512@1:256",  "virtio_mmio.device=512@0x10000000000000000:5"};
    for (size_t i = 0; i < TARN_COUNT_OF(bad); i++)
        cr_assert_eq(machine_of(bad[i], "").mmio_count, 0, "%s", bad[i]);
}

/* -- ACPI -----------------------------------------------------------------------------------------
 */

static uint8_t memory[0x8000];
static struct tarn_span at(uint64_t addr, size_t len) {
    struct tarn_span out;
    return tarn_span_sub(TARN_SPAN_ARRAY(memory), addr, len, &out) ? out : TARN_SPAN_EMPTY;
}

static void put(size_t where, const void *what, size_t n) {
    memcpy(&memory[where], what, n);
}

static void sign(size_t where, const char *signature, uint32_t len) {
    put(where, signature, 4);
    put(where + 4, &len, 4);
    uint8_t sum = 0;
    memory[where + 9] = 0;
    for (size_t i = 0; i < len; i++)
        sum = (uint8_t)(sum + memory[where + i]);
    memory[where + 9] = (uint8_t)-sum;
}

/* What QEMU's q35 and microvm have in theirs. */
static const uint8_t dsdt[] =
    "\x08_S5_\x12\x06\x04\x0a\x05\x00\x00\x00"
    "\x5b\x82\x41\x04VR00\x08_HID\x0dLNRO0005\x00\x08_UID\x00\x08_CCA\x01\x08_CRS\x11\x1a\x0a\x17"
    "\x86\x09\x00\x01\x00\x0e\xb0\xfe\x00\x02\x00\x00\x89\x06\x00\x01\x01\x18\x00\x00\x00\x79\x00";

static void build(void) {
    uint32_t addrs[] = {0x2000, 0x3000}, dsdt_at = 0x4000, pm1a = 0x604;
    memset(memory, 0, sizeof memory);
    put(0x1000, "RSD PTR ", 8);
    put(0x1010, &(uint32_t){0x1800}, 4);
    uint8_t sum = 0;
    for (size_t i = 0; i < 20; i++)
        sum = (uint8_t)(sum + memory[0x1000 + i]);
    memory[0x1008] = (uint8_t)-sum;
    put(0x1800 + 36, addrs, sizeof addrs);
    sign(0x1800, "RSDT", 36 + sizeof addrs);
    put(0x2000 + 40, &dsdt_at, 4);
    put(0x2000 + 64, &pm1a, 4);
    put(0x2000 + 112, &(uint32_t){1 << 10}, 4);
    put(0x2000 + 116, "\x01\x08\x00\x01\xf9\x0c\x00\x00\x00\x00\x00\x00\x0f", 13);
    sign(0x2000, "FACP", 244);
    put(0x3000 + 44, "\x00\x08\x00\x00\x01\x00\x00\x00", 8);
    put(0x3000 + 52, "\x01\x0c\x00\x00\x00\x00\xc0\xfe\x18\x00\x00\x00", 12);
    sign(0x3000, "APIC", 64);
    put(0x4000 + 36, dsdt, sizeof dsdt - 1);
    sign(0x4000, "DSDT", 36 + sizeof dsdt - 1);
}

Test(acpi, what_is_wanted_is_found) {
    const struct acpi_memory m = {at};
    struct acpi_info info;
    struct boot_machine machine = {0};
    build();
    cr_assert(acpi_read(&m, 0x1000, &info, &machine));
    uint8_t a, b;
    cr_assert(acpi_find_s5(info.dsdt, &a, &b) && a == 5 && b == 0);
    cr_assert_eq(info.pm1a_cnt, 0x604);
    cr_assert(info.reset.addr == 0xcf9 && !info.reset.in_memory && info.reset_value == 15);
    cr_assert(info.ioapic_count == 1 && info.ioapic[0].addr == 0xfec00000
              && info.ioapic[0].gsi_base == 24);
    cr_assert_eq(machine.mmio_count, 1);
    cr_assert(machine.mmio[0].addr == 0xfeb00e00 && machine.mmio[0].gsi == 24
              && machine.mmio[0].level);
}

Test(acpi, a_table_that_is_not_what_it_says_is_none) {
    const struct acpi_memory m = {at};
    struct acpi_info info;
    struct boot_machine machine = {0};
    build();
    put(0x4004, &(uint32_t){0x40000000}, 4);
    cr_assert(acpi_read(&m, 0x1000, &info, &machine));
    cr_assert(info.dsdt.len == 0 && info.ioapic_count == 1 && machine.mmio_count == 0);
    memory[0x1801] ^= 1;
    cr_assert(!acpi_read(&m, 0x1000, &info, &machine));
    cr_assert(!acpi_read(&m, 0x1001, &info, &machine));
    cr_assert(!acpi_read(&m, 0, &info, &machine), "not in the place where it is looked for");
    build();
    memory[0x1008]++;
    cr_assert(!acpi_read(&m, 0x1000, &info, &machine), "a root that does not sum up");
}

/* -- entropy --------------------------------------------------------------------------------------
 */

Test(entropy, a_generator_that_works_is_believed_and_one_that_hangs_is_not) {
    struct entropy e = {0};
    struct entropy_source good = {.kind = ENTROPY_FULL}, bad = {.kind = ENTROPY_FULL};
    uint8_t samples[64], out[2][40];
    memset(samples, 0x5a, sizeof samples);
    entropy_add(&e, &bad, TARN_SPAN_ARRAY(samples));
    cr_assert(bad.failed && !entropy_is_ready(&e));
    srandom(7);
    for (size_t i = 0; i < sizeof samples; i++)
        samples[i] = (uint8_t)(random() >> 8);
    entropy_add(&e, &good, tarn_span_of(samples, 31));
    cr_assert(!entropy_is_ready(&e), "248 bits");
    entropy_add(&e, &good, tarn_span_of(samples + 31, 1));
    cr_assert(entropy_is_ready(&e));
    entropy_draw(&e, TARN_BYTES_ARRAY(out[0]));
    cr_assert(!entropy_is_ready(&e), "spent");
    entropy_draw(&e, TARN_BYTES_ARRAY(out[1]));
    cr_assert(memcmp(out[0], out[1], 40) != 0);
}

Test(entropy, jitter_that_repeats_itself_is_not_believed) {
    struct entropy e = {0};
    struct entropy_source steady = {.kind = ENTROPY_JITTER}, real = {.kind = ENTROPY_JITTER};
    for (unsigned i = 0; i < 8192; i++)
        entropy_add(&e, &steady, tarn_span_of(i % 300 ? "\x40" : "\x41", 1));
    cr_assert(steady.failed);
    cr_assert_lt(e.eighths, 300);
    for (unsigned i = 0; i < 4096; i++) {
        uint8_t sample = (uint8_t)(random() % 3 ? 0x40 : 0x44);
        entropy_add(&e, &real, tarn_span_of(&sample, 1));
    }
    cr_assert(!real.failed && entropy_is_ready(&e));
}
