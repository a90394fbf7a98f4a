/* SPDX-License-Identifier: ISC */
/* tarn-dig: asks a DNS server and prints what it says. An ordinary program over the host's sockets,
 * that links nothing of Tarn but tarn-dns. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <tarn/dns_message.h>
#include <unistd.h>

static const char help[] =
    "usage: tarn-dig [@SERVER] [OPTION...] NAME [TYPE] [CLASS]\n"
    "\n"
    "Asks a DNS server and prints its answer. SERVER is an address or a host; without it, the first of\n"
    "/etc/resolv.conf. TYPE is A, MX, TYPE65280, ...; AXFR prints the whole zone.\n"
    "\n"
    "  -p PORT        instead of 53\n"
    "  -x             NAME is an address: the name that it has\n"
    "  +tcp           by TCP; without it by UDP, and by TCP where the answer is truncated\n"
    "  +short         only the data of the answers\n"
    "  +dnssec        with signatures\n"
    "  +norec         without asking for recursion\n"
    "  +noedns        without EDNS\n"
    "  +nsid          ask what the server calls itself\n"
    "  +pad=BYTES     pad the query to a multiple\n"
    "  +tries=N       ask so often (3), and wait 2 seconds each time\n"
    "\n"
    "Status: 0 an answer came, whatever it says; 9 none did; 64 not understood.\n";

static struct {
    const char *server, *port, *name;
    bool tcp, brief, dnssec, norec, noedns, nsid, reverse;
    unsigned pad, tries;
    uint16_t type, klass;
} ask = {.port = "53", .tries = 3, .type = TARN_DNS_A, .klass = TARN_DNS_IN};

static uint8_t scratch[TARN_DNS_MESSAGE_MAX], text[1 << 20];

static _Noreturn __attribute__((format(printf, 2, 3))) void quit(int status, const char *format,
                                                                 ...) {
    va_list args;
    va_start(args, format);
    fputs("tarn-dig: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(status);
}

/* -- the question ---------------------------------------------------------------------------------
 */

/* RFC 1035 section 3.5, RFC 3596 section 2.5 */
static const char *reverse_name(const char *address) {
    static char out[80];
    unsigned char b[16];
    size_t n = 0;
    if (inet_pton(AF_INET, address, b) == 1) {
        snprintf(out, sizeof out, "%u.%u.%u.%u.in-addr.arpa.", b[3], b[2], b[1], b[0]);
        return out;
    }
    if (inet_pton(AF_INET6, address, b) != 1)
        quit(64, "%s is not an address", address);
    for (int i = 15; i >= 0; i--)
        n += (size_t)snprintf(out + n, sizeof out - n, "%x.%x.", b[i] & 15, b[i] >> 4);
    snprintf(out + n, sizeof out - n, "ip6.arpa.");
    return out;
}

static struct tarn_span question(struct tarn_bytes out, uint16_t *id) {
    struct tarn_dns_builder b;
    struct tarn_dns_name name;
    uint8_t options[64], cookie[8];
    struct tarn_writer w = TARN_WRITER_ARRAY(options);
    struct tarn_dns_edns e = {.udp_bytes = 1232, .flags = ask.dnssec ? TARN_DNS_EDNS_DO : 0};
    if (getrandom(id, sizeof *id, 0) != sizeof *id || getrandom(cookie, 8, 0) != 8)
        quit(9, "no random numbers: %s", strerror(errno));
    if (!tarn_dns_name_parse(tarn_span_str(ask.name), TARN_SPAN_LIT("\0"), &name))
        quit(64, "%s is not a name", ask.name);
    tarn_dns_option_put(&w, TARN_DNS_OPT_COOKIE, TARN_SPAN_ARRAY(cookie));
    if (ask.nsid)
        tarn_dns_option_put(&w, TARN_DNS_OPT_NSID, TARN_SPAN_EMPTY);
    e.options = tarn_writer_span(&w);
    tarn_dns_build(&b, out, *id, ask.norec ? 0 : TARN_DNS_RD);
    bool ok = tarn_dns_put_question(&b, tarn_dns_name_span(&name), ask.type, ask.klass);
    if (!ask.noedns && ask.type != TARN_DNS_AXFR)
        ok = ok && tarn_dns_put_opt(&b, &e, ask.pad);
    if (!ok)
        quit(64, "the question is too long");
    return tarn_dns_finish(&b);
}

