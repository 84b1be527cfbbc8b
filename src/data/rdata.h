/*
 * rdata.h - the objects in a file that R has saved (.rda, .RData, .rds): R's serialisation, "XDR" form,
 * versions 2 and 3, once it is decompressed.
 *
 * Strings and numbers stay where they are in the text: big-endian, to be read by at_robject_int and the like.
 * Source: "R Internals", section "Serialization Formats".
 */
#ifndef AT_RDATA_H
#define AT_RDATA_H
#include "base/arena.h"

typedef enum at_rtype {
    AT_R_NULL = 254, /* as R numbers them */
    AT_R_PAIRS = 2,
    AT_R_TEXT = 9, /* one string */
    AT_R_BOOLS = 10,
    AT_R_INTS = 13,
    AT_R_REALS = 14,
    AT_R_TEXTS = 16,
    AT_R_LIST = 19,
    AT_R_RANGE = 238, /* first, first + step, ... */
    AT_R_OTHER = 0    /* is there, and nobody needs it */
} at_rtype;

typedef struct at_robject at_robject;
struct at_robject {
    at_rtype type;
    int64_t n;                 /* elements; bytes of a string, -1: NA */
    const unsigned char *data; /* of numbers and of a string          */
    at_robject **item;         /* [n] of texts, lists and pairs       */
    const at_robject **tag;    /* [n] of pairs: their names, or NULL  */
    double first, step;        /* of a range                          */
    const at_robject *attr;    /* pairs, or NULL                      */
    bool latin1;               /* a string                            */
};

/** Whether a file begins as these do. */
bool at_rdata_is(const char *text, size_t bytes);
/** Its objects: pairs of names and values; for a .rds a single one without a name.  They lie in the arena and in
    the text.  AT_FORMAT names the byte; AT_UNSUPPORTED: the form in text, byte code. */
at_status at_rdata_read(at_ctx *c, at_arena *a, const char *name, const char *text, size_t bytes,
                        const at_robject **out);

/** The pair of this name, or NULL; o may be NULL. */
const at_robject *at_robject_get(const at_robject *o, const char *name);
/** Whether a string is this one. */
bool at_robject_is(const at_robject *text, const char *name);
/** Element i of INTS or BOOLS, INT32_MIN: NA. */
int32_t at_robject_int(const at_robject *o, int64_t i);
/** Element i of REALS, INTS, BOOLS or a RANGE; NaN: NA, or not finite. */
double at_robject_number(const at_robject *o, int64_t i);

#endif
