/* SPDX-License-Identifier: ISC */
/* tarn_env_net over the host's sockets: chosen by linking this instead of Tarn's own layers. */
#include <tarn/app.h>

#include "host.h"

#define FLOWS_MAX 1024u
#define DATAGRAMS_MAX 256u

/* A program may have frames on another device. */
static void refuse_frames(const char *device) {
    const struct unix_options *o = &unix_options;
    const char *option = unix_attached(o->net_mac, o->net_mac_count, device) ? "--net-mac"
                         : unix_attached(o->net, o->net_count, device)       ? "--net"
                         : o->pcap && o->net_count == 0                      ? "--pcap"
                                                                             : NULL;
    if (!option)
        return;
    unix_say("%s is about frames, and this program has the host's sockets: leave it out, or run "
             "the one without -host in its name",
             option);
    tarn_platform_exit(64);
}

enum tarn_err tarn_env_net(struct tarn_env *env, const struct tarn_device *device,
                           struct tarn_net **out) {
    static struct host_net net; /* the host is one, whatever the devices are called */
    TARN_ASSERT(device->type == TARN_DEVICE_NET);
    refuse_frames(device->name);
    if (!net.tasks) {
        enum tarn_err err =
            host_net_init(&net, tarn_env_alloc(env), tarn_env_tasks(env), FLOWS_MAX, DATAGRAMS_MAX);
        if (err) {
            net.tasks = NULL;
            unix_say("not enough memory for %u connections: give more with --mem=MB", FLOWS_MAX);
            return err;
        }
    }
    *out = &net.net;
    return TARN_OK;
}
