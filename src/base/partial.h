/*
 * partial.h - outputs being made: a file or folder is written beside its target under a temporary
 * name and renamed when it is complete.
 *
 *     ".NAME.artel-partial-PID-HOST-N"   the file or folder being made for NAME
 *     ".NAME.artel-old-PID-HOST-N"       the earlier NAME, while it is being replaced
 *
 * PID is the process, HOST a hash of the machine's name, N a number that makes the name unique.
 * Nothing but such names is ever removed or replaced here.  What a killed process left behind is
 * removed by the next one that makes the same NAME, if the process was on this machine and no
 * longer lives; an `artel-old` whose NAME is missing is renamed back.
 */
#ifndef AT_PARTIAL_H
#define AT_PARTIAL_H
#include "base/ctx.h"

/** The path without slashes at its end ("/" stays), from the heap.  A link to a folder becomes the
    folder's own path, so that the link stays when the folder is replaced. */
char *at_path_trim(at_ctx *c, const char *path);
/** The path at the end of a chain of symbolic links, whether it exists or not; a path that is no
    link as it is.  From the heap. */
char *at_path_target(at_ctx *c, const char *path);

/* Checks to make before any work begins. */

/** Whether a file can be written there.  AT_ARG: the path ends in a slash.  AT_IO: it is a folder,
    or no file can be made in its folder. */
at_status at_check_out_file(at_ctx *c, const char *path);
/** Whether a folder can be made there; those above it may be missing.  AT_ARG: the path names no
    folder that could be made (".", "/").  AT_IO: none can be made there. */
at_status at_check_out_dir(at_ctx *c, const char *path);
/** The same, and AT_ARG when the path exists. */
at_status at_check_new_dir(at_ctx *c, const char *path);
/** Whether `path` may be replaced: AT_ARG unless it does not exist, or is a folder that holds
    nothing but entries of these names.  `what` is what messages call such a folder. */
at_status at_check_replaceable(at_ctx *c, const char *path, const char *what,
                               const char *const *name, int64_t n);

/** Makes an empty folder to fill for `path`, and the folders above it.  *partial: its path, from
    the heap, for at_replace_dir and at_partial_drop. */
at_status at_partial_dir(at_ctx *c, const char *path, char **partial);
/** Makes and opens a file to write for `path`. */
at_status at_partial_file(at_ctx *c, const char *path, int *fd, char **partial);
/** Removes what killed processes left behind while they made `path`; at_partial_dir and
    at_partial_file begin with it.  The only error is AT_OOM. */
at_status at_partial_sweep(at_ctx *c, const char *path);
/** Renames the folder to `path`.  Fails if that exists by now, unless it is an empty folder. */
at_status at_partial_commit(at_ctx *c, const char *partial, const char *path);
/** Removes an output that is given up and frees its path; the kept error stays.  Nothing is removed
    for NULL, or when it has been renamed to its target. */
void at_partial_drop(at_ctx *c, char *partial);

/** Renames the finished folder `from` to `to`; an earlier folder `to` is removed afterwards. */
at_status at_replace_dir(at_ctx *c, const char *from, const char *to);

/** Renames `path` to "PATH.kept-N" with the lowest N from 1 that is free.  *kept: that name, from
    the heap. */
at_status at_move_aside(at_ctx *c, const char *path, char **kept);

#endif
