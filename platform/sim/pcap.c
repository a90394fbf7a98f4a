/* SPDX-License-Identifier: ISC */
/* Captures: the classic pcap file format in its nanosecond variant (draft-ietf-opsawg-pcap), with
 * the world's time, so that two runs of one seed write equal files. */
#include "internal.h"

struct file_header {
    uint32_t magic;
    uint16_t major, minor;
    uint32_t reserved[2], snap_bytes, link_type;
};
struct record_header {
    uint32_t seconds, ns, captured, len;
};

FILE *sim_pcap_open(const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file)
        return NULL;
    struct file_header header = {0xa1b23c4d, 2, 4, {0, 0}, 262144, 1 /* Ethernet */};
    fwrite(&header, sizeof header, 1, file);
    return file;
}

void sim_pcap_write(FILE *file, tarn_time at, struct tarn_span frame) {
    struct record_header header = {(uint32_t)(at / TARN_SEC(1)), (uint32_t)(at % TARN_SEC(1)),
                                   (uint32_t)frame.len, (uint32_t)frame.len};
    fwrite(&header, sizeof header, 1, file);
    fwrite(frame.ptr, 1, frame.len, file);
    fflush(file); /* what a crash leaves behind is what one wants to see */
}
