/* prune_lab.h - the lab of pruning (prune_lab.c): its runs (prune_runs.c), what is cut from them and what
   that costs (prune_cut.c), claims (prune_claims.c), and how it is shown (prune_show.c). */
#ifndef AT_PRUNE_LAB_H
#define AT_PRUNE_LAB_H
#include "infer/prune.h"
#include "lab/lab_claim.h"
#include "lab/lab_trial.h"

enum { PRUNING_SEEDS_MAX = 8, PRUNING_DOMAINS_MAX = 8, PRUNING_KEY = 128 };

/** What a model is made of: experts by the mutual-information loss, experts in pools, trunks with labels,
    no experts. */
typedef enum pruning_kind {
    PRUNING_INFORMATION,
    PRUNING_POOLS,
    PRUNING_TRUNKS,
    PRUNING_DENSE,
    PRUNING_KINDS
} pruning_kind;

/** How a model is cut: by a score of its experts, the smallest weights, trunks of other domains; or not. */
typedef enum pruning_cut {
    PRUNING_BY_SCORE, /* + an at_prune_score */
    PRUNING_USE = PRUNING_BY_SCORE + AT_PRUNE_USE,
    PRUNING_REAP = PRUNING_BY_SCORE + AT_PRUNE_REAP,
    PRUNING_RANDOM = PRUNING_BY_SCORE + AT_PRUNE_RANDOM,
    PRUNING_MAGNITUDE = PRUNING_BY_SCORE + AT_PRUNE_SCORES,
    PRUNING_OWN,
    PRUNING_WHOLE,
    PRUNING_CUTS
} pruning_cut;

typedef struct pruning_scale {
    int64_t seeds, batch, context, steps, special_steps, eval_windows, windows, save_every;
    int64_t score_windows, loss_windows; /* of a domain, for the scores; for the score loss */
    int layers, width, att, ffn, hidden, k;
    double lr, special_lr;
} pruning_scale;

typedef struct pruning {
    at_lab_session *l;
    const pruning_scale *scale;
    int domains; /* of the data set, at most PRUNING_DOMAINS_MAX */
} pruning;

const pruning_scale *pruning_scale_of(const at_lab_session *l);
const char *pruning_kind_name(pruning_kind kind);
/** "reap", .., "magnitude", "own", "whole" */
const char *pruning_cut_name(pruning_cut cut);
/** Whether a kind is fine-tuned on one domain, too; its cuts run from `first` up to `end`. */
bool pruning_special(pruning_kind kind);
void pruning_cuts(pruning_kind kind, pruning_cut *first, pruning_cut *end);
/** Group of the runs of a kind; fine-tuned on a domain (-1: on none): "information", "information-fr". */
void pruning_group(const at_lab_session *l, pruning_kind kind, int domain, char out[64]);
/** Where results have the loss of a domain when a share is kept of a model, and the parameters left. */
void pruning_key(const at_lab_session *l, int domain, pruning_cut cut, double share,
                 const char *what, char out[PRUNING_KEY]);

/** With seed k + 1, mean over the domains: the loss of each when it is kept; how much that is more than
    the whole model's; the parameters left. */
double pruning_loss(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k);
double pruning_lost(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k);
double pruning_size(const pruning *m, pruning_kind kind, bool special, pruning_cut cut,
                    double share, int64_t k);

/** Adds "pruned" to the result of a run: see at_lab_session.also. */
at_status pruning_measure(at_lab_session *l, const at_trial *t, at_model *m, int64_t context,
                          at_json *line);
/** Scale; then all runs; then all claims, decided; then the page. */
at_status pruning_open(pruning *m, at_lab_session *l);
at_status pruning_train(pruning *m);
at_status pruning_claims(pruning *m);
void pruning_page(pruning *m);

#endif
