/* SPDX-License-Identifier: ISC */
/* The manifest as the linker lays it out, and the log's own key in it. */
#include <criterion/criterion.h>
#include <string.h>

#include "fake_platform.h"

TARN_NET(service);
TARN_BLK(storage);
TARN_KEY_U16(port, 8080, "TCP port");
TARN_KEY_BOOL(loud, "say more");
TARN_KEY_CHOICE(mode, "a", "a|b", "which");

int tarn_main(struct tarn_env *env) {
    struct tarn_log *log = tarn_env_log(env);
    tarn_log_line(log, TARN_LOG_WARN, "test", TARN_SPAN_LIT("a warning"));
    tarn_log_line(log, TARN_LOG_DEBUG, "test", TARN_SPAN_LIT("a detail"));
    struct tarn_blk *blk;
    return tarn_env_blk(env, &storage, &blk) == TARN_NOT_FOUND ? (int)tarn_key_u64(env, &port) : 1;
}

static int run(const char *cmdline) {
    struct tarn_program program = tarn_program_linked();
    return tarn_runtime_run(&program, tarn_span_str(cmdline));
}

Test(linked, the_sections_hold_every_key_and_device) {
    struct tarn_program program = tarn_program_linked();
    cr_assert_eq(program.main, tarn_main);
    cr_assert_eq(program.device_count, 2u);
    cr_assert_eq(program.key_count, 4u, "three here, and --log");
    cr_assert_eq(service.type, (uint32_t)TARN_DEVICE_NET);
    cr_assert_str_eq(storage.name, "storage");
}

Test(linked, help_names_devices_and_the_logs_key) {
    cr_assert_eq(run("--help"), 0);
    cr_assert(fake_said("Network devices: service\n"));
    cr_assert(fake_said("Block devices: storage\n"));
    cr_assert(fake_said("--log=error|warn|info|debug"));
    cr_assert(fake_said("--loud"));
}

Test(linked, the_log_is_as_talkative_as_asked) {
    cr_assert_eq(run("--port=5"), 5);
    cr_assert_str_eq(fake.console, "100.000000 warn test: a warning\n");
    cr_assert_eq(run("--log=debug"), 8080);
    cr_assert(fake_said("100.000000 debug test: a detail\n"));
    fake.console[0] = '\0', fake.console_len = 0;
    cr_assert_eq(run("--log=error"), 8080);
    cr_assert_str_eq(fake.console, "");
}
