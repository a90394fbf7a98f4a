/* SPDX-License-Identifier: ISC */
/* The reader of images: a sound one is accepted, and each way of being unsound is refused for its
 * own reason. Every case starts from the sound image and breaks one thing. */
#include "../../platform/spt/abi.h"
#include <criterion/criterion.h>
#include <elf.h>
#include <image.h>
#include <string.h>

static const struct image_target spt = {SOLO5_TARGET_SPT, SPT_NOTE_TARN};

struct note_abi {
    Elf64_Nhdr header;
    char name[8];
    struct solo5_note_abi abi;
};
struct note_manifest {
    Elf64_Nhdr header;
    char name[8];
    uint32_t padding;
    struct {
        uint32_t version, entries;
        struct solo5_entry entry[3];
    } __attribute__((packed)) manifest;
};
struct note_wish {
    Elf64_Nhdr header;
    char name[8];
    struct solo5_wish wish;
};

enum { PH_ABI, PH_MANIFEST, PH_WISH, PH_TEXT, PH_DATA, PH_GUARD, PH_COUNT };

struct file {
    Elf64_Ehdr elf;
    Elf64_Phdr ph[PH_COUNT];
    struct note_abi abi;
    struct note_manifest manifest;
    struct note_wish wish;
    uint8_t text[64], data[32];
};

struct memory_source {
    struct image_source source;
    struct tarn_span bytes;
};

static bool memory_read(struct image_source *source, uint64_t offset, struct tarn_bytes out) {
    const struct memory_source *m = TARN_CONTAINER_OF(source, struct memory_source, source);
    struct tarn_span piece;
    if (offset > SIZE_MAX || !tarn_span_sub(m->bytes, (size_t)offset, out.len, &piece))
        return false;
    tarn_bytes_copy(out, piece);
    return true;
}

static Elf64_Phdr segment(uint32_t type, uint32_t flags, size_t offset, uint64_t addr, size_t bytes,
                          size_t mem_bytes) {
    return (Elf64_Phdr){.p_type = type,
                        .p_flags = flags,
                        .p_offset = offset,
                        .p_vaddr = addr,
                        .p_filesz = bytes,
                        .p_memsz = mem_bytes,
                        .p_align = SPT_PAGE};
}

#define NOTE(member, of, t)                                                                        \
    file->member.header = (Elf64_Nhdr){sizeof of, sizeof file->member - 20, t};                    \
    memcpy(file->member.name, of, sizeof of)

static void make(struct file *file) {
    memset(file, 0, sizeof *file);
    memcpy(file->elf.e_ident, ELFMAG, SELFMAG);
    file->elf.e_ident[EI_CLASS] = ELFCLASS64;
    file->elf.e_ident[EI_DATA] = ELFDATA2LSB;
    file->elf.e_ident[EI_VERSION] = EV_CURRENT;
    file->elf.e_type = ET_EXEC;
    file->elf.e_machine = EM_X86_64;
    file->elf.e_version = EV_CURRENT;
    file->elf.e_entry = 0x100010;
    file->elf.e_phoff = offsetof(struct file, ph);
    file->elf.e_ehsize = sizeof file->elf;
    file->elf.e_phentsize = sizeof file->ph[0];
    file->elf.e_phnum = PH_COUNT;
    NOTE(abi, SOLO5_NOTE_NAME, SOLO5_NOTE_ABI);
    file->abi.abi = (struct solo5_note_abi){.target = 2, .version = 2};
    NOTE(manifest, SOLO5_NOTE_NAME, SOLO5_NOTE_MANIFEST);
    file->manifest.manifest.version = 1;
    file->manifest.manifest.entries = 3;
    file->manifest.manifest.entry[0].type = SOLO5_ENTRY_FIRST;
    file->manifest.manifest.entry[1] =
        (struct solo5_entry){.name = "service", .type = SOLO5_ENTRY_NET};
    file->manifest.manifest.entry[2] =
        (struct solo5_entry){.name = "storage", .type = SOLO5_ENTRY_BLK};
    NOTE(wish, SOLO5_NOTE_TARN_NAME, SPT_NOTE_TARN);
    file->wish.wish = (struct solo5_wish){1, SPT_FEATURE_ENTROPY | SPT_FEATURE_FLUSH};
    for (size_t i = 0; i < sizeof file->text; i++)
        file->text[i] = (uint8_t)(i + 1);
    memset(file->data, 0xdd, sizeof file->data);
    file->ph[PH_ABI] = segment(PT_NOTE, PF_R, offsetof(struct file, abi), 0, sizeof file->abi, 0);
    file->ph[PH_MANIFEST] =
        segment(PT_NOTE, PF_R, offsetof(struct file, manifest), 0, sizeof file->manifest, 0);
    file->ph[PH_WISH] =
        segment(PT_NOTE, PF_R, offsetof(struct file, wish), 0, sizeof file->wish, 0);
    file->ph[PH_TEXT] = segment(PT_LOAD, PF_R | PF_X, offsetof(struct file, text), 0x100000,
                                sizeof file->text, sizeof file->text);
    file->ph[PH_DATA] = segment(PT_LOAD, PF_R | PF_W, offsetof(struct file, data), 0x101020,
                                sizeof file->data, 0x1800);
    file->ph[PH_GUARD] = segment(PT_LOAD, 0, offsetof(struct file, data), 0x105123, 1, 1);
}

