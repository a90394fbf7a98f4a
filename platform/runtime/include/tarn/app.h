/* SPDX-License-Identifier: ISC */
/* tarn/app.h: what a program sees: its manifest, its environment, waiting, and the libraries below.
 *
 * A program is one function, tarn_main, run as a fiber: code that reads top-down and waits where it
 * has to, while the loop goes on. The same source becomes a Unix process, a sandboxed process and a
 * virtual machine.
 */
#ifndef TARN_APP_H
#define TARN_APP_H

#include <tarn/base.h>
#include <tarn/blk.h>
#include <tarn/flow.h>
#include <tarn/kv.h>
#include <tarn/netif.h>
#include <tarn/wait.h>

struct tarn_env;

/* The program. Its result is the exit status. */
int tarn_main(struct tarn_env *env);

/* -- the manifest -------------------------------------------------------------------------------
 */

/* Devices, at file scope: TARN_NET(service); TARN_BLK(storage); the operator attaches each by name.
 */
enum tarn_device_type { TARN_DEVICE_BLK = 1, TARN_DEVICE_NET = 2 };

/* One entry of the Solo5 application manifest (104 bytes, version 1): the linker script of a
 * freestanding target makes the MFT1 note of them. */
struct tarn_device {
    char name[68];
    uint32_t type;
    uint64_t union0[2]; /* filled by the tender: block size and capacity, or MAC address and MTU */
    uint64_t union1;
    uint8_t attached;
    uint8_t padding[7];
};
_Static_assert(sizeof(struct tarn_device) == 104, "the size that the ABI fixes");

