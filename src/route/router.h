/*
 * router.h - which class (language, domain) a token sequence belongs to.
 *
 * TF-IDF over token ids, and hashed sequences of them where asked for (bag.h), and a linear classifier
 * (classifier.h):
 *     x_t   = weight(count_t) * idf_t / norm,   norm: Euclidean length of the vector
 *     idf_t = ln((1 + sequences) / (1 + sequences with t)) + 1, 0 for a feature never seen in training
 *     f_c   = w_c . x + b_c,   probability of c = sigmoid(f_c) / sum of sigmoid(f_k), or softmax
 * The class is the one with the largest f_c.  A temperature T, fitted on sequences that training did
 * not see, makes the probabilities honest: each to the power 1 / T, divided by their sum.  `drop` lists
 * ids that are ignored (end of text).  For a sequence without a known feature the biases decide.
 *
 * Everything is deterministic: the same sequences and options give the same weights, for any number
 * of threads and on any processor.  A saved router predicts bit for bit what it predicted before
 * saving.
 */
#ifndef AT_ROUTER_H
#define AT_ROUTER_H
#include "base/ctx.h"
#include "data/dataset.h"
#include "route/bag.h"
#include "route/classifier.h"

#define AT_ROUTER_FILE "router.safetensors"
/** A temperature is between 1 / AT_ROUTER_HOTTEST and AT_ROUTER_HOTTEST. */
#define AT_ROUTER_HOTTEST 10.0
enum { AT_ROUTER_LENGTHS_MAX = 16, AT_ROUTER_CLASSES_MAX = 1024, AT_ROUTER_DROP_MAX = 64 };

typedef struct at_router_options {
    double c;        /* inverse strength of the L2 penalty (10)                             */
    double eps;      /* relative gradient at which the fit stops (1e-6): weights then differ
                        from the optimum by less than a thousandth                        */
    int64_t windows; /* training windows for each class and length (3000)                   */
    uint64_t seed;   /* of the draw of the windows                                          */
    int n_lengths;   /* training windows have these lengths, in tokens                      */
    int64_t length[AT_ROUTER_LENGTHS_MAX]; /* (8, 16, 32, 64, 128, 256, 512)                */
    const at_classifier *classifier;       /* (logistic)                                    */
    int ngrams, hash_bits;                 /* features, see bag.h (1, 18)                   */
    bool sublinear;                        /* (no)                                          */
} at_router_options;

typedef struct at_router {
    int n_classes;
    char **name;   /* [n_classes]                                                 */
    int64_t vocab; /* ids are below it                                            */
    int ngrams, hash_bits;
    bool sublinear;
    int64_t features; /* vocab, and cells of n-grams                              */
    float *idf;       /* [features]                                                  */
    float *weight;    /* [n_classes, features]                                       */
    float *bias;      /* [n_classes]                                                 */
    at_link link;
    char classifier[32]; /* its name, for people                                  */
    int n_drop;
    int32_t drop[AT_ROUTER_DROP_MAX];
    char tokenizer_hash[65]; /* hex SHA-256 of the tokenizer the ids come from, or ""       */
    int64_t sequences;       /* sequences it was fitted on                                  */
    double temperature;      /* 1: probabilities as they come                               */
    at_router_options trained;
} at_router;

/** Sequences with labels in [0, n_classes); sequence i is id[start[i]] .. id[start[i + 1] - 1]. */
typedef struct at_router_set {
    int n_classes;
    const char *const *name; /* [n_classes]      */
    int64_t vocab, n;
    const int64_t *start;       /* [n + 1]          */
    const int32_t *id, *label;  /* label [n]        */
    const char *tokenizer_hash; /* or NULL          */
    const int32_t *drop;        /* [n_drop]         */
    int n_drop;
} at_router_set;

at_router_options at_router_defaults(void);
/** A router with all weights zero, to be filled by fitting or loading; names are copied. */
at_status at_router_new(at_ctx *c, int n_classes, const char *const *name, int64_t vocab,
                        at_router **out);
/** The same with features of a spec, of which `drop` is not kept. */
at_status at_router_new_of(at_ctx *c, int n_classes, const char *const *name,
                           const at_bag_spec *spec, at_router **out);
/** What a router counts; lives as long as it does. */
at_bag_spec at_router_spec(const at_router *r);

/** Fit on given sequences.  AT_ARG: fewer than two classes, a class without a sequence, an id out
    of range, options that make no sense. */
at_status at_router_fit(at_ctx *c, const at_router_set *set, const at_router_options *o,
                        at_router **out);
/** Fit on windows drawn from the training split, one class a domain.  AT_FORMAT: fewer than two
    domains, or one without a training token. */
at_status at_router_train(at_ctx *c, const at_dataset *d, const int32_t *drop, int n_drop,
                          const at_router_options *o, at_router **out);

/** The windows that at_router_train draws, for several fits on the same. */
typedef struct at_router_windows {
    at_router_set set; /* of what follows, and of the data set, which must stay open */
    const char **name;
    int32_t *id, *label;
    int64_t *start;
} at_router_windows;
at_status at_router_windows_draw(at_ctx *c, const at_dataset *d, const int32_t *drop, int n_drop,
                                 const at_router_options *o, at_router_windows *w);
void at_router_windows_free(at_router_windows *w);