static const char *read_first(const struct file *file, size_t bytes, struct image *image) {
    struct memory_source source = {{memory_read}, tarn_span_of(file, bytes)};
    return image_read(&source.source, &spt, image);
}

Test(spt_image, a_sound_image_is_read) {
    struct file file;
    struct image image;
    make(&file);
    cr_assert_null(read_first(&file, sizeof file, &image));
    cr_assert_eq(image.entry, 0x100010);
    cr_assert_eq(image.segment_count, 3);
    cr_assert_eq(image.end, 0x106000);
    cr_assert(image.asks);
    cr_assert_eq(image.wishes, SPT_FEATURE_ENTROPY | SPT_FEATURE_FLUSH);
    cr_assert_eq(image.manifest.entries, 3);
    cr_assert_str_eq(image.manifest.entry[1].name, "service");
    const struct image_segment *data = &image.segment[1], *guard = &image.segment[2];
    cr_assert_eq(data->page_first, 0x101000);
    cr_assert_eq(data->page_end, 0x103000);
    cr_assert(data->readable && data->writable && !data->executable);
    cr_assert_eq(guard->page_first, 0x105000);
    cr_assert_eq(guard->page_end, 0x106000);
    cr_assert(!guard->readable && !guard->writable && !guard->executable);
}

Test(spt_image, segments_go_to_their_addresses_and_nowhere_else) {
    struct file file;
    struct image image;
    make(&file);
    struct memory_source source = {{memory_read}, tarn_span_of(&file, sizeof file)};
    static uint8_t memory[0x106000 - SPT_MEM_BASE];
    cr_assert_null(image_read(&source.source, &spt, &image));
    cr_assert_null(image_load(&source.source, &image, TARN_BYTES_ARRAY(memory), SPT_MEM_BASE));
    const uint8_t *text = memory + 0x100000 - SPT_MEM_BASE;
    const uint8_t *data = memory + 0x101020 - SPT_MEM_BASE;
    cr_assert_arr_eq(text, file.text, sizeof file.text);
    cr_assert_arr_eq(data, file.data, sizeof file.data);
    cr_assert_eq(text[sizeof file.text], 0);
    cr_assert_eq(data[-1], 0);
    cr_assert_eq(data[sizeof file.data], 0);
}

Test(spt_image, memory_a_page_too_small_is_said) {
    struct file file;
    struct image image;
    make(&file);
    struct memory_source source = {{memory_read}, tarn_span_of(&file, sizeof file)};
    static uint8_t memory[0x105000 - SPT_MEM_BASE];
    cr_assert_null(image_read(&source.source, &spt, &image));
    cr_assert_not_null(strstr(
        image_load(&source.source, &image, TARN_BYTES_ARRAY(memory), SPT_MEM_BASE), "--mem"));
}

