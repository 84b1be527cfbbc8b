/*
 * verify.h - a module is made again from its passport, and compared with what it is.
 *
 * The passport has recipe, seed, digests of base, of the modules beside it, of tokenizer and data, and digests of the
 * module after its first steps (growth_note).  The same bits come out for any number of threads and on any
 * processor, so a module that was made of something else, or whose passport says something else, differs.
 */
#ifndef AT_VERIFY_H
#define AT_VERIFY_H
#include "train/growth.h"

typedef struct at_verify_options {
    const char *file; /* the module's                                                           */
    const char *data; /* the data set it was trained on                                         */
    const char
        *base; /* a mixture with its base and the modules that were there; others do not matter */
    const char *run; /* folder to work in: removed at the end, but for AT_INTERRUPTED, after which
                         the same call goes on                                                  */
    int64_t steps;   /* only what the first of them show; 0: all of it                         */
} at_verify_options;

typedef struct at_verification {
    char name[65], digest[AT_SHA256_TEXT]; /* of the module                                     */
    bool holds, whole;                     /* whole: to its end, and the whole passport         */
    int64_t steps, of;                     /* that were made again, of how many                 */
    cJSON *chain;                          /* what was compared, as at_removal.chain            */
} at_verification;

/** AT_MISMATCH: it is not what its passport says, or base or data are not those it was made of; the message names
    what was expected and what was found.  AT_ARG: --steps below the first digest, a folder `run` of something else.  `out`
    tells what was compared in any case, and is closed. */
at_status at_module_verify(at_ctx *c, const at_verify_options *o, at_verification *out);
void at_verification_close(at_verification *v);

#endif
