/* SPDX-License-Identifier: ISC */
/* gdb's remote protocol, as much as one processor needs: registers, memory, breakpoints in software
 * and in hardware, watchpoints, single steps; `monitor count ADDRESS` steps to an address and says
 * how many instructions that was, `monitor registers` shows the control registers. */
#include "hvt.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET_BYTES 8192u
#define BREAKPOINTS_MAX 64u
#define WATCHES_MAX 4u
#define FPU_BYTES (8u * 10 + 8 * 4 + 16 * 16 + 4)

enum { STOP_INT = 2, STOP_TRAP = 5 };

struct breakpoint {
    uint64_t addr;
    uint8_t saved;
};
struct watch {
    uint64_t addr;
    uint8_t kind, bytes; /* as DR7 has them; bytes 0: free */
};

static struct breakpoint breakpoints[BREAKPOINTS_MAX];
static size_t breakpoint_count;
static struct watch watches[WATCHES_MAX];
static volatile sig_atomic_t interrupted;

/* -- the connection -------------------------------------------------------------------------------
 */

static void on_input(int sig) {
    (void)sig;
    interrupted = 1;
}

static int listen_at(const char *where) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    bool is_path = strchr(where, '/') != NULL;
    char *end = NULL;
    long port = is_path ? 0 : strtol(where, &end, 10);
    int one = 1, fd = socket(is_path ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (!is_path && (*where == 0 || *end != 0 || port < 1 || port > 65535))
        die("--gdb=%s: a port or a socket's path is wanted", where);
    if (is_path && strlen(where) >= sizeof un.sun_path)
        die("--gdb=%s: the path is too long", where);
    strncpy(un.sun_path, where, sizeof un.sun_path - 1);
    in.sin_port = htons((uint16_t)port);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0
        || bind(fd, is_path ? (struct sockaddr *)&un : (struct sockaddr *)&in,
                is_path ? sizeof un : sizeof in)
               != 0
        || listen(fd, 1) != 0)
        die("cannot listen at %s: %s", where, strerror(errno));
    return fd;
}

void gdb_open(struct hvt *h) {
    if (!h->gdb)
        return;
    int listening = listen_at(h->gdb);
    fprintf(stderr, "tarn-hvt: waiting for gdb: target remote %s%s\n",
            strchr(h->gdb, '/') ? "" : ":", h->gdb);
    h->gdb_fd = accept(listening, NULL, NULL);
    if (h->gdb_fd < 0)
        die("no debugger: %s", strerror(errno));
    close(listening);
    struct sigaction action = {.sa_handler = on_input};
    sigaction(SIGIO, &action, NULL);
    if (fcntl(h->gdb_fd, F_SETOWN, getpid()) != 0 || fcntl(h->gdb_fd, F_SETFL, O_ASYNC) != 0)
        die("cannot watch the debugger's connection: %s", strerror(errno));
    h->t.kept[h->t.kept_count++] = h->gdb_fd;
}

static bool read_byte(const struct hvt *h, uint8_t *out) {
    ssize_t n;
    do {
        n = read(h->gdb_fd, out, 1);
    } while (n < 0 && errno == EINTR);
    return n == 1;
}

