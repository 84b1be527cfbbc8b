/*
 * lock.h - one worker at a time in a folder: a file that is locked while the work goes on.
 *
 * The system gives the lock back when the process ends, however it ends, so that a lock is never
 * left behind; an empty file may be, and does no harm.
 */
#ifndef AT_LOCK_H
#define AT_LOCK_H
#include "base/ctx.h"

typedef struct at_lock at_lock;

/** Makes the file and locks it, without waiting.  Held by somebody: AT_OK, *out is NULL and *holder
    the process (this one when another context has it).  Where the file system knows no locks a
    warning is logged and the lock holds nobody off. */
at_status at_lock_take(at_ctx *c, const char *path, at_lock **out, long *holder);
/** Removes the file and lets go.  Accepts NULL. */
void at_lock_release(at_lock *l);

#endif
