/* SPDX-License-Identifier: ISC */
/* What is said when the program dies: why, the registers, and the addresses of who called whom. */
#include "cpu.h"
#include "machine.h"

#define TRACE_WORDS_MAX 32768u
#define TRACE_FRAMES_MAX 24u

static uint8_t byte_at(uint64_t addr) {
    return *(const volatile uint8_t *)(uintptr_t)addr;
}

static bool is_code(uint64_t addr, uint64_t bytes) {
    return guest_mmu_page(addr) == PAGE_CODE && guest_mmu_page(addr + bytes - 1) == PAGE_CODE;
}

static void say(struct tarn_writer *w) {
    tarn_platform_console(tarn_writer_span(w));
    w->len = 0;
}

static void say_access(struct tarn_writer *w, const struct guest_frame *f, uint64_t addr) {
    enum guest_page page = guest_mmu_page(addr);
    tarn_writer_str(w, f->error & 16 ? "execution of " : f->error & 2 ? "write to " : "read of ");
    tarn_writer_str(w, "address 0x");
    tarn_writer_hex(w, addr, 1);
    if (page == PAGE_NULL)
        tarn_writer_str(w, " (a null pointer)");
    else if (page == PAGE_GUARD)
        tarn_writer_str(w, " (a guard page: stack overflow)");
    else if (page == PAGE_BETWEEN)
        tarn_writer_str(w, " (a guard page between pools: a buffer overflowed)");
    else if ((f->error & 2) && page != PAGE_NONE)
        tarn_writer_str(w, " (read-only)");
    else if (page == PAGE_NONE)
        tarn_writer_str(w, " (outside of its memory)");
}

static void say_cause(struct tarn_writer *w, const struct guest_frame *f, uint64_t addr) {
    switch (f->vector) {
    case 0: tarn_writer_str(w, "division by zero, or a quotient too large"); break;
    case 3: tarn_writer_str(w, "a breakpoint"); break;
    case 6:
        tarn_writer_str(w,
                        is_code(f->rip, 2) && byte_at(f->rip) == 0x0f && byte_at(f->rip + 1) == 0x0b
                            ? "a check failed (trap)"
                            : "an instruction that this processor does not have");
        break;
    case 13:
        tarn_writer_str(w, "an address that cannot be, or what the processor does not allow");
        break;
    case 14: say_access(w, f, addr); break;
    default: tarn_writer_str(w, "exception "); tarn_writer_dec(w, f->vector);
    }
}

static void say_registers(struct tarn_writer *w, const struct guest_frame *f) {
    const struct {
        const char *name;
        uint64_t value;
    } regs[] = {{"rip", f->rip}, {"rsp", f->rsp},   {"rbp", f->rbp}, {"rax", f->rax},
                {"rbx", f->rbx}, {"rcx", f->rcx},   {"rdx", f->rdx}, {"rsi", f->rsi},
                {"rdi", f->rdi}, {"r8 ", f->r8},    {"r9 ", f->r9},  {"r10", f->r10},
                {"r11", f->r11}, {"r12", f->r12},   {"r13", f->r13}, {"r14", f->r14},
                {"r15", f->r15}, {"flg", f->rflags}};
    for (size_t i = 0; i < TARN_COUNT_OF(regs); i++) {
        tarn_writer_str(w, "  ");
        tarn_writer_str(w, regs[i].name);
        tarn_writer_str(w, " ");
        tarn_writer_hex(w, regs[i].value, 16);
        if (i % 3 == 2)
            tarn_writer_str(w, "\n");
    }
}

/* Whether the instruction in front of `addr` is a call: direct, or through a register or memory. */
static bool follows_call(uint64_t addr) {
    if (!is_code(addr - 7, 8))
        return false;
    if (byte_at(addr - 5) == 0xe8)
        return true;
    for (unsigned n = 2; n <= 7; n++)
        if (byte_at(addr - n) == 0xff && (byte_at(addr - n + 1) & 0x38) == 0x10)
            return true;
    return false;
}

/* Frame pointers are not kept, so every word on the stack that could be a return address is named:
 * some may be left over from calls that have returned. */
static void say_trace(struct tarn_writer *w, const struct guest_frame *f) {
    /* An image that has moved itself names addresses as its file has them. */
    uint64_t moved = (uintptr_t)tarn_image - IMAGE_BASE, last = 0;
    unsigned frames = 1;
    if (moved) {
        tarn_writer_str(w, "  moved by 0x");
        tarn_writer_hex(w, moved, 1);
        tarn_writer_str(w, ", before which it was:\n");
    }
    tarn_writer_str(w, "  trace  0x");
    tarn_writer_hex(w, f->rip - moved, 1);
    uint64_t at = (f->rsp + 7) & ~7ull;
    if (guest_mmu_page(at) == PAGE_GUARD) /* what had been pushed is behind it */
        at = (at | (PAGE - 1)) + 1;
    for (unsigned i = 0; i < TRACE_WORDS_MAX && frames < TRACE_FRAMES_MAX; i++, at += 8) {
        if (i > 0 && at % PAGE != 0 ? false : guest_mmu_page(at) != PAGE_WRITE)
            break;
        uint64_t word = *(const volatile uint64_t *)(uintptr_t)at;
        if (word == last || !follows_call(word))
            continue; /* recursion is named once */
        last = word;
        tarn_writer_str(w, " 0x");
        tarn_writer_hex(w, word - moved, 1);
        frames++;
    }
    tarn_writer_str(w, "\n  ./tarn addr2line IMAGE ADDRESS... names them\n");
}

void guest_crash(const struct guest_frame *frame, uint64_t addr) {
    static bool crashed;
    uint8_t text[768];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (crashed)
        guest_crashed(frame, addr);
    crashed = true;
    tarn_writer_str(&w, "tarn: the program crashed: ");
    say_cause(&w, frame, addr);
    tarn_writer_str(&w, "\n");
    say(&w);
    say_registers(&w, frame);
    say(&w);
    say_trace(&w, frame);
    say(&w);
    guest_crashed(frame, addr);
}
