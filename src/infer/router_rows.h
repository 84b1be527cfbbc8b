/*
 * router_rows.h - rows of token routers from text alone, before or in place of joint training: slot i of every
 * bank belongs to text i.
 *
 * The features of a router are what its rows are multiplied with (of a linear one the normalised hidden
 * state, of mlp and gmm what its hidden layer makes of it), while text i is read with slot i alone open
 * in every bank.  A router has no shift, so that rows see features and nothing else.
 *
 *     domain   w_i = (m_i - m) / v + b_i m / |m|^2,  b_i = (|m|^2 - |m_i|^2) / 2v:  m_i mean of the features of text i,
 *              m mean of these, v their variance within a text (of one feature): the softmax is the posterior of
 *              normal distributions of one spherical covariance, as far as w . m is constant.  Domain embeddings,
 *              as FlexOlmo (arXiv 2507.07024) and Nexus (arXiv 2408.15901) have them
 *     gates    w_i minimises mean log(1 + exp(-w.x)) over text i + mean log(1 + exp(w.x)) over the other texts +
 *              penalty |w|^2: a sigmoid gate for each, trained alone after its module is frozen (PHATGOOSE, arXiv
 *              2402.05859, there by the loss of the language model, here to tell its text from the others')
 *
 * Then all rows of a router are divided by one temperature, at which the softmax makes the texts likeliest.
 * Rows of gmm count by direction: its own temperature becomes the log of their mean length.
 */
#ifndef AT_ROUTER_ROWS_H
#define AT_ROUTER_ROWS_H
#include "arch/read.h"
#include "data/shard.h"

typedef enum at_rows_by { AT_ROWS_RANDOM, AT_ROWS_DOMAIN, AT_ROWS_GATES } at_rows_by;

/** Sets the rows of every router of m, which has values of its own.  text [slots]: shards of which `tokens`
    tokens are read, in windows spread evenly.  AT_ARG: a bank has another number of slots, or a shard no
    text. */
at_status at_router_rows(at_compute *cp, at_model *m, at_rows_by how, const at_shard *const *text,
                         int n, int64_t tokens);

/** Sequences of token ids, one after the other: sequence i is id[start[i]] .. id[start[i + 1] - 1]. */
typedef struct at_prompts {
    const int32_t *id;
    const int64_t *start; /* [n + 1] */
    int64_t n;
} at_prompts;
/** Rows as mergekit-moe makes them: the mean features of the positive prompts of a slot, less those of the
    negative ones where there are any, divided by their length; embeddings: those of the tokens in place of
    features (a router of rows [C]). */
at_status at_router_rows_of_prompts(at_compute *cp, at_model *m, bool embeddings,
                                    const at_prompts *positive, const at_prompts *negative, int n);

#endif
