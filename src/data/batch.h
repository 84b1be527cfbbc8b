/*
 * batch.h - the windows of text that make up a training batch.  They are a function of the seed and
 * the number of the batch: there is no state, so a resume needs nothing but the step.
 *
 * Windows are drawn independently; or, after at_sampler_consecutive, each sequence of a batch reads
 * consecutive windows of a stretch of text, one at each step.  A batch has sequences of all domains; or,
 * after at_sampler_turns, of one.
 */
#ifndef AT_BATCH_H
#define AT_BATCH_H
#include "data/dataset.h"

enum { AT_SAMPLER_TURNS = 1000 };

typedef struct at_sampler {
    const at_dataset *data;
    int domain[64], n_domains; /* domains in use; sequences rotate over them */
    uint64_t seed;
    int64_t batch, context;
    int64_t lanes;   /* sequences of a step, if they read consecutive windows; otherwise 0 */
    int64_t stretch; /* windows in a stretch                                               */
    bool aligned;    /* windows lie one after the other from the first token, in every epoch; else
                        each epoch shifts them by an offset of its own                       */
    /* Domains take turns in rounds of n_turns sequences, of which domain i has share[i]. */
    int n_turns, share[64];
    uint8_t turn[AT_SAMPLER_TURNS];    /* index into domain[], of each turn of a round        */
    uint16_t before[AT_SAMPLER_TURNS]; /* turns that the same domain had earlier in the round */
    int64_t
        step; /* micro-batches of a step that reads one domain, see at_sampler_turns; 0: turns are
                     those of sequences */
} at_sampler;

/** domains: names, or n = 0 for all.  AT_CONFIG names an unknown one or one whose training split is
    shorter than context + 1 tokens. */
at_status at_sampler_init(at_ctx *c, at_sampler *s, const at_dataset *d, char *const *domains,
                          int64_t n, uint64_t seed, int64_t batch, int64_t context);
/**
 * How often each domain is read, in whole numbers w_i >= 1, divided by their common factor: of any
 * W = sum w_i consecutive sequences w_i are of domain i.  A turn goes to the domain with the most
 * credit (the first of several); every domain gains w_i a turn, and who has it pays W.  So turns are
 * spread evenly, and equal numbers are the plain rotation of at_sampler_init.  AT_CONFIG: not as
 * many numbers as domains, one below 1, W above AT_SAMPLER_TURNS.
 */
at_status at_sampler_weigh(at_ctx *c, at_sampler *s, const int64_t *weight, int64_t n);
/** input and target [batch, context]: target is input shifted by one.  Sequence index*batch + b is
    a window of the domain whose turn it is, at a start drawn without replacement within an epoch (a
    keyed permutation of the windows). */
void at_sampler_batch(const at_sampler *s, int64_t index, int32_t *input, int32_t *target);
/** Where the sequences of micro-batch `index` are: domain [batch], by the data set's index; start
    [batch], the first token in its training shard. */
void at_sampler_places(const at_sampler *s, int64_t index, int32_t *domain, int64_t *start);
/** Switches to consecutive windows.  A step is `accumulate` micro-batches; each sequence of it
    reads the windows of a stretch, one a step, then those of another.  A stretch has as many
    windows as asked for, or as the shortest domain has; stretches are drawn as windows are
    otherwise.  AT_CONFIG names a domain with less than 2 windows. */
at_status at_sampler_consecutive(at_ctx *c, at_sampler *s, int64_t accumulate, int64_t stretch);
/** From now on turns are those of steps, of `accumulate` micro-batches each, all of whose sequences are
    of one domain; each domain's windows come in the order in which they come to it alone.  Not after
    at_sampler_consecutive. */
void at_sampler_turns(at_sampler *s, int64_t accumulate);
/** Which of the sampler's domains micro-batch `index` reads, where turns are those of steps; else -1. */
int at_sampler_turn(const at_sampler *s, int64_t index);
/** How many steps before this one read the domain that it reads; else all of them. */
int64_t at_sampler_steps_before(const at_sampler *s, int64_t step);
/** How many windows just before this one sequence b of micro-batch `index` has read. */
int64_t at_sampler_windows_before(const at_sampler *s, int64_t index, int64_t b);
/** Evaluation windows: consecutive, of stride context, at most `limit` (0: all) spread evenly over
    the shard.  Returns how many; window i is [start, start + context] (context + 1 tokens; the
    last may be shorter: *n tokens). */
int64_t at_eval_windows(const at_shard *s, int64_t context, int64_t limit);
void at_eval_window(const at_shard *s, int64_t context, int64_t limit, int64_t i, int64_t *start,
                    int64_t *n);

#endif
