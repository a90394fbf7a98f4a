/* SPDX-License-Identifier: ISC */
/* Whole processes: options, messages, exit statuses, crash reports. */
#include <criterion/criterion.h>
#include <limits.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/compiler.h>

#include "captures.h"

static char output[16384];

/* Runs the child with these arguments (of a shell), both outputs together; its wait status. */
static int run(const char *arguments) {
    char self[PATH_MAX], command[PATH_MAX + 1024];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    cr_assert_gt(n, 0);
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(command, sizeof command, "exec %s/unix/unix-child %s 2>&1", self, arguments);
    FILE *f = popen(command, "r");
    cr_assert_not_null(f);
    size_t got = fread(output, 1, sizeof output - 1, f);
    output[got] = '\0';
    return pclose(f);
}

static void ends_with(const char *arguments, int status, const char *text) {
    int wait_status = run(arguments);
    cr_expect(WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == status, "%s: status %x",
              arguments, (unsigned)wait_status);
    cr_expect(strstr(output, text), "%s: \"%s\" is not in \"%s\"", arguments, text, output);
}

Test(process, arguments_reach_the_program_as_the_shell_had_them) {
    ends_with("--act=title '--title=a \"b\" \\c'\"'d'\"", 0, "a \"b\" \\c'd'");
}

Test(process, options_can_stand_anywhere_before_the_dashes) {
    ends_with("--act=title --mem=8 --title=x", 0, "x");
    ends_with("--mem=8 -- --act=title --title=--mem=8", 0, "--mem=8");
    ends_with("-- --mem=8", 64, "--mem is not a key of this program");
}

Test(process, help_lists_keys_and_options) {
    ends_with("--help", 0, "--title=TEXT");
    cr_assert(strstr(output, "--net:NAME=TAP"));
    cr_assert(strstr(output, "Network devices: service\n"));
}

Test(process, a_wrong_option_is_said_in_one_line) {
    ends_with("--mem=0", 64, "--mem=0: give a number of megabytes");
    ends_with("--mem=x", 64, "--mem=x: give a number of megabytes");
    ends_with("--pcap=", 64, "--pcap=: give the name of the file");
    ends_with("--net:other=tap0", 64,
              "--net:other=tap0: the program has no such network device; it has: service");
    ends_with("--block:service=x", 64, "the program has no such block device; it has: storage");
    ends_with("--net:service", 64, "--net:service: write it as NAME=VALUE");
    ends_with("--net:service=a --net:service=b", 64, "this device is attached already");
}

Test(process, a_missing_device_says_how_to_attach_it) {
    ends_with("--act=net", 1, "network device service is not attached: give --net:service=TAP");
    ends_with("--act=blk", 1, "block device storage is not attached: give --block:storage=FILE");
}

Test(process, what_is_wrong_with_a_network_device_is_said) {
    ends_with("--act=net --net:service=tarn-none0", 1,
              "--net:service=tarn-none0: no such interface: make it with ip tuntap add");
    ends_with("--act=net --net:service=a-name-that-is-too-long-for-linux", 1, "no such interface");
    ends_with("--act=net --net:service=@77", 1, "--net:service=@77: not an open file descriptor");
    ends_with("--act=net --net:service=live:tarn-none0", 1, "tarn-none0");
    ends_with("--act=net --net:service=pcap:/nonexistent.pcap", 1, "No such file");
    ends_with("--act=net --net:service=@0 --net-mac:service=02:00:00:00:00", 1,
              "not a station's hardware address");
    ends_with("--act=net --net:service=@0 --net-mac:service=01:00:00:00:00:00", 1,
              "not a station's hardware address");
}

Test(process, the_address_is_checked) {
    ends_with("--act=serve --net:service=@0", 1, "service: needs an address: --ipv4=");
    ends_with("--act=serve --net:service=@0 --ipv4=::1/64", 1, "--ipv4 takes an IPv4 address");
    ends_with("--act=serve --net:service=@0 --ipv4=dhcp --ipv4-gateway=10.0.0.1", 1, "DHCP too");
    ends_with("--act=serve --net:service=@0 --ipv4=10.0.0.2/24 --ipv4-gateway=10.0.1.1", 1,
              "--ipv4-gateway is not in the network of --ipv4");
    ends_with("--act=serve --ipv4=10.0.0.2/24", 1, "network device service is not attached");
}

static void record(pcap_dumper_t *file, const char *frame, unsigned len) {
    struct pcap_pkthdr header = {.caplen = len, .len = len};
    pcap_dump((u_char *)file, &header, (const u_char *)frame);
}

/* From a neighbour, 10.0.0.9: who has 10.0.0.2, and an echo request to it. */
#define ARP_REQUEST                                                                                \
    "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x09\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01"     \
    "\x02\x00\x00\x00\x00\x09\x0a\x00\x00\x09\x00\x00\x00\x00\x00\x00\x0a\x00\x00\x02"
