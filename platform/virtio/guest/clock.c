/* SPDX-License-Identifier: ISC */
/* Time: KVM's clock where there is one, otherwise the time-stamp counter, whose rate the processor
 * says, or which is measured once against the PIT. Waiting: the local APIC's timer, and HLT. */
#include "guest.h"
#include <cpu.h>

#define NS_PER_S 1000000000ull
#define PIT_HZ 1193182ull
/* The timer's rate where no PIT can tell: what QEMU and KVM give it. */
#define APIC_HZ_USUAL 1000000000ull
#define MEASURE_COUNT 8000000u

/* KVM's page of time (Linux, Documentation/virt/kvm/x86/msr.rst). */
struct pvclock {
    uint32_t version, reserved;
    uint64_t tsc, ns;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, more[2];
};
static struct pvclock pvclock __attribute__((aligned(64)));
static bool has_pvclock SEALED;
static uint64_t tsc_hz SEALED, tsc_start SEALED;
static uint64_t ns_per_tsc_q32 SEALED, apic_per_ns_q32 SEALED;

/* a * b, where b has 32 binary places. */
static uint64_t times_q32(uint64_t a, uint64_t b) {
    return (uint64_t)((unsigned __int128)a * b >> 32);
}

/* -- rates ----------------------------------------------------------------------------------------
 */

static uint64_t hz_by_cpuid(void) {
    struct cpuid r = cpuid(0x15, 0);
    if (r.a && r.b && r.c)
        return (uint64_t)r.c * r.b / r.a;
    return (uint64_t)(cpuid(0x16, 0).a & 0xffff) * 1000000;
}

static uint64_t hz_by_pvclock(void) {
    if (!(cpuid(1, 0).c >> 31) || cpuid(0x40000000, 0).b != 0x4b4d564b /* "KVMK" */
        || !(cpuid(0x40000001, 0).a & 8))
        return 0;
    msr_write(MSR_KVM_SYSTEM_TIME, guest_dma(&pvclock, sizeof pvclock) | 1);
    if (pvclock.version == 0 || pvclock.mul == 0)
        return 0;
    has_pvclock = true;
    uint64_t hz = (NS_PER_S << 32) / pvclock.mul;
    return pvclock.shift < 0 ? hz << -pvclock.shift : hz >> pvclock.shift;
}

static uint16_t pit_read(void) {
    out8(0x43, 0); /* hold channel 0 */
    uint8_t low = in8(0x40);
    return (uint16_t)(in8(0x40) << 8 | low);
}

/* Asleep while the timer runs down, so that measuring costs no instructions. */
static void measure(void) {
    out8(0x43, 0x34); /* channel 0 counts down from 65,536, again and again */
    out8(0x40, 0);
    out8(0x40, 0);
    uint16_t pit = pit_read();
    uint64_t tsc = cpu_tsc();
    guest_apic_oneshot(MEASURE_COUNT);
    guest_halt();
    uint16_t ticks = (uint16_t)(pit - pit_read());
    tsc = cpu_tsc() - tsc;
    guest_apic_eoi();
    if (tsc_hz == 0 && ticks > 16)
        tsc_hz = tsc * PIT_HZ / ticks;
    if (tsc_hz == 0)
        tsc_hz = tsc * (APIC_HZ_USUAL / 1000) / (MEASURE_COUNT / 1000);
    uint64_t apic_hz = MEASURE_COUNT * tsc_hz / TARN_MAX(tsc, (uint64_t)1);
    apic_per_ns_q32 = (apic_hz << 32) / NS_PER_S;
}

void guest_clock_init(void) {
    tsc_hz = hz_by_pvclock();
    if (guest.xen)
        tsc_hz = guest_xen_tsc_hz();
    if (tsc_hz == 0)
        tsc_hz = hz_by_cpuid();
    measure();
    if (tsc_hz < 1000000)
        guest_die("no clock: the time-stamp counter stands still");
    ns_per_tsc_q32 = (NS_PER_S << 32) / tsc_hz;
    tsc_start = cpu_tsc();
}

/* -- reading --------------------------------------------------------------------------------------
 */

