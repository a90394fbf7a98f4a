/* SPDX-License-Identifier: ISC */
#include "hvt.h"

#include <sys/ioctl.h>
#include <unistd.h>

/* Behind what the program itself has said. */
static void say(struct tarn_writer *w) {
    struct tarn_span s = tarn_writer_span(w);
    while (s.len) {
        ssize_t n = write(STDOUT_FILENO, s.ptr, s.len);
        if (n <= 0)
            break;
        s = tarn_span_after(s, (size_t)n);
    }
    w->len = 0;
}

void crash_report(const struct hvt *h, const char *cause, bool with_place) {
    uint8_t text[2048];
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    struct report report = {.image = &h->t.image,
                            .memory = tarn_bytes_span(h->memory),
                            .reads_all_code = true,
                            .say = say};
    struct kvm_regs r = {0};
    tarn_writer_str(&w, "\ntarn-hvt: the program crashed: ");
    tarn_writer_str(&w, cause);
    if (with_place) {
        tarn_writer_str(&w, " (0x");
        tarn_writer_hex(&w, h->calls.wrong_at, 1);
        if (h->calls.wrong_len) {
            tarn_writer_str(&w, ", ");
            tarn_writer_dec(&w, h->calls.wrong_len);
            tarn_writer_str(&w, " bytes");
        }
        tarn_writer_str(&w, ")");
    }
    tarn_writer_str(&w, "\n");
    say(&w);
    if (ioctl(h->vcpufd, KVM_GET_REGS, &r) != 0)
        return;
    const uint64_t reg[REPORT_REGISTERS] = {
        r.rip, r.rsp, r.rbp, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi,
        r.r8,  r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15,
    };
    report_registers(&report, &w, reg);
    report_trace(&report, &w, r.rip, r.rsp);
}