#define TARN_NET(id) TARN_DEVICE_(id, TARN_DEVICE_NET)
#define TARN_BLK(id) TARN_DEVICE_(id, TARN_DEVICE_BLK)
#define TARN_DEVICE_(id, t)                                                                        \
    __attribute__((section("tarn_devices"), used, aligned(8))) static struct tarn_device id = {    \
        .name = #id, .type = (t)}

/* Keys, at file scope: TARN_KEY_U16(port, 8080, "TCP port to listen on"); then --port=80 on the
 * command line, and tarn_key_u64(env, &port) in the program. --help lists them with their text. A
 * TARN_KEY's text is documentation for the operator: say the unit. */
enum tarn_key_type {
    TARN_KEY_TYPE_U64,
    TARN_KEY_TYPE_BOOL,
    TARN_KEY_TYPE_STR,
    TARN_KEY_TYPE_CHOICE,
    TARN_KEY_TYPE_PREFIX,
    TARN_KEY_TYPE_ADDR,
};
struct tarn_key {
    const char *name, *text,
        *fallback; /* the default, written as on the command line; NULL: none */
    enum tarn_key_type type;
    uint64_t max;        /* U64: the greatest value allowed */
    const char *choices; /* CHOICE: the values allowed, "error|warn" */
};
#define TARN_KEY_U16(id, fallback, text)                                                           \
    TARN_KEY_(id, #id, #fallback, text, TARN_KEY_TYPE_U64, 65535)
#define TARN_KEY_U32(id, fallback, text)                                                           \
    TARN_KEY_(id, #id, #fallback, text, TARN_KEY_TYPE_U64, UINT32_MAX)
#define TARN_KEY_BOOL(id, text) TARN_KEY_(id, #id, NULL, text, TARN_KEY_TYPE_BOOL, 0)
#define TARN_KEY_STR(id, fallback, text) TARN_KEY_(id, #id, fallback, text, TARN_KEY_TYPE_STR, 0)
/* One of a few words, tarn_key_str: TARN_KEY_CHOICE(level, "low", "low|high", "how much"). */
#define TARN_KEY_CHOICE(id, fallback, all, text)                                                   \
    TARN_KEY_(id, #id, fallback, text, TARN_KEY_TYPE_CHOICE, 0, .choices = (all))
/* An address with its network, "10.0.0.2/24", and an address alone; no defaults. */
#define TARN_KEY_PREFIX(id, text) TARN_KEY_(id, #id, NULL, text, TARN_KEY_TYPE_PREFIX, 0)
#define TARN_KEY_ADDR(id, text) TARN_KEY_(id, #id, NULL, text, TARN_KEY_TYPE_ADDR, 0)
#define TARN_KEY_(id, n, f, t, ty, ...)                                                            \
    __attribute__((section("tarn_keys"), used, aligned(8))) static const struct tarn_key id = {    \
        .name = (n), .text = (t), .fallback = (f), .type = (ty), .max = __VA_ARGS__}
/* In a key's name '_' is written '-' on the command line: ipv4_gateway is --ipv4-gateway. */

uint64_t tarn_key_u64(struct tarn_env *env, const struct tarn_key *key);
bool tarn_key_bool(struct tarn_env *env, const struct tarn_key *key);
/* The text given, or the default; empty where there is neither. */
struct tarn_span tarn_key_str(struct tarn_env *env, const struct tarn_key *key);
/* Whether the operator gave it (or it has a default). */
bool tarn_key_given(struct tarn_env *env, const struct tarn_key *key);
/* False where it was not given; what does not parse was refused before tarn_main. */
bool tarn_key_prefix(struct tarn_env *env, const struct tarn_key *key, struct tarn_ip_prefix *out);
bool tarn_key_addr(struct tarn_env *env, const struct tarn_key *key, struct tarn_ip_addr *out);

/* -- the environment ----------------------------------------------------------------------------
 */

tarn_time tarn_now(struct tarn_env *env);
uint64_t tarn_wall_ns(struct tarn_env *env);
/* Console text, as it is. */
void tarn_puts(struct tarn_env *env, const char *text);
void tarn_put(struct tarn_env *env, struct tarn_span text);
/* Text made of pieces: build it with a tarn_writer and tarn_put it. */

struct tarn_alloc *tarn_env_alloc(struct tarn_env *env);
/* Bytes that nobody has taken yet: for a program that makes its tables as large as its machine. */
size_t tarn_env_memory_left(struct tarn_env *env);
/* Ends the program where the platform has no entropy, with a message. */
struct tarn_random *tarn_env_random(struct tarn_env *env);
struct tarn_log *tarn_env_log(struct tarn_env *env);
struct tarn_clock *tarn_env_clock(struct tarn_env *env);
struct tarn_tasks *tarn_env_tasks(struct tarn_env *env);
struct tarn_pkt_pool *tarn_env_pkts(struct tarn_env *env); /* made at the first call */

/* The network of a device: Tarn's own layers configured from --ipv4 and --ipv4-gateway, or the
 * host's sockets, as chosen at build. On failure the console has said what is wrong; pass the error
 * on. */
TARN_MUST_USE enum tarn_err tarn_env_net(struct tarn_env *env, const struct tarn_device *device,
                                         struct tarn_net **out);
/* The device itself, for programs that are made of layers of their own (a router, a bridge). Its
 * `device` is the bit in a poller's `ready`. Not beside tarn_env_net for the same device. */
TARN_MUST_USE enum tarn_err tarn_env_netif(struct tarn_env *env, const struct tarn_device *device,
                                           struct tarn_netif **out);
TARN_MUST_USE enum tarn_err tarn_env_blk(struct tarn_env *env, const struct tarn_device *device,
                                         struct tarn_blk **out);

/* -- waiting, in fibers -------------------------------------------------------------------------
 */

void tarn_sleep(struct tarn_env *env, tarn_time duration);
void tarn_sleep_until(struct tarn_env *env, tarn_time deadline);
/* The waiter of the running fiber (tarn/wait.h). */
struct tarn_waiter *tarn_env_waiter(struct tarn_env *env);
/* Waits forever: for a main that only sets a server up. */
_Noreturn void tarn_run_forever(struct tarn_env *env);
/* Starts another fiber. TARN_LIMIT: no stack for it. */
TARN_MUST_USE enum tarn_err tarn_fiber_start(struct tarn_env *env,
                                             void (*run)(struct tarn_env *, void *), void *arg,
                                             size_t stack_bytes);

/* -- for what is driven by the loop -------------------------------------------------------------
 */

/* A source of work: a network stack, a driver. One round of the loop is: every poll (take in what
 * the devices have: `ready` is the platform's set, only in the first round after a wait), then the
 * tasks, then the fibers, then every flush (timers, and send). Rounds follow each other while there
 * are tasks, fibers or deadlines that have come; then the loop waits for the earliest deadline. A
 * poller that has left something in its device answers 0 there. Each of the three may be NULL. */
struct tarn_poller {
    struct tarn_poller *next;
    void (*poll)(struct tarn_poller *p, tarn_time now, uint64_t ready);
    void (*flush)(struct tarn_poller *p, tarn_time now);
    tarn_time (*deadline)(struct tarn_poller *p);
};
void tarn_env_add_poller(struct tarn_env *env, struct tarn_poller *poller);

#endif
