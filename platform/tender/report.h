/* SPDX-License-Identifier: ISC */
/* report.h: the text of a crash: registers, and return addresses found on the stack. Calls nothing
 * but lib/base, so that it works inside a sandbox and after a crash. */
#ifndef TARN_TENDER_REPORT_H
#define TARN_TENDER_REPORT_H

#include "image.h"
#include <tarn/writer.h>

struct report {
    const struct image *image;
    struct tarn_span memory; /* the program's; of what its segments allow nobody to read, nothing is
                                looked at */
    uint64_t base;           /* the address of its first byte */
    bool reads_all_code; /* also segments that can only be executed: here they are plain memory */
    void (*say)(struct tarn_writer *w); /* prints what was written, and empties it */
};

enum report_register {
    REPORT_RIP,
    REPORT_RSP,
    REPORT_RBP,
    REPORT_RAX,
    REPORT_RBX,
    REPORT_RCX,
    REPORT_RDX,
    REPORT_RSI,
    REPORT_RDI,
    REPORT_R8,
    REPORT_REGISTERS = REPORT_R8 + 8,
};

const struct image_segment *report_segment(const struct report *r, uint64_t addr);
/* Whether `bytes` bytes of code are there. */
bool report_is_code(const struct report *r, uint64_t addr, uint64_t bytes);
uint8_t report_byte(const struct report *r, uint64_t addr); /* 0 where there is none */
void report_registers(const struct report *r, struct tarn_writer *w,
                      const uint64_t reg[REPORT_REGISTERS]);
void report_trace(const struct report *r, struct tarn_writer *w, uint64_t rip, uint64_t rsp);

#endif