static void send_all(const struct hvt *h, struct tarn_span s) {
    while (s.len) {
        ssize_t n = write(h->gdb_fd, s.ptr, s.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        s = tarn_span_after(s, (size_t)n);
    }
}

static void reply(const struct hvt *h, struct tarn_span body) {
    uint8_t sum = 0, text[PACKET_BYTES + 8];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    for (size_t i = 0; i < body.len; i++)
        sum = (uint8_t)(sum + tarn_span_at(body, i));
    tarn_writer_u8(&w, '$');
    tarn_writer_span_put(&w, body);
    tarn_writer_u8(&w, '#');
    tarn_writer_hex(&w, sum, 2);
    send_all(h, tarn_writer_span(&w));
}

static void reply_str(const struct hvt *h, const char *text) {
    reply(h, tarn_span_str(text));
}

/* The next packet's body; false: the debugger has gone. */
static bool receive(const struct hvt *h, struct tarn_bytes room, struct tarn_span *out) {
    struct tarn_writer w = tarn_writer_over(room);
    uint8_t c, check[2];
    do {
        if (!read_byte(h, &c))
            return false;
    } while (c != '$');
    while (read_byte(h, &c) && c != '#')
        tarn_writer_u8(&w, c);
    if (!read_byte(h, &check[0]) || !read_byte(h, &check[1]))
        return false;
    send_all(h, TARN_SPAN_LIT("+"));
    *out = tarn_writer_span(&w);
    return true;
}

/* -- numbers --------------------------------------------------------------------------------------
 */

static int digit(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* A number, and the one byte that ends it. */
static uint64_t take_hex(struct tarn_span *s) {
    uint64_t v = 0;
    uint8_t c;
    while (tarn_span_u8(s, &c) && digit(c) >= 0)
        v = v << 4 | (uint64_t)digit(c);
    return v;
}

static bool take_byte(struct tarn_span *s, uint8_t *out) {
    uint8_t high, low;
    if (!tarn_span_u8(s, &high) || !tarn_span_u8(s, &low) || digit(high) < 0 || digit(low) < 0)
        return false;
    *out = (uint8_t)(digit(high) << 4 | digit(low));
    return true;
}

static void put_number(struct tarn_writer *w, uint64_t v, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++)
        tarn_writer_hex(w, v >> 8 * i & 0xff, 2);
}

/* -- registers and memory -------------------------------------------------------------------------
 */

#define GENERAL 16u
#define NUMBERED 24u /* rip, eflags, and six segments behind them */

static uint64_t *general(struct kvm_regs *r, size_t i) {
    uint64_t *const order[GENERAL] = {
        (uint64_t *)&r->rax, (uint64_t *)&r->rbx, (uint64_t *)&r->rcx, (uint64_t *)&r->rdx,
        (uint64_t *)&r->rsi, (uint64_t *)&r->rdi, (uint64_t *)&r->rbp, (uint64_t *)&r->rsp,
        (uint64_t *)&r->r8,  (uint64_t *)&r->r9,  (uint64_t *)&r->r10, (uint64_t *)&r->r11,
        (uint64_t *)&r->r12, (uint64_t *)&r->r13, (uint64_t *)&r->r14, (uint64_t *)&r->r15,
    };
    return TARN_AT(order, i);
}

static void put_registers(const struct hvt *h, struct tarn_writer *w) {
    struct kvm_regs r = {0};
    struct kvm_sregs s = {0};
    ioctl(h->vcpufd, KVM_GET_REGS, &r);
    ioctl(h->vcpufd, KVM_GET_SREGS, &s);
    const uint16_t segments[] = {s.cs.selector, s.ss.selector, s.ds.selector,
                                 s.es.selector, s.fs.selector, s.gs.selector};
    for (size_t i = 0; i < GENERAL; i++)
        put_number(w, *general(&r, i), 8);
    put_number(w, r.rip, 8);
    put_number(w, r.rflags, 4);
    for (size_t i = 0; i < TARN_COUNT_OF(segments); i++)
        put_number(w, TARN_AT(segments, i), 4);
    for (size_t i = 0; i < FPU_BYTES; i++)
        tarn_writer_str(w, "xx");
}

static bool set_registers(const struct hvt *h, struct tarn_span s) {
    struct kvm_regs r;
    if (ioctl(h->vcpufd, KVM_GET_REGS, &r) != 0)
        return false;
    for (size_t i = 0; i <= GENERAL; i++) {
        uint64_t v = 0;
        for (unsigned b = 0; b < 8; b++) {
            uint8_t byte;
            if (!take_byte(&s, &byte))
                return false;
            v |= (uint64_t)byte << 8 * b;
        }
        if (i < GENERAL)
            *general(&r, i) = v;
        else
            r.rip = v;
    }
    return ioctl(h->vcpufd, KVM_SET_REGS, &r) == 0;
}

static bool memory(const struct hvt *h, uint64_t addr, uint64_t len, struct tarn_bytes *out) {
    struct tarn_span s;
    if (len == 0 || len > PACKET_BYTES / 2 || !hvt_readable(&h->calls, addr, len - 1, &s))
        return false;
    *out = tarn_bytes_first(tarn_bytes_after(h->memory, addr), len);
    return true;
}

static void read_memory(const struct hvt *h, struct tarn_span s, struct tarn_writer *w) {
    uint64_t addr = take_hex(&s), len = take_hex(&s);
    struct tarn_bytes m;
    if (!memory(h, addr, len, &m)) {
        tarn_writer_str(w, "E0e");
        return;
    }
    for (size_t i = 0; i < m.len; i++)
        tarn_writer_hex(w, *tarn_bytes_at(m, i), 2);
}

static bool write_memory(const struct hvt *h, struct tarn_span s) {
    uint64_t addr = take_hex(&s), len = take_hex(&s);
    struct tarn_bytes m;
    if (!memory(h, addr, len, &m))
        return false;
    for (size_t i = 0; i < m.len; i++)
        if (!take_byte(&s, tarn_bytes_at(m, i)))
            return false;
    return true;
}

/* -- breakpoints ----------------------------------------------------------------------------------
 */

static bool debug(const struct hvt *h, bool step) {
    struct kvm_guest_debug d = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP};
    if (step)
        d.control |= KVM_GUESTDBG_SINGLESTEP;
    d.arch.debugreg[7] = 0;
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        static const uint8_t code[9] = {[1] = 0, [2] = 1, [4] = 3, [8] = 2};
        const struct watch *v = &TARN_AT(watches, i);
        if (!v->bytes)
            continue;
        d.control |= KVM_GUESTDBG_USE_HW_BP;
        d.arch.debugreg[i] = v->addr;
        d.arch.debugreg[7] |= 2ull << (2 * i);
        d.arch.debugreg[7] |= (uint64_t)(v->kind | TARN_AT(code, v->bytes) << 2) << (16 + 4 * i);
    }
    if (d.control & KVM_GUESTDBG_USE_HW_BP)
        d.arch.debugreg[7] |= 0x600;
    return ioctl(h->vcpufd, KVM_SET_GUEST_DEBUG, &d) == 0;
}

