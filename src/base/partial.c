/* partial.c - see partial.h.  No other file replaces or removes a path that a user named. */
#include "base/file.h"
#include "base/rng.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NAME_KEPT = 150, /* bytes of NAME in a temporary name; file systems allow 255 in all */
    TAIL = 80,
    LINKS = 16, /* most links in a chain */
    TRIES = 1000
};
static const char making[] = "artel-partial", aside[] = "artel-old";

static at_status failed(at_ctx *c, const char *path, const char *what) {
    return at_error(c, AT_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

/* ---- names -------------------------------------------------------------------------------- */

/* A hash of the machine's name.  A folder may be shared by several machines, and only processes of
   this one can be looked up. */
static unsigned host(void) {
    char name[256] = "";
    (void)gethostname(name, sizeof name - 1);
    return (unsigned)(at_hash_path(name) & 0xFFFFFFFFU);
}

static size_t trimmed(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    return n;
}

/* Where the last part of a path begins. */
static const char *name_of(const char *path) {
    size_t n = trimmed(path);
    while (n > 0 && path[n - 1] != '/') n--;
    return path + n;
}

static bool is_name(const char *path) {
    const char *name = name_of(path);
    const size_t n = trimmed(path) - (size_t)(name - path);
    return n > 0 && !(n == 1 && name[0] == '.') && !(n == 2 && !memcmp(name, "..", 2)) &&
           name[0] != '/';
}

/* The folder a path is in: "." when it names none. */
static char *folder_of(at_ctx *c, const char *path) {
    const size_t n = (size_t)(name_of(path) - path);
    char *p = at_strdup(c, n ? path : ".");
    if (p && n) p[n] = 0;
    if (p) p[trimmed(p)] = 0;
    return p;
}

/* The path that the link `path` names; `path` is freed. */
static char *follow(at_ctx *c, char *path) {
    char to[PATH_MAX], *p = NULL;
    const ssize_t n = readlink(path, to, sizeof to - 1);
    to[n > 0 ? n : 0] = 0;
    char *folder = folder_of(c, path);
    if (folder) p = to[0] == '/' ? at_strdup(c, to) : at_join(c, folder, to);
    at_free(folder);
    at_free(path);
    return p;
}

char *at_path_trim(at_ctx *c, const char *path) {
    struct stat st;
    char *p = at_strdup(c, path);
    for (int i = 0; p && i < LINKS; i++) {
        p[trimmed(p)] = 0;
        if (lstat(p, &st) != 0 || !S_ISLNK(st.st_mode) || !at_is_dir(p)) break;
        p = follow(c, p);
    }
    return p;
}

char *at_path_target(at_ctx *c, const char *path) {
    struct stat st;
    char *p = at_strdup(c, path);
    for (int i = 0; p && i < LINKS; i++) {
        if (lstat(p, &st) != 0 || !S_ISLNK(st.st_mode)) break;
        p = follow(c, p);
    }
    return p;
}

/* ".NAME.", with which temporary names of a target begin; out: NAME_KEPT + 3 bytes. */
static size_t beginning(const char *path, char *out) {
    const char *name = name_of(path);
    size_t n = trimmed(path) - (size_t)(name - path);
    if (n > NAME_KEPT) n = NAME_KEPT;
    out[0] = '.';
    memcpy(out + 1, name, n);
    out[n + 1] = '.';
    out[n + 2] = 0;
    return n + 2;
}

/* The temporary name number i for a target. */
static char *make_name(at_ctx *c, const char *path, const char *kind, int i) {
    const size_t before = (size_t)(name_of(path) - path);
    const size_t room = before + NAME_KEPT + TAIL;
    char start[NAME_KEPT + 3], *p = at_malloc(c, room);
    if (!p) return NULL;
    (void)beginning(path, start);
    memcpy(p, path, before);
    (void)snprintf(p + before, room - before, "%s%s-%ld-%08x-%d", start, kind, (long)getpid(),
                   host(), i);
    return p;
}

/* A decimal number and what follows it, or -1. */
static long long number(const char *s, char ends, const char **rest) {
    if (*s < '0' || *s > '9') return -1;
    char *end;
    errno = 0;
    const long long v = strtoll(s, &end, 10);
    if (errno || *end != ends) return -1;
    *rest = end + (ends != 0);
    return v;
}

/* Whether the rest of a name, after ".NAME.", is of this kind and of a process that has ended. */
static bool orphaned(const char *s, const char *kind) {
    const size_t n = strlen(kind);
    char here[16];
    if (strncmp(s, kind, n) != 0 || s[n] != '-') return false;
    const long long pid = number(s + n + 1, '-', &s);
    (void)snprintf(here, sizeof here, "%08x-", host());
    if (pid < 2 || pid > INT32_MAX || strncmp(s, here, 9) != 0) return false;
    if (number(s + 9, 0, &s) < 0) return false;
    return kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

/* ---- left by killed processes ------------------------------------------------------------- */

/* Only running out of memory is an error: what cannot be removed stays. */
static at_status clear(at_ctx *c, const char *path, const char *target, bool old) {
    struct stat st;
    if (lstat(path, &st) != 0 || st.st_uid != geteuid()) return AT_OK;
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) return AT_OK;
    if (old && lstat(target, &st) != 0) {
        if (rename(path, target) == 0)
            at_log(c, AT_LOG_WARN, "%s: brought back: it was being replaced when a process ended",
                   target);
        return AT_OK;
    }
    const at_status s = at_remove_tree(c, path);
    if (s == AT_OOM) return s;
    at_error_clear(c);
    return AT_OK;
}

at_status at_partial_sweep(at_ctx *c, const char *target) {
    char start[NAME_KEPT + 3];
    const size_t n = beginning(target, start);
    char *folder = folder_of(c, target);
    DIR *d = folder ? opendir(folder) : NULL;
    at_status s = folder ? AT_OK : c->status;
    for (const struct dirent *e = d ? readdir(d) : NULL; e && !s; e = readdir(d)) {
        if (strncmp(e->d_name, start, n) != 0) continue;
        const bool old = orphaned(e->d_name + n, aside);
        if (!old && !orphaned(e->d_name + n, making)) continue;
        char *path = at_join(c, folder, e->d_name);
        s = path ? clear(c, path, target, old) : c->status;
        at_free(path);
    }
    if (d) (void)closedir(d);
    at_free(folder);
    return s;
}

/* ---- checks before the work --------------------------------------------------------------- */

/* Whether `path` can be made in this folder. */
static at_status writable(at_ctx *c, const char *path, const char *folder) {
    const char *why = at_is_dir(folder) ? NULL : at_exists(folder) ? "is no folder" : "is missing";
    if (!why && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) != 0) why = strerror(errno);
    return why ? at_error(c, AT_IO, "%s: cannot create: %s: %s", path, folder, why) : AT_OK;
}

at_status at_check_out_file(at_ctx *c, const char *path) {
    struct stat st;
    const size_t n = strlen(path);
    if (!is_name(path) || path[n - 1] == '/')
        return at_error(c, AT_ARG, "%s: expected the name of a file to write", path);
    if (at_is_dir(path))
        return at_error(c, AT_IO, "%s: cannot write: there is a folder of this name", path);
    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) return AT_OK; /* "/dev/stdout" */
    char *target = at_path_target(c, path), *folder = target ? folder_of(c, target) : NULL;
    const at_status s = folder ? writable(c, path, folder) : c->status;
    at_free(target);
    at_free(folder);
    return s;
}

