/* SPDX-License-Identifier: ISC */
#include <tarn/err.h>

const char *tarn_err_name(enum tarn_err err) {
    switch (err) {
    case TARN_OK: return "ok";
    case TARN_AGAIN: return "not now";
    case TARN_EOF: return "end of stream";
    case TARN_PEER: return "peer broke the protocol or refused";
    case TARN_LIMIT: return "limit reached";
    case TARN_IO: return "device or path failed";
    case TARN_INVALID: return "invalid argument";
    case TARN_UNSUPPORTED: return "not supported here";
    case TARN_NOT_FOUND: return "not found";
    }
    return "unknown error";
}
