/* SPDX-License-Identifier: ISC */
/* Console, clocks, waiting, memory. */
#include "guest.h"
#include "sys.h"

/* A console that takes nothing more (a closed pipe, a full one) loses what is left. */
void tarn_platform_console(struct tarn_span text) {
    while (text.len) {
        long n = sys_write(1, text.ptr, text.len);
        if (n == SYS_EINTR)
            continue;
        if (n <= 0)
            return;
        text = tarn_span_after(text, (size_t)n);
    }
}

void tarn_platform_exit(int status) {
    sys_exit_group(status);
}

static uint64_t clock_ns(int clock) {
    struct sys_timespec t;
    TARN_ASSERT(sys_clock_gettime(clock, &t) == 0);
    return (uint64_t)t.sec * 1000000000u + (uint64_t)t.nsec;
}

tarn_time tarn_platform_now(void) {
    return clock_ns(SYS_CLOCK_MONOTONIC);
}

uint64_t tarn_platform_wall_ns(void) {
    return clock_ns(SYS_CLOCK_REALTIME);
}

/* The timer is only told what changed: most waits end by a device, long before their deadline, and
 * the next one has the same deadline. A timer that has fired stays readable until it is set again.
 */
static void set_timer(tarn_time deadline) {
    static tarn_time set_to = TARN_NEVER;
    if (deadline == set_to)
        return;
    struct sys_itimerspec value = {0};
    if (deadline != TARN_NEVER) {
        value.value.sec = (int64_t)(deadline / 1000000000u);
        value.value.nsec = (int64_t)(deadline % 1000000000u);
    }
    TARN_ASSERT(sys_timerfd_settime(tarn_spt_guest.boot->timerfd, SYS_TFD_TIMER_ABSTIME, &value)
                == 0);
    set_to = deadline;
}

/* A deadline of 0 asks for what is ready at once and leaves the timer alone: it may have fired and
 * still be readable, which a wait of no length does not mind. */
void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    struct sys_epoll_event events[16];
    out->devices = 0;
    bool at_once = solo5_blk_poll(&out->devices) || deadline == 0;
    if (!at_once)
        set_timer(TARN_MIN(deadline, guest_nic_retry(&out->devices)));
    long n;
    do {
        n = sys_epoll_pwait(tarn_spt_guest.boot->epollfd, events, TARN_COUNT_OF(events),
                            at_once ? 0 : -1);
    } while (n == SYS_EINTR);
    TARN_ASSERT(n >= 0 && n <= (long)TARN_COUNT_OF(events));
    for (size_t i = 0; i < (size_t)n; i++) {
        uint64_t data = TARN_AT(events, i).data;
        if (data < SOLO5_ENTRIES_MAX)
            out->devices |= 1ull << data;
    }
}

/* Tenders other than Tarn's have no call for it. */
static bool protect(const uint8_t *page, int rights) {
    return guest_has(SPT_FEATURE_PROTECT) && sys_mprotect(page, PAGE, rights) == 0;
}

bool tarn_platform_guard(uint8_t *page) {
    return protect(page, SYS_PROT_NONE);
}

void guest_seal(void) {
    extern uint8_t tarn_sealed[], tarn_sealed_end[];
    for (const uint8_t *page = tarn_sealed - (uintptr_t)tarn_sealed % PAGE; page < tarn_sealed_end;
         page += PAGE)
        (void)protect(page, SYS_PROT_READ);
}

/* Everything behind the image: the tender hands memory out zeroed, and start.c left the stack that
 * it was given before anything was put on it. */
struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    (void)bytes_wanted;
    const struct spt_boot *boot = tarn_spt_guest.boot;
    return tarn_bytes_of((void *)(uintptr_t)boot->kernel_end, boot->mem_size - boot->kernel_end);
}