/* It is the answer to what was asked. */
static bool fits(struct tarn_span message, uint16_t id) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_name name;
    if (!tarn_dns_reader_init(&r, message) || r.header.id != id || !(r.header.flags & TARN_DNS_QR))
        return false;
    if (r.header.counts[0] == 0) /* an error, or the rest of a transfer */
        return TARN_DNS_RCODE(r.header.flags) != 0 || ask.type == TARN_DNS_AXFR;
    return tarn_dns_read_question(&r, &q) == TARN_OK && q.type == ask.type && q.klass == ask.klass
           && tarn_dns_name_parse(tarn_span_str(ask.name), TARN_SPAN_LIT("\0"), &name)
           && tarn_dns_name_equal(tarn_dns_name_span(&q.name), tarn_dns_name_span(&name));
}

/* -- printing -------------------------------------------------------------------------------------
 */

static void print_brief(struct tarn_span message, bool whole) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    if (!tarn_dns_reader_init(&r, message))
        return;
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK) {
        struct tarn_writer data = TARN_WRITER_ARRAY(scratch), w = TARN_WRITER_ARRAY(text);
        if (rr.section != TARN_DNS_ANSWER || !tarn_dns_rr_data(&r, &rr, &data))
            continue;
        if (whole)
            tarn_dns_record_print(&w, tarn_dns_name_span(&rr.owner), rr.type, rr.klass, rr.ttl,
                                  tarn_writer_span(&data));
        else
            tarn_dns_rdata_print(&w, tarn_writer_span(&data), rr.type);
        printf("%.*s\n", (int)tarn_writer_span(&w).len, (const char *)text);
    }
}

static void print(struct tarn_span message) {
    struct tarn_writer w = TARN_WRITER_ARRAY(text);
    if (ask.brief || ask.type == TARN_DNS_AXFR) {
        print_brief(message, !ask.brief);
        return;
    }
    tarn_dns_message_print(&w, message, TARN_BYTES_ARRAY(scratch));
    printf("%.*s\n;; server %s port %s, %zu bytes\n", (int)tarn_writer_span(&w).len,
           (const char *)text, ask.server, ask.port, message.len);
}

/* -- the network ----------------------------------------------------------------------------------
 */

static int dial(int kind) {
    struct addrinfo hints = {.ai_socktype = kind}, *all, *a;
    int error = getaddrinfo(ask.server, ask.port, &hints, &all), fd = -1;
    if (error)
        quit(9, "%s: %s", ask.server, gai_strerror(error));
    for (a = all; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0)
        quit(9, "%s port %s: %s", ask.server, ask.port, strerror(errno));
    freeaddrinfo(all);
    return fd;
}

static bool readable(int fd, int ms) {
    struct pollfd p = {fd, POLLIN, 0};
    return poll(&p, 1, ms) == 1;
}

static bool read_all(int fd, uint8_t *out, size_t n) {
    while (n) {
        ssize_t got = readable(fd, 10000) ? read(fd, out, n) : -1;
        if (got <= 0)
            return false;
        out += got;
        n -= (size_t)got;
    }
    return true;
}

/* A transfer ends with the SOA that it starts with; *soas counts them. */
static bool is_over(struct tarn_span message, unsigned *soas) {
    struct tarn_dns_reader r;
    struct tarn_dns_question q;
    struct tarn_dns_rr rr;
    if (ask.type != TARN_DNS_AXFR || !tarn_dns_reader_init(&r, message)
        || TARN_DNS_RCODE(r.header.flags))
        return true;
    while (tarn_dns_read_question(&r, &q) == TARN_OK)
        ;
    while (tarn_dns_read_rr(&r, &rr) == TARN_OK)
        *soas += rr.type == TARN_DNS_SOA;
    return *soas >= 2;
}

