/* The reference of the wake-up bench: a bare clock_nanosleep loop, SCHED_FIFO, memory locked, pinned. Nothing can wake earlier than this.
 *
 * wake_reference CPU PRIORITY
 *
 * Reads lines "FIRST_NS PERIOD_NS COUNT" and for each sleeps COUNT times to FIRST_NS + i * PERIOD_NS of CLOCK_MONOTONIC, then writes COUNT
 * int64: how late it woke, -1 for a period that was over before it could be slept for. Says "ready" once it has its priority, "refused"
 * when it has not. Ends with its parent or its input.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { COUNT_MAX = 1 << 20 };

static int64_t late_ns[COUNT_MAX];

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int settle_in(int cpu, int priority)
{
    struct sched_param param = {.sched_priority = priority};
    cpu_set_t set;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1);
    CPU_ZERO(&set);
    if (cpu >= 0) {
        CPU_SET((size_t)cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set))
            return -1;
    }
    memset(late_ns, 1, sizeof late_ns);
    if (mlockall(MCL_CURRENT | MCL_FUTURE))
        return -1;
    return sched_setscheduler(0, SCHED_FIFO, &param);
}

static void window(int64_t first_ns, int64_t period_ns, int count)
{
    for (int i = 0; i < count; i++) {
        int64_t due_ns = first_ns + i * period_ns;
        struct timespec due = {.tv_sec = due_ns / 1000000000, .tv_nsec = due_ns % 1000000000};
        if (i && now_ns() >= due_ns) {
            late_ns[i] = -1;
            continue;
        }
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL))
            ;
        late_ns[i] = now_ns() - due_ns;
    }
}

static int write_all(const char *at, size_t n)
{
    while (n > 0) {
        ssize_t k = write(1, at, n);
        if (k <= 0)
            return -1;
        at += k;
        n -= (size_t)k;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char line[128];
    long long first, period;
    int count;
    if (argc != 3)
        return 2;
    dprintf(1, settle_in(atoi(argv[1]), atoi(argv[2])) ? "refused\n" : "ready\n");
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "%lld %lld %d", &first, &period, &count) != 3 || count < 1 || count > COUNT_MAX)
            return 2;
        window(first, period, count);
        if (write_all((const char *)late_ns, (size_t)count * sizeof late_ns[0]))
            return 0;
    }
    return 0;
}
