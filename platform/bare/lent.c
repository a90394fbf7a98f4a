/* SPDX-License-Identifier: ISC */
/* What nettle and GMP, compiled for glibc, call of a C library (tests/layers/closure.py has the
 * list). A program that uses neither has none of this in its image.
 *
 * Memory: GMP takes and gives back all it needs within one call, so a region of its own, in pieces
 * of powers of two, never runs out at the sizes that lib/crypto lets through; where it did, GMP
 * would say so and end the program. */
#include "bare.h"
#include <platform.h>

#define REGION_BYTES (256u << 10)
#define PIECE_BYTES_MIN 32u
#define CLASSES 14u

struct piece {
    uint64_t class; /* in front of what is handed out, which stays aligned to 16 */
    struct piece *next;
};
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

void *malloc(size_t n) {
    uint64_t class = 0;
    if (n > REGION_BYTES)
        return NULL;
    while ((PIECE_BYTES_MIN << class) < n + 16)
        class ++;
    struct piece *p = free_pieces[class];
    if (p) {
        free_pieces[class] = p->next;
        return (uint8_t *)p + 16;
    }
    size_t bytes = PIECE_BYTES_MIN << class;
    if (bytes > REGION_BYTES - region_used)
        return NULL;
    p = (struct piece *)(region + region_used);
    region_used += bytes;
    p->class = class;
    return (uint8_t *)p + 16;
}

void free(void *ptr) {
    if (!ptr)
        return;
    struct piece *p = (struct piece *)((uint8_t *)ptr - 16);
    p->next = free_pieces[p->class];
    free_pieces[p->class] = p;
}

void *realloc(void *ptr, size_t n) {
    if (!ptr)
        return malloc(n);
    size_t room = (PIECE_BYTES_MIN << ((struct piece *)((uint8_t *)ptr - 16))->class) - 16;
    if (n <= room)
        return ptr;
    void *more = malloc(n);
    if (more) {
        memcpy(more, ptr, room);
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
