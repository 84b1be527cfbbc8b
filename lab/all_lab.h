/* all_lab.h - the lab of all three papers together (all_lab.c): its runs and claims (all_runs.c), and
   how it is shown (all_page.c). */
#ifndef AT_ALL_LAB_H
#define AT_ALL_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_trial.h"

enum { ALL_MODULES = 1, ALL_TEACHER_BIT = 2, ALL_PEERS = 4, ALL_ARMS = 8 };
enum { ALL_SEEDS_MAX = 8, ALL_ALPHAS = 3 };
#define ALL_TEACHER "teacher"

typedef struct all_shape {
    int layers, width, hidden, att, ffn; /* hidden: of a feed-forward expert; att, ffn: experts */
} all_shape;

typedef struct all_scale {
    int64_t seeds, batch, context, teacher_steps, steps, tune_steps, eval_windows, windows,
        missing_windows, save_every;
    all_shape teacher, student;
    double lr, lr_teacher;
} all_scale;

typedef struct all {
    at_lab_session *l;
    const all_scale *scale;
    int best; /* of the alphas */
} all;

/** Runs of an arm, a set of ALL_MODULES, ALL_TEACHER_BIT and ALL_PEERS: "none", "m", ... "mtp". */
const char *all_group(int arm);
/** The i-th alpha that was tried, and the validation loss it came to. */
double all_alpha(int i);
double all_tune_loss(const all *m, int i);
/** Of the result of an arm with seed k + 1; what a part changes in it, mean over the other arms. */
double all_number(const all *m, int arm, int64_t k, const char *key);
double all_effect(const all *m, int bit, int64_t k, const char *key);
/** Scale; then all runs; then all claims, decided; then the page. */
void all_open(all *m, at_lab_session *l);
at_status all_train(all *m);
at_status all_claims(all *m);
void all_page(all *m);

#endif
