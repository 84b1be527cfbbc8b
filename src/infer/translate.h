/*
 * translate.h - models that translate: they read a text, the token that ends it, and write its
 * translation and that token again (data/pairs.h).
 *
 * The object "translate" of config.json lists the directions they were trained on: {"directions":
 * ["en-fr"], "tagged": false}.  tagged: every text begins with its direction.
 */
#ifndef AT_TRANSLATE_H
#define AT_TRANSLATE_H
#include "data/pairs.h"
#include "infer/evaluate.h"

#define AT_TRANSLATE_KEY "translate"

/** -log p of the tokens of translations, given what they translate: at most `limit` pairs, evenly spread
    (0: all), added to *out (nats, tokens, windows). */
at_status at_bitext_loss(at_compute *cp, at_model *m, const at_bitext *p, int64_t limit,
                         at_eval *out);

/** Number of the i-th of `limit` pairs, evenly spread over all n. */
static inline int64_t at_bitext_spread(const at_bitext *p, int64_t limit, int64_t i) {
    return limit > 0 && limit < p->n ? i * p->n / limit : i;
}

/** Puts the directions, domains of the data set by index, into a model's configuration. */
at_status at_translate_sign(at_ctx *c, at_model *m, const at_dataset *set, const int *domain,
                            int n);
/** What texts of this direction begin with ("": nothing), from the heap.  direction NULL: the only one.
    AT_UNSUPPORTED: the model does not translate; AT_ARG lists the directions. */
at_status at_translate_tag(at_ctx *c, const at_model *m, const char *direction, char **tag);

/** How a text is translated. */
typedef struct at_translating {
    const char *tag; /* of at_translate_tag                                    */
    int64_t most;    /* new tokens; 0: twice those of the text, and 16 more    */
} at_translating;
/** Greedy translations: text[n], in UTF-8; out[n] from the heap, NULL on failure.  Each is the one that
    the text gets alone, bit for bit.  AT_ARG: a text with its translation is longer than the model's context.
    ended (may be NULL): whether the model ended it by itself. */
at_status at_translate_texts(at_compute *cp, at_lm *m, const at_translating *how,
                             const char *const *text, int64_t n, char **out, bool *ended);

#endif
