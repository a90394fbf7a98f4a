/* SPDX-License-Identifier: ISC */
#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>

#include "fake_platform.h"

static const struct tarn_key keys[] = {
    {.name = "port",
     .text = "TCP port",
     .fallback = "8080",
     .type = TARN_KEY_TYPE_U64,
     .max = 65535},
    {.name = "ipv4", .text = "address and network", .type = TARN_KEY_TYPE_PREFIX},
    {.name = "ipv4_gateway", .text = "first hop", .type = TARN_KEY_TYPE_ADDR},
    {.name = "verbose", .text = "say more", .type = TARN_KEY_TYPE_BOOL},
    {.name = "title", .text = "a text", .fallback = "", .type = TARN_KEY_TYPE_STR},
    {.name = "level",
     .text = "how much",
     .fallback = "low",
     .type = TARN_KEY_TYPE_CHOICE,
     .choices = "low|high"},
    {.name = "count", .text = "how many", .type = TARN_KEY_TYPE_U64, .max = UINT64_MAX},
    {.name = "port",
     .text = "the same key in another file",
     .fallback = "1",
     .type = TARN_KEY_TYPE_U64,
     .max = 65535},
};
enum { PORT, IPV4, GATEWAY, VERBOSE, TITLE, LEVEL, COUNT, PORT_AGAIN };

static struct seen {
    bool ran, verbose, has_ipv4, has_gateway, has_count, has_title;
    uint64_t port, port_again, count;
    struct tarn_ip_prefix ipv4;
    struct tarn_ip_addr gateway;
    char title[64], level[16];
} seen;

static void keep(char *out, size_t cap, struct tarn_span text) {
    size_t n = tarn_bytes_copy(tarn_bytes_of(out, cap - 1), text);
    out[n] = '\0';
}

static int look(struct tarn_env *env) {
    seen.ran = true;
    seen.port = tarn_key_u64(env, &keys[PORT]);
    seen.port_again = tarn_key_u64(env, &keys[PORT_AGAIN]);
    seen.has_count = tarn_key_given(env, &keys[COUNT]);
    seen.count = tarn_key_u64(env, &keys[COUNT]);
    seen.verbose = tarn_key_bool(env, &keys[VERBOSE]);
    seen.has_ipv4 = tarn_key_prefix(env, &keys[IPV4], &seen.ipv4);
    seen.has_gateway = tarn_key_addr(env, &keys[GATEWAY], &seen.gateway);
    seen.has_title = tarn_key_given(env, &keys[TITLE]);
    keep(seen.title, sizeof seen.title, tarn_key_str(env, &keys[TITLE]));
    keep(seen.level, sizeof seen.level, tarn_key_str(env, &keys[LEVEL]));
    return 7;
}

static int run(const char *cmdline) {
    return fake_run(look, keys, TARN_COUNT_OF(keys), cmdline);
}

Test(keys, defaults_hold_where_nothing_is_given) {
    cr_assert_eq(run(""), 7, "the status is main's");
    cr_assert_eq(seen.port, 8080);
    cr_assert_eq(seen.port_again, 1);
    cr_assert(!seen.has_count && !seen.verbose && !seen.has_ipv4 && !seen.has_gateway);
    cr_assert(seen.has_title, "an empty default is a value");
    cr_assert_str_eq(seen.title, "");
    cr_assert_str_eq(seen.level, "low");
}

Test(keys, every_type_is_read) {
    cr_assert_eq(
        run(" --port=443\t--ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1 --verbose --level=high "
            "--count=18446744073709551615 --title=a\n"),
        7);
    struct tarn_ip_addr addr = TARN_IP_ADDR_V4(10, 0, 0, 2), gateway = TARN_IP_ADDR_V4(10, 0, 0, 1);
    cr_assert_eq(seen.port, 443);
    cr_assert_eq(seen.port_again, 443, "two declarations of one key both get it");
    cr_assert(seen.has_ipv4 && tarn_ip_addr_equal(&seen.ipv4.addr, &addr));
    cr_assert_eq(seen.ipv4.bits, 24);
    cr_assert(seen.has_gateway && tarn_ip_addr_equal(&seen.gateway, &gateway));
    cr_assert(seen.verbose);
    cr_assert_str_eq(seen.level, "high");
    cr_assert(seen.has_count && seen.count == UINT64_MAX);
    cr_assert_str_eq(seen.title, "a");
}

