/* Digital inputs of this controller by the GPIO character device, ABI v2 (Linux 5.10; <linux/gpio.h>).
 *
 * gpio_request opens and configures, once, before the first tick. gpio_levels is one ioctl without a sleep of ours; how long the driver behind it
 * takes, the caller measures before it trusts it in a tick. A failure is returned as -errno.
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

/* Lines of one chip as inputs; bias 0 as it is, 1 pull up, 2 pull down. The descriptor that holds them, or -errno (EBUSY: somebody has one). */
static inline int gpio_request(const char *path, const int32_t *offsets, const uint8_t *bias, int n)
{
    static const uint64_t flags[] = {GPIO_V2_LINE_FLAG_BIAS_PULL_UP, GPIO_V2_LINE_FLAG_BIAS_PULL_DOWN};
    struct gpio_v2_line_request request;
    int chip, i, kind, done;
    memset(&request, 0, sizeof request);
    if (n < 1 || n > GPIO_V2_LINES_MAX)
        return -EINVAL;
    memcpy(request.consumer, "bessctl", 8);
    request.num_lines = (uint32_t)n;
    request.config.flags = GPIO_V2_LINE_FLAG_INPUT;
    for (i = 0; i < n; i++)
        request.offsets[i] = (uint32_t)offsets[i];
    for (kind = 0; kind < 2; kind++) {
        struct gpio_v2_line_config_attribute *a = &request.config.attrs[request.config.num_attrs];
        for (i = 0; i < n; i++)
            a->mask |= (uint64_t)(bias[i] == kind + 1) << i;
        a->attr.id = GPIO_V2_LINE_ATTR_ID_FLAGS;
        a->attr.flags = GPIO_V2_LINE_FLAG_INPUT | flags[kind];
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
    return done;
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
