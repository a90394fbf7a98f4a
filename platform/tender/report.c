/* SPDX-License-Identifier: ISC */
#include "report.h"

#define TRACE_WORDS_MAX 32768u
#define TRACE_FRAMES_MAX 24u

const struct image_segment *report_segment(const struct report *r, uint64_t addr) {
    for (uint32_t i = 0; i < r->image->segment_count; i++) {
        const struct image_segment *seg = &r->image->segment[i];
        if (addr >= seg->page_first && addr < seg->page_end)
            return seg;
    }
    return NULL;
}

bool report_is_code(const struct report *r, uint64_t addr, uint64_t bytes) {
    const struct image_segment *seg = report_segment(r, addr);
    return seg && seg->executable && (seg->readable || r->reads_all_code)
           && bytes <= seg->page_end - addr;
}

static bool bytes_at(const struct report *r, uint64_t addr, size_t n, struct tarn_span *out) {
    return addr >= r->base && tarn_span_sub(r->memory, addr - r->base, n, out);
}

uint8_t report_byte(const struct report *r, uint64_t addr) {
    struct tarn_span s;
    return bytes_at(r, addr, 1, &s) ? tarn_span_at(s, 0) : 0;
}

static bool word_at(const struct report *r, uint64_t addr, uint64_t *out) {
    struct tarn_span s;
    return bytes_at(r, addr, sizeof *out, &s) && tarn_span_u64le(&s, out);
}

/* Whether the instruction in front of `addr` is a call: direct, or through a register or memory. */
static bool follows_call(const struct report *r, uint64_t addr) {
    if (!report_is_code(r, addr - 7, 8))
        return false;
    if (report_byte(r, addr - 5) == 0xe8)
        return true;
    for (unsigned n = 2; n <= 7; n++)
        if (report_byte(r, addr - n) == 0xff && (report_byte(r, addr - n + 1) & 0x38) == 0x10)
            return true;
    return false;
}

static bool is_forbidden(const struct image_segment *seg) {
    return !seg->readable && !seg->writable && !seg->executable;
}

/* Frame pointers are not kept, so every word on the stack that could be a return address is named:
 * some may be left over from calls that have returned. */
void report_trace(const struct report *r, struct tarn_writer *w, uint64_t rip, uint64_t rsp) {
    const struct image_segment *seg = report_segment(r, rsp);
    uint64_t top = r->base + r->memory.len, last = 0, word;
    unsigned frames = 0;
    /* After an overflow, what had been pushed is behind the guard. */
    if (seg && is_forbidden(seg))
        rsp = seg->page_end;
    for (uint32_t i = 0; i < r->image->segment_count; i++)
        if (is_forbidden(&r->image->segment[i]) && r->image->segment[i].page_first >= rsp)
            top = TARN_MIN(top, r->image->segment[i].page_first);
    uint64_t slide = r->image->slide;
    if (slide) {
        tarn_writer_str(w, "  moved by 0x");
        tarn_writer_hex(w, slide, 1);
        tarn_writer_str(w, ", before which it was:\n");
    }
    tarn_writer_str(w, "  trace  0x");
    tarn_writer_hex(w, rip - slide, 1);
    if (rsp >= SOLO5_IMAGE_BASE && rsp % 8 == 0) {
        for (unsigned i = 0; i < TRACE_WORDS_MAX && frames < TRACE_FRAMES_MAX; i++, rsp += 8) {
            if (rsp >= top || !word_at(r, rsp, &word))
                break;
            if (word == last || !follows_call(r, word))
                continue; /* recursion is named once */
            last = word;
            tarn_writer_str(w, ++frames % 6 ? " 0x" : "\n         0x");
            tarn_writer_hex(w, word - slide, 1);
        }
    }
    tarn_writer_str(w, "\n  (addr2line -e IMAGE says which lines these are)\n");
    r->say(w);
}

void report_registers(const struct report *r, struct tarn_writer *w,
                      const uint64_t reg[REPORT_REGISTERS]) {
    static const char names[REPORT_REGISTERS][4] = {
        "rip", "rsp", "rbp", "rax", "rbx", "rcx", "rdx", "rsi", "rdi",
        "r8 ", "r9 ", "r10", "r11", "r12", "r13", "r14", "r15",
    };
    for (size_t i = 0; i < REPORT_REGISTERS; i++) {
        tarn_writer_str(w, i % 4 == 0 ? "  " : " ");
        tarn_writer_str(w, names[i]);
        tarn_writer_str(w, " ");
        tarn_writer_hex(w, reg[i], 16);
        if (i % 4 == 3 || i + 1 == REPORT_REGISTERS)
            tarn_writer_str(w, "\n");
    }
    r->say(w);
}
