/* SPDX-License-Identifier: ISC */
#include "machine.h"

#include <context.h>
#include <platform.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(ptr, len) ((void)0)
#endif

#define PAGE_BYTES ((size_t)4096)
#define STACK_BYTES ((size_t)256 << 10)
#define WALL_START_NS (1767225600u * (uint64_t)1000000000u) /* 2026-01-01 00:00 UTC */

/* Memory of the machine's, one mapping each. */
struct region {
    struct region *next;
    void *mem;
    size_t bytes;
};

struct device {
    char name[68];
    struct tarn_netif *netif;
    struct tarn_sim_disk *disk;
};

struct tarn_machine {
    struct tarn_sim_actor actor;
    struct tarn_sim *sim;
    struct tarn_machine_config config;
    struct device devices[TARN_MACHINE_DEVICES_MAX];
    uint32_t device_count;
    char *cmdline;
    struct tarn_context context, world;
    struct region *regions;
    tarn_time deadline; /* of the wait it is in */
    uint64_t wall_ns;   /* at the world's zero */
    struct tarn_random_seeded entropy;
    char *console;
    size_t console_len;
    int status;
    bool on;
};

/* The machine whose code runs: platform.h speaks for it. */
static struct tarn_machine *here;

/* -- memory -------------------------------------------------------------------------------------
 */

static uint8_t *region_new(struct tarn_machine *m, size_t bytes) {
    void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mem == MAP_FAILED)
        return NULL;
    struct region *r = malloc(sizeof *r);
    TARN_ASSERT(r);
    *r = (struct region){m->regions, mem, bytes};
    m->regions = r;
    return mem;
}

static void regions_free(struct tarn_machine *m) {
    while (m->regions) {
        struct region *r = m->regions;
        m->regions = r->next;
        ASAN_UNPOISON_MEMORY_REGION(r->mem, r->bytes);
        munmap(r->mem, r->bytes);
        free(r);
    }
}

