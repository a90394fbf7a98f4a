/* SPDX-License-Identifier: ISC */
/* packetdrill's interface for a TCP in a shared object (its --so_filename), over the surface.
 *
 * packetdrill.h is not copied: what is here is the layout that its interface has, one pointer after
 * the other. Descriptors are real ones (of /dev/null), since packetdrill closes those that a script
 * leaves open. A blocking call is made in a thread of its own and waits here while packetdrill's
 * main thread lets time pass; where the main thread itself would wait, time passes here. */
#include "surface.h"

#include "linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define FDS_MAX 1024
#define WATCHES_MAX 64
#define WAIT_MAX 3600000000000ull /* virtual: the main thread waits for no longer */

/* One descriptor that an epoll descriptor watches. */
struct watch {
    int epfd, fd; /* epfd 0: none */
    struct epoll_event event;
    uint32_t told; /* what an edge has been told of, */
    uint64_t seen; /* and how much had come by then */
};

struct pd {
    struct tarn_surface *host;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t main;
    int socket[FDS_MAX]; /* the surface's, by descriptor; -1: none */
    bool nonblocking[FDS_MAX], inq[FDS_MAX];
    struct watch watches[WATCHES_MAX]; /* of epoll descriptors */
    uint64_t generation;               /* of what the host has come to */
    bool waiting;          /* a thread is in a blocking call (there is one at most) ... */
    uint64_t waiting_seen; /* ... and the generation that it has looked at */
    bool finishing;        /* a blocking call has ended, and nobody has asked for its time yet */
};

static struct pd *current; /* packetdrill opens one */

/* -- between the threads -- */

/* A moment for the thread that waits: to look again, and to read the clock if it is done. */
static void let_others_look(struct pd *pd) {
    struct timespec end;
    if (!pd->waiting && !pd->finishing)
        return;
    pd->generation++;
    pthread_cond_broadcast(&pd->changed);
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec++;
    while ((pd->waiting && pd->waiting_seen != pd->generation) || pd->finishing)
        if (pthread_cond_timedwait(&pd->changed, &pd->lock, &end) != 0)
            return;
}

static bool step(struct pd *pd, uint64_t until) {
    bool there = tarn_surface_step(pd->host, until);
    let_others_look(pd);
    return there;
}

/* Waits for something to change. False: it never will. */
static bool await(struct pd *pd, uint64_t end, bool *waited) {
    if (pthread_equal(pthread_self(), pd->main)) {
        if (tarn_surface_now(pd->host) >= end || tarn_surface_deadline(pd->host) == UINT64_MAX)
            return false;
        return !step(pd, end);
    }
    *waited = pd->waiting = true;
    pd->waiting_seen = pd->generation;
    pthread_cond_broadcast(&pd->changed);
    while (pd->generation == pd->waiting_seen)
        pthread_cond_wait(&pd->changed, &pd->lock);
    return tarn_surface_now(pd->host) < end;
}

static ssize_t leave(struct pd *pd, bool waited, ssize_t result) {
    if (waited) {
        pd->waiting = false;
        pd->finishing = true;
        pthread_cond_broadcast(&pd->changed);
    } else {
        let_others_look(pd);
    }
    pthread_mutex_unlock(&pd->lock);
    if (result >= 0)
        return result;
    errno = (int)-result;
    return -1;
}

static int socket_of(const struct pd *pd, int fd) {
    return fd >= 0 && fd < FDS_MAX ? pd->socket[fd] : -1;
}

static int fd_new(struct pd *pd, int s) {
    if (s < 0)
        return s;
    int fd = open("/dev/null", O_RDWR);
    if (fd < 0 || fd >= FDS_MAX)
        return -EMFILE;
    pd->socket[fd] = s;
    pd->nonblocking[fd] = pd->inq[fd] = false;
    return fd;
}

/* -- the calls -- */

static int pd_socket(void *user, int domain, int type, int protocol) {
    struct pd *pd = user;
    if ((type & 15) != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP)) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    pthread_mutex_lock(&pd->lock);
    int fd = fd_new(pd, tarn_surface_socket(pd->host, domain));
    if (fd >= 0)
        pd->nonblocking[fd] = type & SOCK_NONBLOCK;
    return (int)leave(pd, false, fd);
}

