/* Preloaded, it makes the file system refuse every lock with the error number in LOCK_ERRNO, as some of clusters do. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>

typedef int call(int, int, ...);

static int refuse(void) {
    errno = atoi(getenv("LOCK_ERRNO"));
    return -1;
}

static int unless_lock(const char *name, int file, int command, void *argument) {
    if (command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK || command == F_OFD_SETLKW)
        return refuse();
    return ((call *)dlsym(RTLD_NEXT, name))(file, command, argument);
}

static void *next(va_list arguments) {
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    return argument;
}

int flock(int file, int operation) {
    (void)file, (void)operation;
    return refuse();
}

int fcntl(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    return unless_lock("fcntl", file, command, next(arguments));
}

int fcntl64(int file, int command, ...) {
    va_list arguments;
    va_start(arguments, command);
    return unless_lock("fcntl64", file, command, next(arguments));
}
