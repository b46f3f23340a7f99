/* TIOCSRS485 at the ioctl seam: preloaded, it lets a pseudo-terminal take what its driver refuses, and keeps what was set in $RS485_FAKE. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/serial.h>
#include <stdarg.h>
#include <stdlib.h>
#include <asm/ioctls.h>
#include <unistd.h>

int ioctl(int fd, unsigned long call, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list arguments;
    void *argument;
    va_start(arguments, call);
    argument = va_arg(arguments, void *);
    va_end(arguments);
    if (call == TIOCSRS485) {
        int out = open(getenv("RS485_FAKE"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        ssize_t written = write(out, argument, sizeof(struct serial_rs485));
        close(out);
        return written == (ssize_t)sizeof(struct serial_rs485) ? 0 : -1;
    }
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "ioctl");
    return real(fd, call, argument);
}
