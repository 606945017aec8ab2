/* A machine that misbehaves as a file says.
 *
 * Loaded before libc, it looks into the file BAD_MACHINE names, whenever it was replaced:
 *
 *   readonly PREFIX    nothing below PREFIX can be changed (EROFS)
 *   full PREFIX        nothing below PREFIX can grow (ENOSPC)
 *   slow MS PREFIX     syncing what is below PREFIX takes so many milliseconds
 *   clock SECONDS      the wall clock is so far ahead
 *   kill COUNT PREFIX  the process is killed in place of the COUNTth change below PREFIX; of one that writes many
 *                      pages half are written
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
static struct timespec seen;
static ino_t seen_inode;
static char readonly_at[PATH_MAX], full_at[PATH_MAX], slow_at[PATH_MAX], kill_at[PATH_MAX];
static long slow_ms, ahead_s, kill_left;

static void look(void)
{
    const char *control = getenv("BAD_MACHINE");
    struct stat now;
    if (!control || stat(control, &now) != 0)
        return;
    pthread_mutex_lock(&one);
    if (now.st_ino != seen_inode || now.st_mtim.tv_sec != seen.tv_sec || now.st_mtim.tv_nsec != seen.tv_nsec) {
        seen = now.st_mtim;
        seen_inode = now.st_ino;
        readonly_at[0] = full_at[0] = slow_at[0] = kill_at[0] = 0;
        slow_ms = ahead_s = 0;
        char line[PATH_MAX + 64];
        FILE *file = REAL(fopen)(control, "r");
        while (file && fgets(line, sizeof line, file)) {
            line[strcspn(line, "\n")] = 0;
            if (sscanf(line, "readonly %4095s", readonly_at) == 1 || sscanf(line, "full %4095s", full_at) == 1)
                continue;
            if (sscanf(line, "slow %ld %4095s", &slow_ms, slow_at) == 2)
                continue;
            if (sscanf(line, "kill %ld %4095s", &kill_left, kill_at) == 2)
                continue;
            sscanf(line, "clock %ld", &ahead_s);
        }
        if (file)
            fclose(file);
    }
    pthread_mutex_unlock(&one);
}

static int below(const char *path, const char *prefix)
{
    size_t length = strlen(prefix);
    return length && strncmp(path, prefix, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static const char *path_of(int fd, char *path)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
    return path;
}

/* Whether the process is to end in place of this change. */
static int is_last(const char *path)
{
    pthread_mutex_lock(&one);
    int last = below(path, kill_at) && --kill_left == 0;
    pthread_mutex_unlock(&one);
    return last;
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static int denied(const char *path, int grows)
{
    if (below(path, readonly_at)) {
        errno = EROFS;
        return 1;
    }
    if (grows && below(path, full_at)) {
        errno = ENOSPC;
        return 1;
    }
    return 0;
}

static int refused(const char *path, int grows)
{
    look();
    if (is_last(path))
        end();
    return denied(path, grows);
}

static int refused_fd(int fd)
{
    char path[PATH_MAX];
    return refused(path_of(fd, path), 1);
}

/* The same for a write at a place, or at none (-1). */
static int refused_write(int fd, const void *octets, size_t count, off_t at)
{
    char path[PATH_MAX];
    path_of(fd, path);
    look();
    if (is_last(path)) {
        size_t half = count / 2 & ~(size_t)4095;
        if (half && (at < 0 ? REAL(write)(fd, octets, half) : REAL(pwrite)(fd, octets, half, at)) < 0)
            perror(path);
        end();
    }
    return denied(path, 1);
}

static void before_sync(int fd)
{
    char path[PATH_MAX];
    look();
    path_of(fd, path);
    if (is_last(path))
        end();
    if (slow_ms && below(path, slow_at))
        usleep(slow_ms * 1000);
}

#define WRITES (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)

static int opened(const char *name, const char *path, int flags, mode_t mode)
{
    if ((flags & WRITES) && refused(path, flags & O_CREAT && access(path, F_OK) != 0))
        return -1;
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    return real(path, flags, mode);
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        va_list more;                                                                                                  \
        va_start(more, flags);                                                                                         \
        mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;                                                      \
        va_end(more);                                                                                                  \
        return opened(#name, path, flags, mode);                                                                       \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *octets, size_t count)
{
    return refused_write(fd, octets, count, -1) ? -1 : REAL(write)(fd, octets, count);
}

ssize_t pwrite(int fd, const void *octets, size_t count, off_t at)
{
    return refused_write(fd, octets, count, at) ? -1 : REAL(pwrite)(fd, octets, count, at);
}

ssize_t pwrite64(int fd, const void *octets, size_t count, off64_t at)
{
    return refused_write(fd, octets, count, at) ? -1 : REAL(pwrite64)(fd, octets, count, at);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return refused_fd(fd) ? -1 : REAL(writev)(fd, parts, count);
}

int fsync(int fd)
{
    before_sync(fd);
    return REAL(fsync)(fd);
}

int fdatasync(int fd)
{
    before_sync(fd);
    return REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t length)
{
    return refused_fd(fd) ? -1 : REAL(ftruncate64)(fd, length);
}

int rename(const char *from, const char *to)
{
    return refused(to, 0) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path)
{
    return refused(path, 0) ? -1 : REAL(unlink)(path);
}

int unlinkat(int dir, const char *name, int flags)
{
    char path[PATH_MAX], full[PATH_MAX + 256];
    if (*name == '/' || dir == AT_FDCWD)
        snprintf(full, sizeof full, "%s", name);
    else
        snprintf(full, sizeof full, "%s/%s", path_of(dir, path), name);
    return refused(full, 0) ? -1 : REAL(unlinkat)(dir, name, flags);
}

int rmdir(const char *path)
{
    return refused(path, 0) ? -1 : REAL(rmdir)(path);
}

int mkdir(const char *path, mode_t mode)
{
    return refused(path, 1) ? -1 : REAL(mkdir)(path, mode);
}

int clock_gettime(clockid_t clock, struct timespec *time)
{
    int done = REAL(clock_gettime)(clock, time);
    if (done == 0 && clock == CLOCK_REALTIME) {
        look();
        time->tv_sec += ahead_s;
    }
    return done;
}
