/* SPDX-License-Identifier: ISC */
/* The entry point: takes this platform's options off the command line and hands the rest to the
 * program as its keys. */
#include <stdlib.h>
#include <string.h>

#include "unix.h"

static const char help_text[] =
    "Options of this platform (in front of the program's keys, or anywhere before a \"--\"):\n"
    "  --net:NAME=TAP                  attach the tap interface TAP to network device NAME\n"
    "  --net:NAME=live:IFACE           ... or the host's interface IFACE, through libpcap\n"
    "  --net:NAME=pcap:IN[,OUT]        ... or frames from the capture IN; what is sent goes to OUT\n"
    "  --net:NAME=unix:PATH            ... or frames over a Unix socket at PATH, as QEMU's\n"
    "                                  -netdev stream,addr.type=unix sends them\n"
    "  --net:NAME=@FD                  ... or a tap that is open as file descriptor FD\n"
    "  --net-mac:NAME=MAC              its hardware address (default: made up)\n"
    "  --pcap=FILE                     capture every frame of every network device\n"
    "  --block:NAME=FILE               attach a file or disk to block device NAME\n"
    "  --mem=MB                        memory for the program (default 256)\n";

/* Quoted, so that the runtime reads back what the shell had read. */
static char *append_quoted(char *to, const char *arg) {
    *to++ = '"';
    for (; *arg; arg++) {
        if (*arg == '"' || *arg == '\\')
            *to++ = '\\';
        *to++ = *arg;
    }
    *to++ = '"';
    *to++ = ' ';
    return to;
}

int main(int argc, char **argv) {
    struct tarn_program program = tarn_program_linked();
    size_t bytes = 1;
    bool options_end = false, help = false;
    unix_crash_init();
    for (int i = 1; i < argc; i++)
        bytes += 2 * strlen(argv[i]) + 3;
    static char *line; /* static, so that it is in use wherever the program ends */
    char *to = line = malloc(bytes);
    if (!line)
        return 71;
    for (int i = 1; i < argc; i++) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (options_end || !unix_take_option(&program, argv[i])) {
            help = help || strcmp(argv[i], "--help") == 0;
            to = append_quoted(to, argv[i]);
        }
    }
    int status = tarn_runtime_run(&program, tarn_span_of(line, (size_t)(to - line)));
    if (help && status == 0)
        tarn_platform_console(tarn_span_str(help_text));
    tarn_platform_exit(status);
}
