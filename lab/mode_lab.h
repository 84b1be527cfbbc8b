/*
 * mode_lab.h - the lab of the Mixture of Distilled Experts (mode_lab.c) in parts: tables (mode_sets.c), what
 * is compared and its recipes (mode_arms.c), which runs there are (mode_runs.c), a task made of domains
 * (mode_made.c), language models (mode_text.c), claims (mode_claims.c, mode_numbers.c), and the page
 * (mode_page.c, mode_words.c).
 *
 * A value of an arm (alpha, for instance) is chosen for each table and gate by the mean validation accuracy of
 * seeds that are used for nothing else.  All that is compared is paired: a seed has one split, one set of
 * initial values where shapes agree, one order of rows.
 */
#ifndef AT_MODE_LAB_H
#define AT_MODE_LAB_H
#include "lab/lab_claim.h"
#include "lab/lab_rows.h"
#include "lab/lab_trial.h"

enum { MODE_SEEDS_MAX = 20, MODE_SETS_MAX = 16, MODE_GRID_MAX = 11, MODE_TUNE_SEED = 101 };

/* Who answers a row. */
typedef enum mode_gate {
    MODE_DENSE2, /* two experts, both                             */
    MODE_DENSE4,
    MODE_SPARSE, /* the two most probable of four                 */
    MODE_DENSE8,
    MODE_IMAGE, /* the same as sparse, behind a convolution */
    MODE_GATES
} mode_gate;
extern const char *const mode_gate_name[MODE_GATES];
extern const char *const mode_gate_title[MODE_GATES];
int64_t mode_gate_experts(mode_gate g);

/* What is done with them. */
typedef enum mode_arm {
    MODE_PLAIN,
    MODE_MUTUAL,   /* mutual distillation, as published              */
    MODE_KL,       /* the same of distributions                      */
    MODE_LABEL,    /* each expert has the label loss                 */
    MODE_DECAY,    /* weight decay                                   */
    MODE_DROPOUT,  /* of hidden layers                               */
    MODE_BALANCE,  /* even load                                      */
    MODE_NEGATIVE, /* alpha below 0: experts part                    */
    MODE_TABM,     /* an ensemble with parts in common, as many parameters, with weight decay */
    MODE_ONE,      /* one perceptron with as many parameters, with weight decay */
    MODE_FAST,     /* one with as many operations a row, with weight decay      */
    MODE_ARMS
} mode_arm;
typedef struct mode_arm_kind {
    const char *name, *title;
    double grid[MODE_GRID_MAX]; /* n values that it is tuned over, the weakest first */
    int n;
} mode_arm_kind;
extern const mode_arm_kind mode_arms[MODE_ARMS];

/* How a table is learnt. */
typedef struct mode_set {
    const char *name; /* NULL: any other table */
    int hidden;
    double lr;
    int epochs, rows;
    unsigned use; /* MODE_IN_... */
} mode_set;
enum { MODE_IN_QUICK = 1, MODE_IN_FULL = 2, MODE_IN_CURVE = 4, MODE_IN_DOSE = 8 };
extern const mode_set mode_sets[], mode_made_set; /* the second: of the table of domains */

/* One thing that is learnt: rows of a table, by a gate, for a while. */
typedef struct mode_cell {
    int table; /* of at_row_runs; its mode_set is mode.set[table] */
    mode_gate gate;
    int budget;   /* times the epochs of the set        */
    int64_t rows; /* training rows; 0: those of the set */
} mode_cell;

typedef struct mode_scale {
    int seeds, tuning;                         /* how many                       */
    int grid;                                  /* values of a grid that are tried */
    int curve_seeds, curve_budget, curve_step; /* times the epochs; 2: every second alpha */
    int dose_seeds;
    int made_rows;
    int text_seeds, image_seeds;
    int64_t text_steps;
    unsigned use; /* sets that have this bit */
} mode_scale;

typedef struct mode {
    at_lab_session *l;
    at_row_runs *rows;
    const mode_scale *scale;
    const mode_set *set[MODE_SETS_MAX]; /* by table; of the last one, made in memory, too */
    double inputs[MODE_SETS_MAX];       /* that tables come to as they are read */
    int n;      /* tables of the main comparison                                */
    int made;   /* the table of domains, or -1                                  */
    bool alone; /* one table of the user's                                      */
    bool text;  /* there is a data set for language models                      */
} mode;

