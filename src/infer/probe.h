/*
 * probe.h - what each expert of a classifier knows: experts are asked alone, about rows of their own domain
 * and of others'.
 *
 * The domain of an expert is the rows for which it has the largest gate.  All experts answer every row here,
 * however many the model asks; what the mixture itself says is measured as it is.  An expert alone is right
 * where the largest of its own logits is that of the class.
 *
 * Source: the study of experts in Xie et al. 2024, arXiv 2402.00893, of which a description in words is
 * known; the definitions are ours.
 */
#ifndef AT_PROBE_H
#define AT_PROBE_H
#include "infer/table_measure.h"

typedef struct at_probed_expert {
    int64_t rows;      /* of its domain                                                */
    double right, all; /* how often it is right: in its domain (0 if empty), everywhere */
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
    double disagree;          /* P(another expert names another class than that of the domain)    */
    double spread;            /* sum |e_i - mean|^2 / sum |e_i|^2, over rows and experts          */
    double entropy;           /* mean entropy of the gates / log experts                          */
    double load;              /* share of the rows in the largest domain                          */
} at_expert_probe;
enum { AT_PROBE_FEW = 10 };

/** rows have classes; AT_ARG: the model has no experts.  The model must not be used by others meanwhile. */
at_status at_expert_probe_rows(at_compute *cp, at_model *m, const at_table_rows *rows,
                               at_expert_probe *out);
/** Into an open object. */
void at_expert_probe_write(const at_expert_probe *p, at_json *j);
void at_expert_probe_close(at_expert_probe *p);

#endif