#define ECHO_REQUEST                                                                                   \
    "\x02\x00\x00\x00\x00\x02\x02\x00\x00\x00\x00\x09\x08\x00\x45\x00\x00\x20\x00\x01\x00\x00\x40\x01" \
    "\x66\xd2\x0a\x00\x00\x09\x0a\x00\x00\x02\x08\x00\xbd\xf0\x12\x34\x00\x01\x27\xda\x00\x00"         \
    "\x00\x00"

Test(process, a_capture_is_a_network) {
    char in[128], out[128], arguments[512], error[PCAP_ERRBUF_SIZE];
    capture_path(in, sizeof in, "process-in");
    capture_path(out, sizeof out, "process-out");
    pcap_t *format = pcap_open_dead(DLT_EN10MB, 65535);
    pcap_dumper_t *file = pcap_dump_open(format, in);
    record(file, ARP_REQUEST, sizeof ARP_REQUEST - 1);
    record(file, ECHO_REQUEST, sizeof ECHO_REQUEST - 1);
    pcap_dump_close(file);
    pcap_close(format);
    snprintf(arguments, sizeof arguments,
             "--act=serve --net:service=pcap:%s,%s --net-mac:service=02:00:00:00:00:02 "
             "--ipv4=10.0.0.2/24",
             in, out);
    ends_with(arguments, 0, "");

    bool arp_reply = false, echo_reply = false;
    struct pcap_pkthdr *header;
    const u_char *f;
    pcap_t *made = pcap_open_offline(out, error);
    cr_assert_not_null(made, "%s", error);
    while (pcap_next_ex(made, &header, &f) == 1) {
        if (header->caplen >= 42 && memcmp(f + 12, "\x08\x06", 2) == 0 && f[21] == 2)
            arp_reply = memcmp(f, "\x02\x00\x00\x00\x00\x09\x02\x00\x00\x00\x00\x02", 12) == 0;
        if (header->caplen >= 46 && memcmp(f + 12, "\x08\x00\x45", 3) == 0 && f[23] == 1)
            echo_reply = memcmp(f + 26, "\x0a\x00\x00\x02\x0a\x00\x00\x09\x00\x00", 10) == 0
                         && memcmp(f + 38, "\x12\x34\x00\x01\x27\xda", 6) == 0;
    }
    pcap_close(made);
    capture_done(in);
    capture_done(out);
    cr_assert(arp_reply, "no answer to the ARP request");
    cr_assert(echo_reply, "no answer to the echo request");
}

Test(process, what_is_wrong_with_a_block_device_is_said) {
    ends_with("--act=blk --block:storage=/nonexistent.img", 1,
              "no such file: make it with truncate");
    ends_with("--act=blk --block:storage=/dev/null", 1, "neither a file nor a disk");
    ends_with("--act=blk --block:storage=/", 1, "Is a directory");
    ends_with("--act=blk --block:storage=/proc/version", 1, "not a multiple of 512");
}

Test(process, memory_is_as_much_as_was_given) {
    ends_with("--act=memory --mem=5", 0, "");
}

static void dies_of(const char *arguments, int signal, const char *first, const char *function) {
    int wait_status = run(arguments);
#ifdef __SANITIZE_ADDRESS__
    if (signal == SIGSEGV)
        return; /* the sanitizer reports instead */
#endif
    cr_expect(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == signal, "%s: status %x",
              arguments, (unsigned)wait_status);
    cr_expect_eq(strncmp(output, first, strlen(first)), 0, "%s: %s", arguments, output);
    cr_expect(strstr(output, "tarn_main+0x"), "%s: %s", arguments, output);
    cr_expect(strstr(output, function), "%s: %s", arguments, output);
}

Test(process, a_failed_check_is_reported_with_the_functions_that_led_there) {
    dies_of("--act=check", SIGILL, "crash: a check failed\n  #0 0x", "fail_a_check");
}

Test(process, a_null_pointer_is_reported) {
    dies_of("--act=null", SIGSEGV, "crash: null pointer, address 0x8\n  #0 0x", "read_null");
}

Test(process, a_stack_overflow_is_told_apart) {
    int wait_status = run("--act=overflow");
    cr_expect(wait_status != 0);
#ifndef __SANITIZE_ADDRESS__
    cr_expect(WIFSIGNALED(wait_status) && WTERMSIG(wait_status) == SIGSEGV);
    cr_expect(strstr(output, "crash: stack overflow: a fiber needs a larger stack"), "%s", output);
    cr_expect(strstr(output, "recurse_without_end+0x"), "%s", output);
#endif
}

Test(process, a_division_by_zero_is_reported) {
#ifndef __SANITIZE_ADDRESS__
    int wait_status = run("--act=divide");
    cr_expect(WIFSIGNALED(wait_status));
    cr_expect(strstr(output, "divide"), "%s", output);
#endif
}

Test(process, an_idle_program_takes_no_time) {
    ends_with("--act=sleep", 0, "");
}
