/* SPDX-License-Identifier: ISC */
/* image.h: reads a Solo5 image: an ELF64 executable with Solo5's notes. Every byte is hostile.
 *
 * Knows nothing of processes: it reads from a source and writes into a buffer that stands for the
 * guest's memory, so a fuzzer and a test drive it alone. What it accepts:
 *  - ELF64, little-endian, x86-64, ET_EXEC, at most IMAGE_HEADERS_MAX program headers;
 *  - PT_LOAD segments in ascending order, none below SOLO5_IMAGE_BASE, none sharing a page with the
 * one before, none both writable and executable, none larger in the file than in memory;
 *  - an entry point inside an executable segment's bytes from the file;
 *  - one ABI1 note for this target and version, one MFT1 note with a sound manifest, at most one
 * note of Tarn's own. A segment of no bytes is ignored, as upstream does. Sections are never looked
 * at.
 */
#ifndef TARN_TENDER_IMAGE_H
#define TARN_TENDER_IMAGE_H

#include "../solo5.h"
#include <tarn/span.h>

#define IMAGE_HEADERS_MAX 128u

/* Where an image's bytes come from: all of `out` from `offset`, or false. */
struct image_source {
    bool (*read)(struct image_source *source, uint64_t offset, struct tarn_bytes out);
};

struct image_segment {
    uint64_t offset, file_bytes;
    uint64_t addr, mem_bytes;
    uint64_t page_first, page_end; /* the pages that get its rights */
    bool readable, writable, executable;
};

struct image {
    uint64_t entry;
    uint64_t end; /* behind the last page of any segment */
    struct image_segment segment[IMAGE_HEADERS_MAX];
    uint32_t segment_count;
    struct solo5_manifest manifest;
    uint32_t wishes; /* the target's features; 0 also where there is no note of Tarn's */
    bool asks;       /* there is such a note */
    uint64_t slide;  /* how far behind the file's addresses those above are */
};

/* What it has to be an image for. */
struct image_target {
    enum solo5_target target;
    uint32_t wish_note; /* the type of Tarn's note there */
};

/* NULL: the image is sound. Otherwise what is wrong with it, to stand behind "IMAGE: ". */
const char *image_read(struct image_source *source, const struct image_target *target,
                       struct image *image);

/* Has it loaded `slide` bytes (whole pages) further behind. */
void image_move(struct image *image, uint64_t slide);

/* Copies the segments to where they belong: `memory` stands for the addresses from `base` on
 * and is zeroed. The rights of pages are the caller's to set. */
const char *image_load(struct image_source *source, const struct image *image,
                       struct tarn_bytes memory, uint64_t base);

/* The manifest alone: whether the note's descriptor, less its padding, is one. */
const char *image_read_manifest(struct tarn_span desc, struct solo5_manifest *out);

#endif
