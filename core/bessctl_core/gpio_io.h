/* Digital inputs of this controller by the GPIO character device, ABI v2 (Linux 5.10; <linux/gpio.h>).
 *
 * gpio_request opens and configures, once, before the first tick. gpio_levels is one ioctl and gpio_changes one read, both without a sleep of
 * ours; how long the driver behind them takes, the caller measures before it trusts it in a tick. A failure is returned as -errno.
 */
#ifndef BESSCTL_GPIO_IO_H
#define BESSCTL_GPIO_IO_H

#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define GPIO_EVENTS 64 /* taken by one read; more wait for the next tick */

/* Lines of one chip as inputs; bias 0 as it is, 1 pull up, 2 pull down; `edges`: and the kernel notes every change. The descriptor that holds
 * them, or -errno (EBUSY: somebody has one; a chip without interrupts refuses edges). */
static inline int gpio_request(const char *path, const int32_t *offsets, const uint8_t *bias, int n, int edges)
{
    static const uint64_t flags[] = {GPIO_V2_LINE_FLAG_BIAS_PULL_UP, GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN};
    const uint64_t input = GPIO_V2_LINE_FLAG_INPUT | (edges ? GPIO_V2_LINE_FLAG_EDGE_RISING | GPIO_V2_LINE_FLAG_EDGE_FALLING : 0);
    struct gpio_v2_line_request request;
    int chip, i, kind, done;
    memset(&request, 0, sizeof request);
    if (n < 1 || n > GPIO_V2_LINES_MAX)
        return -EINVAL;
    memcpy(request.consumer, "bessctl", 8);
    request.num_lines = (uint32_t)n;
    request.config.flags = input;
    for (i = 0; i < n; i++)
        request.offsets[i] = (uint32_t)offsets[i];
    for (kind = 0; kind < 2; kind++) {
        struct gpio_v2_line_config_attribute *a = &request.config.attrs[request.config.num_attrs];
        for (i = 0; i < n; i++)
            a->mask |= (uint64_t)(bias[i] == kind + 1) << i;
        a->attr.id = GPIO_V2_LINE_ATTR_ID_FLAGS;
        a->attr.flags = input | flags[kind];
        if (a->mask)
            request.config.num_attrs++;
        else
            memset(a, 0, sizeof *a);
    }
    chip = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (chip < 0)
        return -errno;
    done = ioctl(chip, GPIO_V2_GET_LINE_IOCTL, &request) < 0 ? -errno : request.fd;
    close(chip);
    if (done >= 0 && fcntl(done, F_SETFL, O_RDONLY | O_NONBLOCK) < 0) {
        close(done);
        return -errno;
    }
    return done;
}

/* What changed since the last call: bit i of rose and fell for the i-th requested line. `seqno` is that of the last event seen. 0, 1 when the
 * kernel lost events for want of room (seqno jumps), or -errno. */
static inline int gpio_changes(int fd, const int32_t *offsets, int n, uint32_t *seqno, uint64_t *rose, uint64_t *fell)
{
    struct gpio_v2_line_event event[GPIO_EVENTS];
    ssize_t got = read(fd, event, sizeof event);
    int i, k, lost = 0;
    *rose = *fell = 0;
    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    for (k = 0; k < (int)(got / (ssize_t)sizeof event[0]); k++) {
        lost |= event[k].seqno != *seqno + 1;
        *seqno = event[k].seqno;
        for (i = 0; i < n; i++) {
            uint64_t bit = event[k].offset == (uint32_t)offsets[i] ? UINT64_C(1) << i : 0;
            *rose |= event[k].id == GPIO_V2_LINE_EVENT_RISING_EDGE ? bit : 0;
            *fell |= event[k].id == GPIO_V2_LINE_EVENT_FALLING_EDGE ? bit : 0;
        }
    }
    return lost;
}

/* The levels of all n lines, bit i for the i-th requested; 0 or -errno. */
static inline int gpio_levels(int fd, int n, uint64_t *levels)
{
    struct gpio_v2_line_values values = {.bits = 0, .mask = n < 64 ? (UINT64_C(1) << n) - 1 : ~UINT64_C(0)};
    if (ioctl(fd, GPIO_V2_LINE_GET_VALUES_IOCTL, &values) < 0)
        return -errno;
    *levels = values.bits;
    return 0;
}

#endif
