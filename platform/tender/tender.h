/* SPDX-License-Identifier: ISC */
/* tender.h: what the tenders share: the command line, devices, capturing, giving privileges up.
 * Unlike image.c it belongs to one process: an error is one line on stderr and the end. */
#ifndef TARN_TENDER_H
#define TARN_TENDER_H

#include "image.h"

struct tender;

/* One tender. */
extern const char tender_name[]; /* "tarn-spt" */
struct tender_kind {
    const char *usage;
    const char *version; /* behind the name and the version of Tarn */
    struct image_target target;
    /* Decides t->granted and t->vnet from t->image.wishes, once t->mem_size is known. */
    void (*grant)(struct tender *t);
    /* An option that only this tender has; false: none of its. May be NULL. */
    bool (*option)(struct tender *t, const char *word);
};

struct file_source {
    struct image_source source;
    int fd;
};

#define TENDER_KEPT_MAX 4u
struct tender {
    const struct tender_kind *kind;
    const char *image_path;
    struct file_source file;
    struct image image;
    uint64_t mem_size;
    uint32_t granted;                   /* the target's features */
    bool vnet;                          /* taps are opened with offloads */
    uint32_t device[SOLO5_ENTRIES_MAX]; /* enum solo5_device_grant */
    const char *tap[SOLO5_ENTRIES_MAX]; /* the interface's name; NULL: not a tap, or not by name */
    bool helping; /* the program is asked for --help alone, which needs no devices */
    int epollfd, timerfd;
    int kept[TENDER_KEPT_MAX]; /* further files that stay open */
    uint32_t kept_count;
    const char *pcap_path; /* NULL: no capture */
};

/* "tarn-spt: ...", and exit status 1. */
_Noreturn __attribute__((format(printf, 1, 2))) void die(const char *format, ...);

/* options.c: all that comes before memory: reads the command line and the image, attaches the
 * devices, and begins the capture. Answers with the program's own words. */
char **tender_begin(struct tender *t, const struct tender_kind *kind, char **argv);
/* The text behind `prefix`, or NULL. */
const char *tender_behind(const char *text, const char *prefix);
/* Writes those words as the program's command line, with its NUL. */
void tender_write_words(const struct tender *t, struct tarn_bytes out, char **args);
/* Wipes the environment, which a guest that reaches this memory has no business with. */
void tender_forget_environment(void);
void tender_random(struct tarn_bytes out);
/* Has the image loaded at another page each time, where there is memory for that: of what is behind
 * the image, an eighth at most is left unused. */
void tender_move_image(struct tender *t);

/* devices.c: what a command-line option attaches. */
void attach_net(struct tender *t, const char *name, const char *tap);
void attach_net_mac(struct tender *t, const char *name, const char *mac);
void attach_blk(struct tender *t, const char *name, const char *path);
void attach_blk_sector(struct tender *t, const char *name, const char *bytes);
/* When all options have been read: every device is there, has its defaults, and waits in epoll. */
void attach_finish(struct tender *t);

/* capture.c: with --pcap, returns in a second process, which the first watches and ends with. */
void capture_start(struct tender *t);

/* privileges.c: closes what is not a device's, drops every capability, and bars the way to new
 * privileges, files and processes. */
void privileges_drop(struct tender *t);
void capabilities_drop(void);
/* From here on a system call that somebody else's filter refuses (a container runtime's, installed
 * before this process began) fails with ENOSYS and is no longer the end. */
void privileges_tolerate_filter(void);
/* Whether the call that has just failed is one of those. */
bool privileges_refused(void);

#endif
