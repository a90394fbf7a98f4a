/* SPDX-License-Identifier: ISC */
/* --dumpcore=FOLDER: what is left of a program that crashed, for `gdb IMAGE CORE`. The file is made
 * before the guest runs, when files can still be made, and removed where there was no crash. */
#include "hvt.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/procfs.h>
#include <sys/user.h>
#include <unistd.h>

static char name[64];
static int file = -1;

void core_open(struct hvt *h) {
    if (!h->core_folder)
        return;
    h->core_fd = open(h->core_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->core_fd < 0)
        die("cannot use the folder %s: %s", h->core_folder, strerror(errno));
    snprintf(name, sizeof name, "core.tarn-hvt.%d", (int)getpid());
    file = openat(h->core_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        die("cannot make %s/%s: %s", h->core_folder, name, strerror(errno));
    h->t.kept[h->t.kept_count++] = h->core_fd;
    h->t.kept[h->t.kept_count++] = file;
}

int core_file(void) {
    return file;
}

void core_discard(const struct hvt *h) {
    if (file >= 0)
        unlinkat(h->core_fd, name, 0);
}

/* The registers; where the program itself has said where it died, that place. */
static bool registers(const struct hvt *h, struct user_regs_struct *out) {
    struct kvm_regs r;
    struct kvm_sregs s;
    if (ioctl(h->vcpufd, KVM_GET_REGS, &r) != 0 || ioctl(h->vcpufd, KVM_GET_SREGS, &s) != 0)
        return false;
    *out = (struct user_regs_struct){
        .rax = r.rax,
        .rbx = r.rbx,
        .rcx = r.rcx,
        .rdx = r.rdx,
        .rsi = r.rsi,
        .rdi = r.rdi,
        .rbp = r.rbp,
        .rsp = r.rsp,
        .r8 = r.r8,
        .r9 = r.r9,
        .r10 = r.r10,
        .r11 = r.r11,
        .r12 = r.r12,
        .r13 = r.r13,
        .r14 = r.r14,
        .r15 = r.r15,
        .rip = r.rip,
        .eflags = r.rflags,
        .cs = s.cs.selector,
        .ss = s.ss.selector,
        .ds = s.ds.selector,
        .es = s.es.selector,
        .fs = s.fs.selector,
        .gs = s.gs.selector,
        .fs_base = s.fs.base,
        .gs_base = s.gs.base,
    };
    if (h->calls.has_trap) {
        const struct hvt_trap *t = &h->calls.trap;
        out->rip = t->rip;
        out->rsp = t->rsp;
        out->eflags = t->rflags;
        out->cs = t->cs;
        out->ss = t->ss;
    }
    return true;
}

static bool put(const void *what, size_t bytes, uint64_t at) {
    return pwrite(file, what, bytes, (off_t)at) == (ssize_t)bytes;
}

/* Pages of zeroes are holes in the file; so are those that nobody may read. */
static bool put_memory(const struct hvt *h, uint64_t at) {
    static const uint8_t zeroes[SOLO5_PAGE];
    for (uint64_t page = HVT_BOOT; page < h->memory.len; page += SOLO5_PAGE) {
        struct tarn_span s;
        bool last = page + SOLO5_PAGE == h->memory.len;
        if (!hvt_readable(&h->calls, page, SOLO5_PAGE - 1, &s)
            || (memcmp(s.ptr, zeroes, SOLO5_PAGE) == 0 && !last))
            continue;
        if (!put(s.ptr, SOLO5_PAGE, at + page))
            return false;
    }
    return true;
}

struct core_head {
    Elf64_Ehdr elf;
    Elf64_Phdr note_header, memory_header;
    Elf64_Nhdr note;
    char note_name[8];
    struct elf_prstatus status;
} __attribute__((packed));

void core_write(const struct hvt *h) {
    struct core_head head = {
        .elf = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
                            EV_CURRENT},
                .e_type = ET_CORE,
                .e_machine = EM_X86_64,
                .e_version = EV_CURRENT,
                .e_phoff = sizeof head.elf,
                .e_ehsize = sizeof head.elf,
                .e_phentsize = sizeof head.note_header,
                .e_phnum = 2},
        .note_header = {.p_type = PT_NOTE, .p_flags = PF_R},
        .memory_header = {.p_type = PT_LOAD,
                          .p_flags = PF_R | PF_W | PF_X,
                          .p_offset = (sizeof head + SOLO5_PAGE - 1) & ~(uint64_t)(SOLO5_PAGE - 1),
                          .p_filesz = h->memory.len,
                          .p_memsz = h->memory.len,
                          .p_align = SOLO5_PAGE},
        .note = {.n_namesz = 5, .n_descsz = sizeof head.status, .n_type = NT_PRSTATUS},
        .note_name = "CORE",
        .status = {.pr_pid = 1},
    };
    struct user_regs_struct regs = {0};
    if (file < 0)
        return;
    head.note_header.p_offset = offsetof(struct core_head, note);
    head.note_header.p_filesz = sizeof head.note + sizeof head.note_name + sizeof head.status;
    _Static_assert(sizeof regs == sizeof head.status.pr_reg, "the same registers");
    bool done = registers(h, &regs);
    memcpy(&head.status.pr_reg, &regs, sizeof regs);
    done = done && put(&head, sizeof head, 0) && put_memory(h, head.memory_header.p_offset);
    fprintf(stderr, done ? "tarn-hvt: a core is in %s/%s\n" : "tarn-hvt: no whole core in %s/%s\n",
            h->core_folder, name);
    file = -1;
}
