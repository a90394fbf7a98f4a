/* SPDX-License-Identifier: ISC */
/* Virtio over PCI (VIRTIO 1.2, section 4.1), version 1 and legacy, with interrupts by MSI-X: one
 * vector for everything. A device without MSI-X has a line, of which the firmware says which input
 * of the old interrupt controllers it is; an I/O APIC has it at the same input on the machines that
 * there are, and on others only AML knows. So such devices are looked at a thousand times a second
 * until an interrupt of theirs has come. */
#include "guest.h"
#include <cpu.h>

enum { CONFIG_ADDRESS = 0xcf8, CONFIG_DATA = 0xcfc };
enum {
    COMMAND = 0x04,
    CLASS = 0x08,
    HEADER_TYPE = 0x0e,
    BAR0 = 0x10,
    SECONDARY_BUS = 0x19,
    SUBSYSTEM_ID = 0x2e,
    CAPABILITIES = 0x34,
    INTERRUPT_LINE = 0x3c
};
enum { COMMAND_WANTED = 7, COMMAND_NO_LINE = 0x400 }; /* ports, memory, bus master */
enum { CAP_VENDOR = 0x09, CAP_MSIX = 0x11 };
enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };
#define VIRTIO_VENDOR 0x1af4u
#define BRIDGE_CLASS 0x0604u
#define DEVICES_MAX 16u
#define BUS_DEPTH_MAX 8u
#define NO_VECTOR 0xffffu

/* struct virtio_pci_common_cfg (4.1.4.3). */
struct common {
    uint32_t device_feature_select, device_feature, driver_feature_select, driver_feature;
    uint16_t config_vector, queue_count;
    uint8_t status, generation;
    uint16_t queue_select, queue_size, queue_vector, queue_enable, queue_notify_off;
    uint32_t desc[2], driver[2], device[2];
};
_Static_assert(sizeof(struct common) == 56, "VIRTIO");

/* Legacy registers, in ports (4.1.4.8); the device's own follow. */
enum {
    L_DEVICE_FEATURES = 0,
    L_DRIVER_FEATURES = 4,
    L_QUEUE_PFN = 8,
    L_QUEUE_SIZE = 12,
    L_QUEUE_SELECT = 14,
    L_NOTIFY = 16,
    L_STATUS = 18,
    L_ISR = 19,
    L_QUEUE_VECTOR = 22,
    L_CONFIG = 20,
    L_CONFIG_MSIX = 24
};

#define QUEUES_MAX 2u
struct pci_dev {
    struct virtio_dev dev;
    volatile struct common *common; /* NULL: legacy */
    volatile uint8_t *notify, *config, *isr;
    uint32_t notify_multiplier;
    uint16_t notify_off[QUEUES_MAX];
    uint16_t ports;
    bool msix;
    bool has_line, line_works;
    bool is_deaf; /* no interrupt of its can come */
};
static struct pci_dev devices[DEVICES_MAX];
static size_t device_count SEALED;

/* -- configuration space --------------------------------------------------------------------------
 */

static uint32_t config32(uint32_t bdf, uint32_t at) {
    out32(CONFIG_ADDRESS, 0x80000000u | bdf << 8 | (at & 0xfc));
    return in32(CONFIG_DATA);
}
static uint16_t config16(uint32_t bdf, uint32_t at) {
    return (uint16_t)(config32(bdf, at) >> (at & 2) * 8);
}
static uint8_t config8(uint32_t bdf, uint32_t at) {
    return (uint8_t)(config32(bdf, at) >> (at & 3) * 8);
}
static void config_set16(uint32_t bdf, uint32_t at, uint16_t v) {
    out32(CONFIG_ADDRESS, 0x80000000u | bdf << 8 | (at & 0xfc));
    out16((uint16_t)(CONFIG_DATA + (at & 2)), v);
}

/* Where the firmware put a memory region; NULL: nowhere, or it is too short. */
static volatile uint8_t *region(uint32_t bdf, uint8_t bar, uint32_t offset, size_t len) {
    if (bar > 5)
        return NULL;
    uint32_t low = config32(bdf, BAR0 + bar * 4u);
    uint64_t addr = low & ~15u;
    if (low & 1 || addr == 0)
        return NULL;
    if ((low & 6) == 4 && bar < 5)
        addr |= (uint64_t)config32(bdf, BAR0 + bar * 4u + 4) << 32;
    return guest_mmu_device(addr + offset, len);
}

/* -- version 1 ------------------------------------------------------------------------------------
 */

static struct pci_dev *of(struct virtio_dev *dev) {
    return TARN_CONTAINER_OF(dev, struct pci_dev, dev);
}

static uint64_t modern_features(struct virtio_dev *dev) {
    volatile struct common *c = of(dev)->common;
    c->device_feature_select = 1;
    uint64_t high = c->device_feature;
    c->device_feature_select = 0;
    return high << 32 | c->device_feature;
}

