/* grow_lab.h - the lab of adding languages (grow_lab.c): its runs (grow_runs.c), the steps that add something
   (grow_steps.c), its claims (grow_claims.c), and how it is shown (grow_page.c). */
#ifndef AT_GROW_LAB_H
#define AT_GROW_LAB_H
#include "base/text.h"
#include "lab/lab_claim.h"
#include "lab/lab_trial.h"

enum { GROW_SEEDS_MAX = 8, GROW_DOMAINS_MAX = 8, GROW_STAGES = 2 };

/* Ways of learning a language more. */
typedef enum grow_way {
    GROW_MODULES,    /* a mixture: new experts, the rest frozen       */
    GROW_REVIEWED,   /* the same with a penalty on the routers' new rows and a review */
    GROW_TRUNKS,     /* a trunk more over a common embedding (JEET)   */
    GROW_TUNED,      /* a dense model, all of it trained on           */
    GROW_TUNED_MIX,  /* the mixture, all of it trained on             */
    GROW_JOINT,      /* the mixture, all languages from the beginning */
    GROW_JOINT_DENSE /* a dense model, likewise                       */
} grow_way;
enum { GROW_WAYS = 7 };

typedef struct grow_shape {
    int layers, width, hidden, att, ffn; /* hidden: of a feed-forward expert; att, ffn: experts */
    int dense;                           /* hidden width of the dense model and of a trunk */
} grow_shape;

typedef struct grow_scale {
    int64_t seeds, batch, context, steps, eval_windows, windows, save_every;
    grow_shape shape;
    double lr, lr_more;     /* of what begins with nothing; of what goes on */
    int att_more, ffn_more; /* experts of a layer that a module adds */
    int64_t review;         /* steps */
    double review_share;    /* of the old text that they may read */
} grow_scale;

typedef struct grow {
    at_lab_session *l;
    const grow_scale *scale;
    int domains, old; /* how many; the first `old` of the order are there from the beginning */
    int order[GROW_DOMAINS_MAX]; /* domains of the data set; the two last ones are added */
    /* Test loss [way][stage][seed][place in the order]; stage 0: before anything was added. */
    double loss[GROW_WAYS][GROW_STAGES + 1][GROW_SEEDS_MAX][GROW_DOMAINS_MAX];
    double trained[GROW_WAYS]; /* parameters that learn in a stage */
} grow;

extern const char *const grow_title[GROW_WAYS];
const char *grow_domain(const grow *m, int place);
/** The group of the run that is a stage of a way, or, of those up to GROW_TRUNKS after stage 0, the name of the
    step. */
void grow_group(grow_way way, int stage, char out[64]);
/** Steps of a run that adds one language: as many as the first run has for each of its languages. */
int64_t grow_stage_steps(const grow *m);
/** "train: {...}" of a recipe. */
void grow_put_training(const grow *m, at_text *t, int64_t steps, double lr);

/** Scale and order; all runs that are no steps; the steps, and what they come to. */
at_status grow_open(grow *m, at_lab_session *l);
at_status grow_train(grow *m);
at_status grow_steps(grow *m);
/** Mean loss of the old languages; of the one that a stage added. */
double grow_old(const grow *m, grow_way way, int stage, int64_t k);
double grow_new(const grow *m, grow_way way, int stage, int64_t k);
at_status grow_claims(grow *m);
void grow_page(grow *m);

#endif
