/* SPDX-License-Identifier: ISC */
/* filter.h: an assembler for seccomp filters, of three statements: a call, a way of calling it, a
 * condition of that way. The filters are written out with it rather than made by a library, so that
 * what is allowed can be read in one place. What is allowed nowhere ends in SIGSYS.
 *
 *     filter_call_begin(f, SYS_read);
 *     filter_arg_equals(f, 0, fd);
 *     filter_way_end(f);
 *     filter_call_end(f);
 */
#ifndef TARN_TENDER_FILTER_H
#define TARN_TENDER_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

struct filter {
    struct sock_filter code[BPF_MAXINSNS];
    uint16_t len;
    uint16_t call_jump;            /* where the current call's test jumps over all its ways */
    uint16_t fail[16], fail_count; /* conditions of the current way: jump behind it */
};

void filter_begin(struct filter *f);
void filter_call_begin(struct filter *f, uint32_t nr);
void filter_arg_equals(struct filter *f, unsigned arg, uint64_t value);
void filter_arg_at_most(struct filter *f, unsigned arg, uint64_t max); /* unsigned */
void filter_way_end(struct filter *f);
void filter_call_end(struct filter *f);

/* The current call with this descriptor; a call with this descriptor alone; with any arguments. */
void filter_allow_fd(struct filter *f, int fd);
void filter_allow_call_fd(struct filter *f, uint32_t nr, int fd);
void filter_allow_call(struct filter *f, uint32_t nr);
void filter_allow_clocks(struct filter *f); /* the two that a guest asks for */

/* False: the kernel, or a filter before this one, does not let it (errno). */
bool filter_install(struct filter *f);

#endif
