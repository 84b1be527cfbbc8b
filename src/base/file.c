/*
 * file.c - whole files in, whole files out.
 *
 * A file is written under a temporary name beside its target; when every byte is on disk it is
 * renamed (partial.h).  Devices and pipes ("/dev/stdout") cannot be replaced so and are written
 * directly.
 */
#include "base/file.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static at_status system_error(at_ctx *c, const char *path, const char *what) {
    const int e = errno;
    return at_error(c, e == ENOMEM ? AT_OOM : AT_IO, "%s: cannot %s: %s", path, what, strerror(e));
}

/* ---- reading ------------------------------------------------------------------------------ */

static const char *kind_of(const struct stat *st) {
    return S_ISDIR(st->st_mode)    ? "a folder"
           : S_ISFIFO(st->st_mode) ? "a pipe"
           : S_ISSOCK(st->st_mode) ? "a socket"
                                   : "a device";
}

/* Opens a regular file and tells its size.  With O_NONBLOCK opening a pipe does not wait for a
   writer, and the pipe is refused then; regular files ignore it. */
static at_status open_to_read(at_ctx *c, const char *path, int *fd, struct stat *st) {
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (*fd < 0) return system_error(c, path, "open");
    at_status s = AT_OK;
    if (fstat(*fd, st) != 0)
        s = system_error(c, path, "stat");
    else if (!S_ISREG(st->st_mode))
        s = at_error(c, AT_IO, "%s: expected a file, found %s", path, kind_of(st));
    if (s) (void)close(*fd);
    return s;
}

at_status at_file_open(at_ctx *c, const char *path, FILE **out) {
    int fd;
    struct stat st;
    *out = NULL;
    const at_status s = open_to_read(c, path, &fd, &st);
    if (s) return s;
    if ((*out = fdopen(fd, "rb"))) return AT_OK;
    (void)system_error(c, path, "open");
    (void)close(fd);
    return c->status;
}

at_status at_map_open(at_ctx *c, const char *path, at_map *out) {
    *out = (at_map){0};
    int fd;
    struct stat st;
    const at_status opened = open_to_read(c, path, &fd, &st);
    if (opened) return opened;
    at_status s = AT_OK;
    if (st.st_size > 0) {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (p == MAP_FAILED)
            s = system_error(c, path, "map");
        else
            *out = (at_map){.data = p, .bytes = (size_t)st.st_size, .base = p};
    }
    (void)close(fd);
    return s;
}

void at_map_close(at_map *m) {
    if (m->base) (void)munmap(m->base, m->bytes);
    *m = (at_map){0};
}

void at_map_prefetch(const void *data, size_t bytes) {
    const uintptr_t page = 4095; /* where pages are larger some calls fail, which only costs time */
    const uintptr_t begin = (uintptr_t)data & ~page;
    if (bytes)
        (void)posix_madvise((void *)begin, (uintptr_t)data + bytes - begin, POSIX_MADV_WILLNEED);
}

/* Reads to the end; `guess` is the size that stat told (0 for files of /proc). */
static char *read_all(at_ctx *c, const char *path, int fd, size_t guess, size_t max, size_t *n) {
    char *text = NULL;
    int64_t cap = 0;
    size_t used = 0;
    if (!at_reserve(c, &text, &cap, (int64_t)guess + 1, 1)) return NULL;
    for (;;) {
        if (!at_reserve(c, &text, &cap, (int64_t)used + 2, 1)) goto fail;
        const ssize_t got = read(fd, text + used, (size_t)cap - used - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            (void)system_error(c, path, "read");
            goto fail;
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > max) {
            (void)at_error(c, AT_FORMAT, "%s: longer than the %zu bytes allowed here", path, max);
            goto fail;
        }
    }
    text[used] = 0;
    *n = used;
    return text;
fail:
    at_free(text);
    return NULL;
}