/* ---- tables ---- */
/** Fills l->data_hash: at_lab.open. */
at_status mode_open_data(at_lab_session *l);
/** Reads the tables. */
at_status mode_read(mode *m);
/** Makes the table of domains, a file in the lab's folder; and of a run that learnt it the mutual
    information of the dominating expert and the domain of test rows, in nats. */
at_status mode_make(mode *m);
double mode_domain_information(const mode *m, const mode_cell *c, mode_arm a, int k);
enum { MODE_DOMAINS = 4 };

/* ---- runs ---- */
/** Name of a run; key: its value. */
void mode_name(const mode *m, const mode_cell *c, mode_arm a, double value, int64_t seed,
               char out[160]);
at_status mode_declare(mode *m, const mode_cell *c, mode_arm a, double value, int64_t seed,
                       unsigned flags);
/** Declares and trains what is tuned, then what is compared. */
at_status mode_train(mode *m);
/** The i-th of the values that an arm is tuned over at this scale. */
double mode_value(const mode *m, mode_arm a, int i);
int mode_values(const mode *m, mode_arm a);
/** The value chosen; of one without a grid 0. */
double mode_chosen(const mode *m, const mode_cell *c, mode_arm a);
/** At the edge of its grid: -1 the least, 1 the largest, 0 neither. */
int mode_edge(const mode *m, const mode_cell *c, mode_arm a);
/** A number of the run with this seed (from 0) and the chosen value; NaN: there is none. */
double mode_number(const mode *m, const mode_cell *c, mode_arm a, int k, const char *key);
double mode_number_at(const mode *m, const mode_cell *c, mode_arm a, double value, int k,
                      const char *key);
const at_row_trial *mode_run(const mode *m, const mode_cell *c, mode_arm a, int k);

/** Numbers that a row comes to as a model reads it, about. */
double mode_inputs(const at_lab_table *t);

/** Cells of the parts. */
mode_cell mode_cell_of(int table, mode_gate g);
extern const mode_gate mode_main_gates[3];
enum { MODE_CURVE_SETS = 3, MODE_DOSES = 4, MODE_DOSE_SETS = 2 };
int mode_curve_tables(const mode *m, int table[MODE_CURVE_SETS]);
int mode_curve_alphas(const mode *m, double alpha[MODE_GRID_MAX + 2]);
int mode_dose_tables(const mode *m, int table[MODE_DOSE_SETS]);
/** The first table of images; -1: there is none. */
int mode_image_table(const mode *m);
extern const int mode_doses[MODE_DOSES];
extern const mode_gate mode_dose_gates[3];

/* ---- what the runs say ---- */
/** By seed (from 0), for claims. */
typedef double (*mode_measure)(const mode *m, const mode_cell *c, mode_arm a, int k);
double mode_accuracy(const mode *m, const mode_cell *c, mode_arm a, int k);
double mode_own_domain(const mode *m, const mode_cell *c, mode_arm a, int k);
double mode_recall(const mode *m, const mode_cell *c, mode_arm a, int k);
/** On the domains of the plain mixture with the same seed. */
double mode_common(const mode *m, const mode_cell *c, mode_arm a, int k);
/** With a fresh head on what each expert computes. */
double mode_refit(const mode *m, const mode_cell *c, mode_arm a, int k);
/** What is lost where one expert is missing, mean over experts. */
double mode_lost(const mode *m, const mode_cell *c, mode_arm a, int k);
/** Of the object "probe". */
double mode_probed(const mode *m, const mode_cell *c, mode_arm a, int k, const char *key);

/** Mean of n paired differences, with its interval by the bootstrap and the p of the signed-rank test. */
at_status mode_estimate(at_ctx *c, const double *x, int n, at_estimate *out);
/** Makes all claims and decides them. */
at_status mode_claims(mode *m);
/** effects.jsonl: an arm against the plain mixture and against mutual distillation, table by table. */
at_status mode_effects(mode *m);
at_status mode_page(mode *m);

/* ---- language models ---- */
enum { MODE_TEXT_ARMS = 3 };
extern const double mode_text_alpha[MODE_TEXT_ARMS];
void mode_text_group(int arm, char out[64]);
at_status mode_text(mode *m);

#endif
