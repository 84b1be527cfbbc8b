/*
 * ctx.h - the context every fallible function takes first: last error, allocator, threads,
 * log and interrupt.  One context belongs to one thread at a time; two contexts share nothing.
 *
 * Errors: a function that fails calls `return at_error(c, AT_FORMAT, "...", ...)`, which keeps the
 * sentence and returns the status.  The sentence says where (path, byte offset, line), what was
 * expected and what was found; no newline, no "Error:".  Control characters in what a sentence
 * cites are shown as "\x1b" (at_printable of escape.h), in the log as well.  A caller that knows more
 * (the path, the domain) puts it in front with at_error_in.
 */
#ifndef AT_CTX_H
#define AT_CTX_H
#include "base/status.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_MESSAGE_MAX = 1024 };

typedef enum at_log_level { AT_LOG_INFO, AT_LOG_WARN, AT_LOG_PROGRESS } at_log_level;
/** Receives one line without newline; AT_LOG_PROGRESS lines may replace each other. */
typedef void (*at_log_fn)(void *user, at_log_level level, const char *line);

typedef struct at_ctx {
    at_status status;             /* of the last error; AT_OK when none        */
    char message[AT_MESSAGE_MAX]; /* its sentence                              */
    int threads;                  /* workers of at_par_for, at least 1         */
    unsigned cpu;                 /* AT_CPU_* features in use                  */
    at_log_fn log;                /* may be NULL                               */
    void *log_user;
    atomic_int *interrupt; /* set by the owner to ask for a stop; may be NULL */
    int64_t fail_after;    /* for tests: the n-th allocation from now fails; 0: none does */
} at_ctx;

/** threads 0: the cores this process may use (affinity and cgroup limits included). */
void at_ctx_init(at_ctx *c, int threads);

/** Keep the sentence, return s. */
at_status at_error(at_ctx *c, at_status s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Put "where: " in front of the kept sentence; returns the kept status. */
at_status at_error_in(at_ctx *c, const char *where);
/** Forget the last error. */
void at_error_clear(at_ctx *c);

void at_log(at_ctx *c, at_log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Whether the owner has asked for a stop (Ctrl-C). */
bool at_interrupted(const at_ctx *c);

/* Heap: NULL after at_error(AT_OOM).  Zero bytes give a valid pointer. */
void *at_malloc(at_ctx *c, size_t bytes);
void *at_calloc(at_ctx *c, size_t count, size_t size); /* zeroed, overflow checked */
void *at_realloc(at_ctx *c, void *p, size_t bytes);    /* on failure p stays valid */
char *at_strdup(at_ctx *c, const char *s);
void at_free(void *p);

/** Grow the array *items (elements of `size` bytes, *cap of them) to at least `need` elements, by
    doubling.  False: out of memory. */
bool at_reserve(at_ctx *c, void *items, int64_t *cap, int64_t need, size_t size);

#endif
