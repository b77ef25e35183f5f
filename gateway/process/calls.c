/* SPDX-License-Identifier: MIT */
#include "gateway/process/calls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/time.h>

enum {
	/* A thousand times what the filter takes. Where it never ends, the operator waits that long
	 * for a start that fails, and many times longer on a busy machine. */
	LOAD_CPU_S = 1,
};

/* What the server, its libraries and the C library use, found by tracing the tests, and the
 * siblings that other versions of the libraries use in their place. */
static const char *const allowed[] = {
	/* connections */
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendfile",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	"socket",
	"socketpair",
	"splice",
	/* files: which ones, Landlock says */
	"access",
	"chmod",
	"close",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fchmod",
	"fchmodat",
	"fcntl",
	"fstat",
	"fsync",
	"ftruncate",
	"getdents64",
	"lseek",
	"lstat",
	"newfstatat",
	"open",
	"openat",
	"pipe2",
	"pread64",
	"preadv",
	"read",
	"readlink",
	"readlinkat",
	"readv",
	"rename",
	"renameat",
	"renameat2",
	"stat",
	"statfs",
	"fstatfs",
	"statx",
	"umask",
	"unlink",
	"unlinkat",
	"write",
	"writev",
	/* waiting */
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd2",
	"gettimeofday",
	"nanosleep",
	"poll",
	"ppoll",
	"pselect6",
	"restart_syscall",
	"select",
	"time",
	"timerfd_create",
	"timerfd_settime",
	/* threads and memory */
	"brk",
	"exit",
	"exit_group",
	"futex",
	"futex_waitv",
	"get_robust_list",
	"getcpu",
	"madvise",
	"membarrier",
	"mmap",
	"mprotect",
	"mremap",
	"munmap",
	"rseq",
	"sched_getaffinity",
	"sched_getscheduler",
	"sched_setattr",
	"sched_yield",
	"set_robust_list",
	"set_tid_address",
	"sigaltstack",
	/* about the process itself */
	"getegid",
	"geteuid",
	"getgid",
	"getpid",
	"getppid",
	"getpriority",
	"getrandom",
	"getrusage",
	"gettid",
	"getuid",
	"prlimit64",
	"rt_sigaction",
	"rt_sigprocmask",
	"rt_sigreturn",
	"rt_sigtimedwait",
	"sysinfo",
	"tgkill",
	"times",
	"uname",
};

/* Returns 0 also for a call that this architecture does not have. */
static int allow(scmp_filter_ctx filter, const char *name)
{
	int call = seccomp_syscall_resolve_name(name);

	return call == __NR_SCMP_ERROR || call < 0
		     ? 0
		     : seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
}

/* Those of which the arguments decide. prctl(2) names threads; ioctl(2) asks how much can be read,
 * makes a descriptor non-blocking and tells the interface of a link-local address ("fe80::1%eth0"),
 * but does not type into a terminal. */
static int allow_some(scmp_filter_ctx filter)
{
	static const unsigned long ioctls[] = {FIONREAD, FIONBIO,      FIOCLEX,
					       TCGETS,   SIOCGIFINDEX, SIOCGIFNAME};
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				 SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));

	if (r == 0) {
		r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	}
	if (r == 0) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0));
	}
	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(ioctls); i++) {
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_EQ, ioctls[i], 0));
	}
	return r;
}

/* Without memory, libseccomp 2.5 crashes in here or goes on for ever: it gets some CPU time, not of
 * the clock, as the machine may be slow. Behind the filter no timer can be stopped. */
static int load(scmp_filter_ctx filter)
{
	const struct itimerval limit = {.it_value = {.tv_sec = LOAD_CPU_S}};

	(void)setitimer(ITIMER_VIRTUAL, &limit, NULL);
	int r = seccomp_load(filter);

	(void)signal(SIGVTALRM, SIG_IGN);
	return r;
}

int calls_restrict(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(allowed); i++) {
		r = allow(filter, allowed[i]);
	}
	if (r == 0) {
		r = allow_some(filter);
	}
	if (r == 0) {
		/* Kernels that cannot log do without. */
		(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1);
		(void)!seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		r = load(filter);
	}
	seccomp_release(filter);
	return r;
}