static void modern_accept(struct virtio_dev *dev, uint64_t features) {
    volatile struct common *c = of(dev)->common;
    c->driver_feature_select = 0;
    c->driver_feature = (uint32_t)features;
    c->driver_feature_select = 1;
    c->driver_feature = (uint32_t)(features >> 32);
}

static uint8_t modern_status(struct virtio_dev *dev) {
    return of(dev)->common->status;
}

static void modern_set_status(struct virtio_dev *dev, uint8_t status) {
    of(dev)->common->status = status;
}

static uint16_t modern_queue_size(struct virtio_dev *dev, uint16_t index) {
    volatile struct common *c = of(dev)->common;
    c->queue_select = index;
    return c->queue_size;
}

static void put64(volatile uint32_t to[2], const void *ptr) {
    to[0] = (uint32_t)(uintptr_t)ptr;
    to[1] = (uint32_t)((uintptr_t)ptr >> 32);
}

static void modern_queue_set(struct virtio_dev *dev, uint16_t index, const struct virtq *q) {
    struct pci_dev *d = of(dev);
    d->common->queue_select = index;
    d->common->queue_size = q->size;
    put64(d->common->desc, q->desc.ptr);
    put64(d->common->driver, q->driver.ptr);
    put64(d->common->device, q->device.ptr);
    TARN_AT(d->notify_off, index) = d->common->queue_notify_off;
    if (d->msix) {
        d->common->queue_vector = 0;
        d->is_deaf |= d->common->queue_vector != 0;
    }
    d->common->queue_enable = 1;
}

static void modern_notify(struct virtio_dev *dev, uint16_t index) {
    struct pci_dev *d = of(dev);
    uint32_t at = TARN_AT(d->notify_off, index) * d->notify_multiplier;
    *(volatile uint16_t *)(d->notify + at % PAGE) = index;
}

static void modern_config(struct virtio_dev *dev, uint32_t offset, void *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = of(dev)->config[offset + i];
}

/* -- legacy ---------------------------------------------------------------------------------------
 */

static uint64_t legacy_features(struct virtio_dev *dev) {
    return in32(of(dev)->ports + L_DEVICE_FEATURES);
}

static void legacy_accept(struct virtio_dev *dev, uint64_t features) {
    out32(of(dev)->ports + L_DRIVER_FEATURES, (uint32_t)features);
}

static uint8_t legacy_status(struct virtio_dev *dev) {
    return in8(of(dev)->ports + L_STATUS);
}

static void legacy_set_status(struct virtio_dev *dev, uint8_t status) {
    out8(of(dev)->ports + L_STATUS, status);
}

static uint16_t legacy_queue_size(struct virtio_dev *dev, uint16_t index) {
    out16(of(dev)->ports + L_QUEUE_SELECT, index);
    return in16(of(dev)->ports + L_QUEUE_SIZE);
}

static void legacy_queue_set(struct virtio_dev *dev, uint16_t index, const struct virtq *q) {
    uint16_t ports = of(dev)->ports;
    out16(ports + L_QUEUE_SELECT, index);
    out32(ports + L_QUEUE_PFN, (uint32_t)((uintptr_t)q->desc.ptr / PAGE));
    if (!of(dev)->msix)
        return;
    out16(ports + L_QUEUE_VECTOR, 0);
    of(dev)->is_deaf |= in16(ports + L_QUEUE_VECTOR) != 0;
}

static void legacy_notify(struct virtio_dev *dev, uint16_t index) {
    out16(of(dev)->ports + L_NOTIFY, index);
}

static void legacy_config(struct virtio_dev *dev, uint32_t offset, void *out, size_t n) {
    uint32_t at = of(dev)->ports + (of(dev)->msix ? L_CONFIG_MSIX : L_CONFIG) + offset;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = in8((uint16_t)(at + i));
}

static void say(const char *text) {
    tarn_platform_console(tarn_span_str(text));
}

static const struct virtio_bus modern_bus = {
    .features = modern_features,
    .accept = modern_accept,
    .status = modern_status,
    .set_status = modern_set_status,
    .queue_size = modern_queue_size,
    .queue_set = modern_queue_set,
    .notify = modern_notify,
    .config = modern_config,
    .dma = guest_dma,
    .say = say,
};
static const struct virtio_bus legacy_bus = {
    .features = legacy_features,
    .accept = legacy_accept,
    .status = legacy_status,
    .set_status = legacy_set_status,
    .queue_size = legacy_queue_size,
    .queue_set = legacy_queue_set,
    .notify = legacy_notify,
    .config = legacy_config,
    .dma = guest_dma,
    .say = say,
};

/* -- finding --------------------------------------------------------------------------------------
 */

static bool enable_msix(uint32_t bdf, uint32_t cap) {
    uint32_t table = config32(bdf, cap + 4);
    volatile uint32_t *entry =
        (volatile uint32_t *)(volatile void *)region(bdf, table & 7, table & ~7u, 16);
    if (!entry)
        return false;
    uint64_t addr = guest_apic_msi_addr();
    entry[0] = (uint32_t)addr;
    entry[1] = (uint32_t)(addr >> 32);
    entry[2] = DEVICE_VECTOR;
    entry[3] = 0;
    uint16_t control = config16(bdf, cap + 2);
    config_set16(bdf, cap + 2, (uint16_t)((control & ~0x4000u) | 0x8000u));
    return true;
}

