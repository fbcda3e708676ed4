/* Loaded before the C library: every flush to disk takes five milliseconds more, as on a plain cloud disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <unistd.h>

#define SLOW(name)                                                   \
    int name(int file)                                               \
    {                                                                \
        static int (*flush)(int);                                    \
        if (!flush)                                                  \
            flush = (int (*)(int))dlsym(RTLD_NEXT, #name);           \
        usleep(5000);                                                \
        return flush(file);                                          \
    }

SLOW(fsync)
SLOW(fdatasync)
