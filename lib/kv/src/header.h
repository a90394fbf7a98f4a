/* SPDX-License-Identifier: ISC */
/* header.h: the members of a tar archive, one after another, with their pax and GNU extensions
 * already applied. */
#ifndef TARN_KV_HEADER_H
#define TARN_KV_HEADER_H

#include <tarn/kv_tar.h>

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

#endif
