/* SPDX-License-Identifier: ISC */
/* tarn/base.h: all of lib/base in one include. */
#ifndef TARN_BASE_H
#define TARN_BASE_H

#include <tarn/alloc.h>
#include <tarn/compiler.h>
#include <tarn/csum.h>
#include <tarn/env.h>
#include <tarn/err.h>
#include <tarn/hash.h>
#include <tarn/ip_addr.h>
#include <tarn/lru.h>
#include <tarn/pkt.h>
#include <tarn/pool.h>
#include <tarn/span.h>
#include <tarn/task.h>
#include <tarn/time.h>
#include <tarn/timer.h>
#include <tarn/writer.h>

#endif
