/* mf_lab.h - the ModuleFormer lab (mf_lab.c) in three parts: runs (lab_moduleformer.c), what follows from
   them (mf_claims.c), and how it is shown (mf_page.c). */
#ifndef AT_MF_LAB_H
#define AT_MF_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_speed.h"
#include "lab/lab_trial.h"

enum { MF_VARIANTS = 7, MF_DENSE_MAX = 5, MF_MODELS = MF_DENSE_MAX + MF_VARIANTS };
enum { MF_SEEDS_MAX = AT_SPEED_SEEDS, MF_TUNE_SEED = 101 };
enum { MF_RATES = 7, MF_RATE_LOW = 2, MF_RATE_HIGH = 4 }; /* all, and those that are always tried */

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
    struct {
        int low, high; /* rates tried, both ends among them; of the models that are swept:
                                up to and with the mixture */
    } sweep[MF_MODELS];
    at_speed speed[MF_SEEDS_MAX][MF_MODELS];
    double loss[MF_MODELS][MF_SEEDS_MAX]; /* test split, a seed each */
} mf;

/** Fills scale and model, and the rates to begin with. */
void mf_models(mf *m);
/** Declares all runs and does those that choose a rate for each size. */
at_status mf_tune(mf *m);
/** The i-th learning rate for a size, rising, 0 <= i < MF_RATES. */
double mf_rate(const mf_model *x, int i);
/** The rate with the lowest validation loss of those tried for model i; -1: all diverged. */
int mf_best(const mf *m, int i);
/** If the best rate is at an end of the range tried, adds the next one beyond it.  False: it is
    not, or there is none. */
bool mf_add_rate(mf *m, int i);
/** Where the best rate lies in the range tried: -1 at the lower end, 1 at the upper, 0 between. */
int mf_edge(const mf *m, int i);
/** Validation loss of model i with rate r; NaN: it diverged, or was not tried. */
double mf_tune_loss(const mf *m, int i, int r);
bool mf_number(const cJSON *o, const char *key, double *out);
/** Loss by the context read, of one run: the field "loss" of by_context[i]; NaN when missing. */
double mf_context_loss(const at_trial *t, int i);

enum mf_what { MF_TRAIN, MF_READ, MF_WRITE }; /* throughputs of an at_speed */
double mf_speed_of(const at_speed *s, int what);

/** Chooses a rate for each size and records it for rates.jsonl; warns (at_lab_warn) where it is at
    an end of the range tried.  AT_NUMERIC: all of them diverged. */
at_status mf_choose_rates(mf *m);
/** Fills loss from the results; fills speed. */
at_status mf_losses(mf *m);
at_status mf_speeds(mf *m);
/** Makes all claims and decides them. */
at_status mf_claims(mf *m);
at_status mf_page(mf *m);

#endif
