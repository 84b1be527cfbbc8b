/*
 * lock.c - POSIX record locks.  They belong to a process, not to a descriptor: locking a file twice
 * in one process succeeds, and closing the second descriptor releases the first lock.  So there is
 * a list of the locks of this process, which is searched before the file is opened.
 */
#include "base/lock.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct at_lock {
    at_lock *next;
    char *path;
    int fd;
    dev_t dev;
    ino_t ino;
};

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
static at_lock *held;

static bool is(const at_lock *l, const struct stat *st) {
    return l->dev == st->st_dev && l->ino == st->st_ino;
}

static bool held_by_this_process(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) return false;
    for (const at_lock *l = held; l; l = l->next)
        if (is(l, &st)) return true;
    return false;
}

typedef enum { GOT, BUSY, AGAIN, NO_LOCKS } answer;

static answer ask(int fd, long *holder) {
    struct flock f = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &f) == 0) return GOT;
    if (errno == EINTR) return AGAIN;
    if (errno != EACCES && errno != EAGAIN) return NO_LOCKS;
    f = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_GETLK, &f) != 0 || f.l_type == F_UNLCK) return AGAIN; /* let go meanwhile */
    *holder = (long)f.l_pid;
    return BUSY;
}

/* Opens and locks l->path.  A holder removes the file before it releases the lock, so the file
   locked here may have been removed between open and lock: then this starts over. */
static at_status take(at_ctx *c, at_lock *l, answer *a, long *holder) {
    for (*a = AGAIN; *a == AGAIN;) {
        struct stat st, now;
        l->fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0666);
        if (l->fd < 0 || fstat(l->fd, &st) != 0) {
            const at_status s = at_error(c, AT_IO, "%s: cannot open: %s", l->path, strerror(errno));
            if (l->fd >= 0) (void)close(l->fd);
            return s;
        }
        *a = ask(l->fd, holder);
        l->dev = st.st_dev;
        l->ino = st.st_ino;
        if (*a == GOT && (stat(l->path, &now) != 0 || !is(l, &now))) *a = AGAIN;
        if (*a == AGAIN || *a == BUSY) (void)close(l->fd);
    }
    if (*a == NO_LOCKS)
        at_log(c, AT_LOG_WARN,
               "%s: this file system knows no locks: nothing keeps a second program out", l->path);
    return AT_OK;
}

at_status at_lock_take(at_ctx *c, const char *path, at_lock **out, long *holder) {
    *out = NULL;
    at_lock *l = at_calloc(c, 1, sizeof *l);
    at_status s = l && (l->path = at_strdup(c, path)) ? AT_OK : AT_OOM;
    answer a = BUSY;
    (void)pthread_mutex_lock(&guard);
    if (s == AT_OK && held_by_this_process(path))
        *holder = (long)getpid();
    else if (s == AT_OK)
        s = take(c, l, &a, holder);
    if (s == AT_OK && a != BUSY) {
        l->next = held;
        *out = held = l;
    }
    (void)pthread_mutex_unlock(&guard);
    if (*out) return s;
    if (l) at_free(l->path);
    at_free(l);
    return s;
}

void at_lock_release(at_lock *l) {
    struct stat st;
    if (!l) return;
    (void)pthread_mutex_lock(&guard);
    at_lock **at = &held;
    while (*at && *at != l) at = &(*at)->next;
    if (*at) *at = l->next;
    if (stat(l->path, &st) == 0 && is(l, &st)) (void)unlink(l->path);
    (void)close(l->fd);
    (void)pthread_mutex_unlock(&guard);
    at_free(l->path);
    at_free(l);
}
