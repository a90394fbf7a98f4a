/* SPDX-License-Identifier: ISC */
/* header.h: the members of a tar archive, one after another, with their pax and GNU extensions
 * already applied. */
#ifndef TARN_KV_HEADER_H
#define TARN_KV_HEADER_H

#include <tarn/kv_tar.h>

#define TAR_BLOCK 512u

/* The extensions that precede a member. */
struct extras {
    bool path_given, size_given, mtime_given;
    struct tarn_span path;
    uint64_t size;
    int64_t mtime;
};

struct header {
    struct tarn_span name, size, mtime, checksum, prefix;
    uint8_t type;
    bool posix; /* and not GNU, whose bytes at the prefix mean something else */
};

/* A text field: up to its NUL, or all of it. */
struct tarn_span tar_text(struct tarn_span field);
TARN_MUST_USE bool tar_number(struct tarn_span field, uint64_t *out);
bool tar_is_zero(struct tarn_span block);
uint64_t tar_checksum(struct tarn_span block);
/* One block, that is not all zeroes. What is wrong with it, or NULL. */
TARN_MUST_USE const char *tar_header_parse(struct tarn_span block, struct header *h);
/* The records of a pax header. */
TARN_MUST_USE const char *tar_pax_apply(struct tarn_span data, struct extras *x);

enum member_kind { MEMBER_FILE, MEMBER_DIRECTORY, MEMBER_END };

struct member {
    enum member_kind kind;
    struct tarn_span prefix, name; /* the path is prefix/name, or name where prefix is empty */
    struct tarn_span value;
    int64_t mtime;
    size_t header; /* its offset in the archive */
};

struct reader {
    struct tarn_span archive;
    size_t offset; /* of the next header */
    struct tarn_kv_tar_error *error;
    /* Standing values of a global pax header. */
    bool global_mtime_given;
    int64_t global_mtime;
};

/* TARN_PEER: refused, error says why. */
TARN_MUST_USE enum tarn_err reader_next(struct reader *r, struct member *out);

/* tar.c: TARN_OK: *path is canonical. It may use the front of `room` (counted in *used). */
TARN_MUST_USE enum tarn_err tar_path_of(const struct member *m, struct tarn_bytes room,
                                        size_t *used, struct tarn_span *path);

#endif
