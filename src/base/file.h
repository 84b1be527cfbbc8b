/*
 * file.h - whole files: read-only maps, atomic writes, folders.  Errors name the path.
 *
 * What is read is a regular file, or a link to one.  A folder, a pipe, a device is AT_IO at once:
 * opening one never waits for a writer, reading one never goes on for ever.
 */
#ifndef AT_FILE_H
#define AT_FILE_H
#include "base/ctx.h"
#include "base/partial.h"
#include <stdio.h>

typedef struct at_map {
    const unsigned char *data; /* NULL when empty */
    size_t bytes;
    void *base; /* for unmapping   */
} at_map;

at_status at_map_open(at_ctx *c, const char *path, at_map *out);
void at_map_close(at_map *m);
/** Tells the system that these bytes of a map are needed soon, so that it reads them from disk
    meanwhile.  For memory that is no map nothing happens. */
void at_map_prefetch(const void *data, size_t bytes);

/** The whole file, NUL-terminated, from the heap (at_free). AT_FORMAT above max_bytes. */
char *at_read_file(at_ctx *c, const char *path, size_t max_bytes, size_t *bytes);
/** A file to read in pieces; fclose it. */
at_status at_file_open(at_ctx *c, const char *path, FILE **out);

/** A file being written.  It appears under its name at commit, when all bytes are on disk, or
    never. */
typedef struct at_out {
    FILE *f;
    char *path, *temp;
} at_out;
at_status at_out_open(at_ctx *c, const char *path, at_out *out);
at_status at_out_write(at_ctx *c, at_out *o, const void *data, size_t bytes);
/** flush, fsync, rename, fsync of the folder.  Always closes. */
at_status at_out_commit(at_ctx *c, at_out *o);
/** Gives up: removes the temporary.  Harmless after commit. */
void at_out_close(at_out *o);
/** fsync of the folder that `path` is in: renames and removals in it are on disk after this, where
    the file system supports it. */
void at_sync_folder_of(const char *path);
/** Open, write and commit in one. */
at_status at_write_file(at_ctx *c, const char *path, const void *data, size_t bytes);

bool at_exists(const char *path);
bool at_is_dir(const char *path);
/** mkdir -p. */
at_status at_make_dir(at_ctx *c, const char *path);
/** Remove a file or a folder with everything in it; AT_OK when it does not exist. */
at_status at_remove_tree(at_ctx *c, const char *path);
/** Byte for byte, atomically. */
at_status at_copy_file(at_ctx *c, const char *from, const char *to);
/** "a/b" from the heap. */
char *at_join(at_ctx *c, const char *a, const char *b);
/** Whether a name is safe in a file name, wherever it came from: at most 64 letters, digits and ._-+,
    the first no dot. */
bool at_name_ok(const char *name);

/** Regular files below root as relative paths, sorted bytewise, hidden files and links to files
    included.  Free with at_list_free. */
typedef struct at_list {
    char **item;
    int64_t n, cap;
} at_list;
at_status at_list_tree(at_ctx *c, const char *root, at_list *out);
/** Adds the names in one folder, of whatever kind, without "." and "..", in no order. */
at_status at_list_names(at_ctx *c, const char *path, at_list *out);
at_status at_list_add(at_ctx *c, at_list *l, const char *s);
void at_list_sort(at_list *l); /* bytewise */
void at_list_free(at_list *l);

#endif