/* The nearest folder above `path` that exists. */
static char *ground_of(at_ctx *c, const char *path) {
    struct stat st;
    char *folder = folder_of(c, path);
    while (folder && stat(folder, &st) != 0 && errno == ENOENT && is_name(folder)) {
        char *above = folder_of(c, folder);
        at_free(folder);
        folder = above;
    }
    return folder;
}

at_status at_check_out_dir(at_ctx *c, const char *path) {
    if (!is_name(path))
        return at_error(c, AT_ARG, "%s: expected the name of a folder to make", path);
    char *bare = at_path_trim(c, path), *folder = bare ? ground_of(c, bare) : NULL;
    at_status s = folder ? writable(c, path, folder) : c->status;
    struct stat st; /* lstat: a link that leads nowhere exists, too */
    if (!s && lstat(bare, &st) == 0 && !at_is_dir(bare))
        s = at_error(c, AT_ARG, "%s: exists and is not a folder", path);
    at_free(folder);
    at_free(bare);
    return s;
}

at_status at_check_new_dir(at_ctx *c, const char *path) {
    struct stat st;
    char *bare = at_path_trim(c, path);
    at_status s = bare ? at_check_out_dir(c, bare) : c->status;
    if (bare && lstat(bare, &st) == 0)
        s = at_error(c, AT_ARG, "%s exists already: remove it, or choose another name", path);
    at_free(bare);
    return s;
}

