/* SPDX-License-Identifier: ISC */
/* Runs a fuzz target over given inputs, under any compiler: the corpus as a unit test.
 *
 *   replay PATH...   each file, and each file of each folder; fails where that makes no input at
 * all replay           one input from stdin, as AFL++ wants it; built by afl-clang-fast, a
 * persistent loop over its shared memory
 *
 * Every input is in an allocation of exactly its size, so that AddressSanitizer sees the first byte
 * read behind it. */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* A target may have it; libFuzzer looks for it in the same way. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static unsigned long inputs;

static void run(const uint8_t *data, size_t size) {
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    memcpy(exact, data, size);
    /* -1 is libFuzzer's "keep it out of the corpus": nothing here fails but by crashing. */
    (void)LLVMFuzzerTestOneInput(exact + (size ? 0 : 1), size);
    free(exact);
    inputs++;
}

static void run_stream(FILE *f) {
    size_t size = 0, cap = 1 << 16;
    uint8_t *data = malloc(cap);
    for (size_t n; data && (n = fread(data + size, 1, cap - size, f)) > 0;) {
        size += n;
        if (size == cap)
            data = realloc(data, cap *= 2);
    }
    if (!data || ferror(f)) {
        fprintf(stderr, "replay: an input could not be read: %s\n", strerror(errno));
        exit(1);
    }
    run(data, size);
    free(data);
}

static void run_path(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) {
        fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    if (!S_ISDIR(st.st_mode)) {
        FILE *f = fopen(path, "rb");
        if (!f) {
            fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
            exit(1);
        }
        if (getenv("REPLAY_VERBOSE"))
            fprintf(stderr, "%s\n", path);
        run_stream(f);
        fclose(f);
        return;
    }
    struct dirent **names;
    int n = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        char full[4096];
        if (names[i]->d_name[0] != '.') {
            snprintf(full, sizeof full, "%s/%s", path, names[i]->d_name);
            run_path(full);
        }
        free(names[i]);
    }
    if (n >= 0)
        free(names);
}

#ifdef __AFL_HAVE_MANUAL_CONTROL
__AFL_FUZZ_INIT();
static void run_afl(void) {
    __AFL_INIT();
    const uint8_t *data = __AFL_FUZZ_TESTCASE_BUF;
    while (__AFL_LOOP(10000))
        run(data, (size_t)__AFL_FUZZ_TESTCASE_LEN);
}
#else
static void run_afl(void) {
    run_stream(stdin);
}
#endif

int main(int argc, char **argv) {
    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&argc, &argv);
    if (argc < 2) {
        run_afl();
        return 0;
    }
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    printf("replayed %lu inputs\n", inputs);
    if (inputs == 0)
        fprintf(stderr, "replay: the corpus is empty\n");
    return inputs == 0;
}
