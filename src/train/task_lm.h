/* task_lm.h - what the language model's task keeps for a learner. */
#ifndef AT_TASK_LM_H
#define AT_TASK_LM_H
#include "arch/history.h"
#include "train/learner.h"

typedef struct at_lm_batches {
    at_sampler sampler;      /* its data: at_data.set is an at_dataset            */
    int32_t *input, *target; /* [batch, context] of the last micro-batch          */
    at_history *history;     /* [histories], where the recipe has train.history   */
    int64_t histories;       /* micro-batches of a step                           */
    int32_t *kept;           /* [batch]                                           */
    uint64_t
        *module; /* [sampler.n_domains] what is run for each, of a model of modules; else NULL */
    uint64_t
        common; /* the common one of them; 0: none                                            */
    int32_t *domain; /* [batch] of the last micro-batch that was taught    */
    int64_t *start;  /* [batch] its places in the training shards          */
} at_lm_batches;

static inline at_lm_batches *at_lm_batches_of(const at_learner *l) { return l->state; }

#endif
