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
    /* when a module is made again */
    const at_module_file *told; /* that is made again; NULL: it is made for the first time */
    const char *file;           /* its path */
    int64_t stop;               /* after this step of both runs; 0: it is made to its end */
    int64_t before;             /* steps of the runs before the one under way */
    cJSON *digests;             /* of the module after its first steps, see growth_note */
} growth;

/** at_grow of a module that was made before, from its recipe, compared with it on the way (growth_note).  stop: there is
    no `out`, and no more steps than this; 0: it is made to its end.  told, which is in `file`: what it must be. */
at_status growth_again(at_ctx *c, at_conf *f, const char *model, at_lm *old, const char *out,
                       const char *run, const at_module_file *told, const char *file, int64_t stop,
                       at_growth *result);
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
/** What was noted in the run so far; a run that begins has noted nothing. */
at_status growth_note_open(growth *w);
/** Of at_train_options: after steps 1, 2, 5, 10, 20, 50, ... the digest of the module is kept in the run, before there is
    a checkpoint of the step, and goes into the passport.  A module that is made again must have had the same one:
    AT_MISMATCH; and at the first of them all else that its passport says must hold. */
at_status growth_note(void *user, at_model *m, int64_t step, int64_t of);
/** AT_MISMATCH unless the passport of the module that is made again says what is known before it is made; slots: its
    tensors, which stand for those of the one in the making. */
at_status growth_check_passport(growth *w, const char *slots);
/** AT_MISMATCH names the first field of `told`, the passport in `file`, that differs from `made`. */
at_status growth_compare(at_ctx *c, const char *file, const cJSON *told, const cJSON *made);

#endif
