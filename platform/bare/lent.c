/* SPDX-License-Identifier: ISC */
/* What nettle and GMP, compiled for glibc, call of a C library (tests/layers/closure.py has the
 * list). A program that uses neither has none of this in its image.
 *
 * Memory: GMP takes and gives back all it needs within one call, so a region of its own, in pieces
 * of powers of two, never runs out at the sizes that lib/crypto lets through; where it did, GMP
 * would say so and end the program. Each piece has a tag in front and a tail behind it, made with
 * the canary: what is given back twice, written over or written to afterwards ends the program. */
#include "bare.h"
#include <platform.h>

#define REGION_BYTES (256u << 10)
#define PIECE_BYTES_MIN 32u
#define CLASSES 14u

/* In front of what is handed out, which stays aligned to 16. `tag` says what the piece is, in a way
 * that whoever writes there by mistake, or without knowing the canary, does not hit. */
struct piece {
    uint32_t class, tag;
    union {
        struct piece *next; /* free */
        size_t bytes;       /* in use; behind them stands a tail */
    };
};
_Static_assert(sizeof(struct piece) == 16, "alignment");
enum state { IN_USE = 0x75, FREE = 0x66 };
#define TAIL_BYTES sizeof(uint64_t)
#define WIPED_BYTES_MAX 256u /* looked at before a piece is handed out again */
static _Alignas(16) uint8_t region[REGION_BYTES];
static size_t region_used;
static struct piece *free_pieces[CLASSES];

void *malloc(size_t n);
void free(void *p);
void *realloc(void *p, size_t n);
void abort(void) __attribute__((noreturn));
int raise(int number);
void __assert_fail(const char *what, const char *file, unsigned line, const char *function)
    __attribute__((noreturn));
char *getenv(const char *name);
char *secure_getenv(const char *name);
char *strchr(const char *s, int c);
int __fprintf_chk(void *file, int flag, const char *format, ...);
size_t fwrite(const void *p, size_t size, size_t n, void *file);
extern void *stderr;
void *stderr;

static uint64_t canary_of(const struct piece *p) {
    uint64_t canary;
    __asm__("mov %%fs:0x28, %0" : "=r"(canary));
    return (canary ^ (uintptr_t)p) * 0x9e3779b97f4a7c15u;
}

static uint32_t tag_of(const struct piece *p, enum state state) {
    return (uint32_t)(canary_of(p) >> 32) ^ p->class << 8 ^ (uint32_t)state;
}

static uint8_t *data_of(struct piece *p) {
    return (uint8_t *)(p + 1);
}

static size_t piece_bytes(const struct piece *p) {
    return (size_t)PIECE_BYTES_MIN << p->class;
}

/* A pointer that never came from here, or came back before, or a piece that was written over. */
static void check(const struct piece *p, enum state state) {
    bool inside = (uintptr_t)p - (uintptr_t)region < region_used && (uintptr_t)p % 16 == 0;
    if (!inside || p->class >= CLASSES || p->tag != tag_of(p, state))
        abort();
}

static void *hand_out(struct piece *p, size_t n) {
    uint64_t tail = canary_of(p);
    p->tag = tag_of(p, IN_USE);
    p->bytes = n;
    memcpy(data_of(p) + n, &tail, TAIL_BYTES);
    return data_of(p);
}

static struct piece *piece_of(void *ptr) {
    struct piece *p = (struct piece *)ptr - 1;
    check(p, IN_USE);
    uint64_t tail = canary_of(p);
    if (p->bytes > piece_bytes(p) - sizeof *p - TAIL_BYTES
        || memcmp(data_of(p) + p->bytes, &tail, TAIL_BYTES) != 0)
        abort();
    return p;
}

void *malloc(size_t n) {
    uint32_t class = 0;
    if (n > REGION_BYTES)
        return NULL;
    while (((size_t)PIECE_BYTES_MIN << class) < n + sizeof(struct piece) + TAIL_BYTES)
        class ++;
    struct piece *p = class < CLASSES ? free_pieces[class] : NULL;
    if (p) {
        check(p, FREE);
        /* Whoever still wrote there after giving it back is found out. */
        for (size_t i = 0; i < piece_bytes(p) - sizeof *p && i < WIPED_BYTES_MAX; i++)
            if (data_of(p)[i])
                abort();
        free_pieces[class] = p->next;
        return hand_out(p, n);
    }
    size_t bytes = (size_t)PIECE_BYTES_MIN << class;
    if (class >= CLASSES || bytes > REGION_BYTES - region_used)
        return NULL;
    p = (struct piece *)(region + region_used);
    region_used += bytes;
    p->class = class;
    return hand_out(p, n);
}

/* What is given back is wiped: it may have been a key. */
void free(void *ptr) {
    if (!ptr)
        return;
    struct piece *p = piece_of(ptr);
    memset(ptr, 0, piece_bytes(p) - sizeof *p);
    p->tag = tag_of(p, FREE);
    p->next = free_pieces[p->class];
    free_pieces[p->class] = p;
}

void *realloc(void *ptr, size_t n) {
    if (!ptr)
        return malloc(n);
    struct piece *p = piece_of(ptr);
    if (n <= piece_bytes(p) - sizeof *p - TAIL_BYTES)
        return hand_out(p, n);
    size_t had = p->bytes;
    void *more = malloc(n);
    if (more) {
        memcpy(more, ptr, had);
        free(ptr);
    }
    return more;
}

void abort(void) {
    __builtin_trap();
}

int raise(int number) {
    (void)number;
    __builtin_trap();
}

void __assert_fail(const char *what, const char *file, unsigned line, const char *function) {
    (void)what, (void)file, (void)line, (void)function;
    __builtin_trap();
}

/* There is no environment. */
char *getenv(const char *name) {
    (void)name;
    return NULL;
}

char *secure_getenv(const char *name) {
    return getenv(name);
}

char *strchr(const char *s, int c) {
    for (; *s != (char)c; s++)
        if (!*s)
            return NULL;
    return (char *)(uintptr_t)s;
}

/* Their last words, which are followed by the trap. */
int __fprintf_chk(void *file, int flag, const char *format, ...) {
    (void)file, (void)flag, (void)format;
    return 0;
}

size_t fwrite(const void *p, size_t size, size_t n, void *file) {
    (void)p, (void)size, (void)file;
    return n;
}