Test(spt_image, every_truncation_is_refused) {
    struct file file;
    struct image image;
    make(&file);
    for (size_t bytes = 0; bytes < offsetof(struct file, text); bytes++)
        cr_assert_not_null(read_first(&file, bytes, &image), "%zu bytes", bytes);
    /* Headers and notes are whole from here on: what is missing is a segment's bytes. */
    static uint8_t memory[0x106000 - SPT_MEM_BASE];
    for (size_t bytes = offsetof(struct file, text); bytes < sizeof file; bytes++) {
        struct memory_source source = {{memory_read}, tarn_span_of(&file, bytes)};
        cr_assert_null(image_read(&source.source, &spt, &image));
        cr_assert_not_null(
            image_load(&source.source, &image, TARN_BYTES_ARRAY(memory), SPT_MEM_BASE));
    }
}

Test(spt_image, images_without_a_wish_are_plain) {
    struct file file;
    struct image image;
    make(&file);
    file.ph[PH_WISH].p_type = PT_NULL;
    cr_assert_null(read_first(&file, sizeof file, &image));
    cr_assert(!image.asks);
    cr_assert_eq(image.wishes, 0);
    make(&file);
    file.wish.wish.version = 2; /* a later one may mean anything */
    cr_assert_null(read_first(&file, sizeof file, &image));
    cr_assert_eq(image.wishes, 0);
}

Test(spt_image, segments_of_nothing_are_ignored) {
    struct file file;
    struct image image;
    make(&file);
    file.ph[PH_GUARD].p_vaddr = 0;
    file.ph[PH_GUARD].p_filesz = file.ph[PH_GUARD].p_memsz = 0;
    cr_assert_null(read_first(&file, sizeof file, &image));
    cr_assert_eq(image.segment_count, 2);
}

#define REFUSED(test, text, change)                                                                \
    Test(spt_image, refuses_##test) {                                                              \
        struct file file;                                                                          \
        struct image image;                                                                        \
        make(&file);                                                                               \
        Elf64_Phdr *ph = file.ph;                                                                  \
        (void)ph;                                                                                  \
        change;                                                                                    \
        const char *wrong = read_first(&file, sizeof file, &image);                                \
        cr_assert_not_null(wrong);                                                                 \
        cr_assert(strstr(wrong, text), "%s", wrong);                                               \
    }