static int pd_bind(void *user, int fd, const struct sockaddr *addr, socklen_t bytes) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    return (int)leave(pd, false, tarn_surface_bind(pd->host, socket_of(pd, fd), addr, bytes));
}

static int pd_listen(void *user, int fd, int backlog) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    return (int)leave(pd, false, tarn_surface_listen(pd->host, socket_of(pd, fd), backlog));
}

static int pd_accept(void *user, int fd, struct sockaddr *addr, socklen_t *bytes) {
    struct pd *pd = user;
    int made;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    do
        made = tarn_surface_accept(pd->host, socket_of(pd, fd), addr, bytes);
    while (made == -EAGAIN && !pd->nonblocking[fd]
           && await(pd, tarn_surface_now(pd->host) + WAIT_MAX, &waited));
    return (int)leave(pd, waited, fd_new(pd, made));
}

static int pd_connect(void *user, int fd, const struct sockaddr *addr, socklen_t bytes) {
    struct pd *pd = user;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    int result = tarn_surface_connect(pd->host, socket_of(pd, fd), addr, bytes);
    while (result == -EINPROGRESS && !pd->nonblocking[fd]) {
        if (!await(pd, UINT64_MAX, &waited))
            break;
        if (tarn_surface_poll(pd->host, socket_of(pd, fd)) != 0) {
            result = tarn_surface_connect(pd->host, socket_of(pd, fd), addr, bytes);
            result = result == -EISCONN ? 0 : result;
        }
    }
    return (int)leave(pd, waited, result);
}

static ssize_t read_some(struct pd *pd, int fd, void *data, size_t bytes, int flags) {
    ssize_t n;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    do
        n = tarn_surface_recv(pd->host, socket_of(pd, fd), data, bytes, flags);
    while (n == -EAGAIN && !pd->nonblocking[fd] && !(flags & MSG_DONTWAIT)
           && await(pd, tarn_surface_now(pd->host) + WAIT_MAX, &waited));
    return leave(pd, waited, n);
}

/* A writer that waits goes on once there is room worth it. */
static bool await_room(struct pd *pd, int fd, bool *waited) {
    int events = 0;
    while (!(events & (POLLOUT | POLLERR | POLLHUP)) && events >= 0) {
        if (!await(pd, tarn_surface_now(pd->host) + WAIT_MAX, waited))
            return false;
        events = tarn_surface_poll(pd->host, socket_of(pd, fd));
    }
    return true;
}

static ssize_t write_all(struct pd *pd, int fd, const void *data, size_t bytes, int flags) {
    size_t done = 0;
    ssize_t n;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    do {
        n = tarn_surface_send(pd->host, socket_of(pd, fd), (const char *)data + done, bytes - done,
                              flags);
        done += n > 0 ? (size_t)n : 0;
        if (done == bytes || (n < 0 && n != -EAGAIN))
            break;
    } while (!pd->nonblocking[fd] && !(flags & MSG_DONTWAIT)
             && (n > 0 || await_room(pd, fd, &waited)));
    return leave(pd, waited, done ? (ssize_t)done : n);
}

static ssize_t pd_read(void *user, int fd, void *data, size_t bytes) {
    return read_some(user, fd, data, bytes, 0);
}

static ssize_t pd_recv(void *user, int fd, void *data, size_t bytes, int flags) {
    return read_some(user, fd, data, bytes, flags);
}

static ssize_t pd_recvfrom(void *user, int fd, void *data, size_t bytes, int flags,
                           struct sockaddr *addr, socklen_t *addr_bytes) {
    (void)addr;
    (void)addr_bytes;
    return read_some(user, fd, data, bytes, flags);
}

static ssize_t pd_write(void *user, int fd, const void *data, size_t bytes) {
    return write_all(user, fd, data, bytes, 0);
}

static ssize_t pd_send(void *user, int fd, const void *data, size_t bytes, int flags) {
    return write_all(user, fd, data, bytes, flags);
}

