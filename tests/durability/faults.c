/* Makes system calls on the files of one directory fail, fall short, or end the process. Loaded with LD_PRELOAD.

   FAULTS_DIRECTORY is the directory; FAULTS_CONTROL a file with the orders, mapped by this library and by whoever gives
   them (faults.py, which describes the fields). Calls are counted as long as `armed` is set. The index's shared memory
   (-shm) is no data and never fails. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { KILL = -1, SHORT = -2 };

struct orders {
    int32_t armed, nth, action, persistent, count, hits;
    char call[32], only[16], path[456];
};

static struct orders *orders;
static const char *directory;
static size_t length;

__attribute__((constructor)) static void begin(void) {
    const char *control = getenv("FAULTS_CONTROL");
    directory = getenv("FAULTS_DIRECTORY");
    if (!control || !directory) return;
    length = strlen(directory);
    int file = open(control, O_RDWR | O_CLOEXEC);
    void *mapped = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED) orders = mapped;
    if (file >= 0) close(file);
}

/* 0 to go on, SHORT to write half, or the errno to fail with. */
static int verdict(const char *call, const char *path) {
    size_t size = strlen(path);
    if (strncmp(path, directory, length) || (size > 4 && !strcmp(path + size - 4, "-shm"))) return 0;
    if (!strstr(call, orders->only)) return 0;
    int number = __atomic_add_fetch(&orders->count, 1, __ATOMIC_SEQ_CST);
    if (number != orders->nth && !(orders->persistent && orders->nth && number > orders->nth)) return 0;
    int action = orders->action;
    if (action == SHORT && !strstr(call, "write")) return 0;
    if (__atomic_add_fetch(&orders->hits, 1, __ATOMIC_SEQ_CST) == 1) {
        snprintf(orders->call, sizeof orders->call, "%s", call);
        snprintf(orders->path, sizeof orders->path, "%s", path);
    }
    if (action == KILL) kill(getpid(), SIGKILL);
    return action;
}

static int of_path(const char *call, const char *path) {
    return orders && orders->armed ? verdict(call, path) : 0;
}

static int of_file(const char *call, int file) {
    if (!orders || !orders->armed) return 0;
    char link[40], path[512];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t size = readlink(link, path, sizeof path - 1);
    if (size <= 0) return 0;
    path[size] = 0;
    return verdict(call, path);
}

#define REAL(name, ...) \
    static __typeof__(name) *real; \
    if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
    return real(__VA_ARGS__)
#define FAIL(error) do { if (error) { errno = error; return -1; } } while (0)

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); \
        int error = of_path("open", path); FAIL(error); \
        REAL(name, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define WRITE(name, type) \
    ssize_t name(int file, const void *data, size_t size, type offset) { \
        int error = of_file("pwrite", file); \
        if (error == SHORT) size = size > 1 ? size / 2 : size; else FAIL(error); \
        REAL(name, file, data, size, offset); \
    }
WRITE(pwrite, off_t)
WRITE(pwrite64, off64_t)

ssize_t write(int file, const void *data, size_t size) {
    int error = of_file("write", file);
    if (error == SHORT) size = size > 1 ? size / 2 : size; else FAIL(error);
    REAL(write, file, data, size);
}

#define ON_FILE(name) int name(int file) { int error = of_file(#name, file); FAIL(error); REAL(name, file); }
ON_FILE(fsync)
ON_FILE(fdatasync)

int ftruncate(int file, off_t size) { int error = of_file("ftruncate", file); FAIL(error); REAL(ftruncate, file, size); }
int ftruncate64(int file, off64_t size) { int error = of_file("ftruncate", file); FAIL(error); REAL(ftruncate64, file, size); }
int posix_fallocate64(int file, off64_t at, off64_t size) { int error = of_file("fallocate", file); if (error) return error; REAL(posix_fallocate64, file, at, size); }
int rename(const char *old, const char *new) { int error = of_path("rename", new); FAIL(error); REAL(rename, old, new); }
int unlink(const char *path) { int error = of_path("unlink", path); FAIL(error); REAL(unlink, path); }
int mkdir(const char *path, mode_t mode) { int error = of_path("mkdir", path); FAIL(error); REAL(mkdir, path, mode); }
