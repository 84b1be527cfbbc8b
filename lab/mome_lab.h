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

enum { MOME_SEEDS_MAX = 8, MOME_DOMAINS_MAX = AT_FORGET_MAX, MOME_LENGTHS = 4 };

/* Groups of runs.  Numbers in names: of a language, or of the language a sequence begins with. */
#define MOME_TEACHER   "teacher"
#define MOME_COMBINED  "combined" /* the student that all others are compared with */
#define MOME_ALONE     "alone"
#define MOME_COMPUTE   "alone-compute"
#define MOME_WIDE      "wide"
#define MOME_IMBALANCE "imbalanced"

typedef struct mome_shape {
    int layers, width, heads;
} mome_shape;

typedef struct mome_scale {
    int64_t seeds, batch, context, teacher_steps, stage_steps, eval_windows, save_every;
    int64_t windows, route_windows; /* of a domain: that losses are of, that the router reads */
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

/* One router, fitted with the seed of the runs it is used with. */
typedef struct mome_router {
    double f1[MOME_LENGTHS]; /* weighted, on the test split */
    double *p; /* [windows of all domains, domains]: by the beginning of each window */
} mome_router;

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
    double routed[MOME_SEEDS_MAX], oracle[MOME_SEEDS_MAX]; /* test loss of the modules */
} mome;

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
/** Fills windows and router, from DIR/router-sN-PROGRAM.safetensors where it was fitted before. */
at_status mome_routers(mome *m);
/** Fills matrix, balanced, routed, oracle. */
at_status mome_matrices(mome *m);
/** Makes all claims and decides them. */
at_status mome_claims(mome *m);
at_status mome_page(mome *m);

#endif
