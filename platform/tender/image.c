/* SPDX-License-Identifier: ISC */
#include "image.h"
#include <elf.h>

/* -- the file's header ---------------------------------------------------------------------------
 */

struct headers {
    uint64_t entry, offset;
    uint16_t count;
};

static const char *read_elf_header(struct image_source *source, struct headers *out) {
    uint8_t bytes[sizeof(Elf64_Ehdr)];
    if (!source->read(source, 0, TARN_BYTES_ARRAY(bytes)))
        return "not an ELF executable (too short)";
    struct tarn_span s = TARN_SPAN_ARRAY(bytes), ident;
    uint16_t type, machine, header_bytes, entry_bytes;
    uint32_t version;
    bool whole = tarn_span_take(&s, EI_NIDENT, &ident) && tarn_span_u16le(&s, &type)
                 && tarn_span_u16le(&s, &machine) && tarn_span_u32le(&s, &version)
                 && tarn_span_u64le(&s, &out->entry) && tarn_span_u64le(&s, &out->offset)
                 && tarn_span_skip(&s, 8 + 4) /* sections, flags */
                 && tarn_span_u16le(&s, &header_bytes) && tarn_span_u16le(&s, &entry_bytes)
                 && tarn_span_u16le(&s, &out->count);
    TARN_ASSERT(whole);
    if (!tarn_span_starts(ident, TARN_SPAN_LIT(ELFMAG)))
        return "not an ELF executable";
    if (tarn_span_at(ident, EI_CLASS) != ELFCLASS64 || tarn_span_at(ident, EI_DATA) != ELFDATA2LSB
        || machine != EM_X86_64)
        return "not for x86-64";
    if (tarn_span_at(ident, EI_VERSION) != EV_CURRENT || version != EV_CURRENT
        || header_bytes != sizeof(Elf64_Ehdr) || entry_bytes != sizeof(Elf64_Phdr))
        return "an ELF file of an unknown version";
    if (type != ET_EXEC)
        return "not a Solo5 image: an executable at fixed addresses (ET_EXEC) is wanted";
    if (out->count == 0 || out->count > IMAGE_HEADERS_MAX)
        return "no program headers, or too many";
    return NULL;
}

/* -- segments ------------------------------------------------------------------------------------
 */

struct program_header {
    uint32_t type, flags;
    uint64_t offset, addr, file_bytes, mem_bytes, align;
};

static struct program_header next_header(struct tarn_span *s) {
    struct program_header h;
    uint64_t paddr;
    bool whole = tarn_span_u32le(s, &h.type) && tarn_span_u32le(s, &h.flags)
                 && tarn_span_u64le(s, &h.offset) && tarn_span_u64le(s, &h.addr)
                 && tarn_span_u64le(s, &paddr) && tarn_span_u64le(s, &h.file_bytes)
                 && tarn_span_u64le(s, &h.mem_bytes) && tarn_span_u64le(s, &h.align);
    TARN_ASSERT(whole);
    return h;
}

/* Addresses stay below this, so that no sum here can wrap. */
#define ADDR_MAX ((uint64_t)1 << 46)

static const char *add_segment(struct image *image, const struct program_header *h) {
    if (h->mem_bytes == 0 && h->file_bytes == 0)
        return NULL;
    if (h->file_bytes > h->mem_bytes)
        return "a segment is larger in the file than in memory";
    if (h->addr < SOLO5_IMAGE_BASE)
        return "a segment lies below 0x100000";
    if (h->addr > ADDR_MAX || h->mem_bytes > ADDR_MAX || h->offset > ADDR_MAX)
        return "a segment lies outside of any memory";
    uint64_t align = h->align > SOLO5_PAGE ? h->align : SOLO5_PAGE;
    if ((align & (align - 1)) || align > ADDR_MAX)
        return "a segment's alignment is no power of two";
    struct image_segment seg = {
        .offset = h->offset,
        .file_bytes = h->file_bytes,
        .addr = h->addr,
        .mem_bytes = h->mem_bytes,
        .page_first = h->addr & ~(align - 1),
        .page_end = (h->addr + h->mem_bytes + align - 1) & ~(align - 1),
        .readable = h->flags & PF_R,
        .writable = h->flags & PF_W,
        .executable = h->flags & PF_X,
    };
    if (seg.page_first < SOLO5_IMAGE_BASE)
        return "a segment lies below 0x100000";
    if (seg.page_first < image->end)
        return "segments overlap, or are not in ascending order";
    if (seg.writable && seg.executable)
        return "a segment is both writable and executable";
    TARN_AT(image->segment, image->segment_count) = seg;
    image->segment_count++;
    image->end = seg.page_end;
    return NULL;
}

