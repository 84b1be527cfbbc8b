/* growth_internal.h - what growing a mixture and proving it share. */
#ifndef AT_GROWTH_INTERNAL_H
#define AT_GROWTH_INTERNAL_H
#include "data/dataset.h"
#include "infer/prune.h"
#include "train/growth.h"

enum { FREE_MODULES, FREE_ROUTER };
typedef struct growth_keys {
    char *name;
    at_strings slots[AT_LAYER_KINDS];
    int init, free; /* at_grow_init, FREE_ */
    double decay, review_share;
    int64_t review, documents, layers;
} growth_keys;

typedef struct growth {
    at_ctx *c;
    at_conf *f;
    const char *source, *run;
    growth_keys k;
    int64_t seed, context, a_step; /* tokens of a step */
    int64_t steps;                 /* that were made   */
    char *data;                    /* path of the data set */
    at_dataset *set;
    at_lm *old;
    at_model *m;   /* its network, borrowed */
    int64_t *more; /* slots more of each bank */
    const char *const *require;
    at_prune_promise *promise; /* [n_require] what they say */
    int n_require;
    at_growth *out;
} growth;

/** The domains that promises name are there, with validation text. */
at_status growth_check_domains(growth *w);
/** AT_MISMATCH unless the model that training begins with has, its new slots excluded, the bits of the old one. */
at_status growth_check_start(growth *w, const char *start);
/** AT_MISMATCH unless everything old has in the trained model the bits it had. */
at_status growth_check_frozen(const growth *w, const at_model *trained);
/** Compares the folder with the old model: digests, logits, losses of documents; AT_MISMATCH: a promise is broken. */
at_status growth_prove(growth *w, const char *dir);
/** The passport; slots: the module's tensors as a file.  measured: with what the proof found. */
cJSON *growth_passport(const growth *w, const char *slots, bool measured);

#endif