static bool set_software(const struct hvt *h, uint64_t addr, bool on) {
    struct tarn_bytes m;
    if (!memory(h, addr, 1, &m))
        return false;
    for (size_t i = 0; i < breakpoint_count; i++) {
        struct breakpoint *b = &TARN_AT(breakpoints, i);
        if (b->addr != addr)
            continue;
        if (!on) {
            *m.ptr = b->saved;
            *b = TARN_AT(breakpoints, breakpoint_count - 1);
            breakpoint_count--;
        }
        return true;
    }
    if (!on)
        return true;
    if (breakpoint_count == BREAKPOINTS_MAX)
        return false;
    TARN_AT(breakpoints, breakpoint_count) = (struct breakpoint){addr, *m.ptr};
    breakpoint_count++;
    *m.ptr = 0xcc;
    return true;
}

static bool set_hardware(uint64_t addr, uint8_t kind, uint64_t bytes, bool on) {
    struct watch *found = NULL;
    if (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8)
        return false;
    for (unsigned i = 0; i < WATCHES_MAX; i++) {
        struct watch *v = &TARN_AT(watches, i);
        if (on ? !v->bytes : v->bytes == bytes && v->addr == addr && v->kind == kind)
            found = v;
    }
    if (found)
        *found = on ? (struct watch){addr, kind, (uint8_t)bytes} : (struct watch){0};
    return found || !on;
}

