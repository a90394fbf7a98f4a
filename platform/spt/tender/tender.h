/* SPDX-License-Identifier: ISC */
/* tender.h: what the files of tarn-spt know of each other. Unlike image.c they belong to one
 * process: an error is one line on stderr and the end. */
#ifndef TARN_SPT_TENDER_H
#define TARN_SPT_TENDER_H

#include "image.h"

struct tender {
    const char *image_path;
    struct image image;
    uint64_t mem_size;
    uint32_t granted;                 /* enum spt_feature */
    uint32_t device[SPT_ENTRIES_MAX]; /* as in struct spt_grant */
    const char *tap[SPT_ENTRIES_MAX]; /* the interface's name; NULL: not a tap, or not by name */
    bool helping; /* the program is asked for --help alone, which needs no devices */
    int epollfd, timerfd;
    const char *pcap_path; /* NULL: no capture */
};

/* "tarn-spt: ...", and exit status 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...);

/* devices.c: what a command-line option attaches. */
void attach_net(struct tender *t, const char *name, const char *tap);
void attach_net_mac(struct tender *t, const char *name, const char *mac);
void attach_blk(struct tender *t, const char *name, const char *path);
void attach_blk_sector(struct tender *t, const char *name, const char *bytes);
/* When all options have been read: every device is there, has its defaults, and waits in epoll. */
void attach_finish(struct tender *t);

/* memory.c: maps the guest's memory, loads the image, and writes what the guest finds at entry. */
void memory_map(struct tender *t, struct image_source *source);
void memory_fill(struct tender *t, char **args);

/* filter.c: from here on the process can do what the guest may, and nothing else. */
void privileges_drop(struct tender *t);
void capabilities_drop(void);
void filter_install(const struct tender *t);

/* capture.c: with --pcap, returns in a second process, which the first watches and ends with. */
void capture_start(struct tender *t);

/* crash.c: a readable last word for whoever dies by a signal. */
void crash_prepare(const struct tender *t);

/* The largest transfer on a block device in one call, where granted. */
#define BLK_BYTES_MAX (128u << 10)

#endif
