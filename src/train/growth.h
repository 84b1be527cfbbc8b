/*
 * growth.h - a module for a mixture: slots more in its banks, trained while everything else is frozen, and a
 * certificate of what stayed and what changed.  Source: arXiv 2306.04640, sections on extending.
 *
 * Recipe: that of a training run without `model` and `init`, and a section
 *     extend: {name: de, attention: 1, feed_forward: 2, init: random, router_decay: 0.01, review: 20}
 * (docs/modules.md).  The new slots are behind those that are there, and excluded the model has the bits it had.
 */
#ifndef AT_GROWTH_H
#define AT_GROWTH_H
#include "infer/life.h"
#include "train/train.h"

enum { AT_GROWTH_DOMAINS = 64 };

/** Losses on the same validation documents, nats a token. */
typedef struct at_change {
    double before, after;
    double change, lo,
        hi; /* of it in shares of `before`, and its 95 % interval; NaN of one document */
    int64_t documents, tokens;
} at_change;

/** One domain of the data. */
typedef struct at_growth_domain {
    char name[65];
    bool old; /* not the one that the module was trained on */
    at_change change;
} at_growth_domain;

typedef struct at_growth {
    char name[65];
    int64_t id, parameters;
    char digest[AT_SHA256_TEXT]; /* of the module                                             */
    at_digest base;              /* of the base, before and after                             */
    int64_t modules;             /* that were there, and have the digests they had            */
    int64_t ways, windows, tokens, differ; /* logits compared with the module excluded          */
    at_growth_domain domain[AT_GROWTH_DOMAINS];
    int domains;
    int64_t review_tokens; /* of old domains that the review of the router read          */
    double review_share;   /* of their training text                                     */
} at_growth;

/**
 * require: see at_prune_promise_read; bit-identical with the module excluded is always checked, and the change of a
 * domain's loss is held to the upper end of its interval.  Trains in `run`, as at_extend.  `old` is the open model of the folder `model`, a mixture.  AT_MISMATCH: what is
 * required does not hold, and there is no `out`; result tells what was measured all the same.
 */
at_status at_grow(at_ctx *c, at_conf *recipe, const char *model, at_lm *old, const char *out,
                  const char *run, const char *const *require, int n_require, at_growth *result);
/** As in certificate.json, into an open object. */
void at_growth_write(const at_growth *g, const char *model, at_json *j);

#endif
