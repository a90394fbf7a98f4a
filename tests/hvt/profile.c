/* SPDX-License-Identifier: ISC */
/* profile COMMAND [ARGUMENT ...]: runs a command under the list of system calls that a container
 * runtime gives hvt tenders. What is not in it is a signal. */
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int allowed[] = {
    SYS_rt_sigaction,
    SYS_ioctl,
    SYS_pread64,
    SYS_mmap,
    SYS_recvmsg,
    SYS_openat,
    SYS_sendto,
    SYS_mprotect,
    SYS_write,
    SYS_epoll_ctl,
    SYS_epoll_create1,
    SYS_read,
    SYS_close,
    SYS_fstat,
    SYS_munmap,
    SYS_brk,
    SYS_execve,
    SYS_timerfd_create,
    SYS_lseek,
    SYS_personality,
    SYS_socket,
    SYS_bind,
    SYS_getsockname,
    SYS_exit,
    SYS_exit_group,
    SYS_getpid,
    SYS_tgkill,
    SYS_nanosleep,
    SYS_futex,
    SYS_epoll_pwait,
    SYS_rt_sigreturn,
    SYS_timerfd_settime,
    SYS_pwrite64,
    SYS_set_tid_address,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_prlimit64,
    SYS_getrandom,
    SYS_open,
    SYS_stat,
    SYS_access,
    SYS_arch_prctl,
    SYS_newfstatat,
};
#define COUNT (sizeof allowed / sizeof allowed[0])

int main(int argc, char **argv) {
    struct sock_filter code[COUNT + 3];
    struct sock_fprog program = {.len = sizeof code / sizeof code[0], .filter = code};
    code[0] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT; i++)
        code[1 + i] = (struct sock_filter){BPF_JMP | BPF_JEQ | BPF_K, (__u8)(COUNT - i), 0,
                                           (__u32)allowed[i]};
    code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    if (argc < 2 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("profile");
        return 1;
    }
    execv(argv[1], argv + 1);
    perror(argv[1]);
    return 1;
}