static const char *check_entry(const struct image *image) {
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *seg = &TARN_AT(image->segment, i);
        if (seg->executable && image->entry >= seg->addr
            && image->entry - seg->addr < seg->file_bytes)
            return NULL;
    }
    return "the entry point is not in an executable segment";
}

/* -- notes ---------------------------------------------------------------------------------------
 */

#define NOTE_HEADER_BYTES 20u /* sizes, type, and a name of up to 8 bytes */
#define NOTE_BYTES_MAX (NOTE_HEADER_BYTES + 4u + SOLO5_MANIFEST_BYTES(SOLO5_ENTRIES_MAX))

struct notes {
    const struct image_target *wanted;
    bool abi, manifest;
};

static bool name_ends(struct tarn_span name) {
    for (size_t i = 0; i < name.len; i++)
        if (tarn_span_at(name, i) == 0)
            return true;
    return false;
}

const char *image_read_manifest(struct tarn_span desc, struct solo5_manifest *out) {
    if (!tarn_span_u32le(&desc, &out->version) || !tarn_span_u32le(&desc, &out->entries))
        return "its manifest is too short";
    if (out->version != SOLO5_MANIFEST_VERSION)
        return "its manifest has an unknown version";
    if (out->entries < 1 || out->entries > SOLO5_ENTRIES_MAX
        || desc.len != out->entries * sizeof(struct solo5_entry))
        return "its manifest's size is wrong";
    for (uint32_t i = 0; i < out->entries; i++) {
        struct solo5_entry *e = &TARN_AT(out->entry, i);
        if (!tarn_span_copy(&desc, e, sizeof *e))
            return "its manifest is too short";
        if (!name_ends(TARN_SPAN_ARRAY(e->name)))
            return "a device's name in its manifest does not end";
        if ((i == 0) != (e->type == SOLO5_ENTRY_FIRST) || (i == 0) != (e->name[0] == 0))
            return "its manifest does not begin as it should";
        if (e->attached)
            return "its manifest says that a device is attached already";
        /* What only the tender fills in. */
        tarn_bytes_fill(tarn_bytes_of(&e->u, sizeof e->u), 0);
        e->host.whole = 0;
    }
    return NULL;
}

static const char *read_abi(struct tarn_span desc, const struct image_target *wanted) {
    uint32_t target, version;
    if (!tarn_span_u32le(&desc, &target) || !tarn_span_u32le(&desc, &version))
        return "its ABI note is too short";
    if (target != (uint32_t)wanted->target)
        return "an image for another Solo5 target";
    if (version != SOLO5_ABI_VERSION)
        return "its version of the ABI is not 2, the only one known";
    return NULL;
}

static const char *read_wish(struct tarn_span desc, struct image *image) {
    uint32_t version, features;
    if (image->asks || !tarn_span_u32le(&desc, &version) || !tarn_span_u32le(&desc, &features))
        return "its note for Tarn is malformed";
    image->asks = version == 1;
    image->wishes = version == 1 ? features : 0;
    return NULL;
}

static bool is_named(struct tarn_span note_name, uint32_t name_bytes, const char *name, size_t n) {
    return name_bytes == n && tarn_span_equal(tarn_span_first(note_name, n), tarn_span_of(name, n));
}