Test(keys, the_last_one_counts) {
    cr_assert_eq(run("--port=1 --port=2 --verbose=true --verbose=false"), 7);
    cr_assert_eq(seen.port, 2);
    cr_assert(!seen.verbose);
}

Test(keys, quotes_group_and_backslash_escapes) {
    cr_assert_eq(run("--title=\"a b\"'c \\d'\\\"e\\ f"), 7);
    cr_assert_str_eq(seen.title, "a bc \\d\"e f");
    cr_assert_eq(run("\"--title=x=y\""), 7);
    cr_assert_str_eq(seen.title, "x=y");
}

Test(keys, an_empty_text_can_be_given) {
    cr_assert_eq(run("--title="), 7);
    cr_assert_str_eq(seen.title, "");
}

static void refused(const char *cmdline, const char *message) {
    fake.console_len = 0;
    fake.console[0] = '\0';
    seen.ran = false;
    cr_expect_eq(run(cmdline), 64, "%s", cmdline);
    cr_expect(!seen.ran, "%s: main does not run", cmdline);
    cr_expect_str_eq(fake.console, message);
}

Test(keys, what_is_wrong_is_said_in_one_line) {
    refused("--prot=80", "--prot is not a key of this program: --help lists them\n");
    refused("--ipv4_gateway=10.0.0.1",
            "--ipv4_gateway is not a key of this program: --help lists them\n");
    refused("80", "80 is not a key: keys are written --name=value, --help lists them\n");
    refused("-port=80",
            "-port=80 is not a key: keys are written --name=value, --help lists them\n");
    refused("--port", "--port needs a value: give --port=NUMBER, 0 to 65535\n");
    refused("--port=65536", "--port cannot be \"65536\": give --port=NUMBER, 0 to 65535\n");
    refused("--port=-1", "--port cannot be \"-1\": give --port=NUMBER, 0 to 65535\n");
    refused("--port=", "--port cannot be \"\": give --port=NUMBER, 0 to 65535\n");
    refused("--verbose=yes", "--verbose cannot be \"yes\": give --verbose=true|false\n");
    refused("--level=medium", "--level cannot be \"medium\": give --level=low|high\n");
    refused("--ipv4=10.0.0.2/33", "--ipv4 cannot be \"10.0.0.2/33\": give --ipv4=ADDRESS/BITS\n");
    refused("--ipv4-gateway=10.0.0",
            "--ipv4-gateway cannot be \"10.0.0\": give --ipv4-gateway=ADDRESS\n");
    refused("--title=\"open", "--title=open has a quote that is not closed\n");
    refused("--", "-- is not a key of this program: --help lists them\n");
}

Test(keys, a_long_word_is_cut_in_the_message) {
    char line[2000];
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    cr_assert_eq(run(line), 64);
    cr_assert_lt(fake.console_len, 300u);
    memcpy(line, "--port=", 7);
    cr_assert_eq(run(line), 64);
    cr_assert(fake_said("give --port=NUMBER"));
}

Test(keys, help_lists_keys_with_text_and_default_and_ends_well) {
    cr_assert_eq(run("--port=1 --help --nonsense"), 0);
    cr_assert(!seen.ran);
    cr_assert(fake_said("  --port=NUMBER                   TCP port (default 8080)\n"));
    cr_assert(fake_said("  --ipv4-gateway=ADDRESS          first hop\n"));
    cr_assert(fake_said("  --verbose                       say more\n"));
    cr_assert(fake_said("  --level=low|high                how much (default low)\n"));
    cr_assert(fake_said("  --title=TEXT                    a text\n"));
    cr_assert(!fake_said("the same key in another file"));
}

Test(keys, constants_given_at_build_come_before_the_operators) {
    struct tarn_program program = {.main = look,
                                   .keys = keys,
                                   .key_count = TARN_COUNT_OF(keys),
                                   .baked = "--port=9 --title='x y'"};
    cr_assert_eq(tarn_runtime_run(&program, tarn_span_str("--port=10")), 7);
    cr_assert_eq(seen.port, 10);
    cr_assert_str_eq(seen.title, "x y");
    cr_assert_eq(tarn_runtime_run(&program, TARN_SPAN_EMPTY), 7);
    cr_assert_eq(seen.port, 9);
}

Test(keys, a_key_of_another_program_traps, .signal = SIGILL) {
    fake_run(look, keys, 1, "");
}

Test(keys, too_little_memory_is_said) {
    fake.heap_bytes = 512;
    cr_assert_eq(run(""), 71);
    cr_assert(fake_said("not enough memory"));
}
