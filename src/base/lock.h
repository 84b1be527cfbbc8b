/*
 * lock.h - a lock file, which keeps two processes from working in the same folder.
 *
 * The system releases the lock when the process ends, however it ends.  The empty file may be left
 * behind then, which does no harm.
 */
#ifndef AT_LOCK_H
#define AT_LOCK_H
#include "base/ctx.h"

typedef struct at_lock at_lock;

/** Makes the file and locks it, without waiting.  When it is locked already: AT_OK, *out is NULL and
    *holder the id of the process that holds it (this one's when another context does).  Where the
    file system has no locks a warning is logged and nobody is kept out. */
at_status at_lock_take(at_ctx *c, const char *path, at_lock **out, long *holder);
/** Removes the file and lets go.  Accepts NULL. */
void at_lock_release(at_lock *l);

#endif
