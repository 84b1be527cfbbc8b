/*
 * pass.h - a forward pass: the input of a model, and its outputs beside the hidden states.
 *
 * The input is const, so that a pass can be repeated.  What is wanted of a pass and what comes out
 * of it is in an at_pass, one for each model, so that a teacher's routers cannot enter the loss of
 * its student. at_model_hidden and at_model_read (read.h) begin a pass; an architecture reports
 * each router with at_pass_router, its experts with at_pass_experts.
 */
#ifndef AT_PASS_H
#define AT_PASS_H
#include "arch/aux.h"
#include "arch/history.h"
#include "arch/usage.h"

typedef enum at_input_kind { AT_INPUT_IDS, AT_INPUT_ROWS, AT_INPUT_IMAGES } at_input_kind;

/** B samples, all of one kind; at_arch.reads says which kind an architecture takes. */
typedef struct at_input {
    at_input_kind kind;
    const int32_t *ids; /* AT_INPUT_IDS: tokens [B, T]                              */
    const at_real
        *values; /* AT_INPUT_ROWS: [B, T]; AT_INPUT_IMAGES: [B, channels, height, width] */
    int64_t B, T;
    int64_t image[3];           /* channels, height, width; T is their product              */
    const int32_t *first, *end; /* [B] real tokens of each sequence: [first, end), the others are
                                   padding; NULL: from 0, to T                              */
    at_spans spans;             /* B = 1 and the T tokens continue these sequences, one span after
                                   the other; none: sequences begin here                    */
    uint64_t modules;           /* those that are run, by number (at_arch.modules); 0: all.  Of a
                                   mixture that was extended: at_members_mask                     */
} at_input;

/** Sees the choices of every router of a pass, router by router; rows of padding are left out. */
typedef struct at_watch {
    /** NULL, as of the others: no matter. */
    void (*see)(void *user, at_run *r, at_router_id id, const at_routing *ro);
    /** What the rows of the router are multiplied with, x [N, R], of all tokens. */
    void (*features)(void *user, at_run *r, at_router_id id, const at_tensor *x);
    /** Gates [N, K] of all rows as they reach the experts. */
    void (*gates)(void *user, at_run *r, at_router_id id, const at_tensor *gates,
                  const at_routing *ro);
    /** What the experts of a layer say, before their gates: x [N, K, C], gates [N, K], in the order of the
        routing that was seen before. */
    void (*experts)(void *user, at_run *r, at_router_id id, const at_tensor *x,
                    const at_tensor *gates);
    /** What they compute last before that, x [N, K, H]; comes before it.  NULL: no matter. */
    void (*hidden)(void *user, at_run *r, at_router_id id, const at_tensor *x);
    void *user;
} at_watch;

typedef struct at_pass {
    /* wanted */
    const at_aux *aux;     /* weights of the routers' losses, or NULL                         */
    at_loads *loads;       /* of the whole batch, or NULL                                     */
    bool collect;          /* add to the loads, make no loss                                  */
    at_usage *usage;       /* count choices here, or NULL                                     */
    const at_watch *watch; /* show choices to it, or NULL                                   */
    at_history *history;   /* of tokens before these, or NULL; at_dims.history                */
    const int32_t *label;  /* classes of the samples, for the experts' own loss, or NULL      */
    const at_real *target; /* numbers of them, or NULL                                        */
    const at_route_pool
        *pool;  /* each sequence has one in each router, or NULL; its rows do not count */
    bool still; /* no tape and no dropout, even where the run trains: a teacher    */
    /* made */
    at_tensor *loss;            /* weighted sum over routers [1]; NULL: nothing weighs      */
    double value[AT_AUX_KINDS]; /* unweighted sums over routers, of those that weigh        */
    double peers;               /* unweighted mean over layers of mutual distillation       */
    double expert_label;        /* unweighted label loss of experts alone                   */
    /* of the pass itself */
    int64_t sequences;
    uint64_t modules;    /* of the input */
    const int32_t *real; /* rows that are no padding; NULL: all */
    int64_t n_real;
} at_pass;

/** Clears the outputs and checks the input.  False: the run has failed. */
bool at_pass_begin(at_run *r, at_pass *p, const at_input *in);
/** Called by architectures that make tokens of what they read: `in` says which of them are padding. */
bool at_pass_padding(at_run *r, at_pass *p, const at_input *in);
/** Called by architectures for each router: adds its loss and counts its choices, where wanted. */
void at_pass_router(at_run *r, at_pass *p, at_router_id id, at_tensor *logits,
                    const at_routing *ro);
/** Called by architectures before it, where the rows of a router are a last matrix: shows its features. */
void at_pass_features(at_run *r, const at_pass *p, at_router_id id, const at_tensor *x);
/** Adds w times a single number to the pass's loss. */
void at_pass_loss(at_run *r, at_pass *p, at_tensor *x, double w);
/** Called by architectures for each mixture: shows what its experts say to whoever watches, and adds the
    losses of experts of feed-forward layers, where wanted.  x [N, K, C]: outputs of the experts of a token, before their gates [N, K].  others [N, J, C]:
    outputs of experts that at_pass_others asked for, or NULL. */
void at_pass_experts(at_run *r, at_pass *p, at_router_id id, at_tensor *x, at_tensor *gates,
                     at_tensor *others);
/** Called by architectures of modules: the same of those that are run, outputs h [n] of [N, C] each, with
    even gates. */
void at_pass_modules(at_run *r, at_pass *p, at_tensor *const *h, int n);
/** Called before it, with what experts compute last before their outputs: x [N, K, H]. */
void at_pass_hidden(at_run *r, const at_pass *p, at_router_id id, at_tensor *x);
/** How many experts beside those of a token such a mixture is to ask, by at_route_others. */
int64_t at_pass_others(const at_run *r, const at_pass *p, at_router_id id);
/** Positions of the B T tokens, each in its sequence; lives as long as the run. */
const int32_t *at_input_positions(at_run *r, const at_input *in);

#endif
