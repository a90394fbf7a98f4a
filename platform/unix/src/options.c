/* SPDX-License-Identifier: ISC */
/* The options that attach devices, as Solo5's tenders spell them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unix.h"

#define STATUS_USAGE 64

struct unix_options unix_options;

const char *unix_attached(const struct unix_attach *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0)
            return list[i].value;
    return NULL;
}

static _Noreturn void usage_error(const char *arg, const char *why) {
    unix_say("%s: %s", arg, why);
    exit(STATUS_USAGE);
}

static void list_devices(const struct tarn_program *program, uint32_t type, char *out, size_t cap) {
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < program->device_count; i++)
        if (program->devices[i].type == type && at < cap)
            at += (size_t)snprintf(out + at, cap - at, " %s", program->devices[i].name);
    if (at == 0)
        snprintf(out, cap, " none");
}

static void check_device(const struct tarn_program *program, const char *arg, const char *name,
                         uint32_t type) {
    char known[256], why[384];
    for (size_t i = 0; i < program->device_count; i++)
        if (program->devices[i].type == type && strcmp(program->devices[i].name, name) == 0)
            return;
    list_devices(program, type, known, sizeof known);
    snprintf(why, sizeof why, "the program has no such %s device; it has:%s",
             type == TARN_DEVICE_NET ? "network" : "block", known);
    usage_error(arg, why);
}

/* "NAME=VALUE" behind `prefix`, into the list. */
static bool take_attach(const struct tarn_program *program, const char *arg, const char *prefix,
                        uint32_t type, struct unix_attach *list, size_t *count) {
    size_t len = strlen(prefix);
    if (strncmp(arg, prefix, len) != 0)
        return false;
    const char *equals = strchr(arg + len, '=');
    if (!equals || equals == arg + len || equals[1] == '\0')
        usage_error(arg, "write it as NAME=VALUE; --help lists the options");
    char *name = strndup(arg + len, (size_t)(equals - arg) - len);
    if (!name || *count == UNIX_ATTACH_MAX)
        usage_error(arg, "too many of these");
    check_device(program, arg, name, type);
    if (unix_attached(list, *count, name))
        usage_error(arg, "this device is attached already");
    list[(*count)++] = (struct unix_attach){name, equals + 1};
    return true;
}

bool unix_take_option(const struct tarn_program *program, const char *arg) {
    struct unix_options *o = &unix_options;
    if (strncmp(arg, "--mem=", 6) == 0) {
        uint64_t mb;
        if (!tarn_span_parse_dec(tarn_span_str(arg + 6), 1u << 20, &mb) || mb == 0)
            usage_error(arg, "give a number of megabytes, --mem=64");
        o->mem_bytes = mb << 20;
        return true;
    }
    if (strncmp(arg, "--pcap=", 7) == 0) {
        if (arg[7] == '\0')
            usage_error(arg, "give the name of the file to write, --pcap=trace.pcap");
        o->pcap = arg + 7;
        return true;
    }
    return take_attach(program, arg, "--net:", TARN_DEVICE_NET, o->net, &o->net_count)
           || take_attach(program, arg, "--net-mac:", TARN_DEVICE_NET, o->net_mac,
                          &o->net_mac_count)
           || take_attach(program, arg, "--block:", TARN_DEVICE_BLK, o->block, &o->block_count);
}
