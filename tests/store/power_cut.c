/* A disk that keeps only what was synced.
 *
 * Loaded before libc, it copies a file under POWER_CUT_LIVE to the same place under
 * POWER_CUT_SHADOW each time the file is fsynced, as it was when the call began, and lets
 * the call return only then. What the shadow holds is what a power cut would have left.
 * A name that a file got later is kept once its folder is synced: by the file's number, the folder
 * of the same name with `.files` behind it has the file as it was synced last. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

static void make_parents(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* The shadow's name for an open file; 0 if it is not under the live folder. */
static int shadow_of(int fd, char *shadow)
{
    const char *live = getenv("POWER_CUT_LIVE"), *root = getenv("POWER_CUT_SHADOW");
    char link[64], path[PATH_MAX];
    if (!live || !root)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, live, strlen(live)) != 0)
        return 0;
    return snprintf(shadow, PATH_MAX, "%s%s", root, path + strlen(live)) < PATH_MAX;
}

static int copy(int fd, const char *to)
{
    static char buffer[1 << 20];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    int in = open(link, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t got = -1;
    if (in >= 0 && out >= 0)
        while ((got = read(in, buffer, sizeof buffer)) > 0)
            if (write(out, buffer, got) != got) {
                got = -1;
                break;
            }
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return got == 0;
}

/* Where a file is kept by its number. */
static void by_number(char *path, ino_t number)
{
    snprintf(path, PATH_MAX, "%s.files/%llu", getenv("POWER_CUT_SHADOW"), (unsigned long long)number);
}

/* Keeps the names of a synced folder: those of files that were synced before under other names. */
static void keep_names(int fd, const char *shadow)
{
    char kept[PATH_MAX], name[PATH_MAX + 256], live[64];
    struct stat about;
    snprintf(live, sizeof live, "/proc/self/fd/%d", fd);
    DIR *folder = opendir(live);
    for (struct dirent *entry; folder && (entry = readdir(folder));) {
        snprintf(name, sizeof name, "%s/%s", shadow, entry->d_name);
        by_number(kept, entry->d_ino);
        if (entry->d_type == DT_REG && stat(name, &about) != 0 && stat(kept, &about) == 0) {
            make_parents(name);
            if (link(kept, name) != 0)
                fprintf(stderr, "power_cut: %s cannot be kept\n", name);
        }
    }
    if (folder)
        closedir(folder);
}

static int synced(int fd, const char *name)
{
    char shadow[PATH_MAX], fresh[PATH_MAX];
    struct stat about;
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    int is_known = fstat(fd, &about) == 0 && (S_ISREG(about.st_mode) || S_ISDIR(about.st_mode));
    if (!is_known || !shadow_of(fd, shadow))
        return real(fd);
    pthread_mutex_lock(&one);
    if (S_ISDIR(about.st_mode)) {
        keep_names(fd, shadow);
        pthread_mutex_unlock(&one);
        return real(fd);
    }
    /* Beside the shadow: a kill in the middle leaves nothing in it that the disk would not have. */
    snprintf(fresh, sizeof fresh, "%s.files/fresh", getenv("POWER_CUT_SHADOW"));
    make_parents(fresh);
    make_parents(shadow);
    int copied = copy(fd, fresh);
    int result = real(fd);
    if (copied && result == 0) {
        char kept[PATH_MAX];
        rename(fresh, shadow);
        by_number(kept, about.st_ino);
        make_parents(kept);
        unlink(kept);
        link(shadow, kept);
    }
    pthread_mutex_unlock(&one);
    if (!copied) {
        fprintf(stderr, "power_cut: %s could not be copied\n", shadow);
        abort();
    }
    return result;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }
