/* SPDX-License-Identifier: ISC */
/* guest.h: what the files of the virtio guest know of each other. */
#ifndef TARN_VIRTIO_GUEST_H
#define TARN_VIRTIO_GUEST_H

#include "../core/boot.h"
#include "../core/device.h"
#include <machine.h>

#define CMDLINE_BYTES_MAX 4096u
/* What is mapped at the start, as it is. */
#define GUEST_LOW_MEMORY ((uint64_t)1 << 30)
/* What the loader left there; empty: not there. */
struct tarn_span guest_low_memory(uint64_t addr, uint64_t len);

/* What was learned at the start. */
struct guest {
    struct boot_machine machine;
    struct acpi_info acpi;
    struct tarn_span keys; /* the program's part of the command line */
    bool xen;
};
extern struct guest guest;

/* What the work cost: each of these leaves the virtual machine. */
struct guest_counters {
    uint64_t halts, timers, acks;
};
extern struct guest_counters guest_counters;

/* How interrupts come. Level-triggered lines have a vector of their own: an interrupt controller
 * that sees another kind come by the same one does not pass on that it was handled. */
enum { TIMER_VECTOR = WAKE_VECTOR, LEVEL_VECTOR, DEVICE_VECTOR, SPURIOUS_VECTOR = 0x2f };
/* Waits for one. */
void guest_halt(void);
extern volatile bool guest_timer_fired; /* since somebody made it false */

/* -- apic.c, clock.c ------------------------------------------------------------------------------
 */

void guest_apic_init(void);
/* The message that a device sends to interrupt us. */
uint64_t guest_apic_msi_addr(void);
/* Routes a global interrupt to us; false where no controller has it. */
bool guest_apic_route(const struct boot_mmio *device);
void guest_apic_oneshot(uint32_t count); /* 0: none */
void guest_apic_eoi(void);

void guest_clock_init(void);
/* Waits for an interrupt, or until `deadline`. */
void guest_clock_wait(tarn_time deadline);

/* -- devices --------------------------------------------------------------------------------------
 */

/* Each finds the virtio devices of its bus, in order, and hands them to guest_device_found. */
void guest_mmio_scan(void);
void guest_pci_scan(void);
void guest_device_found(struct virtio_dev *dev);
/* Lowers the interrupt lines that a device may hold. */
void guest_mmio_ack(void);
void guest_pci_ack(void);
/* Whether there is a device that cannot interrupt, as far as is known: then they are looked at. */
bool guest_pci_polled(void);

void guest_devices_init(void);
/* The machine's device for a name of the manifest, whose index is the bit in the ready set; NULL
 * after saying so on the console. */
struct virtio_dev *guest_device_named(const char *name, uint32_t type, uint32_t *device);
struct virtio_dev *guest_device_any(uint32_t type); /* the first; NULL: none */
void guest_device_refuse(const char *name, const char *why);
struct tarn_alloc *guest_ring_memory(void);

/* A driver that was opened, for whoever waits. */
struct guest_driver {
    struct guest_driver *next;
    struct virtio_dev *dev;
    uint32_t device;
    struct tarn_netif *netif;             /* NULL: not one */
    bool (*poll)(struct guest_driver *d); /* completes requests; NULL: the netif's user asks it */
    bool (*idle)(struct guest_driver *d); /* asks for an interrupt; true: there is something */
    void (*busy)(struct guest_driver *d); /* no more interrupts */
};
void guest_driver_add(struct guest_driver *driver);
void guest_devices_say_counters(void);

/* -- xen.c ----------------------------------------------------------------------------------------
 */

bool guest_is_xen(void);
/* As PVH's start information has it; empty: Xen does not say. */
struct tarn_span guest_xen_memmap(void);
bool guest_xen_console(struct tarn_span text);
uint64_t guest_xen_tsc_hz(void); /* 0: it does not say */

/* power.c */
_Noreturn void guest_power_off(int status);

#endif
