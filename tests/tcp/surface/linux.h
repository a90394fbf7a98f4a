/* SPDX-License-Identifier: ISC */
/* Linux' names for what the surface has. */
#ifndef TESTS_TCP_SURFACE_LINUX_H
#define TESTS_TCP_SURFACE_LINUX_H

#include "surface.h"

#include <linux/tcp.h>

/* An enum tarn_surface_option; -1: there is none. */
int linux_option(int level, int name);
struct tcp_info linux_info(const struct tarn_surface_info *info);

#endif
