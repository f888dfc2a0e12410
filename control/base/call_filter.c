/* SPDX-License-Identifier: Apache-2.0 */
/* call_filter.c - the system calls that a program may make, as lists of names */
#include "control/base/call_filter.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/mman.h>

/* clang-format off */

/* Names with 64 or 32 in them are those of 32-bit machines; *at and without, those of old and of new ones. */

const char *const call_filter_base[] = {
	/* malloc, stacks of threads */
	"brk", "mremap", "munmap", "madvise",
	/* threads, their locks, and what libc registers for each */
	"futex", "futex_time64", "futex_waitv", "set_robust_list", "set_tid_address", "rseq", "membarrier",
	"sched_yield", "sched_getaffinity", "getcpu", "arch_prctl", "set_tls", "cacheflush", "riscv_flush_icache",
	/* a worker gives up its capabilities (tap/base/capability.c) */
	"capget", "capset", "prctl",
	/* clocks, where the vDSO does not answer */
	"clock_gettime", "clock_gettime64", "clock_getres", "clock_getres_time64", "clock_nanosleep",
	"clock_nanosleep_time64", "gettimeofday", "nanosleep", "time", "restart_syscall",
	/* signals; abort() */
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "sigaltstack", "tgkill", "exit", "exit_group",
	/* who and where we are */
	"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32", "getgid32",
	"getegid32", "uname", "sysinfo", "getrandom", "prlimit64", "getrlimit", "ugetrlimit", "setrlimit", "getrusage",
	NULL};

const char *const call_filter_waiting[] = {
	"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "ppoll_time64",
	"select", "_newselect", "pselect6", "pselect6_time64", "eventfd2", "timerfd_create", "timerfd_settime",
	"timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "signalfd4", "pipe2", NULL};

const char *const call_filter_files[] = {
	"open", "openat", "close", "close_range", "read", "write", "pread64", "pwrite64", "readv", "writev",
	"preadv", "pwritev", "preadv2", "pwritev2", "lseek", "_llseek", "dup", "dup2", "dup3", "fcntl", "fcntl64",
	"ioctl", "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64", "newfstatat", "fstatat64", "statx",
	"statfs", "statfs64", "fstatfs", "fstatfs64", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
	"getcwd", "getdents", "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
	"renameat2", "ftruncate", "ftruncate64", "fallocate", "fsync", "fdatasync", "flock", "umask", "chmod",
	"fchmod", "fchmodat", "fadvise64", "fadvise64_64", NULL};

const char *const call_filter_sockets[] = {
	"socket", "socketpair", "bind", "connect", "listen", "accept", "accept4", "shutdown", "getsockname",
	"getpeername", "getsockopt", "setsockopt", "send", "sendto", "sendmsg", "sendmmsg", "recv", "recvfrom",
	"recvmsg", "recvmmsg", "recvmmsg_time64", NULL};

/* We never make these, nor does a library: whoever does has taken over the process. */
static const char *const hostile[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "mount",
	"umount2", "move_mount", "open_tree", "fsopen", "pivot_root", "chroot", "unshare", "open_by_handle_at",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "bpf",
	"perf_event_open", "userfaultfd", "mknod", "mknodat", "setuid", "setgid", "setresuid", "setresgid", "swapon", NULL};

/* clang-format on */

static int add_names(scmp_filter_ctx context, uint32_t action, const char *const *names)
{
	for (; *names; names++) {
		int number = seccomp_syscall_resolve_name(*names);
		int error = number == __NR_SCMP_ERROR ? 0 : seccomp_rule_add(context, action, number, 0);
		/* -EDOM: another machine's. */
		if (error && error != -EDOM)
			return error;
	}
	return 0;
}

/* A call that is allowed when one of its arguments fits. */
static int add_partial(scmp_filter_ctx context, int number, struct scmp_arg_cmp fits)
{
	int error = seccomp_rule_add_array(context, SCMP_ACT_ALLOW, number, 1, &fits);
	return error == -EDOM ? 0 : error;
}

/*
 * s390x has the stack in front of clone()'s flags, and the arguments of mmap() in memory, where a filter cannot see
 * them: there, code can be mapped, and mprotect() alone is kept from making it.
 */
#ifdef __s390x__
#define CLONE_FLAGS 1
#define MMAP_ARGUMENTS_SHOW false
#else
#define CLONE_FLAGS 0
#define MMAP_ARGUMENTS_SHOW true
#endif

static int add_partials(scmp_filter_ctx context, const struct call_filter *filter)
{
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
				CLONE_NEWPID | CLONE_NEWNET;
	const uint64_t code = filter->load_code ? 0 : PROT_EXEC;
	const struct scmp_arg_cmp memory = SCMP_A2(SCMP_CMP_MASKED_EQ, code, 0);
	const struct scmp_arg_cmp mapping = SCMP_A2(SCMP_CMP_MASKED_EQ, MMAP_ARGUMENTS_SHOW ? code : 0, 0);
	const struct scmp_arg_cmp thread =
		SCMP_CMP(CLONE_FLAGS, SCMP_CMP_MASKED_EQ, spaces | CLONE_THREAD, CLONE_THREAD);
	int error = add_partial(context, SCMP_SYS(mmap), mapping);
	if (!error)
		error = add_partial(context, SCMP_SYS(mmap2), memory);
	if (!error)
		error = add_partial(context, SCMP_SYS(mprotect), memory);
	/* clone3() has its flags in memory, which a filter cannot see; on ENOSYS libc takes clone(). */
	if (!error)
		error = add_partial(context, SCMP_SYS(clone), thread);
	if (!error && filter->enter_networks)
		error = add_partial(context, SCMP_SYS(setns), SCMP_A1(SCMP_CMP_EQ, CLONE_NEWNET, 0));
	return error;
}

/* Loads what was built, if that went well, and frees it. */
static int load_filter(scmp_filter_ctx context, int error)
{
	int loaded = error ? 0 : seccomp_load(context);
	seccomp_release(context);
	/* What libseccomp says where the kernel has no filters. */
	if (loaded == -EINVAL || loaded == -ENOSYS || loaded == -ECANCELED)
		return -ENOTSUP;
	return error ? error : loaded;
}

int call_filter_install(const struct call_filter *filter)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	if (!context)
		return -ENOMEM;
	/* Of a kernel before 4.14 these two ask too much; the filter is the same without. */
	(void)seccomp_attr_set(context, SCMP_FLTATR_CTL_LOG, 1);
	(void)seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int error = add_partials(context, filter);
	for (const char *const *const *list = filter->allowed; !error && *list; list++)
		error = add_names(context, SCMP_ACT_ALLOW, *list);
	if (!error)
		error = add_names(context, SCMP_ACT_KILL_PROCESS, hostile);
	return load_filter(context, error);
}

int call_filter_seal(const struct call_filter *filter)
{
	if (!filter->start_only)
		return 0;
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ALLOW);
	if (!context)
		return -ENOMEM;
	/* The other threads, too. */
	int error = seccomp_attr_set(context, SCMP_FLTATR_CTL_TSYNC, 1);
	if (!error)
		error = add_names(context, SCMP_ACT_KILL_PROCESS, filter->start_only);
	return load_filter(context, error);
}
