/*
 * classifier.h - the linear classifiers that a router can be, in a table; one file a row or a family of
 * rows.
 *
 * Each gives a class c the score f_c(x) = w_c . x + b_c; the class of a sequence is the one with the
 * largest.  They differ in what they minimise, and in how scores become probabilities.
 *
 * C is the inverse strength of the penalty on weights, whatever a classifier calls it: alpha = 1 / C for
 * ridge regression and naive Bayes, alpha = 1 / (C n) for stochastic gradients over n sequences.
 */
#ifndef AT_CLASSIFIER_H
#define AT_CLASSIFIER_H
#include "base/ctx.h"
#include "route/rows.h"

typedef enum at_link {
    AT_LINK_SIGMOID, /* sigmoid(f_c) / sum of sigmoid(f_k): one against all others */
    AT_LINK_SOFTMAX  /* exp(f_c) / sum of exp(f_k)                                 */
} at_link;

/** What a classifier is fitted to.  Rows are weighed unless the classifier counts. */
typedef struct at_fit {
    const at_sparse_rows *x;
    const int32_t *label; /* [n], in [0, n_classes), each class at least once */
    int n_classes;
    const char *const *name; /* of the classes, for warnings */
    double c, eps;
    uint64_t seed;
} at_fit;

typedef struct at_classifier {
    const char *name, *help;
    at_link link;
    bool counts; /* takes counts, factors and scales instead of weighed rows */
    double c;    /* where nothing else is asked for                          */
    /** w [n_classes, columns + 1], the bias last; zero before.  AT_INTERRUPTED, AT_OOM. */
    at_status (*fit)(at_ctx *c, const at_fit *f, double *w);
} at_classifier;

/** Names, in the order of at_classifiers. */
#define AT_CLASSIFIERS(X) \
    X(logistic)           \
    X(softmax)            \
    X(svm)                \
    X(sgd_hinge)          \
    X(sgd_huber)          \
    X(sgd_log)            \
    X(ridge)              \
    X(bayes)              \
    X(complement_bayes)   \
    X(centroid)

#define X(name) extern const at_classifier at_classifier_##name;
AT_CLASSIFIERS(X)
#undef X
/** NULL ends it. */
extern const at_classifier *const at_classifiers[];
/** By name.  AT_ARG lists the names there are. */
at_status at_classifier_find(at_ctx *c, const char *name, const at_classifier **out);

/** How a fit ended; given up: by rounding or by the limit of steps. */
typedef struct at_fit_report {
    bool given_up;
    int steps;
    double left; /* of the gradient at w = 0 */
} at_fit_report;
/** Warns of a class that was given up. */
void at_fit_warn(at_ctx *c, const at_fit *f, int which, const at_fit_report *r);

/** One class against all others, for each class, in parallel: what most of them do. */
typedef struct at_versus {
    const at_ctx *c; /* read only */
    const at_fit *f;
    int32_t which;
    double *w;       /* [columns + 1], zero                          */
    double *scratch; /* as many doubles as were asked for, not zero */
    at_fit_report *report;
} at_versus;
typedef at_status (*at_versus_fn)(const at_versus *v);
at_status at_one_versus_rest(at_ctx *c, const at_fit *f, int64_t scratch, at_versus_fn fit,
                             double *w);
/** 1 for the class, -1 for the others. */
static inline double at_versus_sign(const at_versus *v, int64_t i) {
    return v->f->label[i] == v->which ? 1 : -1;
}

#endif
