/* SPDX-License-Identifier: ISC */
/* Any bytes as an archive on a device: it is refused, or read and changed, and then still read. */
#include "../rig.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct tarn_kv_tar_error error;
    struct tarn_kv_tar_rw *tar;
    struct rig rig;
    size_t blocks = size / 512 + 1;
    if (blocks > 64)
        return 0;
    rig_init(&rig, (blocks + 20) * 512);
    if (size)
        memcpy(rig.bytes, data, size);
    struct tarn_kv_tar_rw_config config = rig_tar(&rig);
    config.values_max = 20;
    if (tarn_kv_tar_rw_open(&config, &error, &tar) == TARN_OK) {
        struct tarn_kv *kv = tarn_kv_tar_rw_kv(tar);
        struct tarn_kv_cursor cursor = {0};
        struct tarn_kv_entry e;
        uint8_t buf[100];
        size_t n;
        int failed = 0;
        while (kv->ops->list(kv, TARN_SPAN_EMPTY, &cursor, &e) == TARN_OK) {
            uint8_t name[TARN_KV_NAME_MAX];
            struct tarn_span key =
                tarn_span_of(name, tarn_bytes_copy(TARN_BYTES_ARRAY(name), e.name));
            if (kv->ops->get_partial(kv, key, 1, TARN_BYTES_ARRAY(buf), &n) == TARN_OK)
                failed |= tarn_kv_set_partial(kv, key, 2, TARN_SPAN_LIT("new")) == TARN_IO;
            failed |= tarn_kv_rename(kv, key, TARN_SPAN_LIT("renamed/x")) == TARN_IO;
        }
        failed |= tarn_kv_remove(kv, TARN_SPAN_LIT("renamed")) == TARN_IO;
        tarn_kv_tar_rw_close(tar);
        if (failed || tarn_kv_tar_rw_open(&config, &error, &tar))
            abort();
        tarn_kv_tar_rw_close(tar);
    }
    rig_done(&rig);
    return 0;
}
