/* folder.c - the functions of file.h for folders: existence, mkdir -p, removal, listing. */
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool at_exists(const char *path) {
    struct stat st;
    return stat(path, &st) == 0;
}

bool at_is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static at_status folder_error(at_ctx *c, const char *path, const char *what) {
    return at_error(c, AT_IO, "%s: cannot %s: %s", path, what, strerror(errno));
}

at_status at_make_dir(at_ctx *c, const char *path) {
    char *p = at_strdup(c, path);
    if (!p) return c->status;
    at_status s = AT_OK;
    for (char *at = p + (*p == '/'); !s; at++) {
        if (*at && *at != '/') continue;
        const char keep = *at;
        *at = 0;
        if (*p && mkdir(p, 0777) != 0) {
            const int why = errno; /* at_is_dir changes errno */
            const bool there = at_is_dir(p);
            errno = why;
            if (!there) s = folder_error(c, p, "make the folder");
        }
        *at = keep;
        if (!keep) break;
    }
    at_free(p);
    return s;
}

char *at_join(at_ctx *c, const char *a, const char *b) {
    const size_t na = strlen(a), nb = strlen(b);
    char *p = at_malloc(c, na + nb + 2);
    if (!p) return NULL;
    memcpy(p, a, na);
    size_t n = na;
    if (na > 0 && a[na - 1] != '/') p[n++] = '/';
    memcpy(p + n, b, nb + 1);
    return p;
}

/* ---- lists -------------------------------------------------------------------------------- */

at_status at_list_add(at_ctx *c, at_list *l, const char *s) {
    if (!at_reserve(c, &l->item, &l->cap, l->n + 1, sizeof *l->item)) return c->status;
    char *copy = at_strdup(c, s);
    if (!copy) return c->status;
    l->item[l->n++] = copy;
    return AT_OK;
}

void at_list_free(at_list *l) {
    for (int64_t i = 0; i < l->n; i++) at_free(l->item[i]);
    at_free(l->item);
    *l = (at_list){0};
}

at_status at_list_names(at_ctx *c, const char *path, at_list *out) {
    DIR *d = opendir(path);
    if (!d) return folder_error(c, path, "list the folder");
    at_status s = AT_OK;
    while (!s) {
        errno = 0;
        const struct dirent *e = readdir(d);
        if (!e) {
            if (errno) s = folder_error(c, path, "list the folder");
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            s = at_list_add(c, out, e->d_name);
    }
    (void)closedir(d);
    return s;
}

static int by_bytes(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void at_list_sort(at_list *l) {
    if (l->n > 1) qsort(l->item, (size_t)l->n, sizeof *l->item, by_bytes);
}

/* One folder: files go to `files`, folders to `folders`, both relative to root.  Links to folders
   are not followed (they may make a circle); links to files are files. */
static at_status list_one(at_ctx *c, const char *root, const char *rel, at_list *files,
                          at_list *folders) {
    at_list names = {0};
    char *dir = *rel ? at_join(c, root, rel) : at_strdup(c, root);
    at_status s = dir ? at_list_names(c, dir, &names) : c->status;
    for (int64_t i = 0; !s && i < names.n; i++) {
        char *below = *rel ? at_join(c, rel, names.item[i]) : at_strdup(c, names.item[i]);
        char *full = below ? at_join(c, root, below) : NULL;
        struct stat st;
        if (!full)
            s = c->status;
        else if (lstat(full, &st) == 0 && S_ISDIR(st.st_mode))
            s = at_list_add(c, folders, below);
        else if (stat(full, &st) == 0 && S_ISREG(st.st_mode))
            s = at_list_add(c, files, below);
        at_free(below);
        at_free(full);
    }
    at_free(dir);
    at_list_free(&names);
    return s;
}

at_status at_list_tree(at_ctx *c, const char *root, at_list *out) {
    *out = (at_list){0};
    at_list folders = {0};
    at_status s = at_list_add(c, &folders, "");
    for (int64_t i = 0; !s && i < folders.n; i++) {
        char *rel = folders.item[i]; /* the list may move, the string does not */
        s = list_one(c, root, rel, out, &folders);
    }
    at_list_free(&folders);
    if (s)
        at_list_free(out);
    else
        at_list_sort(out);
    return s;
}

at_status at_remove_tree(at_ctx *c, const char *path) {
    struct stat st;
    if (lstat(path, &st) != 0) return errno == ENOENT ? AT_OK : folder_error(c, path, "remove");
    if (!S_ISDIR(st.st_mode)) return unlink(path) == 0 ? AT_OK : folder_error(c, path, "remove");
    at_list names = {0};
    at_status s = at_list_names(c, path, &names);
    for (int64_t i = 0; !s && i < names.n; i++) {
        char *below = at_join(c, path, names.item[i]);
        s = below ? at_remove_tree(c, below) : c->status;
        at_free(below);
    }
    at_list_free(&names);
    if (!s && rmdir(path) != 0) s = folder_error(c, path, "remove");
    return s;
}

/* A rename is on disk once the folder is.  Where the file system refuses, nothing can be done. */
void at_sync_folder_of(const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t n = slash ? (size_t)(slash - path) : 0;
    if (n >= sizeof folder) return;
    memcpy(folder, path, n);
    folder[n] = 0;
    const int fd = open(slash ? (n ? folder : "/") : ".", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    (void)close(fd);
}
