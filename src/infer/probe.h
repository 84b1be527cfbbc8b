/*
 * probe.h - what each expert of a classifier knows: experts are asked alone, about rows of their own domain
 * and of others'; and what the mixture is worth without one of them.
 *
 *   at_expert_probe p;
 *   at_expert_probe_with(cp, m, rows, &(at_probe_with){.train = &train, .missing = true}, &p);
 *   ... p.own, p.refit, p.expert[i].without ...
 *   at_expert_probe_close(&p);
 *
 * The domain of an expert is the rows for which it has the largest gate.  All experts answer every row here,
 * however many the model asks; what the mixture itself says is measured as it is.  An expert alone is right
 * where the largest of its own logits is that of the class.
 *
 * In a mixture whose gates are soft no expert is trained to answer alone, so that experts which merely come
 * closer to the mixture look better (`own`).  Three figures are free of that: `refit`, a fresh head on what an
 * expert computes; `common`, on domains that another model has drawn; the mixture without an expert.
 *
 * Source: the study of experts in Xie et al. 2024, arXiv 2402.00893, of which a description in words is
 * known; the definitions are ours.
 */
#ifndef AT_PROBE_H
#define AT_PROBE_H
#include "infer/table_measure.h"

/** Figures that were not asked for, or of which there is nothing to measure, are NaN. */
typedef struct at_probed_expert {
    int64_t rows;       /* of its domain                                                */
    double right, all;  /* how often it is right: in its domain (0 if empty), everywhere */
    int64_t train_rows; /* of its domain among the training rows                          */
    double refit;       /* how often a fresh head on its last hidden layer is right in its domain */
    int64_t match,
        common_rows; /* the baseline's expert that has most of its domain, and the rows of
                                   that one's domain                                              */
    double common;   /* how often it is right in it                                    */
    double without,
        without_loss; /* accuracy and log loss of the mixture that does not have it     */
} at_probed_expert;

typedef struct at_expert_probe {
    int64_t n, experts,
        few; /* rows; experts; how many have a domain of fewer than AT_PROBE_FEW rows */
    at_probed_expert *expert; /* [experts], owned                                           */
    double own;               /* share of rows that the expert of their domain gets right         */
    double mean_own;          /* mean over experts whose domain is not that small of `right`      */
    double mean_all;          /* mean over experts of `all`                                       */
    double others;            /* mean over rows and the experts of other domains                  */
    double recall;            /* P(the expert of the domain is right | some expert is)            */
    double none_right;        /* 1 - own = none_right + (1 - none_right) (1 - recall)             */
    double gate_wrong;        /* P(some expert is right, and that of the domain is not)           */
    double disagree;          /* P(another expert names another class than that of the domain)    */
    double spread;            /* sum |e_i - mean|^2 / sum |e_i|^2, over rows and experts          */
    double entropy;           /* mean entropy of the gates / log experts                          */
    double load;              /* share of the rows in the largest domain                          */

    bool refitted;
    double refit, mean_refit; /* as own and mean_own, of fresh heads; mean_refit over experts that
                                 have one and whose domain is not small                           */
    int64_t no_head;          /* experts without training rows of their domain: they have none    */

    bool compared;
    double common,
        mean_common;     /* on the baseline's domains, rows in common and mean over those that
                                   are not small                                                    */
    double baseline_own; /* `own` of the baseline                                            */
    double shared;       /* share of the rows whose domain is the same in both, once matched  */

    bool lessened;
    double accuracy, loss;              /* of the mixture as it is                     */
    double mean_without, worst_without; /* accuracy with an expert missing             */
    double mean_without_loss, worst_without_loss;
} at_expert_probe;
enum { AT_PROBE_FEW = 10 };

/** What is measured beside what the experts say. */
typedef struct at_probe_with {
    const at_table_rows *train; /* fresh heads are fitted to these, where the architecture shows
                                   what experts compute; NULL: there are none                */
    at_model *baseline;         /* whose domains are taken as well; NULL: there is none      */
    bool missing;               /* the mixture is measured without each of its experts       */
} at_probe_with;

/** rows have classes; with: may be NULL.  AT_ARG: the model has no experts; AT_MISMATCH: a baseline with
    another number of them.  The models must not be used by others meanwhile. */
at_status at_expert_probe_with(at_compute *cp, at_model *m, const at_table_rows *rows,
                               const at_probe_with *with, at_expert_probe *out);
/** The same with nothing more. */
at_status at_expert_probe_rows(at_compute *cp, at_model *m, const at_table_rows *rows,
                               at_expert_probe *out);
/** Into an open object. */
void at_expert_probe_write(const at_expert_probe *p, at_json *j);
void at_expert_probe_close(at_expert_probe *p);

/* ---- the parts of it ---- */

/** What the experts say of rows. */
typedef struct at_heard {
    int64_t n, e, h;  /* rows, experts, width of the last hidden layer                       */
    int32_t *domain;  /* [n] the expert with the largest gate                                */
    int32_t *said;    /* [n, e] the class that each names                                    */
    at_real *hidden;  /* [n, h] what the expert of the domain computes last, or NULL         */
    double off, size; /* sums of squares: outputs less their mean over experts, and as they are */
    double entropy;   /* sum of the gates' entropies                                         */
} at_heard;

/** hidden: whether it is wanted, where the architecture shows it (at_pass_hidden).  AT_ARG: there are no experts that name classes. */
at_status at_hear_experts(at_compute *cp, at_model *m, const at_table_rows *rows, bool hidden,
                          at_heard *out);
void at_heard_close(at_heard *h);

/** A softmax regression on the hidden layer of each expert, of standardised values, fitted to the training
    rows of its domain (penalty |w|^2 / 2 for weights, the loss summed over rows), and measured on the rows of
    its domain. */
at_status at_probe_refit(at_ctx *c, const at_heard *train, const int32_t *train_class,
                         const at_heard *test, const int32_t *test_class, at_expert_probe *out);
/** Excludes each expert in turn from the choice; at most as many as are left then answer a row. */
at_status at_probe_missing(at_compute *cp, at_model *m, const at_table_rows *rows,
                           at_expert_probe *out);
/** Experts are matched to those of the baseline by how many rows their domains share. */
at_status at_probe_common(at_ctx *c, const at_heard *own, const at_heard *base,
                          const int32_t *class_of, at_expert_probe *out);

#endif