static void read_capability(struct pci_dev *d, uint32_t bdf, uint32_t cap) {
    uint8_t bar = config8(bdf, cap + 4);
    uint32_t offset = config32(bdf, cap + 8);
    switch (config8(bdf, cap + 3)) {
    case CFG_COMMON:
        d->common = (volatile struct common *)(volatile void *)region(bdf, bar, offset,
                                                                      sizeof(struct common));
        break;
    case CFG_NOTIFY:
        d->notify = region(bdf, bar, offset, PAGE);
        d->notify_multiplier = config32(bdf, cap + 16);
        break;
    case CFG_ISR: d->isr = region(bdf, bar, offset, 1); break;
    case CFG_DEVICE: d->config = region(bdf, bar, offset, 64); break;
    default: break;
    }
}

static void read_capabilities(struct pci_dev *d, uint32_t bdf) {
    uint32_t cap = config8(bdf, CAPABILITIES) & 0xfcu;
    for (unsigned n = 0; cap >= 0x40 && n < 48; n++) {
        uint8_t id = config8(bdf, cap);
        if (id == CAP_VENDOR)
            read_capability(d, bdf, cap);
        else if (id == CAP_MSIX)
            d->msix = enable_msix(bdf, cap);
        cap = config8(bdf, cap + 1) & 0xfcu;
    }
}

/* Reading why lowers the line. */
static bool has_interrupted(const struct pci_dev *d) {
    return (d->common ? *d->isr : in8(d->ports + L_ISR)) != 0;
}

/* Where two devices have, it may have been one's line alone that works. */
void guest_pci_ack(void) {
    struct pci_dev *who = NULL;
    unsigned count = 0;
    for (size_t i = 0; i < device_count; i++) {
        if (!devices[i].has_line)
            continue;
        guest_counters.acks++;
        if (has_interrupted(&devices[i])) {
            who = &devices[i];
            count++;
        }
    }
    if (count == 1 && !guest_timer_fired)
        who->line_works = true;
}

/* Nobody waits for entropy asleep. */
bool guest_pci_polled(void) {
    for (size_t i = 0; i < device_count; i++)
        if (devices[i].dev.type != VIRTIO_RNG
            && (devices[i].is_deaf || (devices[i].has_line && !devices[i].line_works)))
            return true;
    return false;
}

static void use_line(struct pci_dev *d, uint32_t bdf) {
    uint8_t line = config8(bdf, INTERRUPT_LINE);
    const struct boot_mmio at = {.gsi = line, .level = true};
    d->has_line = line != 0 && line < 16 && (!d->common || d->isr) && guest_apic_route(&at);
    d->is_deaf = !d->has_line;
    if (d->has_line)
        config_set16(bdf, COMMAND, COMMAND_WANTED);
}

static void probe(uint32_t bdf) {
    uint16_t id = config16(bdf, 2);
    if (config16(bdf, 0) != VIRTIO_VENDOR || id < 0x1000 || id > 0x107f
        || device_count == DEVICES_MAX)
        return;
    struct pci_dev *d = &TARN_AT(devices, device_count);
    *d = (struct pci_dev){0};
    d->dev.type = id >= 0x1040 ? id - 0x1040u : config16(bdf, SUBSYSTEM_ID);
    config_set16(bdf, COMMAND, COMMAND_WANTED | COMMAND_NO_LINE);
    read_capabilities(d, bdf);
    uint32_t bar = config32(bdf, BAR0);
    d->dev.modern = d->common && d->notify && d->config;
    if (!d->dev.modern && (id >= 0x1040 || !(bar & 1)))
        return;
    d->dev.bus = d->dev.modern ? &modern_bus : &legacy_bus;
    d->dev.fixed_size = !d->dev.modern;
    d->ports = (uint16_t)(bar & ~3u);
    if (!d->msix)
        use_line(d, bdf);
    device_count++;
    guest_device_found(&d->dev);
}

static void scan_bus(uint32_t bus, unsigned depth) {
    for (uint32_t slot = 0; slot < 32; slot++) {
        uint32_t bdf = bus << 8 | slot << 3;
        if (config32(bdf, 0) == UINT32_MAX)
            continue;
        unsigned functions = config8(bdf, HEADER_TYPE) & 0x80 ? 8 : 1;
        for (unsigned f = 0; f < functions; f++) {
            uint8_t next = config8(bdf + f, SECONDARY_BUS);
            probe(bdf + f);
            if (config32(bdf + f, CLASS) >> 16 == BRIDGE_CLASS && next > bus
                && depth < BUS_DEPTH_MAX)
                scan_bus(next, depth + 1);
        }
    }
}

void guest_pci_scan(void) {
    if (config32(0, 0) != UINT32_MAX)
        scan_bus(0, 0);
}