/* A socket that blocks waits for the handshake, and writes then what did not go with the SYN. */
static ssize_t open_with(struct pd *pd, int fd, const void *data, size_t bytes, int flags,
                         const struct sockaddr *addr, socklen_t addr_bytes) {
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    int s = socket_of(pd, fd);
    ssize_t n = tarn_surface_sendto(pd->host, s, data, bytes, flags, addr, addr_bytes);
    size_t done = n > 0 ? (size_t)n : 0;
    if ((n < 0 && n != -EINPROGRESS) || pd->nonblocking[fd] || flags & MSG_DONTWAIT)
        return leave(pd, false, n);
    while (tarn_surface_poll(pd->host, s) == 0 && await(pd, UINT64_MAX, &waited))
        continue;
    while (done < bytes || n == -EINPROGRESS) {
        n = tarn_surface_send(pd->host, s, (const char *)data + done, bytes - done,
                              flags & ~MSG_FASTOPEN);
        done += n > 0 ? (size_t)n : 0;
        if (done == bytes || n <= 0)
            break;
    }
    return leave(pd, waited, done ? (ssize_t)done : n);
}

static ssize_t pd_sendto(void *user, int fd, const void *data, size_t bytes, int flags,
                         const struct sockaddr *addr, socklen_t addr_bytes) {
    return flags & MSG_FASTOPEN ? open_with(user, fd, data, bytes, flags, addr, addr_bytes)
                                : write_all(user, fd, data, bytes, flags);
}

static size_t total_of(const struct iovec *v, size_t count) {
    size_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += v[i].iov_len;
    return total;
}

static ssize_t scatter(struct pd *pd, int fd, const struct iovec *v, size_t count, int flags) {
    size_t total = total_of(v, count), at = 0;
    char *all = malloc(total + 1);
    ssize_t n = read_some(pd, fd, all, total, flags);
    for (size_t i = 0; i < count && n > 0 && at < (size_t)n; i++) {
        size_t part = v[i].iov_len < (size_t)n - at ? v[i].iov_len : (size_t)n - at;
        memcpy(v[i].iov_base, all + at, part);
        at += part;
    }
    int error = errno;
    free(all);
    errno = error;
    return n;
}

/* `to` NULL: not said. */
static ssize_t gather(struct pd *pd, int fd, const struct iovec *v, size_t count, int flags,
                      const struct msghdr *to) {
    size_t at = 0;
    char *all = malloc(total_of(v, count) + 1);
    for (size_t i = 0; i < count; i++) {
        memcpy(all + at, v[i].iov_base, v[i].iov_len);
        at += v[i].iov_len;
    }
    ssize_t n = to && flags & MSG_FASTOPEN
                    ? open_with(pd, fd, all, at, flags, to->msg_name, to->msg_namelen)
                    : write_all(pd, fd, all, at, flags);
    int error = errno;
    free(all);
    errno = error;
    return n;
}

static ssize_t pd_readv(void *user, int fd, const struct iovec *v, int count) {
    return scatter(user, fd, v, (size_t)count, 0);
}

static ssize_t pd_writev(void *user, int fd, const struct iovec *v, int count) {
    return gather(user, fd, v, (size_t)count, 0, NULL);
}

static ssize_t pd_recvmsg(void *user, int fd, struct msghdr *msg, int flags) {
    struct pd *pd = user;
    size_t room = msg->msg_controllen;
    ssize_t n = scatter(user, fd, msg->msg_iov, msg->msg_iovlen, flags);
    msg->msg_flags = 0;
    msg->msg_controllen = 0;
    if (n < 0 || socket_of(pd, fd) < 0 || !pd->inq[fd] || room < CMSG_SPACE(sizeof(int)))
        return n;
    int64_t unread = 0;
    struct tarn_surface_info info;
    pthread_mutex_lock(&pd->lock);
    (void)tarn_surface_get(pd->host, socket_of(pd, fd), TARN_SURFACE_UNREAD, &unread);
    if (unread == 0 && tarn_surface_info(pd->host, socket_of(pd, fd), &info, sizeof info) == 0)
        unread = tarn_surface_poll(pd->host, socket_of(pd, fd)) & POLLRDHUP ? 1 : 0; /* the FIN */
    pthread_mutex_unlock(&pd->lock);
    msg->msg_controllen = room;
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    *c = (struct cmsghdr){CMSG_LEN(sizeof(int)), IPPROTO_TCP, TCP_CM_INQ};
    memcpy(CMSG_DATA(c), &(int){(int)unread}, sizeof(int));
    msg->msg_controllen = CMSG_SPACE(sizeof(int));
    return n;
}