at_status at_check_replaceable(at_ctx *c, const char *path, const char *what,
                               const char *const *name, int64_t n) {
    at_list there = {0};
    if (!at_exists(path)) return AT_OK;
    if (!at_is_dir(path)) return at_error(c, AT_ARG, "%s: exists and is not a folder", path);
    at_status s = at_list_names(c, path, &there);
    for (int64_t i = 0; !s && i < there.n; i++) {
        bool known = false;
        for (int64_t k = 0; k < n; k++) known = known || strcmp(there.item[i], name[k]) == 0;
        if (!known)
            s = n ? at_error(c, AT_ARG,
                             "%s: holds `%s`, which is no part of the %s there: left as it is",
                             path, there.item[i], what)
                  : at_error(c, AT_ARG,
                             "%s: the folder is not empty and holds no %s: left as it is", path,
                             what);
    }
    at_list_free(&there);
    return s;
}

/* ---- making ------------------------------------------------------------------------------- */

/* Makes a folder, or a file, under a temporary name that is free. */
static at_status of_free_name(at_ctx *c, const char *path, bool dir, int *fd, char **out) {
    *out = NULL;
    at_status s = at_partial_sweep(c, path);
    for (int i = 0; !s && i < TRIES; i++) {
        char *p = make_name(c, path, making, i);
        if (!p) return c->status;
        *fd = dir ? mkdir(p, 0777) : open(p, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*fd >= 0) {
            *out = p;
            return AT_OK;
        }
        at_free(p);
        if (errno != EEXIST) break;
    }
    return s ? s : failed(c, path, "create");
}

at_status at_partial_dir(at_ctx *c, const char *path, char **partial) {
    int made;
    *partial = NULL;
    char *folder = folder_of(c, path);
    at_status s = folder ? at_make_dir(c, folder) : c->status;
    at_free(folder);
    return s ? s : of_free_name(c, path, true, &made, partial);
}

at_status at_partial_file(at_ctx *c, const char *path, int *fd, char **partial) {
    return of_free_name(c, path, false, fd, partial);
}

at_status at_partial_commit(at_ctx *c, const char *partial, const char *path) {
    if (rename(partial, path) != 0) return failed(c, path, "name the new folder");
    at_sync_folder_of(path);
    return AT_OK;
}

void at_partial_drop(at_ctx *c, char *partial) {
    if (!partial) return;
    at_ctx quiet = *c; /* an error of the removal must not replace the kept one */
    quiet.fail_after = 0;
    (void)at_remove_tree(&quiet, partial);
    at_free(partial);
}

/* ---- replacing ---------------------------------------------------------------------------- */

/* Renames `to` to a temporary name; *old: that name. */
static at_status move_aside(at_ctx *c, const char *to, char **old) {
    for (int i = 0; i < TRIES; i++) {
        struct stat st;
        *old = make_name(c, to, aside, i);
        if (!*old) return c->status;
        if (lstat(*old, &st) != 0) {
            if (rename(to, *old) == 0) return AT_OK;
            break;
        }
        at_free(*old);
    }
    const at_status s = failed(c, to, "replace the folder");
    at_free(*old);
    *old = NULL;
    return s;
}

at_status at_replace_dir(at_ctx *c, const char *from, const char *to) {
    if (rename(from, to) == 0) { /* nothing was there, or an empty folder */
        at_sync_folder_of(to);
        return AT_OK;
    }
    char *old = NULL;
    at_status s = errno == ENOTEMPTY || errno == EEXIST ? move_aside(c, to, &old)
                                                        : failed(c, to, "name the new folder");
    if (s) return s;
    if (rename(from, to) != 0) {
        s = failed(c, to, "name the new folder");
        (void)rename(old, to);
    } else {
        at_sync_folder_of(to);
        s = at_remove_tree(c, old);
    }
    at_free(old);
    return s;
}

at_status at_move_aside(at_ctx *c, const char *path, char **kept) {
    const size_t n = trimmed(path), room = n + 24;
    char *p = *kept = at_malloc(c, room);
    if (!p) return c->status;
    for (int i = 1; i <= TRIES; i++) {
        struct stat st;
        (void)snprintf(p, room, "%.*s.kept-%d", (int)n, path, i);
        if (lstat(p, &st) == 0) continue;
        if (rename(path, p) != 0) break;
        at_sync_folder_of(p);
        return AT_OK;
    }
    const at_status s = failed(c, path, "move aside");
    at_free(p);
    *kept = NULL;
    return s;
}
