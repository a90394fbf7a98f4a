/* SPDX-License-Identifier: ISC */
/* vhd.h: the two structures at the ends of an image. All numbers are big-endian. */
#ifndef TARN_BLK_VHD_INTERNAL_H
#define TARN_BLK_VHD_INTERNAL_H

#include <tarn/blk_vhd.h>
#include <tarn/writer.h>

#include "internal.h"

#define VHD_SECTOR 512u
#define VHD_HEADER_BYTES 1024u
#define VHD_BLOCK_BYTES (2u << 20)
#define VHD_UNUSED UINT32_MAX
#define VHD_BLOCK_BYTES_MIN 4096u
#define VHD_BLOCK_BYTES_MAX (256u << 20)
#define VHD_BYTES_MAX (2040ull << 30)

enum vhd_type { VHD_FIXED = 2, VHD_DYNAMIC = 3, VHD_DIFFERENCING = 4 };

struct vhd_footer {
    uint64_t header_at, bytes;
    uint32_t type;
};
struct vhd_header {
    uint64_t table_at;
    uint32_t entries, block_bytes;
};

/* False: none of this kind, or damaged. */
bool vhd_footer_parse(struct tarn_span sector, struct vhd_footer *f);
void vhd_footer_put(struct tarn_bytes sector, const struct tarn_blk_vhd_format *format);
bool vhd_header_parse(struct tarn_span sectors, struct vhd_header *h);
void vhd_header_put(struct tarn_bytes sectors, const struct vhd_header *h);

#endif