static ssize_t pd_sendmsg(void *user, int fd, const struct msghdr *msg, int flags) {
    return gather(user, fd, msg->msg_iov, msg->msg_iovlen, flags, msg);
}

static int pd_fcntl(void *user, int fd, int cmd, ...) {
    struct pd *pd = user;
    va_list args;
    va_start(args, cmd);
    long value = va_arg(args, long);
    va_end(args);
    if (socket_of(pd, fd) < 0) {
        errno = EBADF;
        return -1;
    }
    if (cmd == F_GETFL)
        return O_RDWR | (pd->nonblocking[fd] ? O_NONBLOCK : 0);
    if (cmd == F_SETFL)
        pd->nonblocking[fd] = (value & O_NONBLOCK) != 0;
    return 0;
}

static int pd_ioctl(void *user, int fd, unsigned long request, ...) {
    struct pd *pd = user;
    va_list args;
    int64_t value = 0;
    va_start(args, request);
    int *out = va_arg(args, int *);
    va_end(args);
    pthread_mutex_lock(&pd->lock);
    int result = -EINVAL;
    enum tarn_surface_option option = request == SIOCINQ       ? TARN_SURFACE_UNREAD
                                      : request == SIOCOUTQ    ? TARN_SURFACE_UNACKNOWLEDGED
                                      : request == SIOCOUTQNSD ? TARN_SURFACE_UNSENT
                                                               : TARN_SURFACE_ERROR;
    if (option != TARN_SURFACE_ERROR)
        result = tarn_surface_get(pd->host, socket_of(pd, fd), option, &value);
    if (result == 0)
        *out = (int)value;
    return (int)leave(pd, false, result);
}

static int pd_close(void *user, int fd) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    int result = tarn_surface_close(pd->host, socket_of(pd, fd));
    if (result == 0) {
        pd->socket[fd] = -1;
        close(fd);
    }
    return (int)leave(pd, false, result);
}

static int pd_shutdown(void *user, int fd, int how) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    return (int)leave(pd, false, tarn_surface_shutdown(pd->host, socket_of(pd, fd), how));
}

/* -- options -- */

static int get_option(struct pd *pd, int s, int level, int name, void *value, socklen_t *bytes) {
    int64_t number;
    if (level == IPPROTO_TCP && name == TCP_INFO) {
        struct tarn_surface_info info;
        int result = tarn_surface_info(pd->host, s, &info, sizeof info);
        struct tcp_info t = linux_info(&info);
        if (result == 0) {
            memset(value, 0, *bytes);
            memcpy(value, &t, *bytes < sizeof t ? *bytes : sizeof t);
        }
        return result;
    }
    /* A controller and a socket that have nothing to tell of themselves. */
    if (level == IPPROTO_TCP && name == TCP_CC_INFO) {
        *bytes = 0;
        return 0;
    }
    if (level == SOL_SOCKET && name == SO_MEMINFO) {
        memset(value, 0, *bytes);
        return 0;
    }
    int option = linux_option(level, name);
    if (option < 0 || *bytes < sizeof(int))
        return option < 0 ? -ENOPROTOOPT : -EINVAL;
    int result = tarn_surface_get(pd->host, s, (enum tarn_surface_option)option, &number);
    if (result == 0) {
        memcpy(value, &(int){(int)number}, sizeof(int));
        *bytes = sizeof(int);
    }
    return result;
}

static int pd_getsockopt(void *user, int fd, int level, int name, void *value, socklen_t *bytes) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    return (int)leave(pd, false, get_option(pd, socket_of(pd, fd), level, name, value, bytes));
}

