/* SPDX-License-Identifier: ISC */
#include "filter.h"
#include "tender.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define ARG_LOW(i) (uint32_t)(offsetof(struct seccomp_data, args) + 8 * (i))
#define ARG_HIGH(i) (ARG_LOW(i) + 4)

static void emit(struct filter *f, uint16_t op, uint32_t k, uint8_t yes, uint8_t no) {
    if (f->len == BPF_MAXINSNS)
        die("too many devices for one filter");
    f->code[f->len++] = (struct sock_filter){op, yes, no, k};
}

void filter_begin(struct filter *f) {
    /* A call by the rules of another architecture (int 0x80) has other numbers. The x32 numbers
     * have a bit set that none here has. */
    emit(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
}

void filter_call_begin(struct filter *f, uint32_t nr) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, nr, 1, 0);
    f->call_jump = f->len;
    emit(f, BPF_JMP | BPF_JA, 0, 0, 0);
}

/* What matched no way of the call is a signal, and the end. */
void filter_call_end(struct filter *f) {
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
    f->code[f->call_jump].k = (uint32_t)(f->len - f->call_jump - 1);
}

static void fail_unless(struct filter *f, uint16_t op, uint32_t k) {
    f->fail[f->fail_count++] = f->len;
    emit(f, BPF_JMP | op | BPF_K, k, 0, 0);
}

void filter_way_end(struct filter *f) {
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    for (uint16_t i = 0; i < f->fail_count; i++) {
        struct sock_filter *jump = &f->code[f->fail[i]];
        uint8_t distance = (uint8_t)(f->len - f->fail[i] - 1);
        /* A test for "greater" fails where it holds, the others where they do not. */
        if (BPF_OP(jump->code) == BPF_JGT)
            jump->jt = distance;
        else
            jump->jf = distance;
    }
    f->fail_count = 0;
}

void filter_arg_equals(struct filter *f, unsigned arg, uint64_t value) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_HIGH(arg), 0, 0);
    fail_unless(f, BPF_JEQ, (uint32_t)(value >> 32));
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_LOW(arg), 0, 0);
    fail_unless(f, BPF_JEQ, (uint32_t)value);
}

/* Unsigned, so a negative offset is more than any. */
void filter_arg_at_most(struct filter *f, unsigned arg, uint64_t max) {
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_HIGH(arg), 0, 0);
    fail_unless(f, BPF_JGT, (uint32_t)(max >> 32));
    emit(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(max >> 32), 0, 2);
    emit(f, BPF_LD | BPF_W | BPF_ABS, ARG_LOW(arg), 0, 0);
    fail_unless(f, BPF_JGT, (uint32_t)max);
}

void filter_allow_fd(struct filter *f, int fd) {
    filter_arg_equals(f, 0, (uint64_t)fd);
    filter_way_end(f);
}

void filter_allow_call_fd(struct filter *f, uint32_t nr, int fd) {
    filter_call_begin(f, nr);
    filter_allow_fd(f, fd);
    filter_call_end(f);
}

void filter_allow_call(struct filter *f, uint32_t nr) {
    filter_call_begin(f, nr);
    filter_way_end(f);
    filter_call_end(f);
}

void filter_allow_clocks(struct filter *f) {
    filter_call_begin(f, SYS_clock_gettime);
    filter_arg_equals(f, 0, CLOCK_MONOTONIC);
    filter_way_end(f);
    filter_arg_equals(f, 0, CLOCK_REALTIME);
    filter_way_end(f);
    filter_call_end(f);
}

bool filter_install(struct filter *f) {
    emit(f, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
    struct sock_fprog program = {.len = f->len, .filter = f->code};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}
