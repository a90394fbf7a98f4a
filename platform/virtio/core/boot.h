/* SPDX-License-Identifier: ISC */
/* boot.h: what a machine says about itself, read without trusting it: the PVH start information,
 * the command line, the ACPI tables. Pure: memory is handed in, or asked for by a callback. */
#ifndef TARN_VIRTIO_BOOT_H
#define TARN_VIRTIO_BOOT_H

#include <tarn/span.h>
#include <tarn/writer.h>

#define BOOT_DEVICES_MAX 32u /* virtio-mmio transports; a machine may have empty ones */
#define BOOT_IOAPICS_MAX 4u
#define BOOT_REGIONS_MAX 64u

/* -- the PVH start information (Xen's arch-x86/hvm/start_info.h) ----------------------------------
 */

#define PVH_INFO_BYTES 56u
struct pvh_info {
    uint64_t cmdline, rsdp, memmap, modlist; /* addresses; 0: none */
    uint32_t memmap_entries, modules;
};
/* False: no such thing, or one without a memory map (version 0). */
TARN_MUST_USE bool pvh_read(struct tarn_span info, struct pvh_info *out);

struct boot_range {
    uint64_t from, to;
};
/* The memory that begins at `from` (where the image ends) and that nothing else lies in: up to the
 * end of its RAM, or the first thing that the map or the module list puts there. */
#define PVH_MEMMAP_ENTRY_BYTES 24u
TARN_MUST_USE bool pvh_memory(struct tarn_span memmap, struct tarn_span modlist, uint64_t from,
                              struct boot_range *out);

/* -- the command line -----------------------------------------------------------------------------
 */

struct boot_mmio {
    uint64_t addr;
    uint32_t gsi;
    bool level; /* how its interrupt is to be understood */
};
struct boot_machine {
    struct boot_mmio mmio[BOOT_DEVICES_MAX];
    uint32_t mmio_count;
    bool counters; /* "tarn.counters": say at the end what the devices cost */
    bool stay;     /* "tarn.stay": the image is wanted where it was linked, for a debugger */
};
/* Words that begin with "--" are the program's, and go to `keys` as they are. Of the others, which
 * are the machine's, "virtio_mmio.device=SIZE@ADDRESS:IRQ" and the two above are understood. */
void boot_cmdline(struct tarn_span text, struct tarn_writer *keys, struct boot_machine *out);

/* -- ACPI (6.4) -----------------------------------------------------------------------------------
 */

/* A register: in I/O ports, or in memory. Address 0: there is none. */
struct acpi_reg {
    uint64_t addr;
    bool in_memory;
};
struct acpi_info {
    struct acpi_ioapic {
        uint32_t addr, gsi_base;
    } ioapic[BOOT_IOAPICS_MAX];
    uint32_t ioapic_count;
    uint16_t pm1a_cnt, pm1b_cnt;
    struct acpi_reg sleep, reset;
    uint8_t reset_value;
    struct tarn_span dsdt; /* its AML; empty: none */
    bool has_boot_timer;   /* Firecracker's: who made the tables is all that tells of it */
};
struct acpi_memory {
    /* [addr, addr + len) of physical memory; empty: not there. */
    struct tarn_span (*at)(uint64_t addr, size_t len);
};
/* `rsdp` is the table's address, or 0: then it is looked for in 0xe0000..0xfffff. Adds the
 * virtio-mmio devices of the DSDT to `machine`. False: there are no tables. */
TARN_MUST_USE bool acpi_read(const struct acpi_memory *memory, uint64_t rsdp, struct acpi_info *out,
                             struct boot_machine *machine);
/* AML is not run: what is wanted of it is constant, and found by the bytes that define it. */
void acpi_find_devices(struct tarn_span aml, struct boot_machine *machine);
/* The SLP_TYP values of "soft off". */
TARN_MUST_USE bool acpi_find_s5(struct tarn_span aml, uint8_t *a, uint8_t *b);

#endif
