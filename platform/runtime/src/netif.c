/* SPDX-License-Identifier: ISC */
#include "internal.h"

enum tarn_err tarn_env_netif(struct tarn_env *env, const struct tarn_device *device,
                             struct tarn_netif **out) {
    TARN_ASSERT(device->type == TARN_DEVICE_NET);
    return tarn_platform_netif(device->name, tarn_env_pkts(env), out);
}
