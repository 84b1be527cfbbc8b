/*
 * learner.h - a model, its task and data, its teacher, and how much it listens to the teacher.
 *
 * A learner trains the parameters of its stores.  Usually that is the one of its model; learners
 * that share parts, trunks over one embedding for instance, have the store of the shared part in
 * common.  at_trainer steps every store once, with the gradients of all that use it.
 */
#ifndef AT_LEARNER_H
#define AT_LEARNER_H
#include "train/alpha.h"
#include "train/task.h"
#include "train/teacher.h"

enum { AT_LEARNER_STORES = 8 };

struct at_learner {
    const at_recipe *recipe; /* borrowed                                       */
    const at_task *task;
    at_model *model; /* borrowed; NULL where the task makes do without */
    at_store *store[AT_LEARNER_STORES];
    int n_stores;
    at_teacher teacher;
    at_alpha alpha;
    at_losses *seen;  /* [accumulate], owned: of the step that is made; NULL: no teacher */
    at_alpha trial;   /* alpha with what micro-batches of the step under way have told, where the
                        recipe's alpha_sees is own                                            */
    double alpha_now; /* the weight that at_learner_weigh gave last                      */
    int64_t turn, at_step; /* of the micro-batch under way */
    bool own_text;         /* the step under way is of the student's own text */
    bool idle;             /* sits the next steps out: what is its alone is not touched */
    void *state;           /* of the task */
    int64_t per_batch;     /* tokens, or rows, of a micro-batch */
    at_aux aux;            /* weights of the routers' losses */
    double mutual;         /* the recipe's alpha of mutual distillation */
    bool *peers;           /* [layers] where experts distil, owned; NULL: nowhere */
    at_route_pool pool;    /* max 0: there is none */
    at_loads loads;        /* of a whole step, where `whole` */
    bool whole;
    at_usage usage; /* of a step's experts            */
};

/** Whether the text of this step is the student's own; the teacher's loss alone counts then. */
bool at_learner_writes(const at_learner *l, int64_t step);
/** Whether the teacher is needed where the text has this weight. */
bool at_learner_asks(const at_learner *l, double text_weight);

/** What a step of one or several learners came to: means. */
typedef struct at_step_report {
    double loss, ce, kd; /* means over the step's tokens; kd of those that were taught, 0 if none */
    double taught;       /* share of the step's micro-batches for which a teacher was asked */
    double alpha;        /* weight of ce; the rest is that of kd                  */
    double steady; /* the loss if alpha were still the recipe's, or, where the losses take turns,
                            1: no schedule makes it jump */
    double aux;    /* of routers and experts, weighted, part of loss; 0 without */
    double mutual; /* mutual distillation, unweighted, mean over layers; 0 without */
    double expert_label; /* label loss of experts alone, unweighted; 0 without         */
    double norm;         /* of the gradient, before clipping                     */
    bool own_text;       /* the text was the student's: ce says nothing         */
    double load_entropy; /* of the experts' load, mean over routers; see arch/usage.h */
    int64_t dead;        /* experts the step did without, all routers together        */
    bool mixture;        /* there are routers: the two above say something            */
    double lr;
    double seconds;
    int64_t tokens;
} at_step_report;

/** The recipe's task over data of its kind (at_data.set), which stays borrowed.  AT_CONFIG: recipe,
    model, teacher and data do not go together.  Closed in any case. */
at_status at_learner_open(at_ctx *c, const at_recipe *r, at_model *m, at_teacher teacher,
                          const void *set, at_learner *l);
void at_learner_close(at_learner *l);

/** What a task that has a teacher asks of its loss: alpha_sees is own. */
bool at_learner_weighs(const at_learner *l);
/** at_head_spec.weigh of a learner: the weight of the text in the micro-batch under way, from its own
    losses and those before it. */
double at_learner_weigh(void *learner, const at_head_report *known);

/** Where a learner runs. */
typedef struct at_place {
    at_ctx *ctx;
    at_compute *cp;
    at_arena *arena;
    int64_t step; /* of the run, from 0 */
    int k, n;     /* the k-th of n learners: dropout differs between them */
} at_place;
/** Before the micro-batches of a step: what all of them are to know of it. */
at_status at_learner_begin_step(at_learner *l, const at_place *at);
/** Micro-batch i of the step: adds share times its gradients and its losses. */
at_status at_learner_micro_batch(at_learner *l, const at_place *at, int64_t i, double share,
                                 at_step_report *out);
/** The step was made. */
void at_learner_end_step(at_learner *l);

#endif
