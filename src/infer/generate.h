/* generate.h - generates text: routes the prompt to an expert, reads it, continues it. */
#ifndef AT_GENERATE_H
#define AT_GENERATE_H
#include "infer/lm.h"
#include "infer/sample.h"
#include "infer/session.h"

typedef struct at_generation {
    const char *prompt;
    const int32_t
        *ids; /* n_ids tokens in place of the prompt, or NULL: then no tokenizer is needed */
    int64_t n_ids;
    int64_t n; /* most new tokens */
    at_sampling sampling;
    at_ask ask;     /* who answers, and how */
    double abstain; /* the router is not followed below this probability of its choice  */
    int fallback;   /* then this expert answers; below 0: AT_ARG                         */
    /** Bytes of new text, in order, whole UTF-8 sequences as far as the text has them. */
    void (*text)(void *user, const char *bytes, size_t n);
    /** Each new token instead, where the prompt was ids. */
    void (*token)(void *user, int32_t id);
    /** Called once, before the text: the expert chosen and its probabilities [n_experts]; -1: those of
        `ask`. */
    void (*routed)(void *user, const at_lm *m, int expert, const double *probs,
                   const at_ids *prompt);
    void *user;
} at_generation;

typedef struct at_generated {
    int64_t prompt_tokens, new_tokens;
    double prompt_seconds, seconds;
    bool ended; /* by the end-of-text token */
} at_generated;

/** AT_ARG when the router is not sure enough and nobody else may answer, when the prompt is a text and the model has no tokenizer, or an id is not of its
    vocabulary.  A text longer than the context goes on after its
    older half is forgotten.  Ctrl-C ends the text early with AT_INTERRUPTED. */
at_status at_generate(at_compute *cp, at_lm *m, const at_generation *g, at_generated *out);

#endif
