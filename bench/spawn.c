/* SPDX-License-Identifier: ISC */
/* Starts commands turn by turn and tells what each took: spawn ROUNDS COMMAND [ARG ...] [, COMMAND
 * ...]
 *
 * A line for each round: the nanoseconds from the start of each command to its end, in order.
 * Written in C since what starts a process in Python takes as long as what is measured. A command
 * that does not end with status 0 or 42 (what the image measured here answers) ends the program. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { COMMANDS_MAX = 16 };

static long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000L + t.tv_nsec;
}

static long run_ns(char **command) {
    static char *no_environment[] = {NULL};
    pid_t pid;
    int status;
    long start = now_ns();
    if (posix_spawn(&pid, command[0], NULL, NULL, command, no_environment) != 0) {
        perror(command[0]);
        exit(1);
    }
    if (waitpid(pid, &status, 0) != pid) {
        perror("waitpid");
        exit(1);
    }
    long wall_ns = now_ns() - start;
    if (!WIFEXITED(status) || (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 42)) {
        fprintf(stderr, "%s: ended with wait status %#x\n", command[0], (unsigned)status);
        exit(1);
    }
    return wall_ns;
}

int main(int argc, char **argv) {
    char **commands[COMMANDS_MAX];
    int count = 0;
    int rounds = argc > 2 ? atoi(argv[1]) : 0;
    if (rounds <= 0) {
        fprintf(stderr, "usage: spawn ROUNDS COMMAND [ARG ...] [, COMMAND [ARG ...]] ...\n");
        return 64;
    }
    for (int i = 2; i < argc && count < COMMANDS_MAX; i++) {
        commands[count++] = argv + i;
        while (i < argc && strcmp(argv[i], ",") != 0)
            i++;
        if (i < argc)
            argv[i] = NULL;
    }
    for (int round = 0; round < rounds; round++)
        for (int c = 0; c < count; c++)
            printf("%ld%c", run_ns(commands[c]), c == count - 1 ? '\n' : ' ');
    return 0;
}
