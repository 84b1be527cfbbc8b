/*
 * partial.h - what is in the making: it stands beside its target under a name of its own, and takes
 * the target's name when it is whole.
 *
 *     ".NAME.artel-partial-PID-HOST-N"   a file or folder being made for NAME
 *     ".NAME.artel-old-PID-HOST-N"       the NAME of before, for the moment of the exchange
 *
 * PID is the process, HOST a hash of the machine's name, N makes the name one that nobody has.
 * Nothing else is ever removed or replaced here.  What a killed process left is cleared by the
 * next one that makes the same NAME, when the name says all that and no such process lives any more
 * on this machine; an `artel-old` whose NAME is gone gets its name back.
 */
#ifndef AT_PARTIAL_H
#define AT_PARTIAL_H
#include "base/ctx.h"

/** The path without slashes at its end ("/" stays), from the heap.  A link to a folder becomes the
    folder's own path, so that the link stays when the folder is replaced. */
char *at_path_trim(at_ctx *c, const char *path);
/** Where a link leads, and on, to what is no link or is not there; any other path as it is.  From
    the heap. */
char *at_path_target(at_ctx *c, const char *path);

/* Asked before any work begins. */

/** AT_ARG: no name of a file (a slash at its end), AT_IO: a folder of that name, or a folder in
    which no file can be made. */
at_status at_check_out_file(at_ctx *c, const char *path);
/** AT_ARG: no name of a folder (".", "/"), AT_IO: a place where no folder can be made.  The folder
    itself, and those above it, may be missing. */
at_status at_check_out_dir(at_ctx *c, const char *path);
/** The same, and AT_ARG when anything of that name is there. */
at_status at_check_new_dir(at_ctx *c, const char *path);
/** AT_ARG unless nothing is at `path`, or a folder that holds nothing but entries of these names
    (so it may be replaced); `what` is what such a folder is called. */
at_status at_check_replaceable(at_ctx *c, const char *path, const char *what,
                               const char *const *name, int64_t n);

/** An empty folder to fill for `path`, and the folders above it.  *partial: from the heap, for
    at_replace_dir and at_partial_drop. */
at_status at_partial_dir(at_ctx *c, const char *path, char **partial);
/** A new file to write for `path`, open. */
at_status at_partial_file(at_ctx *c, const char *path, int *fd, char **partial);
/** Clears what killed processes left of a making of `path`, which at_partial_dir and _file do first.
    Only running out of memory is an error. */
at_status at_partial_sweep(at_ctx *c, const char *path);
/** A folder gets the name `path`, if nobody has taken that meanwhile (an empty folder gives way). */
at_status at_partial_commit(at_ctx *c, const char *partial, const char *path);
/** Gives up: removes and frees it; the kept error stays.  NULL, or one that has taken its name
    since: nothing is removed. */
void at_partial_drop(at_ctx *c, char *partial);

/** Give the finished folder `from` the name `to`; a folder of that name goes, but only after. */
at_status at_replace_dir(at_ctx *c, const char *from, const char *to);

/** What is at `path` gets the name "PATH.kept-N", N the first from 1 that is free; *kept: that name,
    from the heap. */
at_status at_move_aside(at_ctx *c, const char *path, char **kept);

#endif