static uint64_t pvclock_now(void) {
    uint32_t version;
    uint64_t ns;
    const volatile struct pvclock *p = &pvclock;
    do {
        version = p->version & ~1u;
        uint64_t delta = cpu_tsc() - p->tsc;
        delta = p->shift < 0 ? delta >> -p->shift : delta << p->shift;
        ns = p->ns + times_q32(delta, p->mul);
    } while (p->version != version);
    return ns;
}

tarn_time tarn_platform_now(void) {
    if (has_pvclock)
        return pvclock_now();
    return times_q32(cpu_tsc() - tsc_start, ns_per_tsc_q32);
}

/* -- the calendar ---------------------------------------------------------------------------------
 */

static uint8_t cmos(uint8_t reg) {
    out8(0x70, reg);
    return in8(0x71);
}

static unsigned decimal(uint8_t v, bool binary) {
    return binary ? v : (v >> 4) * 10u + (v & 15u);
}

/* Read twice alike, lest the second turn in between. */
static uint64_t rtc_seconds(void) {
    enum {
        SECOND = 0,
        MINUTE = 2,
        HOUR = 4,
        DAY = 7,
        MONTH = 8,
        YEAR = 9,
        STATUS_A = 10,
        STATUS_B
    };
    static const uint8_t regs[] = {SECOND, MINUTE, HOUR, DAY, MONTH, YEAR};
    uint8_t now[TARN_COUNT_OF(regs)], before[TARN_COUNT_OF(regs)];
    bool same = false;
    for (unsigned n = 0; n < 100 && !same; n++) {
        same = n > 0 && !(cmos(STATUS_A) & 0x80);
        for (size_t i = 0; i < TARN_COUNT_OF(regs); i++) {
            before[i] = now[i];
            now[i] = cmos(TARN_AT(regs, i));
            same = same && before[i] == now[i];
        }
    }
    uint8_t format = cmos(STATUS_B);
    bool binary = format & 4, pm = !(format & 2) && (now[2] & 0x80);
    unsigned hour = decimal(now[2] & 0x7f, binary);
    if (!(format & 2))
        hour = hour % 12 + (pm ? 12 : 0);
    struct tarn_date date = {.year = (int32_t)(2000 + decimal(now[5], binary)),
                             .month = (uint8_t)decimal(now[4], binary),
                             .day = (uint8_t)decimal(now[3], binary),
                             .hour = (uint8_t)hour,
                             .minute = (uint8_t)decimal(now[1], binary),
                             .second = (uint8_t)decimal(now[0], binary)};
    int64_t seconds;
    return tarn_date_to_unix(&date, &seconds) ? (uint64_t)seconds : 0;
}

static uint64_t wall_start(void) {
    static struct { uint32_t version, sec, nsec; } wall __attribute__((aligned(16)));
    if (!has_pvclock)
        return rtc_seconds() * NS_PER_S - tarn_platform_now();
    msr_write(MSR_KVM_WALL_CLOCK, guest_dma(&wall, sizeof wall));
    return wall.sec * NS_PER_S + wall.nsec;
}

uint64_t tarn_platform_wall_ns(void) {
    static uint64_t start;
    if (start == 0)
        start = wall_start();
    return start + tarn_platform_now();
}

/* -- waiting --------------------------------------------------------------------------------------
 */

/* The timer is left as it is where it fires no later than it has to: most waits end by a device,
 * long before their deadline, and the next deadline is a little later. Setting it leaves the
 * machine. */
static void set_timer(tarn_time now, tarn_time deadline) {
    static tarn_time fires;
    if (deadline == TARN_NEVER || (!guest_timer_fired && fires <= deadline))
        return;
    /* A longer wait than the timer can count is made of several. */
    uint64_t ns = TARN_MIN(deadline - now, NS_PER_S);
    uint64_t count = times_q32(ns, apic_per_ns_q32) + 1;
    guest_apic_oneshot((uint32_t)TARN_MIN(count, (uint64_t)UINT32_MAX));
    fires = now + ns;
    guest_timer_fired = false;
}

void guest_clock_wait(tarn_time deadline) {
    tarn_time now = tarn_platform_now();
    if (deadline <= now)
        return;
    set_timer(now, deadline);
    guest_counters.halts++;
    guest_halt();
    guest_pci_ack();
    guest_mmio_ack(); /* first the device, or a line that is still held interrupts again */
    guest_apic_eoi();
}
