// A disk that fails when a test says so: loaded before the C library, it answers for the calls that write and sync
// regular files. What fails is named by files in the directory FAILING_DISK:
//
//   sync    fsync and fdatasync answer EIO
//   write   every write answers EIO
//   full    holds a number: so many bytes are still written, the last write in part, then ENOSPC

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long room = -1;

static int is_there(const char *what, char *path, size_t size) {
    const char *directory = getenv("FAILING_DISK");
    if (!directory) return 0;
    snprintf(path, size, "%s/%s", directory, what);
    return access(path, F_OK) == 0;
}

static int is_regular(int file) {
    struct stat about;
    return fstat(file, &about) == 0 && S_ISREG(about.st_mode);
}

// How many of these bytes may be written; -1 with errno when none may.
static ssize_t allowed(int file, size_t wanted) {
    char path[4096];
    if (!is_regular(file)) return wanted;
    if (is_there("write", path, sizeof path)) {
        errno = EIO;
        return -1;
    }
    pthread_mutex_lock(&lock);
    ssize_t granted = wanted;
    if (!is_there("full", path, sizeof path)) {
        room = -1;
    } else {
        if (room < 0) {
            FILE *number = fopen(path, "r");
            if (!number || fscanf(number, "%ld", &room) != 1) room = 0;
            if (number) fclose(number);
        }
        if ((size_t)room < wanted) granted = room;
        room -= granted;
    }
    pthread_mutex_unlock(&lock);
    if (granted == 0 && wanted > 0) {
        errno = ENOSPC;
        return -1;
    }
    return granted;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *bytes, size_t count) {
    ssize_t granted = allowed(file, count);
    return granted < 0 ? -1 : REAL(write)(file, bytes, granted);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t offset) {
    ssize_t granted = allowed(file, count);
    return granted < 0 ? -1 : REAL(pwrite64)(file, bytes, granted, offset);
}

// In pieces, of which the last one may be cut short.
ssize_t writev(int file, const struct iovec *pieces, int count) {
    if (!is_regular(file)) return REAL(writev)(file, pieces, count);
    ssize_t written = 0;
    for (int at = 0; at < count; at++) {
        ssize_t piece = write(file, pieces[at].iov_base, pieces[at].iov_len);
        if (piece < 0) return written > 0 ? written : -1;
        written += piece;
        if ((size_t)piece < pieces[at].iov_len) break;
    }
    return written;
}

static int fails_to_sync(void) {
    char path[4096];
    return is_there("sync", path, sizeof path);
}

int fsync(int file) {
    if (fails_to_sync()) {
        errno = EIO;
        return -1;
    }
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    if (fails_to_sync()) {
        errno = EIO;
        return -1;
    }
    return REAL(fdatasync)(file);
}
