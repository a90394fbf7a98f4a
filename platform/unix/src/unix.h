/* SPDX-License-Identifier: ISC */
/* unix.h: what the files of this platform share. There is one program in a process, so the state is
 * in file-scope variables, each in the file that its topic is. */
#ifndef TARN_UNIX_H
#define TARN_UNIX_H

#include <stdint.h>
#include <sys/types.h>

#include "platform.h"
#include "runtime.h"

/* options.c: --net:NAME=VALUE and its kin, as given. The values live as long as the process. */
#define UNIX_ATTACH_MAX 64
struct unix_attach {
    const char *name; /* NUL-terminated; the device's */
    const char *value;
};
struct unix_options {
    struct unix_attach net[UNIX_ATTACH_MAX], net_mac[UNIX_ATTACH_MAX], block[UNIX_ATTACH_MAX];
    size_t net_count, net_mac_count, block_count;
    uint64_t mem_bytes; /* 0: not given */
    const char *pcap;   /* NULL: not given */
};
extern struct unix_options unix_options;
/* Takes `arg` where it is an option of this platform; false: it is the program's. Ends the process
 * where it is wrong. */
bool unix_take_option(const struct tarn_program *program, const char *arg);
/* The value given for a device, or NULL. */
const char *unix_attached(const struct unix_attach *list, size_t count, const char *name);

/* console.c: one line for the operator on standard error, "tarn: " in front. */
void unix_say(const char *format, ...) TARN_PRINTF(1, 2);

/* wait.c: what the loop waits for. */
struct unix_watch {
    int fd;
    /* Called from the wait with epoll's events; answers the bits for the ready set. */
    uint64_t (*ready)(struct unix_watch *watch, uint32_t events);
};
/* `events` as in epoll_ctl(2). */
void unix_watch_add(struct unix_watch *watch, uint32_t events);
void unix_watch_change(struct unix_watch *watch, uint32_t events);
void unix_watch_remove(struct unix_watch *watch);
/* The next free bit of the ready set. */
uint32_t unix_device_new(void);
#define UNIX_DEVICE_NONE 63u /* the platform's own bit */

/* Called before each wait: does what it has to do, and answers when it wants to be called again; 0:
 * there is something to look at now. May set bits of the ready set. */
struct unix_before_wait {
    tarn_time (*run)(struct unix_before_wait *hook, uint64_t *ready);
    struct unix_before_wait *next;
};
void unix_before_wait_add(struct unix_before_wait *hook);

/* crash.c */
void unix_crash_init(void);
/* memory.c: whether that address is in the unmapped page below a fiber's stack. */
bool unix_is_guard_page(uintptr_t address);
/* Whether what cannot be touched at that address is a page between two pools. */
bool unix_is_heap_guard(uintptr_t address);
/* symbols.c: writes "function+offset" of a code address of this program; async-signal-safe. */
void unix_symbol_put(struct tarn_writer *w, uintptr_t address);

#endif