static int set_option(struct pd *pd, int s, int level, int name, const void *value,
                      socklen_t bytes) {
    char text[16] = "";
    int number;
    if (level == IPPROTO_TCP && name == TCP_CONGESTION) {
        memcpy(text, value, bytes < sizeof text - 1 ? bytes : sizeof text - 1);
        return tarn_surface_set_congestion(pd->host, s, text);
    }
    /* Neither changes what TCP does; there is no type of service here. */
    if ((level == IPPROTO_IP && (name == IP_TOS || name == IP_MTU_DISCOVER))
        || (level == IPPROTO_IPV6 && (name == IPV6_TCLASS || name == IPV6_MTU_DISCOVER)))
        return 0;
    if (bytes < sizeof number)
        return -EINVAL;
    memcpy(&number, value, sizeof number);
    if (level == SOL_SOCKET && name == SO_LINGER && bytes >= sizeof(struct linger)) {
        struct linger l;
        memcpy(&l, value, sizeof l);
        return tarn_surface_set(pd->host, s, TARN_SURFACE_LINGER, l.l_onoff ? l.l_linger : -1);
    }
    int option = linux_option(level, name);
    if (option == TARN_SURFACE_NOTSENT_LOWAT)
        return tarn_surface_set(pd->host, s, (enum tarn_surface_option)option, (uint32_t)number);
    if (option < 0)
        return -ENOPROTOOPT;
    if (option == TARN_SURFACE_RCVBUF && number < 2304)
        number = 2304;
    if (option == TARN_SURFACE_SNDBUF)
        number = number > INT32_MAX / 2 ? INT32_MAX : number * 2; /* as Linux has it */
    return tarn_surface_set(pd->host, s, (enum tarn_surface_option)option, number);
}

static int pd_setsockopt(void *user, int fd, int level, int name, const void *value,
                         socklen_t bytes) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    if (level == IPPROTO_TCP && name == TCP_INQ && socket_of(pd, fd) >= 0) {
        pd->inq[fd] = *(const int *)value != 0;
        return (int)leave(pd, false, 0);
    }
    return (int)leave(pd, false, set_option(pd, socket_of(pd, fd), level, name, value, bytes));
}

static int poll_once(struct pd *pd, struct pollfd *fds, nfds_t count) {
    int ready = 0;
    for (nfds_t i = 0; i < count; i++) {
        int events = tarn_surface_poll(pd->host, socket_of(pd, fds[i].fd));
        fds[i].revents =
            (short)(events < 0 ? POLLNVAL : events & (fds[i].events | POLLERR | POLLHUP));
        ready += fds[i].revents != 0;
    }
    return ready;
}

static int pd_poll(void *user, struct pollfd *fds, nfds_t count, int timeout) {
    struct pd *pd = user;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    uint64_t wait = timeout < 0 ? WAIT_MAX : (uint64_t)timeout * 1000000u;
    uint64_t end = tarn_surface_now(pd->host) + wait;
    int ready;
    while ((ready = poll_once(pd, fds, count)) == 0 && timeout != 0 && await(pd, end, &waited))
        continue;
    return (int)leave(pd, waited, ready);
}

/* -- epoll -- */

static struct watch *watch_of(struct pd *pd, int epfd, int fd) {
    for (struct watch *w = pd->watches; w < pd->watches + WATCHES_MAX; w++)
        if (w->epfd == epfd && (epfd == 0 || w->fd == fd))
            return w;
    return NULL;
}

static int pd_epoll_create(void *user, int size) {
    (void)user;
    (void)size;
    return open("/dev/null", O_RDWR);
}

static int pd_epoll_ctl(void *user, int epfd, int op, int fd, struct epoll_event *event) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    struct watch *w = watch_of(pd, epfd, fd), *place = watch_of(pd, 0, 0);
    int result = op == EPOLL_CTL_ADD ? (w ? -EEXIST : place ? 0 : -ENOSPC) : w ? 0 : -ENOENT;
    if (result == 0 && op == EPOLL_CTL_DEL)
        *w = (struct watch){0};
    else if (result == 0)
        *(w ? w : place) = (struct watch){.epfd = epfd, .fd = fd, .event = *event};
    return (int)leave(pd, false, result);
}

