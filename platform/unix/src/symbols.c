/* SPDX-License-Identifier: ISC */
/* Names for a crash report, from the program file's own symbol table: works for functions that are
 * not exported, and allocates nothing. */
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "unix.h"

extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

/* The program's file, mapped; len 0 where that fails. */
static struct tarn_span own_file(void) {
    struct stat st;
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return TARN_SPAN_EMPTY;
    void *mem = fstat(fd, &st) == 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                                    : MAP_FAILED;
    close(fd);
    return mem == MAP_FAILED ? TARN_SPAN_EMPTY : tarn_span_of(mem, (size_t)st.st_size);
}

static bool section(struct tarn_span file, const ElfW(Ehdr) * elf, size_t index, ElfW(Shdr) * out) {
    struct tarn_span headers = tarn_span_after(file, elf->e_shoff + index * sizeof *out);
    return index < elf->e_shnum && tarn_span_copy(&headers, out, sizeof *out);
}

/* The function of the symbol table that holds `offset`, and how far in. */
static bool find(struct tarn_span file, const ElfW(Shdr) * table, uintptr_t offset,
                 ElfW(Sym) * out) {
    struct tarn_span symbols;
    if (!tarn_span_sub(file, table->sh_offset, table->sh_size, &symbols))
        return false;
    while (tarn_span_copy(&symbols, out, sizeof *out))
        if (ELF64_ST_TYPE(out->st_info) == STT_FUNC && offset - out->st_value < out->st_size)
            return true;
    return false;
}

void unix_symbol_put(struct tarn_writer *w, uintptr_t address) {
    struct tarn_span file = own_file(), start = file, names, name;
    ElfW(Ehdr) elf;
    ElfW(Shdr) table, strings;
    ElfW(Sym) symbol;
    /* A position-independent program's addresses in the file count from 0. */
    uintptr_t offset = address - (uintptr_t)&__ehdr_start;
    if (!tarn_span_copy(&start, &elf, sizeof elf))
        return;
    if (elf.e_type != ET_DYN)
        offset = address;
    for (size_t i = 0; section(file, &elf, i, &table); i++) {
        if (table.sh_type != SHT_SYMTAB || !find(file, &table, offset, &symbol)
            || !section(file, &elf, table.sh_link, &strings)
            || !tarn_span_sub(file, strings.sh_offset, strings.sh_size, &names))
            continue;
        names = tarn_span_after(names, symbol.st_name);
        tarn_span_split(&names, '\0', &name);
        tarn_writer_span_put(w, name);
        tarn_writer_str(w, "+0x");
        tarn_writer_hex(w, offset - symbol.st_value, 1);
    }
    munmap((void *)(uintptr_t)file.ptr, file.len);
}
