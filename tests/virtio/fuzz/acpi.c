/* SPDX-License-Identifier: ISC */
/* The input is physical memory; its first 8 bytes are the address of the root pointer. */
#include <boot.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tarn_span memory;
static struct tarn_span at(uint64_t addr, size_t len) {
    struct tarn_span out;
    return tarn_span_sub(memory, addr, len, &out) ? out : TARN_SPAN_EMPTY;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct acpi_memory machine_memory = {at};
    struct acpi_info info;
    struct boot_machine machine = {0};
    struct tarn_span head;
    uint64_t rsdp = 0;
    memory = head = tarn_span_of(data, size);
    (void)!tarn_span_u64le(&head, &rsdp);
    if (acpi_read(&machine_memory, rsdp, &info, &machine))
        TARN_ASSERT(info.ioapic_count <= BOOT_IOAPICS_MAX
                    && machine.mmio_count <= BOOT_DEVICES_MAX);
    uint8_t a, b;
    acpi_find_devices(memory, &machine);
    (void)!acpi_find_s5(memory, &a, &b);
    return 0;
}