static void by_tcp(void) {
    static uint8_t message[TARN_DNS_MESSAGE_MAX], out[2 + 512], head[2];
    uint16_t id;
    unsigned soas = 0;
    int fd = dial(SOCK_STREAM);
    struct tarn_span query = question(tarn_bytes_of(out + 2, sizeof out - 2), &id), answer;
    out[0] = (uint8_t)(query.len >> 8);
    out[1] = (uint8_t)query.len;
    if (write(fd, out, 2 + query.len) != (ssize_t)(2 + query.len))
        quit(9, "%s: %s", ask.server, strerror(errno));
    do {
        if (!read_all(fd, head, 2) || !read_all(fd, message, (size_t)(head[0] << 8 | head[1])))
            quit(9, "%s: the answer ends too early", ask.server);
        answer = tarn_span_of(message, (size_t)(head[0] << 8 | head[1]));
        if (!fits(answer, id))
            quit(9, "%s: not an answer to what was asked", ask.server);
        print(answer);
    } while (!is_over(answer, &soas));
    close(fd);
}

static bool truncated(struct tarn_span message) {
    struct tarn_dns_reader r;
    return tarn_dns_reader_init(&r, message) && (r.header.flags & TARN_DNS_TC);
}

static void by_udp(void) {
    static uint8_t in[65535], out[512];
    for (unsigned i = 0; i < ask.tries; i++) {
        uint16_t id;
        int fd = dial(SOCK_DGRAM); /* a port of its own each time */
        struct tarn_span query = question(TARN_BYTES_ARRAY(out), &id);
        ssize_t n = send(fd, query.ptr, query.len, 0);
        while (n >= 0 && readable(fd, 2000) && (n = recv(fd, in, sizeof in, 0)) >= 0) {
            struct tarn_span answer = tarn_span_of(in, (size_t)n);
            if (!fits(answer, id))
                continue;
            close(fd);
            if (truncated(answer))
                by_tcp();
            else
                print(answer);
            return;
        }
        close(fd);
    }
    quit(9, "%s port %s does not answer", ask.server, ask.port);
}

/* -- the command line -----------------------------------------------------------------------------
 */

static const char *first_server(void) {
    static char line[256], address[256];
    FILE *f = fopen("/etc/resolv.conf", "r");
    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "nameserver %255s", address) == 1)
            return address;
    return "127.0.0.1";
}

static bool take_flag(const char *arg) {
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {{"+tcp", &ask.tcp},     {"+short", &ask.brief},   {"+dnssec", &ask.dnssec},
                 {"+norec", &ask.norec}, {"+noedns", &ask.noedns}, {"+nsid", &ask.nsid},
                 {"-x", &ask.reverse}};
    for (size_t i = 0; i < TARN_COUNT_OF(flags); i++)
        if (strcmp(arg, flags[i].name) == 0)
            return *flags[i].flag = true;
    return sscanf(arg, "+pad=%u", &ask.pad) == 1 || sscanf(arg, "+tries=%u", &ask.tries) == 1;
}

static void take(const char *arg) {
    uint16_t v;
    if (arg[0] == '@')
        ask.server = arg + 1;
    else if (arg[0] == '+' || arg[0] == '-')
        quit(64, "%s is not understood: tarn-dig --help", arg);
    else if (!ask.name)
        ask.name = arg;
    else if (tarn_dns_type_parse(tarn_span_str(arg), &v))
        ask.type = v;
    else if (tarn_dns_class_parse(tarn_span_str(arg), &v))
        ask.klass = v;
    else
        quit(64, "%s is neither a type nor a class", arg);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "-p") == 0 && i + 1 < argc)
            ask.port = argv[++i];
        else if (!take_flag(argv[i]))
            take(argv[i]);
    }
    if (!ask.name)
        quit(64, "a name is missing: tarn-dig --help");
    if (!ask.server)
        ask.server = first_server();
    if (ask.reverse) {
        ask.name = reverse_name(ask.name);
        ask.type = ask.type == TARN_DNS_A ? TARN_DNS_PTR : ask.type;
    }
    if (ask.tcp || ask.type == TARN_DNS_AXFR)
        by_tcp();
    else
        by_udp();
    return 0;
}
