/* A GPIO chip at the ioctl seam, for machines whose kernel has none (no gpio-sim): preloaded, it answers the two calls that gpio_io.h makes.
 *
 * $GPIO_FAKE names a folder. A line request is written to `request` as the kernel would see it; `levels` holds the levels, 8 bytes, and
 * is read at each GET_VALUES; shorter than that the chip is gone (ENODEV). The line's descriptor is the pipe `events`, from which the
 * kernel's gpio_v2_line_event come. $GPIO_FAKE_US makes each read of levels that slow; $GPIO_FAKE_POLLED: a chip without interrupts,
 * which refuses edges as the kernel does then.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int in_folder(const char *name, int flags)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", getenv("GPIO_FAKE"), name);
    return open(path, flags | O_CLOEXEC, 0600);
}

static int request_lines(struct gpio_v2_line_request *request)
{
    int out = in_folder("request", O_WRONLY | O_CREAT | O_TRUNC);
    ssize_t written = write(out, request, sizeof *request);
    close(out);
    if (getenv("GPIO_FAKE_POLLED") && request->config.flags & GPIO_V2_LINE_FLAG_EDGE_RISING) {
        errno = ENXIO;
        return -1;
    }
    request->fd = in_folder("events", O_RDWR);
    return written == (ssize_t)sizeof *request ? 0 : -1;
}

static int get_values(struct gpio_v2_line_values *values)
{
    const char *slow = getenv("GPIO_FAKE_US");
    int in = in_folder("levels", O_RDONLY);
    __u64 levels = 0;
    ssize_t got = read(in, &levels, sizeof levels);
    close(in);
    if (slow)
        usleep((useconds_t)atoi(slow));
    if (got != (ssize_t)sizeof levels) {
        errno = ENODEV;
        return -1;
    }
    values->bits = levels & values->mask;
    return 0;
}

int ioctl(int fd, unsigned long call, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list arguments;
    void *argument;
    va_start(arguments, call);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (call == GPIO_V2_GET_LINE_IOCTL)
        return request_lines(argument);
    if (call == GPIO_V2_LINE_GET_VALUES_IOCTL)
        return get_values(argument);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, call, argument);
}