/** A value of C, and the weighted F1 with it on the validation split, a mean over the training lengths. */
typedef struct at_router_trial {
    double c, f1;
} at_router_trial;
enum { AT_ROUTER_TRIALS = 10 };
/** Fits with C = 0.1, 0.3, 1, 3, ... until two in a row are no better, and keeps the best; trial
    [AT_ROUTER_TRIALS], *n of them.  AT_FORMAT: no validation split. */
at_status at_router_tune(at_ctx *c, const at_dataset *d, const at_router_windows *w,
                         const at_router_options *o, at_router **out, at_router_trial *trial,
                         int *n);

/** path: the file, or a folder that holds router.safetensors. */
at_status at_router_load(at_ctx *c, const char *path, at_router **out);
/** The same of the bytes of a file, which must outlive the call alone. */
at_status at_router_parse(at_ctx *c, const char *name, const void *data, size_t size,
                          at_router **out);
at_status at_router_save(at_ctx *c, const at_router *r, const char *path);
void at_router_close(at_router *r);

/** AT_MISMATCH naming both hashes, and `what` the other one belongs to. */
at_status at_router_check(at_ctx *c, const at_router *r, const char *what,
                          const char *tokenizer_hash);
/** Index of a class by name, or -1. */
int at_router_class(const at_router *r, const char *name);

/** Probabilities [n_classes] (may be NULL), not yet tempered, and the class of a sequence; *known (may be NULL): how
    many of its tokens counted.  AT_ARG names the position of an id out of range. */
at_status at_router_predict(at_ctx *c, const at_router *r, const int32_t *id, int64_t n,
                            double *probability, int *best, int64_t *known);

/** Probabilities that at_router_predict gave, at the router's temperature: for people and for
    thresholds.  Their order stays, but small ones may become 0, so that choices are made before. */
void at_router_temper(const at_router *r, double *p);

/** The temperature at which labels are likeliest, by halving the interval of 1 / T; p [n,
    n_classes], probabilities, are overwritten. */
double at_router_temperature(double *p, const int32_t *label, int64_t n, int n_classes);
/** Sets the temperature by windows of all lengths of training, evenly spread over a split.  It
    stays when the split is empty. */
at_status at_router_calibrate(at_ctx *c, at_router *r, const at_dataset *d, at_split split);

/** The contribution of a feature to a class: x_t * (w_ct - largest other w_ot). */
typedef struct at_router_reason {
    int32_t id;    /* of the feature                                        */
    int64_t first; /* where its tokens begin, the first time                */
    int tokens;    /* how many: above 1 for an n-gram                       */
    int64_t count;
    double contribution;
} at_router_reason;
/** The `top` largest contributions for class `which`, largest first; *n of them. */
at_status at_router_explain(at_ctx *c, const at_router *r, const int32_t *id, int64_t n_ids,
                            int which, int64_t top, at_router_reason *reason, int64_t *n);

/* ---- measuring ---- */

enum { AT_ROUTER_BINS = 15 };
/** Sequences by the probability of their class, in bins of equal width. */
typedef struct at_router_bins {
    double sum[AT_ROUTER_BINS]; /* of the probabilities */
    int64_t n[AT_ROUTER_BINS], right[AT_ROUTER_BINS];
} at_router_bins;
void at_router_bins_add(at_router_bins *b, double probability, bool right);
/** Expected calibration error: mean over sequences of |mean probability - share that is right| of
    their bin. */
double at_router_bins_error(const at_router_bins *b);

/** What is left when the router does not answer below a probability: its class's, tempered. */
enum { AT_ROUTER_RISKS = 8 };
extern const double at_router_risk_at[AT_ROUTER_RISKS];
typedef struct at_router_risk {
    int64_t answered, wrong;
} at_router_risk;

/** Counts and what follows from them.  Precision, recall and F1 of nothing are 0. */
typedef struct at_router_score {
    int n_classes;
    int64_t *confusion; /* [true, predicted]                                  */
    int64_t total;
    double accuracy;
    double precision, recall, f1;         /* means over the classes that occur on either side   */
    double weighted_f1;                   /* mean over sequences of the F1 of their class       */
    at_router_bins raw, tempered;         /* for at_router_bins_error; of all sequences         */
    int64_t declined;                     /* sequences not answered; those of `total` were      */
    at_router_risk risk[AT_ROUTER_RISKS]; /* of all sequences, for each of at_router_risk_at */
    double *class_precision, *class_recall, *class_f1; /* [n_classes]                       */
    int64_t *support; /* [n_classes] sequences of the class                 */
} at_router_score;

at_status at_router_score_init(at_ctx *c, at_router_score *s, int n_classes);
void at_router_score_add(at_router_score *s, int truth, int predicted);
/** Counts a sequence for the table of risks. */
void at_router_risk_add(at_router_score *s, double probability, bool right);
void at_router_score_finish(at_router_score *s);
void at_router_score_free(at_router_score *s);

/** Windows of `length` tokens, at most `limit` a domain, evenly spread over a split; a split
    shorter than that is one window.  Domains are matched with classes by name: AT_MISMATCH when
    the router does not know one, or the tokenizer differs; AT_FORMAT when the split is empty.
    `s` is initialised here; at_router_score_free. */
at_status at_router_eval(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                         int64_t length, int64_t limit, at_router_score *s);
/** The same by a router that does not answer where the tempered probability of its class is below
    `abstain`. */
at_status at_router_eval_sure(at_ctx *c, const at_router *r, const at_dataset *d, at_split split,
                              int64_t length, int64_t limit, double abstain, at_router_score *s);

#endif
