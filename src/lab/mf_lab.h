/* mf_lab.h - the ModuleFormer lab in three parts: runs (lab_moduleformer.c), what follows from them
   (mf_claims.c), and how it is shown (mf_page.c). */
#ifndef AT_MF_LAB_H
#define AT_MF_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_speed.h"
#include "lab/lab_trial.h"

enum { MF_VARIANTS = 6, MF_DENSE_MAX = 5, MF_SEEDS_MAX = 8, MF_RATES_MAX = 4, MF_TUNE_SEED = 101 };

#define MF_MAIN    "mf"
#define MF_PLAIN   "no-mi"
#define MF_SWITCH  "switch"
#define MF_K1      "k1"
#define MF_K4      "k4"
#define MF_SOFTMAX "softmax"

typedef struct mf_model {
    const char *group, *title;
    const char *model, *losses; /* of the recipe */
    bool lengths;
} mf_model;

typedef struct mf_scale {
    int64_t seeds, tokens, tune_tokens, batch, context, eval_windows, save_every;
    int rounds; /* of measuring speed */
    double lr[MF_RATES_MAX];
    int rates;
    mf_model dense[MF_DENSE_MAX];
    int n_dense;
    mf_model variant[MF_VARIANTS]; /* the first is the one compared with the dense models */
} mf_scale;

typedef struct mf {
    at_lab_session *l;
    const mf_scale *scale;
    int64_t tuning;                             /* runs that only choose learning rates   */
    double rate[MF_DENSE_MAX + 1];              /* chosen: dense models, then the mixture */
    at_speed speed[MF_DENSE_MAX + MF_VARIANTS]; /* dense models, then variants            */
    double loss[MF_DENSE_MAX + MF_VARIANTS][MF_SEEDS_MAX]; /* validation, a seed each            */
} mf;

/** A model by its place in speed[] and loss[]. */
const mf_model *mf_at(const mf *m, int i);
int mf_models(const mf *m);
bool mf_number(const cJSON *o, const char *key, double *out);
/** Name of the run that tries a learning rate. */
void mf_tune_group(const mf_model *x, double lr, char *out, size_t size);
/** Loss by the context read, of one run: the field "loss" of by_context[i]; NaN when missing. */
double mf_context_loss(const at_trial *t, int i);

at_status mf_measure(mf *m);
at_status mf_claims(mf *m);
at_status mf_page(mf *m);

#endif