static struct tarn_bytes stack_new(struct tarn_machine *m, size_t bytes) {
    bytes = (bytes + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    uint8_t *mem = region_new(m, PAGE_BYTES + bytes);
    if (!mem || mprotect(mem, PAGE_BYTES, PROT_NONE) != 0)
        return (struct tarn_bytes){NULL, 0};
    return tarn_bytes_of(mem + PAGE_BYTES, bytes);
}

/* -- running ------------------------------------------------------------------------------------
 */

static void machine_main(void *arg) {
    struct tarn_machine *m = arg;
    struct tarn_program program = m->config.program;
    tarn_platform_exit(tarn_runtime_run(&program, tarn_span_str(m->cmdline)));
}

/* Lets the machine run until it waits or ends. */
static void machine_poll(struct tarn_sim_actor *actor, tarn_time now) {
    struct tarn_machine *m = TARN_CONTAINER_OF(actor, struct tarn_machine, actor);
    (void)now;
    here = m;
    tarn_context_switch(&m->world, &m->context);
    here = NULL;
    if (!m->on) {
        m->on = true; /* stop takes it from here */
        tarn_machine_stop(m);
    }
}

static tarn_time machine_deadline(struct tarn_sim_actor *actor) {
    return TARN_CONTAINER_OF(actor, struct tarn_machine, actor)->deadline;
}

void tarn_machine_start(struct tarn_machine *m, const char *cmdline) {
    TARN_ASSERT(!m->on);
    free(m->cmdline);
    m->cmdline = strdup(cmdline);
    struct tarn_bytes stack =
        stack_new(m, m->config.stack_bytes ? m->config.stack_bytes : STACK_BYTES);
    TARN_ASSERT(m->cmdline && stack.len);
    tarn_context_init(&m->context, stack, machine_main, m);
    m->status = -1;
    m->on = true;
    m->deadline = TARN_NEVER;
    m->actor.poll = machine_poll;
    m->actor.deadline = machine_deadline;
    m->actor.latency_max = m->config.latency_max;
    tarn_sim_add(m->sim, &m->actor);
}

void tarn_machine_stop(struct tarn_machine *m) {
    TARN_ASSERT(here == NULL);
    if (!m->on)
        return;
    for (uint32_t i = 0; i < m->device_count; i++) {
        if (m->devices[i].netif)
            tarn_sim_netif_give(m->devices[i].netif, NULL, NULL);
        if (m->devices[i].disk)
            tarn_sim_disk_give(m->devices[i].disk, NULL);
    }
    m->on = false;
    tarn_sim_remove(&m->actor);
    regions_free(m);
}

/* -- platform.h ---------------------------------------------------------------------------------
 */

static struct device *device_find(const char *name) {
    for (uint32_t i = 0; i < here->device_count; i++)
        if (strcmp(here->devices[i].name, name) == 0)
            return &here->devices[i];
    tarn_platform_console(tarn_span_str(name));
    tarn_platform_console(TARN_SPAN_LIT(": no such device in the simulation\n"));
    return NULL;
}

enum tarn_err tarn_platform_netif(const char *name, struct tarn_pkt_pool *pkts,
                                  struct tarn_netif **out) {
    struct device *d = device_find(name);
    if (!d || !d->netif)
        return TARN_NOT_FOUND;
    tarn_sim_netif_give(d->netif, pkts, &here->actor);
    d->netif->device = (uint32_t)(d - here->devices);
    *out = d->netif;
    return TARN_OK;
}

enum tarn_err tarn_platform_blk(const char *name, struct tarn_blk **out) {
    struct device *d = device_find(name);
    if (!d || !d->disk)
        return TARN_NOT_FOUND;
    tarn_sim_disk_give(d->disk, &here->actor);
    *out = tarn_sim_disk_blk(d->disk);
    return TARN_OK;
}

tarn_time tarn_platform_now(void) {
    return tarn_sim_actor_now(&here->actor);
}

uint64_t tarn_platform_wall_ns(void) {
    return here->wall_ns + tarn_sim_now(here->sim);
}

enum tarn_err tarn_platform_entropy(struct tarn_bytes out) {
    if (here->config.no_entropy)
        return TARN_UNSUPPORTED;
    tarn_random_fill(&here->entropy.random, out);
    return TARN_OK;
}

/* What the devices have, with the disks' requests completed. */
static uint64_t look_at_devices(struct tarn_machine *m) {
    uint64_t ready = 0;
    for (uint32_t i = 0; i < m->device_count; i++) {
        const struct device *d = &m->devices[i];
        if ((d->netif && tarn_sim_netif_has_frames(d->netif))
            || (d->disk && tarn_sim_disk_poll(d->disk)))
            ready |= (uint64_t)1 << i;
    }
    return ready;
}

/* Even where there is something already, the world has its turn: a busy machine stops nobody. */
void tarn_platform_yield(tarn_time deadline, struct tarn_ready *out) {
    struct tarn_machine *m = here;
    out->devices = look_at_devices(m);
    m->deadline = out->devices ? 0 : deadline;
    tarn_context_switch(&m->context, &m->world);
    out->devices |= look_at_devices(m);
}

void tarn_platform_console(struct tarn_span text) {
    struct tarn_machine *m = here;
    m->console = realloc(m->console, m->console_len + text.len + 1);
    TARN_ASSERT(m->console);
    tarn_bytes_copy(tarn_bytes_of(m->console + m->console_len, text.len), text);
    m->console_len += text.len;
    m->console[m->console_len] = '\0';
    if (getenv("TARN_SIM_CONSOLE"))
        fprintf(stderr, "[%s %llu us] %.*s", m->config.name ? m->config.name : "?",
                (unsigned long long)(tarn_sim_now(m->sim) / 1000), (int)text.len,
                (const char *)text.ptr);
}

_Noreturn void tarn_platform_exit(int status) {
    struct tarn_machine *m = here;
    m->status = status;
    m->on = false;
    tarn_context_leave(&m->context, &m->world);
}

struct tarn_bytes tarn_platform_heap(size_t bytes_wanted) {
    size_t bytes = here->config.heap_bytes ? here->config.heap_bytes : bytes_wanted;
    uint8_t *mem = region_new(here, bytes);
    return tarn_bytes_of(mem, mem ? bytes : 0);
}

bool tarn_platform_guard(uint8_t *page) {
    return mprotect(page, PAGE_BYTES, PROT_NONE) == 0;
}

struct tarn_bytes tarn_platform_stack(size_t bytes) {
    return stack_new(here, bytes);
}

/* -- setting up ---------------------------------------------------------------------------------
 */

struct tarn_machine *tarn_machine_new(struct tarn_sim *sim,
                                      const struct tarn_machine_config *config) {
    struct tarn_machine *m = calloc(1, sizeof *m);
    TARN_ASSERT(m);
    m->sim = sim;
    m->config = *config;
    m->status = -1;
    m->wall_ns = config->wall_ns ? config->wall_ns : WALL_START_NS;
    tarn_sim_random(sim, &m->entropy);
    return m;
}

void tarn_machine_free(struct tarn_machine *m) {
    tarn_machine_stop(m);
    free(m->cmdline);
    free(m->console);
    free(m);
}

static struct device *device_add(struct tarn_machine *m, const char *name) {
    struct device *d = &TARN_AT(m->devices, m->device_count);
    TARN_ASSERT(strlen(name) < sizeof d->name);
    m->device_count++;
    strcpy(d->name, name);
    return d;
}

struct tarn_netif *tarn_machine_attach_net(struct tarn_machine *m, const char *name,
                                           struct tarn_sim_link *link) {
    struct device *d = device_add(m, name);
    d->netif = tarn_sim_attach(link, NULL, NULL);
    return d->netif;
}

void tarn_machine_attach_blk(struct tarn_machine *m, const char *name, struct tarn_sim_disk *disk) {
    device_add(m, name)->disk = disk;
}

bool tarn_machine_is_on(const struct tarn_machine *m) {
    return m->on;
}

int tarn_machine_status(const struct tarn_machine *m) {
    return m->status;
}

struct tarn_span tarn_machine_console(const struct tarn_machine *m) {
    return tarn_span_of(m->console, m->console_len);
}

void tarn_machine_wall_step(struct tarn_machine *m, int64_t ns) {
    m->wall_ns += (uint64_t)ns;
}
