/* SPDX-License-Identifier: ISC */
/* The machine's devices and the program's: what the manifest names, in its order, are the machine's
 * devices of that type, in the order of its buses. A driver is linked where the program asks for
 * its kind of device, and adds itself to the list here. */
#include "guest.h"
#include <runtime.h>

#define FOUND_MAX 32u
#define POLL_INTERVAL TARN_MS(1)
/* Memory for the rings of one device: two queues of 256. */
#define RING_BYTES (40u << 10)

static struct virtio_dev *found[FOUND_MAX] SEALED;
static size_t found_count SEALED;
static struct tarn_arena ring_memory;
static size_t ring_bytes SEALED;
static struct guest_driver *drivers;

void guest_device_found(struct virtio_dev *dev) {
    if (found_count < FOUND_MAX)
        TARN_AT(found, found_count++) = dev;
}

static struct virtio_dev *found_at(uint32_t type, size_t index) {
    for (size_t i = 0; i < found_count; i++)
        if (TARN_AT(found, i)->type == type && index-- == 0)
            return TARN_AT(found, i);
    return NULL;
}

void guest_devices_init(void) {
    struct tarn_program program = tarn_program_linked();
    guest_mmio_scan();
    guest_pci_scan();
    if (found_at(VIRTIO_RNG, 0))
        ring_bytes = 2 * PAGE;
    ring_bytes += program.device_count * RING_BYTES;
    struct tarn_bytes heap = guest_mmu_heap();
    tarn_arena_init(&ring_memory, tarn_bytes_first(heap, ring_bytes));
}

struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    (void)bytes_wanted;
    return tarn_bytes_after(guest_mmu_heap(), ring_bytes);
}

struct tarn_alloc *guest_ring_memory(void) {
    return &ring_memory.alloc;
}

struct virtio_dev *guest_device_any(uint32_t type) {
    return found_at(type, 0);
}

struct virtio_dev *guest_device_named(const char *name, uint32_t type, uint32_t *device) {
    struct tarn_program program = tarn_program_linked();
    uint32_t kind = type == VIRTIO_NET ? TARN_DEVICE_NET : TARN_DEVICE_BLK;
    size_t index = 0;
    struct virtio_dev *dev = NULL;
    for (uint32_t i = 0; i < program.device_count && !dev; i++) {
        const struct tarn_device *d = &program.devices[i];
        if (d->type != kind)
            continue;
        if (tarn_span_equal(tarn_span_str(d->name), tarn_span_str(name))) {
            *device = i;
            dev = found_at(type, index);
            break;
        }
        index++;
    }
    if (!dev)
        guest_device_refuse(name, "the machine has no device for ");
    return dev;
}

void guest_device_refuse(const char *name, const char *why) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: "));
    tarn_platform_console(tarn_span_str(why));
    tarn_platform_console(tarn_span_str(name));
    tarn_platform_console(TARN_SPAN_LIT("\n"));
}

void guest_driver_add(struct guest_driver *driver) {
    driver->next = drivers;
    drivers = driver;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

static bool poll(uint64_t *ready) {
    bool any = false;
    for (struct guest_driver *d = drivers; d; d = d->next) {
        if (d->poll && d->poll(d)) {
            *ready |= 1ull << d->device;
            any = true;
        }
    }
    return any;
}

/* Asks everybody for an interrupt; true where somebody has something already. */
static bool arm(void) {
    bool any = false;
    for (struct guest_driver *d = drivers; d; d = d->next)
        any |= d->idle(d);
    return any;
}

static void disarm(void) {
    for (struct guest_driver *d = drivers; d; d = d->next)
        d->busy(d);
}

/* While there is work nobody is asked to interrupt, and nothing here leaves the machine. Every
 * network device is said to be ready: asking one costs as much as looking whether it is. */
void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    out->devices = 0;
    for (bool any = poll(&out->devices) || deadline == 0; !any;) {
        tarn_time until = deadline;
        any = arm();
        if (!any && guest_pci_polled())
            until = TARN_MIN(deadline, tarn_time_after(tarn_platform_now(), POLL_INTERVAL));
        if (!any)
            guest_clock_wait(until);
        any = poll(&out->devices) || any || arm() || tarn_platform_now() >= deadline;
        disarm();
    }
    for (struct guest_driver *d = drivers; d; d = d->next)
        if (!d->poll)
            out->devices |= 1ull << d->device;
}

/* -- counting -------------------------------------------------------------------------------------
 */

static void say_count(struct tarn_writer *w, const char *what, uint64_t n) {
    tarn_writer_str(w, what);
    tarn_writer_dec(w, n);
}

void guest_devices_say_counters(void) {
    char text[512];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    const struct guest_counters *c = &guest_counters;
    uint64_t kicks = 0, rx = 0, tx = 0;
    for (const struct guest_driver *d = drivers; d; d = d->next) {
        kicks += d->dev->stats.notified;
        rx += d->netif ? d->netif->stats.rx_pkts : 0;
        tx += d->netif ? d->netif->stats.tx_pkts : 0;
    }
    uint64_t exits = kicks + 2 * c->halts + c->timers + c->acks;
    say_count(&w, "tarn: packets in ", rx);
    say_count(&w, ", out ", tx);
    say_count(&w, "; kicks ", kicks);
    say_count(&w, ", waits ", c->halts);
    say_count(&w, ", timers set ", c->timers);
    say_count(&w, ", interrupts acknowledged ", c->acks + c->halts);
    say_count(&w, "; packets for 100 exits ", exits ? (rx + tx) * 100 / exits : 0);
    tarn_writer_str(&w, "\n");
    tarn_platform_console(tarn_writer_span(&w));
}
