/* SPDX-License-Identifier: ISC */
/* Virtio over memory-mapped registers (VIRTIO 1.2, section 4.2), version 2 and the legacy 1. */
#include "guest.h"

enum {
    MAGIC = 0x00,
    VERSION = 0x04,
    DEVICE_ID = 0x08,
    DEVICE_FEATURES = 0x10,
    DEVICE_FEATURES_SEL = 0x14,
    DRIVER_FEATURES = 0x20,
    DRIVER_FEATURES_SEL = 0x24,
    GUEST_PAGE_SIZE = 0x28,
    QUEUE_SEL = 0x30,
    QUEUE_NUM_MAX = 0x34,
    QUEUE_NUM = 0x38,
    QUEUE_ALIGN = 0x3c,
    QUEUE_PFN = 0x40,
    QUEUE_READY = 0x44,
    QUEUE_NOTIFY = 0x50,
    INTERRUPT_STATUS = 0x60,
    INTERRUPT_ACK = 0x64,
    STATUS = 0x70,
    QUEUE_DESC = 0x80,
    QUEUE_DRIVER = 0x90,
    QUEUE_DEVICE = 0xa0,
    CONFIG = 0x100,
};
#define MAGIC_VALUE 0x74726976u
#define REGS_BYTES 0x200u
#define DEVICES_MAX 16u

struct mmio_dev {
    struct virtio_dev dev;
    volatile uint8_t *regs;
};
static struct mmio_dev devices[DEVICES_MAX];
static size_t device_count SEALED;

static uint32_t get(const struct virtio_dev *dev, uint32_t reg) {
    return *(volatile uint32_t *)(TARN_CONTAINER_OF(dev, struct mmio_dev, dev)->regs + reg);
}

static void set(const struct virtio_dev *dev, uint32_t reg, uint32_t v) {
    *(volatile uint32_t *)(TARN_CONTAINER_OF(dev, struct mmio_dev, dev)->regs + reg) = v;
}

static void set64(const struct virtio_dev *dev, uint32_t reg, uint64_t v) {
    set(dev, reg, (uint32_t)v);
    set(dev, reg + 4, (uint32_t)(v >> 32));
}

static uint64_t mmio_features(struct virtio_dev *dev) {
    set(dev, DEVICE_FEATURES_SEL, 1);
    uint64_t high = dev->modern ? get(dev, DEVICE_FEATURES) : 0;
    set(dev, DEVICE_FEATURES_SEL, 0);
    return high << 32 | get(dev, DEVICE_FEATURES);
}

static void mmio_accept(struct virtio_dev *dev, uint64_t features) {
    set(dev, DRIVER_FEATURES_SEL, 0);
    set(dev, DRIVER_FEATURES, (uint32_t)features);
    set(dev, DRIVER_FEATURES_SEL, 1);
    set(dev, DRIVER_FEATURES, (uint32_t)(features >> 32));
    if (!dev->modern)
        set(dev, GUEST_PAGE_SIZE, PAGE);
}

static uint8_t mmio_status(struct virtio_dev *dev) {
    return (uint8_t)get(dev, STATUS);
}

static void mmio_set_status(struct virtio_dev *dev, uint8_t status) {
    set(dev, STATUS, status);
}

static uint16_t mmio_queue_size(struct virtio_dev *dev, uint16_t index) {
    set(dev, QUEUE_SEL, index);
    return (uint16_t)TARN_MIN(get(dev, QUEUE_NUM_MAX), VIRTQ_SIZE_MAX);
}

static void mmio_queue_set(struct virtio_dev *dev, uint16_t index, const struct virtq *q) {
    set(dev, QUEUE_SEL, index);
    set(dev, QUEUE_NUM, q->size);
    if (!dev->modern) {
        set(dev, QUEUE_ALIGN, VIRTQ_ALIGN);
        set(dev, QUEUE_PFN, (uint32_t)((uintptr_t)q->desc.ptr / PAGE));
        return;
    }
    set64(dev, QUEUE_DESC, (uintptr_t)q->desc.ptr);
    set64(dev, QUEUE_DRIVER, (uintptr_t)q->driver.ptr);
    set64(dev, QUEUE_DEVICE, (uintptr_t)q->device.ptr);
    set(dev, QUEUE_READY, 1);
}

static void mmio_notify(struct virtio_dev *dev, uint16_t index) {
    set(dev, QUEUE_NOTIFY, index);
}

/* By bytes, which is right for fields of every width (4.2.2.2). */
static void mmio_config(struct virtio_dev *dev, uint32_t offset, void *out, size_t n) {
    const volatile uint8_t *from =
        TARN_CONTAINER_OF(dev, struct mmio_dev, dev)->regs + CONFIG + offset;
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)out)[i] = from[i];
}

static void say(const char *text) {
    tarn_platform_console(tarn_span_str(text));
}

static const struct virtio_bus bus = {
    .features = mmio_features,
    .accept = mmio_accept,
    .status = mmio_status,
    .set_status = mmio_set_status,
    .queue_size = mmio_queue_size,
    .queue_set = mmio_queue_set,
    .notify = mmio_notify,
    .config = mmio_config,
    .dma = guest_dma,
    .say = say,
};

static bool is_known(uint64_t addr) {
    for (size_t i = 0; i < device_count; i++)
        if ((uintptr_t)devices[i].regs == addr)
            return true;
    return false;
}

/* Transports without a device behind them have id 0. */
static void probe(const struct boot_mmio *at) {
    volatile uint8_t *regs = guest_mmu_device(at->addr, REGS_BYTES);
    if (!regs || at->addr % 4 || is_known(at->addr) || device_count == DEVICES_MAX)
        return;
    struct mmio_dev *d = &TARN_AT(devices, device_count);
    d->regs = regs;
    d->dev = (struct virtio_dev){.bus = &bus};
    uint32_t version = get(&d->dev, VERSION);
    d->dev.type = get(&d->dev, DEVICE_ID);
    d->dev.modern = version == 2;
    if (get(&d->dev, MAGIC) != MAGIC_VALUE || version < 1 || version > 2 || d->dev.type == 0)
        return;
    if (!guest_apic_route(at)) {
        say("tarn: a virtio device has an interrupt that no controller has\n");
        return;
    }
    device_count++;
    guest_device_found(&d->dev);
}

void guest_mmio_scan(void) {
    for (size_t i = 0; i < guest.machine.mmio_count; i++)
        probe(&TARN_AT(guest.machine.mmio, i));
}

void guest_mmio_ack(void) {
    for (size_t i = 0; i < device_count; i++) {
        uint32_t why = get(&devices[i].dev, INTERRUPT_STATUS);
        guest_counters.acks++;
        if (!why)
            continue;
        guest_counters.acks++;
        set(&devices[i].dev, INTERRUPT_ACK, why);
    }
}