/* An edge is told once, until it has gone and come again; one shot, and never again. */
static int epoll_once(struct pd *pd, int epfd, struct epoll_event *events, int max) {
    int n = 0;
    for (struct watch *w = pd->watches; w < pd->watches + WATCHES_MAX && n < max; w++) {
        if (w->epfd != epfd)
            continue;
        int now = tarn_surface_poll(pd->host, socket_of(pd, w->fd));
        uint32_t ready = now < 0 ? 0 : (uint32_t)now & (w->event.events | EPOLLERR | EPOLLHUP);
        struct tarn_surface_info info = {0};
        if (now >= 0)
            (void)tarn_surface_info(pd->host, socket_of(pd, w->fd), &info, sizeof info);
        if (info.bytes_received != w->seen)
            w->told &= ~(uint32_t)EPOLLIN;
        w->seen = info.bytes_received;
        uint32_t fresh = w->event.events & EPOLLET ? ready & ~w->told : ready;
        w->told = ready;
        if (!fresh || !(w->event.events & ~(uint32_t)(EPOLLET | EPOLLONESHOT)))
            continue;
        events[n++] = (struct epoll_event){.events = ready, .data = w->event.data};
        if (w->event.events & EPOLLONESHOT)
            w->event.events = EPOLLONESHOT;
    }
    return n;
}

static int pd_epoll_wait(void *user, int epfd, struct epoll_event *events, int max, int timeout) {
    struct pd *pd = user;
    bool waited = false;
    pthread_mutex_lock(&pd->lock);
    uint64_t wait = timeout < 0 ? WAIT_MAX : (uint64_t)timeout * 1000000u;
    uint64_t end = tarn_surface_now(pd->host) + wait;
    int n;
    while ((n = epoll_once(pd, epfd, events, max)) == 0 && timeout != 0 && await(pd, end, &waited))
        continue;
    return (int)leave(pd, waited, n);
}

/* -- the wire and the clock -- */

static int pd_netdev_send(void *user, const void *packet, size_t bytes) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    return (int)leave(pd, false, tarn_surface_packet_in(pd->host, packet, bytes));
}

static int pd_netdev_receive(void *user, void *packet, size_t *bytes, long long *usecs) {
    struct pd *pd = user;
    uint64_t when = 0;
    ssize_t n;
    pthread_mutex_lock(&pd->lock);
    uint64_t end = tarn_surface_now(pd->host) + WAIT_MAX;
    while ((n = tarn_surface_packet_out(pd->host, packet, *bytes, &when)) == 0
           && tarn_surface_deadline(pd->host) < end)
        step(pd, end);
    *bytes = n > 0 ? (size_t)n : 0;
    *usecs = (long long)(when / 1000);
    return (int)leave(pd, false, n < 0 ? n : 0);
}

static int pd_usleep(void *user, useconds_t usec) {
    struct pd *pd = user;
    pthread_mutex_lock(&pd->lock);
    uint64_t end = tarn_surface_now(pd->host) + (uint64_t)usec * 1000;
    while (!step(pd, end))
        continue;
    return (int)leave(pd, false, 0);
}

/* Whoever spins until a time comes must see it come: each look takes a microsecond. */
static int pd_gettimeofday(void *user, struct timeval *tv, struct timezone *tz) {
    struct pd *pd = user;
    (void)tz;
    pthread_mutex_lock(&pd->lock);
    uint64_t now = tarn_surface_now(pd->host);
    *tv = (struct timeval){.tv_sec = (time_t)(now / 1000000000u),
                           .tv_usec = (suseconds_t)(now / 1000 % 1000000)};
    if (pd->finishing && !pthread_equal(pthread_self(), pd->main)) {
        pd->finishing = false;
        pthread_cond_broadcast(&pd->changed);
    } else {
        step(pd, now + 1000);
    }
    pthread_mutex_unlock(&pd->lock);
    return 0;
}

static void pd_free(void *user) {
    struct pd *pd = user;
    current = NULL;
    tarn_surface_free(pd->host);
    free(pd);
}

/* -- what is not there -- */

static int unsupported(void) {
    errno = ENOSYS;
    return -1;
}

static int pd_pipe(void *user, int fds[2]) {
    (void)fds;
    (void)user;
    return unsupported();
}

static int pd_splice(void *user, int in, loff_t *in_off, int out, loff_t *out_off, size_t bytes,
                     unsigned flags) {
    (void)in;
    (void)in_off;
    (void)out;
    (void)out_off;
    (void)bytes;
    (void)flags;
    (void)user;
    return unsupported();
}

