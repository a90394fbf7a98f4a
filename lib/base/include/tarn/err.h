/* SPDX-License-Identifier: ISC */
/* tarn/err.h: the one error type. Every function that can fail returns it, outputs last. */
#ifndef TARN_ERR_H
#define TARN_ERR_H

#include <tarn/compiler.h>

enum tarn_err {
    TARN_OK = 0,
    TARN_AGAIN,       /* nothing to do now; an event or a deadline will say when */
    TARN_EOF,         /* the other side has finished, in order */
    TARN_PEER,        /* the other side broke the protocol, or refused */
    TARN_LIMIT,       /* a configured bound was reached; counted, never fatal */
    TARN_IO,          /* a device or the path below failed */
    TARN_INVALID,     /* the caller's argument cannot be served */
    TARN_UNSUPPORTED, /* this implementation of the interface lacks the operation */
    TARN_NOT_FOUND,   /* no such key, name or route */
};

/* A short lower-case English name, for logs and messages. Never NULL. */
const char *tarn_err_name(enum tarn_err err);

#endif
