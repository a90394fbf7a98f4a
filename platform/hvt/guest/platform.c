/* SPDX-License-Identifier: ISC */
/* Console, clocks, waiting, memory, entropy, and the end. */
#include "guest.h"
#include <entropy.h>

#define NS_PER_S 1000000000ull
#define CPU_WORDS 16u
#define JITTER_SAMPLES 8192u
#define STATUS_ABORT 255 /* on which tenders write a core */

static uint64_t tsc_start SEALED, ns_per_tsc_q32 SEALED;

/* -- the end --------------------------------------------------------------------------------------
 */

_Noreturn static void halt(int status, const void *cookie) {
    struct hvt_halt h = {.cookie = (uintptr_t)cookie, .status = status};
    for (;;)
        guest_call(HVT_CALL_HALT, &h);
}

void tarn_platform_exit(int status) {
    halt(status, NULL);
}

void guest_die(const char *what) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: "));
    tarn_platform_console(tarn_span_str(what));
    tarn_platform_console(TARN_SPAN_LIT("\n"));
    halt(STATUS_ABORT, NULL);
}

/* The tender's core file has the registers of where the program was, and not of here. */
void guest_crashed(const struct guest_frame *f, uint64_t addr) {
    static union {
        struct hvt_trap trap;
        uint8_t whole[HVT_COOKIE_BYTES];
    } cookie;
    cookie.trap = (struct hvt_trap){addr, f->error, f->rip, f->cs, f->rflags, f->rsp, f->ss};
    halt(STATUS_ABORT, &cookie);
}

/* -- console and clocks ---------------------------------------------------------------------------
 */

/* The text may be constants, a stack or the heap: all of it is there, since it has been written. */
void tarn_platform_console(struct tarn_span text) {
    struct hvt_puts p = {(uintptr_t)text.ptr, text.len};
    if (text.len)
        guest_call(HVT_CALL_PUTS, &p);
}

void guest_clock_init(void) {
    if (guest.boot->tsc_hz < 1000000)
        guest_die("the tender says no rate of the time-stamp counter");
    ns_per_tsc_q32 = (NS_PER_S << 32) / guest.boot->tsc_hz;
    tsc_start = cpu_tsc();
}

tarn_time tarn_platform_now(void) {
    return (uint64_t)((unsigned __int128)(cpu_tsc() - tsc_start) * ns_per_tsc_q32 >> 32);
}

uint64_t tarn_platform_wall_ns(void) {
    struct hvt_walltime t = {0};
    guest_call(HVT_CALL_WALLTIME, &t);
    return t.ns;
}

/* -- waiting --------------------------------------------------------------------------------------
 */

/* A device that had more than was taken of it is ready without asking: no need to leave the machine
 * while there is work. */
void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    tarn_time retry = TARN_NEVER;
    out->devices = 0;
    bool more = guest_nic_poll(&out->devices, &retry);
    bool at_once = solo5_blk_poll(&out->devices) || deadline == 0;
    if (more)
        return;
    struct hvt_poll p = {0};
    deadline = TARN_MIN(deadline, retry);
    tarn_time now = at_once ? 0 : tarn_platform_now();
    if (!at_once && deadline > now)
        p.timeout_ns = TARN_MIN(deadline - now, UINT64_MAX >> 2);
    guest_call(HVT_CALL_POLL, &p);
    out->devices |= p.ready;
}

/* -- memory and entropy ---------------------------------------------------------------------------
 */

struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    (void)bytes_wanted;
    return guest_mmu_heap();
}

static void add_cpu(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_FULL};
    uint64_t words[CPU_WORDS];
    size_t n = 0;
    while (n < CPU_WORDS && bare_cpu_random(&words[n]))
        n++;
    entropy_add(e, &source, tarn_span_of(words, n * sizeof words[0]));
    tarn_bytes_wipe(TARN_BYTES_ARRAY(words));
}

/* The tender's seed. It stays readable in this machine's memory, so what is drawn twice is not
 * drawn from it alone: the pool goes on from its state. */
static void add_seed(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_FULL};
    if (guest_has(HVT_FEATURE_ENTROPY) && source.samples == 0)
        entropy_add(e, &source, TARN_SPAN_ARRAY(guest.grant->seed));
}

/* A hypercall leaves the machine, and a shared host is never as long about it twice. */
static void add_jitter(struct entropy *e) {
    static struct entropy_source source = {.kind = ENTROPY_JITTER};
    uint64_t before = cpu_tsc();
    for (unsigned i = 0; i < JITTER_SAMPLES; i++) {
        (void)tarn_platform_wall_ns();
        uint64_t now = cpu_tsc();
        uint8_t sample = (uint8_t)(now - before);
        before = now;
        entropy_add(e, &source, tarn_span_of(&sample, 1));
    }
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    static struct entropy pool;
    add_cpu(&pool);
    add_seed(&pool);
    if (!entropy_is_ready(&pool))
        add_jitter(&pool);
    if (!entropy_is_ready(&pool))
        return TARN_UNSUPPORTED;
    entropy_draw(&pool, out);
    return TARN_OK;
}