/* Z or z: TYPE,ADDRESS,BYTES */
static bool set_breakpoint(const struct hvt *h, struct tarn_span s, bool on) {
    static const uint8_t kinds[] = {[1] = 0, [2] = 1, [3] = 3, [4] = 3};
    uint64_t type = take_hex(&s), addr = take_hex(&s), bytes = take_hex(&s);
    if (type == 0)
        return set_software(h, addr, on);
    return type <= 4 && set_hardware(addr, TARN_AT(kinds, type), type == 1 ? 1 : bytes, on);
}

/* -- commands -------------------------------------------------------------------------------------
 */

static bool starts(struct tarn_span s, const char *with) {
    return tarn_span_starts(s, tarn_span_str(with));
}

static void say_count(struct hvt *h, struct tarn_span hex, struct tarn_writer *w) {
    uint64_t steps = 0, addr = take_hex(&hex);
    bool there = debug(h, true) && vm_step_to(h, addr, &steps);
    tarn_writer_str(w, there ? "" : "not reached after ");
    tarn_writer_dec(w, steps);
    tarn_writer_str(w, " instructions\n");
}

static void say_control_registers(const struct hvt *h, struct tarn_writer *w) {
    struct kvm_sregs s = {0};
    ioctl(h->vcpufd, KVM_GET_SREGS, &s);
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {{"cr0 0x", s.cr0}, {"cr2 0x", s.cr2},   {"cr3 0x", s.cr3},
                {"cr4 0x", s.cr4}, {"efer 0x", s.efer}, {"fs 0x", s.fs.base}};
    for (size_t i = 0; i < TARN_COUNT_OF(regs); i++) {
        tarn_writer_str(w, TARN_AT(regs, i).name);
        tarn_writer_hex(w, TARN_AT(regs, i).value, 1);
        tarn_writer_str(w, "\n");
    }
}

static void monitor(struct hvt *h, struct tarn_span hex) {
    char text[128], answer[256], body[512];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    uint8_t c;
    while (take_byte(&hex, &c))
        tarn_writer_u8(&w, c);
    struct tarn_span words = tarn_writer_span(&w);
    struct tarn_writer said = TARN_WRITER_ARRAY(answer), out = TARN_WRITER_ARRAY(body);
    if (starts(words, "count 0x"))
        say_count(h, tarn_span_after(words, 8), &said);
    else if (starts(words, "registers"))
        say_control_registers(h, &said);
    for (struct tarn_span s = tarn_writer_span(&said); tarn_span_u8(&s, &c);)
        tarn_writer_hex(&out, c, 2);
    reply(h, tarn_writer_span(&out));
}

static void query(struct hvt *h, struct tarn_span s) {
    if (starts(s, "qSupported"))
        reply_str(h, "PacketSize=1000;swbreak+;hwbreak+");
    else if (starts(s, "qAttached"))
        reply_str(h, "1");
    else if (starts(s, "qC"))
        reply_str(h, "QC1");
    else if (starts(s, "qfThreadInfo"))
        reply_str(h, "m1");
    else if (starts(s, "qsThreadInfo"))
        reply_str(h, "l");
    else if (starts(s, "qRcmd,"))
        monitor(h, tarn_span_after(s, 6));
    else
        reply_str(h, "");
}

enum next { NEXT_ASK, NEXT_RUN, NEXT_STEP, NEXT_DETACH, NEXT_KILL };

static enum next vcont(struct hvt *h, struct tarn_span s) {
    if (starts(s, "vCont?"))
        reply_str(h, "vCont;c;C;s;S");
    else if (starts(s, "vCont;c") || starts(s, "vCont;C"))
        return NEXT_RUN;
    else if (starts(s, "vCont;s") || starts(s, "vCont;S"))
        return NEXT_STEP;
    else if (starts(s, "vKill"))
        return NEXT_KILL;
    else
        reply_str(h, "");
    return NEXT_ASK;
}

