/* status.h - what a fallible function returns.  Zero is success, everything else an error. */
#ifndef AT_STATUS_H
#define AT_STATUS_H

/* name, code, text of every status */
#define AT_STATUS_MAP(X)                            \
    X(OK, 0, "ok")                                  \
    X(OOM, -1, "out of memory")                     \
    X(SHAPE, -2, "shapes do not agree")             \
    X(ARG, -3, "bad argument")                      \
    X(IO, -4, "input/output error")                 \
    X(FORMAT, -5, "malformed file")                 \
    X(UNSUPPORTED, -6, "not supported")             \
    X(CONFIG, -7, "bad configuration")              \
    X(MISMATCH, -8, "parts do not belong together") \
    X(NUMERIC, -9, "the numbers went wrong")        \
    X(INTERRUPTED, -10, "interrupted")

typedef enum at_status {
#define X(name, code, text) AT_##name = (code),
    AT_STATUS_MAP(X)
#undef X
} at_status;

/** Static text of a status; never NULL. */
const char *at_status_text(at_status s);

#endif
