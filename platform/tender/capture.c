/* SPDX-License-Identifier: ISC */
/* --pcap=FILE: every frame of every tap, both ways, as the host's side of the tap sees it.
 *
 * The guest moves its frames itself, in a process that can do nothing else, so somebody else
 * watches: with --pcap the tender is two processes. The first, which the caller started, has a
 * packet socket on each tap and writes the file; the second becomes the guest. The first ends when
 * the second has and all its frames are written, and ends as it did. Capturing neither slows the
 * guest nor changes what it may do; where frames come faster than they are written, the capture
 * loses some, and says how many. */
#include "tender.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FRAME_BYTES_MAX 65550u /* the longest IP packet with its Ethernet header */
#define SOCKET_BYTES (16 << 20)

struct capture {
    FILE *file;
    const char *path;
    struct pollfd fds[1 + SOLO5_ENTRIES_MAX]; /* the guest's process, then a socket for each tap */
    nfds_t count;
};

static volatile sig_atomic_t guest_pid;

/* -- the file: classic pcap, with nanoseconds -----------------------------------------------------
 */

static void put(struct capture *c, const void *data, size_t bytes) {
    if (fwrite(data, 1, bytes, c->file) != bytes)
        die("cannot write %s: %s", c->path, strerror(errno));
}

static void put_header(struct capture *c) {
    const struct {
        uint32_t magic;
        uint16_t major, minor;
        uint32_t zone, accuracy, frame_bytes_max, link;
    } header = {0xa1b23c4d, 2, 4, 0, 0, FRAME_BYTES_MAX, 1 /* Ethernet */};
    put(c, &header, sizeof header);
}

static void put_frame(struct capture *c, const struct timespec *at, const uint8_t *frame,
                      size_t bytes) {
    size_t kept = TARN_MIN(bytes, (size_t)FRAME_BYTES_MAX);
    const uint32_t header[4] = {(uint32_t)at->tv_sec, (uint32_t)at->tv_nsec, (uint32_t)kept,
                                (uint32_t)bytes};
    put(c, header, sizeof header);
    put(c, frame, kept);
}

/* -- watching
 * -------------------------------------------------------------------------------------- */

static int watch(const char *tap) {
    struct sockaddr_ll addr = {.sll_family = AF_PACKET,
                               .sll_protocol = __builtin_bswap16(ETH_P_ALL)};
    int on = 1, bytes = SOCKET_BYTES;
    /* Without a protocol it gets nothing before it is bound to its interface. */
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    addr.sll_ifindex = (int)if_nametoindex(tap);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0
        || setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0)
        die("cannot capture on %s: %s%s", tap, strerror(errno),
            errno == EPERM ? " (--pcap needs root, or CAP_NET_RAW)" : "");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
    return fd;
}

static bool take_frame(struct capture *c, int fd) {
    static uint8_t frame[FRAME_BYTES_MAX];
    union {
        struct cmsghdr align;
        uint8_t bytes[CMSG_SPACE(sizeof(struct timespec))];
    } control;
    struct iovec v = {frame, sizeof frame};
    struct msghdr msg = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    struct timespec at = {0};
    ssize_t n = recvmsg(fd, &msg, MSG_TRUNC);
    if (n <= 0)
        return false;
    for (struct cmsghdr *m = CMSG_FIRSTHDR(&msg); m; m = CMSG_NXTHDR(&msg, m))
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMPNS)
            memcpy(&at, CMSG_DATA(m), sizeof at);
    put_frame(c, &at, frame, (size_t)n);
    return true;
}

static void drain(struct capture *c) {
    for (nfds_t i = 1; i < c->count; i++)
        while (take_frame(c, c->fds[i].fd))
            continue;
    fflush(c->file);
}

static void say_losses(const struct capture *c) {
    unsigned lost = 0;
    for (nfds_t i = 1; i < c->count; i++) {
        struct tpacket_stats stats;
        socklen_t bytes = sizeof stats;
        if (getsockopt(c->fds[i].fd, SOL_PACKET, PACKET_STATISTICS, &stats, &bytes) == 0)
            lost += stats.tp_drops;
    }
    if (lost)
        fprintf(stderr, "%s: %u frames are missing in %s\n", tender_name, lost, c->path);
}

/* -- two processes
 * --------------------------------------------------------------------------------- */

static void pass_on(int sig) {
    kill((pid_t)guest_pid, sig);
}

_Noreturn static void end_as(pid_t guest) {
    int status;
    while (waitpid(guest, &status, 0) < 0)
        if (errno != EINTR)
            exit(1);
    if (WIFSIGNALED(status)) {
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    exit(WEXITSTATUS(status));
}

_Noreturn static void write_until_end(struct capture *c, pid_t guest) {
    guest_pid = guest;
    signal(SIGTERM, pass_on);
    signal(SIGHUP, pass_on);
    signal(SIGINT, pass_on);
    c->fds[0] = (struct pollfd){(int)syscall(SYS_pidfd_open, guest, 0), POLLIN, 0};
    if (c->fds[0].fd < 0)
        die("cannot wait for the guest: %s (--pcap needs Linux 5.3)", strerror(errno));
    do {
        if (poll(c->fds, c->count, -1) < 0 && errno != EINTR)
            die("cannot wait for the guest: %s", strerror(errno));
        drain(c);
    } while (!c->fds[0].revents);
    drain(c);
    if (fclose(c->file) != 0)
        die("cannot write %s: %s", c->path, strerror(errno));
    say_losses(c);
    end_as(guest);
}

void capture_start(struct tender *t) {
    static struct capture c;
    if (!t->pcap_path)
        return;
    c.path = t->pcap_path;
    c.count = 1;
    for (uint32_t i = 1; i < t->image.manifest.entries; i++)
        if (t->tap[i])
            c.fds[c.count++] = (struct pollfd){watch(t->tap[i]), POLLIN, 0};
    if (c.count == 1)
        die("--pcap=%s: there is no tap to capture", c.path);
    c.file = fopen(c.path, "wbe");
    if (!c.file)
        die("cannot write %s: %s", c.path, strerror(errno));
    put_header(&c);
    fflush(c.file);
    pid_t first = getpid(), guest = fork();
    if (guest < 0)
        die("cannot start a second process: %s", strerror(errno));
    if (guest > 0) {
        for (uint32_t i = 1; i < t->image.manifest.entries; i++)
            close(t->image.manifest.entry[i].host.fd);
        close(t->epollfd);
        close(t->timerfd);
        capabilities_drop();
        write_until_end(&c, guest);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != first) /* it has died already */
        _exit(1);
}
