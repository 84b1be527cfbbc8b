/*
 * mome_lab.h - the lab of the Mixture of Modular Experts (mome_lab.c) in parts: runs (mome_runs.c),
 * what the losses do in training (mome_curves.c), routers (mome_route.c), forgetting (mome_matrix.c),
 * what follows for the claims (mome_claims.c), and how it is shown (mome_page.c, mome_text.c).
 */
#ifndef AT_MOME_LAB_H
#define AT_MOME_LAB_H
#include "lab/forget.h"
#include "lab/lab_claim.h"
#include "lab/lab_trial.h"
#include "route/classifier.h"

enum { MOME_SEEDS_MAX = 8, MOME_DOMAINS_MAX = AT_FORGET_MAX, MOME_LENGTHS = 4, MOME_SHORT = 1 };

#define X(name) +1
enum { MOME_CLASSIFIERS = 0 AT_CLASSIFIERS(X) };
#undef X

/* Groups of runs.  Numbers in names: of a language, or of the language a sequence begins with. */
#define MOME_TEACHER   "teacher"
#define MOME_COMBINED  "combined" /* the student that all others are compared with */
#define MOME_ALONE     "alone"
#define MOME_COMPUTE   "alone-compute"
#define MOME_WIDE      "wide"
#define MOME_IMBALANCE "imbalanced"
#define MOME_JEET      "jeet"
#define MOME_COMMON    "moe-ce"
#define MOME_DROPPED   "moe-ce-dropout" /* the common trunk is left out in some steps */

typedef struct mome_shape {
    int layers, width, heads;
} mome_shape;

typedef struct mome_scale {
    int64_t seeds, batch, context, teacher_steps, stage_steps, eval_windows, save_every;
    int64_t windows, route_windows,
        samples; /* of a domain: that losses are of, that routers are fitted to; texts written */
    mome_shape teacher, student, wide;
    double lr, lr_wide, lr_teacher;
} mome_scale;

/* A student that differs from MOME_COMBINED in one thing. */
typedef struct mome_arm {
    const char *group, *title;
    const char *distill; /* keys of that section beside the teacher's; NULL: no teacher */
} mome_arm;
/** Ends with group NULL; the first is MOME_COMBINED. */
extern const mome_arm mome_arms[];

/* What the second half of a run looks like. */
typedef struct mome_curve {
    double norm_sd; /* of the norm of the gradient                              */
    double loss_sd; /* of the differences of the logged loss from step to step  */
    double text_sd; /* the same of the cross entropy with the text, whatever was logged */
    double alpha_lo, alpha_hi;
} mome_curve;

/* The routers of a seed, one a classifier, in the order of at_classifiers. */
typedef struct mome_router {
    double f1[MOME_CLASSIFIERS][MOME_LENGTHS]; /* weighted, on the test split              */
    double
        *p; /* [windows of all domains, domains]: what the first one says of the beginning of each
                  window */
} mome_router;

/* Of the texts that a model writes, all languages together. */
typedef struct mome_fluency {
    double repeated, unknown,
        right; /* shares: of runs of four words that the text had before, of words
                                        that the training text does not have, of texts in the right
                                        language */
} mome_fluency;
enum { MOME_WRITERS = 3 };
/** Groups of runs whose texts are looked at. */
extern const char *const mome_writers[MOME_WRITERS];

enum mome_mode { MOME_SEQUENTIAL, MOME_REPLAY, MOME_MODULES, MOME_MODES };

typedef struct mome {
    at_lab_session *l;
    const mome_scale *scale;
    int domains;
    int64_t together;                  /* steps of a run that reads all languages */
    int64_t windows[MOME_DOMAINS_MAX]; /* of the test split: how many of each domain */
    mome_curve *curve;                 /* [arms, seeds] */
    mome_router router[MOME_SEEDS_MAX];
    at_forget_matrix matrix[MOME_MODES][MOME_DOMAINS_MAX][MOME_SEEDS_MAX]; /* [mode, order, seed] */
    at_forget_matrix balanced[2][MOME_SEEDS_MAX]; /* over time: balanced, imbalanced; validation */
    mome_fluency fluency[MOME_WRITERS][MOME_SEEDS_MAX], documents; /* documents: real texts */
    double routed[MOME_SEEDS_MAX], oracle[MOME_SEEDS_MAX];         /* test loss of the modules */
} mome;

/** Tokens a router reads; the one numbered MOME_SHORT is where classifiers are compared. */
extern const int mome_lengths[MOME_LENGTHS];
const char *mome_domain(const mome *m, int d);
/** Language of stage `stage` in the order that begins with language `first`: they rotate. */
int mome_language(const mome *m, int first, int stage);
/** Name of the run that is stage `stage` of an order; the first stage is the language's expert. */
void mome_stage(char out[64], enum mome_mode mode, int first, int stage);
/** Under a key of the results of a run; NaN when there is none. */
double mome_number(const mome *m, const char *group, int k, const char *key);
double mome_domain_loss(const mome *m, const char *group, int k, int d);

/** Sizes and the teacher, then all other runs: declared and trained. */
at_status mome_open(mome *m, at_lab_session *l);
at_status mome_train(mome *m);
void mome_close(mome *m);
/** Of one metrics.jsonl. */
at_status mome_curve_of(at_ctx *c, const char *path, mome_curve *out);
/** Fills curve. */
at_status mome_curves(mome *m);
/** Fills windows and router, from DIR/routers/ where they were fitted before. */
at_status mome_routers(mome *m);
/** File of a router, from the heap. */
char *mome_router_path(const mome *m, int k, const at_classifier *kind);
/** Fills fluency, documents. */
at_status mome_write(mome *m);
/** Fills matrix, balanced, routed, oracle. */
at_status mome_matrices(mome *m);
/** Makes all claims and decides them. */
at_status mome_claims(mome *m);
at_status mome_page(mome *m);

#endif
