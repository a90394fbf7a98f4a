/* SPDX-License-Identifier: ISC */
#include "internal.h"

enum tarn_err tarn_env_blk(struct tarn_env *env, const struct tarn_device *device,
                           struct tarn_blk **out) {
    (void)env;
    TARN_ASSERT(device->type == TARN_DEVICE_BLK);
    return tarn_platform_blk(device->name, out);
}