/* One note stands in a PT_NOTE segment, as linkers make them of one section; others are ignored. */
static const char *add_note(struct image_source *source, struct image *image, struct notes *notes,
                            const struct program_header *h) {
    uint8_t bytes[NOTE_BYTES_MAX];
    struct tarn_bytes mem = tarn_bytes_first(TARN_BYTES_ARRAY(bytes), h->file_bytes);
    struct tarn_span s = tarn_bytes_span(mem), name;
    uint32_t name_bytes, desc_bytes, type;
    if (h->file_bytes < NOTE_HEADER_BYTES)
        return NULL;
    if (!source->read(source, h->offset, mem))
        return "a note lies outside of the file";
    if (!tarn_span_u32le(&s, &name_bytes) || !tarn_span_u32le(&s, &desc_bytes)
        || !tarn_span_u32le(&s, &type) || !tarn_span_take(&s, 8, &name))
        return NULL;
    bool solo5 = is_named(name, name_bytes, SOLO5_NOTE_NAME, sizeof SOLO5_NOTE_NAME);
    bool tarn = is_named(name, name_bytes, SOLO5_NOTE_TARN_NAME, sizeof SOLO5_NOTE_TARN_NAME);
    if (!solo5 && !tarn)
        return NULL;
    if (desc_bytes > s.len)
        return "a note's size is wrong";
    struct tarn_span desc = tarn_span_first(s, desc_bytes);
    if (tarn)
        return type == notes->wanted->wish_note ? read_wish(desc, image) : NULL;
    if (type == SOLO5_NOTE_ABI) {
        if (notes->abi)
            return "two ABI notes";
        notes->abi = true;
        return read_abi(desc, notes->wanted);
    }
    if (type == SOLO5_NOTE_MANIFEST) {
        if (notes->manifest)
            return "two manifests";
        notes->manifest = true;
        return tarn_span_skip(&desc, 4) ? image_read_manifest(desc, &image->manifest)
                                        : "its manifest is too short";
    }
    return NULL;
}

/* -- all of it -----------------------------------------------------------------------------------
 */

const char *image_read(struct image_source *source, const struct image_target *target,
                       struct image *image) {
    struct headers headers;
    struct notes notes = {.wanted = target};
    uint8_t table[IMAGE_HEADERS_MAX * sizeof(Elf64_Phdr)];
    *image = (struct image){0};
    const char *wrong = read_elf_header(source, &headers);
    if (wrong)
        return wrong;
    struct tarn_bytes mem =
        tarn_bytes_first(TARN_BYTES_ARRAY(table), headers.count * sizeof(Elf64_Phdr));
    if (headers.offset > ADDR_MAX || !source->read(source, headers.offset, mem))
        return "the program headers lie outside of the file";
    struct tarn_span s = tarn_bytes_span(mem);
    for (uint16_t i = 0; i < headers.count && !wrong; i++) {
        struct program_header h = next_header(&s);
        if (h.type == PT_LOAD)
            wrong = add_segment(image, &h);
        else if (h.type == PT_NOTE)
            wrong = add_note(source, image, &notes, &h);
        else if (h.type == PT_DYNAMIC)
            wrong = "dynamically linked";
    }
    if (wrong)
        return wrong;
    if (!notes.abi)
        return "not a Solo5 image (it has no ABI note)";
    if (!notes.manifest)
        return "not a Solo5 image (it has no manifest)";
    image->entry = headers.entry;
    return check_entry(image);
}

void image_move(struct image *image, uint64_t slide) {
    image->slide += slide;
    image->entry += slide;
    image->end += slide;
    for (uint32_t i = 0; i < image->segment_count; i++) {
        struct image_segment *seg = &TARN_AT(image->segment, i);
        seg->addr += slide;
        seg->page_first += slide;
        seg->page_end += slide;
    }
}

const char *image_load(struct image_source *source, const struct image *image,
                       struct tarn_bytes memory, uint64_t base) {
    if (image->end > base + (uint64_t)memory.len)
        return "it does not fit into memory: give more with --mem=MB";
    for (uint32_t i = 0; i < image->segment_count; i++) {
        const struct image_segment *seg = &TARN_AT(image->segment, i);
        struct tarn_bytes to = tarn_bytes_after(memory, seg->addr - base);
        if (!seg->readable && !seg->writable && !seg->executable)
            continue; /* a guard: nobody will ever see what is in it */
        if (!source->read(source, seg->offset, tarn_bytes_first(to, seg->file_bytes)))
            return "a segment lies outside of the file";
    }
    return NULL;
}
