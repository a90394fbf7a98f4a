/* SPDX-License-Identifier: ISC */
/* The first serial line (16550). It is never waited for long: one that is not there takes
 * everything, one that is stuck loses what is left. */
#include "guest.h"
#include <cpu.h>

enum { COM1 = 0x3f8, IER = 1, FCR = 2, LCR = 3, MCR = 4, LSR = 5 };
enum { LSR_EMPTY = 0x20 };
#define FIFO_BYTES 16u
#define POLLS_MAX 100000u

static void begin(void) {
    static bool begun;
    if (begun)
        return;
    begun = true;
    out8(COM1 + IER, 0);
    out8(COM1 + LCR, 0x80); /* 115,200 baud, 8 bits, no parity */
    out8(COM1 + 0, 1);
    out8(COM1 + 1, 0);
    out8(COM1 + LCR, 3);
    out8(COM1 + FCR, 7); /* with its queues, emptied */
    out8(COM1 + MCR, 3);
}

/* Asked once for each time that the queue is filled, since every question leaves the machine. */
static bool has_room(void) {
    for (unsigned i = 0; i < POLLS_MAX; i++)
        if (in8(COM1 + LSR) & LSR_EMPTY)
            return true;
    return false;
}

void tarn_platform_console(struct tarn_span text) {
    if (guest.xen && guest_xen_console(text))
        return;
    begin();
    while (text.len && has_room()) {
        struct tarn_span some = tarn_span_first(text, FIFO_BYTES);
        uint8_t byte;
        text = tarn_span_after(text, FIFO_BYTES);
        while (tarn_span_u8(&some, &byte))
            out8(COM1, byte);
    }
}

void guest_die(const char *what) {
    tarn_platform_console(TARN_SPAN_LIT("tarn: "));
    tarn_platform_console(tarn_span_str(what));
    tarn_platform_console(TARN_SPAN_LIT("\n"));
    guest_power_off(71); /* sysexits' EX_OSERR */
}