static enum next command(struct hvt *h, struct tarn_span s, const char *stop) {
    static uint8_t body[PACKET_BYTES];
    struct tarn_writer w = TARN_WRITER_ARRAY(body);
    struct tarn_span whole = s;
    uint8_t c = 0;
    bool done = tarn_span_u8(&s, &c);
    switch (c) {
    case '?': tarn_writer_str(&w, stop); break;
    case 'g': put_registers(h, &w); break;
    case 'G': tarn_writer_str(&w, set_registers(h, s) ? "OK" : "E01"); break;
    case 'm': read_memory(h, s, &w); break;
    case 'M': tarn_writer_str(&w, write_memory(h, s) ? "OK" : "E0e"); break;
    case 'Z':
    case 'z': tarn_writer_str(&w, set_breakpoint(h, s, c == 'Z') ? "OK" : "E0e"); break;
    case 'H':
    case 'T': tarn_writer_str(&w, "OK"); break;
    case 'q': query(h, whole); return NEXT_ASK;
    case 'v': return vcont(h, whole);
    case 'c':
    case 'C': return NEXT_RUN;
    case 's':
    case 'S': return NEXT_STEP;
    case 'D': reply_str(h, "OK"); return NEXT_DETACH;
    case 'k': return NEXT_KILL;
    default: break;
    }
    if (done)
        reply(h, tarn_writer_span(&w));
    return NEXT_ASK;
}

static void detach(struct hvt *h) {
    struct kvm_guest_debug none = {0};
    while (breakpoint_count)
        set_software(h, breakpoints[0].addr, false);
    ioctl(h->vcpufd, KVM_SET_GUEST_DEBUG, &none);
    h->gdb_fd = -1;
}

bool gdb_at_breakpoint(const struct hvt *h) {
    struct kvm_regs r;
    if (h->gdb_fd < 0 || ioctl(h->vcpufd, KVM_GET_REGS, &r) != 0)
        return false;
    for (size_t i = 0; i < breakpoint_count; i++)
        if (TARN_AT(breakpoints, i).addr == r.rip)
            return true;
    return false;
}

static const char *why(const struct hvt *h) {
    if (gdb_at_breakpoint(h))
        return "T05swbreak:;thread:1;";
    if (h->run->exit_reason != KVM_EXIT_DEBUG || interrupted)
        return interrupted ? "T02thread:1;" : "T05thread:1;";
    return h->run->debug.arch.exception == 3 ? "T05swbreak:;thread:1;" : "T05thread:1;";
}

void gdb_stopped(struct hvt *h) {
    static uint8_t room[PACKET_BYTES];
    static bool asked;
    struct tarn_span packet;
    const char *stop = why(h);
    interrupted = 0;
    if (asked)
        reply_str(h, stop);
    asked = true;
    for (;;) {
        enum next next =
            receive(h, TARN_BYTES_ARRAY(room), &packet) ? command(h, packet, stop) : NEXT_DETACH;
        interrupted = 0; /* those were the packets themselves */
        if (next == NEXT_KILL)
            syscall(SYS_exit_group, 137);
        if (next == NEXT_DETACH)
            detach(h);
        else if (next != NEXT_ASK && !debug(h, next == NEXT_STEP))
            die("this machine's KVM has no support for debuggers");
        if (next != NEXT_ASK)
            return;
    }
}

/* Anything that gdb sends while the guest runs is its ^C, or the acknowledgement of our last word.
 */
bool gdb_interrupts(const struct hvt *h) {
    uint8_t c;
    if (h->gdb_fd < 0 || !interrupted)
        return false;
    interrupted = 0;
    while (recv(h->gdb_fd, &c, 1, MSG_DONTWAIT) == 1)
        if (c == 3)
            interrupted = 1;
    return interrupted;
}

void gdb_exited(struct hvt *h, int status) {
    char text[16];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (h->gdb_fd < 0)
        return;
    tarn_writer_str(&w, "W");
    tarn_writer_hex(&w, (uint64_t)(status & 0xff), 2);
    reply(h, tarn_writer_span(&w));
}
