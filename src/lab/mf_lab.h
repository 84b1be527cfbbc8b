/* mf_lab.h - the ModuleFormer lab in three parts: runs (lab_moduleformer.c), what follows from them
   (mf_claims.c), and how it is shown (mf_page.c). */
#ifndef AT_MF_LAB_H
#define AT_MF_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_speed.h"
#include "lab/lab_trial.h"

enum { MF_VARIANTS = 7, MF_DENSE_MAX = 5, MF_MODELS = MF_DENSE_MAX + MF_VARIANTS };
enum { MF_SEEDS_MAX = 8, MF_TUNE_SEED = 101 };

#define MF_MAIN    "mf"
#define MF_PLAIN   "no-mi"
#define MF_STRONG  "mi-10"
#define MF_SWITCH  "switch"
#define MF_K1      "k1"
#define MF_K4      "k4"
#define MF_SOFTMAX "softmax"

typedef struct mf_shape {
    int layers, width, hidden, att, ffn; /* hidden: of a feed-forward expert; att, ffn: experts */
} mf_shape;

typedef struct mf_model {
    char group[32], title[64];
    mf_shape shape;
    int k;
    const char *losses; /* of the recipe, or NULL */
    bool softmax, lengths;
} mf_model;

typedef struct mf_scale {
    int64_t seeds, tokens, tune_tokens, batch, context, eval_windows, save_every;
    int rounds; /* of measuring speed             */
    bool extra; /* with the variants that can be done without */
    mf_shape dense[MF_DENSE_MAX];
    int n_dense;
    mf_shape sparse;
} mf_scale;

typedef struct mf {
    at_lab_session *l;
    const mf_scale *scale;
    mf_model model[MF_MODELS]; /* the dense ones, then the mixture compared with them, then its
                                  variants */
    int n;
    int64_t tuning; /* runs that only choose learning rates; the first of all */
    at_speed speed[MF_MODELS];
    double loss[MF_MODELS][MF_SEEDS_MAX]; /* validation, a seed each */
} mf;

/** Learning rates tried: mf_rates() of them for each size. */
double mf_rate(const mf_model *x, int i);
int mf_rates(void);
double mf_best_rate(const mf *m, const mf_model *x);
/** Name of the group that tries rate i. */
void mf_tune_group(const mf_model *x, int i, char *out, size_t size);
bool mf_number(const cJSON *o, const char *key, double *out);
/** Loss by the context read, of one run: the field "loss" of by_context[i]; NaN when missing. */
double mf_context_loss(const at_trial *t, int i);

at_status mf_measure(mf *m);
at_status mf_claims(mf *m);
at_status mf_page(mf *m);

#endif