char *at_read_file(at_ctx *c, const char *path, size_t max_bytes, size_t *bytes) {
    int fd;
    struct stat st;
    size_t n = 0;
    if (open_to_read(c, path, &fd, &st)) return NULL;
    char *text = NULL;
    const size_t guess = st.st_size > 0 ? (size_t)st.st_size : 0;
    if (guess > max_bytes)
        (void)at_error(c, AT_FORMAT, "%s: %zu bytes, at most %zu are allowed here", path, guess,
                       max_bytes);
    else
        text = read_all(c, path, fd, guess, max_bytes, &n);
    (void)close(fd);
    if (bytes) *bytes = n;
    return text;
}

/* ---- writing ------------------------------------------------------------------------------ */

static at_status open_temporary(at_ctx *c, const char *path, at_out *o) {
    int fd;
    const at_status s = at_partial_file(c, path, &fd, &o->temp);
    if (s) return s;
    o->f = fdopen(fd, "wb");
    if (o->f) return AT_OK;
    (void)system_error(c, path, "create");
    (void)close(fd);
    return c->status; /* the caller closes o, which removes the file */
}

at_status at_out_open(at_ctx *c, const char *path, at_out *out) {
    struct stat st;
    const bool there = stat(path, &st) == 0, stream = there && !S_ISREG(st.st_mode);
    /* a link stays a link: the file it leads to is replaced */
    *out = (at_out){.path = stream ? at_strdup(c, path) : at_path_target(c, path)};
    if (!out->path) return c->status;
    at_status s = AT_OK;
    if (there && S_ISDIR(st.st_mode)) {
        s = at_check_out_file(c, path);
    } else if (stream) {
        out->f = fopen(path, "wb");
        if (!out->f) s = system_error(c, path, "open");
    } else {
        s = open_temporary(c, out->path, out);
    }
    if (s) at_out_close(out);
    return s;
}

at_status at_out_write(at_ctx *c, at_out *o, const void *data, size_t bytes) {
    if (bytes == 0) return AT_OK;
    if (fwrite(data, 1, bytes, o->f) != bytes) return system_error(c, o->path, "write");
    return AT_OK;
}

at_status at_out_commit(at_ctx *c, at_out *o) {
    if (!o->f) return at_error(c, AT_ARG, "at_out_commit: nothing is open");
    at_status s = AT_OK;
    if (fflush(o->f) != 0 || ferror(o->f)) s = system_error(c, o->path, "write");
    if (!s && o->temp && fsync(fileno(o->f)) != 0) s = system_error(c, o->path, "write");
    if (fclose(o->f) != 0 && !s) s = system_error(c, o->path, "write");
    o->f = NULL;
    if (!s && o->temp) {
        if (rename(o->temp, o->path) != 0) {
            s = system_error(c, o->path, "rename the finished file to this name");
        } else {
            at_free(o->temp);
            o->temp = NULL;
            at_sync_folder_of(o->path);
        }
    }
    at_out_close(o);
    return s;
}

void at_out_close(at_out *o) {
    if (o->f) (void)fclose(o->f);
    if (o->temp) (void)unlink(o->temp);
    at_free(o->temp);
    at_free(o->path);
    *o = (at_out){0};
}

at_status at_write_file(at_ctx *c, const char *path, const void *data, size_t bytes) {
    at_out o;
    at_status s = at_out_open(c, path, &o);
    if (s) return s;
    s = at_out_write(c, &o, data, bytes);
    if (!s) return at_out_commit(c, &o);
    at_out_close(&o);
    return s;
}

at_status at_copy_file(at_ctx *c, const char *from, const char *to) {
    at_map m;
    at_status s = at_map_open(c, from, &m);
    if (s != AT_OK) return s;
    s = at_write_file(c, to, m.data, m.bytes);
    at_map_close(&m);
    return s;
}

bool at_name_ok(const char *s) {
    static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+";
    return *s && *s != '.' && strlen(s) <= 64 && strspn(s, good) == strlen(s);
}