REFUSED(another_magic, "not an ELF", file.elf.e_ident[1] = 'e')
REFUSED(elf32, "x86-64", file.elf.e_ident[EI_CLASS] = ELFCLASS32)
REFUSED(big_endian, "x86-64", file.elf.e_ident[EI_DATA] = ELFDATA2MSB)
REFUSED(another_machine, "x86-64", file.elf.e_machine = EM_AARCH64)
REFUSED(another_elf_version, "version", file.elf.e_version = 2)
REFUSED(another_ident_version, "version", file.elf.e_ident[EI_VERSION] = 0)
REFUSED(another_header_size, "version", file.elf.e_ehsize = 63)
REFUSED(another_entry_size, "version", file.elf.e_phentsize = 32)
REFUSED(position_independence, "ET_EXEC", file.elf.e_type = ET_DYN)
REFUSED(objects, "ET_EXEC", file.elf.e_type = ET_REL)
REFUSED(no_program_headers, "program headers", file.elf.e_phnum = 0)
REFUSED(too_many_program_headers, "program headers", file.elf.e_phnum = 0xffff)
REFUSED(program_headers_behind_the_file, "outside", file.elf.e_phoff = sizeof file)
REFUSED(program_headers_far_away, "outside", file.elf.e_phoff = UINT64_MAX - 8)
REFUSED(a_dynamic_section, "dynamically", ph[PH_GUARD].p_type = PT_DYNAMIC)
REFUSED(more_in_the_file_than_in_memory, "larger", ph[PH_TEXT].p_filesz++)
REFUSED(a_low_segment, "below", ph[PH_TEXT].p_vaddr = 0xff000)
REFUSED(a_segment_at_zero, "below", ph[PH_TEXT].p_vaddr = 0)
REFUSED(alignment_that_reaches_down, "below", ph[PH_TEXT].p_align = 0x200000)
REFUSED(a_far_segment, "outside", ph[PH_GUARD].p_vaddr = UINT64_MAX - 16)
REFUSED(a_segment_that_wraps, "outside", ph[PH_DATA].p_memsz = UINT64_MAX - 0x101000)
REFUSED(a_far_offset, "outside", ph[PH_DATA].p_offset = UINT64_MAX)
REFUSED(an_odd_alignment, "power of two", ph[PH_DATA].p_align = 0x3000)
REFUSED(an_enormous_alignment, "power of two", ph[PH_DATA].p_align = (uint64_t)1 << 63)
REFUSED(descending_segments, "ascending", ph[PH_GUARD].p_vaddr = 0x100000)
REFUSED(overlapping_segments, "overlap", ph[PH_TEXT].p_memsz = 0x1021)
REFUSED(segments_in_one_page, "overlap", ph[PH_DATA].p_vaddr = 0x100800)
REFUSED(writable_code, "both", ph[PH_TEXT].p_flags |= PF_W)
REFUSED(executable_data, "both", ph[PH_DATA].p_flags |= PF_X)
REFUSED(an_entry_at_zero, "entry", file.elf.e_entry = 0)
REFUSED(an_entry_in_data, "entry", file.elf.e_entry = 0x101020)
REFUSED(an_entry_behind_the_code, "entry", file.elf.e_entry = 0x100000 + sizeof file.text)
REFUSED(an_entry_outside, "entry", file.elf.e_entry = UINT64_MAX)
REFUSED(no_abi, "ABI note", ph[PH_ABI].p_type = PT_NULL)
REFUSED(an_abi_of_somebody_else, "ABI note", file.abi.name[0] = 's')
REFUSED(two_abis, "two ABI", ph[PH_WISH] = ph[PH_ABI])
REFUSED(another_target, "target", file.abi.abi.target = 1)
REFUSED(another_abi_version, "not 2", file.abi.abi.version = 3)
REFUSED(a_short_abi, "too short", file.abi.header.n_descsz = 4)
REFUSED(a_long_abi, "size", file.abi.header.n_descsz = 17)
REFUSED(an_enormous_note, "size", file.abi.header.n_descsz = UINT32_MAX)
REFUSED(a_note_behind_the_file, "outside", ph[PH_ABI].p_offset = sizeof file - 20)
REFUSED(no_manifest, "no manifest", ph[PH_MANIFEST].p_type = PT_NULL)
REFUSED(two_manifests, "two manifests", ph[PH_WISH] = ph[PH_MANIFEST])
REFUSED(two_wishes, "for Tarn", ph[PH_GUARD] = ph[PH_WISH])
REFUSED(a_short_manifest, "too short", file.manifest.header.n_descsz = 2)
REFUSED(another_manifest_version, "unknown version", file.manifest.manifest.version = 2)
REFUSED(an_empty_manifest, "size", file.manifest.manifest.entries = 0)
REFUSED(a_manifest_larger_than_its_note, "size", file.manifest.manifest.entries = 4)
REFUSED(a_manifest_smaller_than_its_note, "size", file.manifest.manifest.entries = 2)
REFUSED(a_manifest_of_too_many, "size", file.manifest.manifest.entries = 65)
REFUSED(a_manifest_of_countless, "size", file.manifest.manifest.entries = UINT32_MAX)
REFUSED(a_manifest_without_its_first, "begin",
        file.manifest.manifest.entry[0].type = SOLO5_ENTRY_NET)
REFUSED(a_first_with_a_name, "begin", file.manifest.manifest.entry[0].name[0] = 'x')
REFUSED(a_second_first, "begin", file.manifest.manifest.entry[1].type = SOLO5_ENTRY_FIRST)
REFUSED(a_device_without_a_name, "begin", file.manifest.manifest.entry[1].name[0] = 0)
REFUSED(an_endless_name, "does not end", memset(file.manifest.manifest.entry[2].name, 'a', 68))
REFUSED(an_attached_device, "attached", file.manifest.manifest.entry[1].attached = 1)

Test(spt_image, what_only_the_tender_fills_in_is_cleared) {
    struct file file;
    struct image image;
    make(&file);
    file.manifest.manifest.entry[2].host.whole = 7;
    file.manifest.manifest.entry[2].u.blk.capacity = UINT64_MAX;
    cr_assert_null(read_first(&file, sizeof file, &image));
    cr_assert_eq(image.manifest.entry[2].host.whole, 0);
    cr_assert_eq(image.manifest.entry[2].u.blk.capacity, 0);
}