struct packetdrill_calls {
    void *user;
    void (*free)(void *);
    int (*socket)(void *, int, int, int);
    int (*bind)(void *, int, const struct sockaddr *, socklen_t);
    int (*listen)(void *, int, int);
    int (*accept)(void *, int, struct sockaddr *, socklen_t *);
    int (*connect)(void *, int, const struct sockaddr *, socklen_t);
    ssize_t (*read)(void *, int, void *, size_t);
    ssize_t (*readv)(void *, int, const struct iovec *, int);
    ssize_t (*recv)(void *, int, void *, size_t, int);
    ssize_t (*recvfrom)(void *, int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(void *, int, struct msghdr *, int);
    ssize_t (*write)(void *, int, const void *, size_t);
    ssize_t (*writev)(void *, int, const struct iovec *, int);
    ssize_t (*send)(void *, int, const void *, size_t, int);
    ssize_t (*sendto)(void *, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(void *, int, const struct msghdr *, int);
    int (*fcntl)(void *, int, int, ...);
    int (*ioctl)(void *, int, unsigned long, ...);
    int (*close)(void *, int);
    int (*shutdown)(void *, int, int);
    int (*getsockopt)(void *, int, int, int, void *, socklen_t *);
    int (*setsockopt)(void *, int, int, int, const void *, socklen_t);
    int (*poll)(void *, struct pollfd *, nfds_t, int);
    int (*netdev_send)(void *, const void *, size_t);
    int (*netdev_receive)(void *, void *, size_t *, long long *);
    int (*usleep)(void *, useconds_t);
    int (*gettimeofday)(void *, struct timeval *, struct timezone *);
    int (*epoll_create)(void *, int);
    int (*epoll_ctl)(void *, int, int, int, struct epoll_event *);
    int (*epoll_wait)(void *, int, struct epoll_event *, int, int);
    int (*pipe)(void *, int[2]);
    int (*splice)(void *, int, loff_t *, int, loff_t *, size_t, unsigned);
};

void packetdrill_interface_init(const char *flags, struct packetdrill_calls *calls);

/* packetdrill's code blocks ask the C library for TCP_INFO, and not the interface. Where this
 * object is preloaded (LD_PRELOAD), it is asked first. */
__attribute__((visibility("default"))) int getsockopt(int fd, int level, int name, void *value,
                                                      socklen_t *bytes) {
    if (current && socket_of(current, fd) >= 0)
        return pd_getsockopt(current, fd, level, name, value, bytes);
    return (int)syscall(SYS_getsockopt, fd, level, name, value, bytes);
}

/* `flags` (packetdrill's --so_flags) are the options of tarn_surface_open, separated by commas. */
void packetdrill_interface_init(const char *flags, struct packetdrill_calls *calls) {
    struct pd *pd = calloc(1, sizeof *pd);
    if (!pd || !(pd->host = tarn_surface_open(flags))) {
        fprintf(stderr, "tarn: cannot open a host with the options %s\n", flags ? flags : "");
        exit(2);
    }
    pthread_mutex_init(&pd->lock, NULL);
    pthread_cond_init(&pd->changed, NULL);
    pd->main = pthread_self();
    memset(pd->socket, -1, sizeof pd->socket);
    current = pd;
    *calls = (struct packetdrill_calls){
        .user = pd,
        .free = pd_free,
        .socket = pd_socket,
        .bind = pd_bind,
        .listen = pd_listen,
        .accept = pd_accept,
        .connect = pd_connect,
        .read = pd_read,
        .readv = pd_readv,
        .recv = pd_recv,
        .recvfrom = pd_recvfrom,
        .recvmsg = pd_recvmsg,
        .write = pd_write,
        .writev = pd_writev,
        .send = pd_send,
        .sendto = pd_sendto,
        .sendmsg = pd_sendmsg,
        .fcntl = pd_fcntl,
        .ioctl = pd_ioctl,
        .close = pd_close,
        .shutdown = pd_shutdown,
        .getsockopt = pd_getsockopt,
        .setsockopt = pd_setsockopt,
        .poll = pd_poll,
        .netdev_send = pd_netdev_send,
        .netdev_receive = pd_netdev_receive,
        .usleep = pd_usleep,
        .gettimeofday = pd_gettimeofday,
        .epoll_create = pd_epoll_create,
        .epoll_ctl = pd_epoll_ctl,
        .epoll_wait = pd_epoll_wait,
        .pipe = pd_pipe,
        .splice = pd_splice,
    };
}
