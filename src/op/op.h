/*
 * op.h - every op: formula, shapes, what may be NULL, numerics, source.
 *
 * Letters: B batch, T time, C width, H heads, D head size, F hidden, V vocabulary, N = B T tokens,
 * E experts, K experts of a token.
 * "..." stands for any leading dimensions.  Each op lives in the file of its name and has rows
 * of its name in tests/double/test_gradcheck.c.
 */
#ifndef AT_OP_H
#define AT_OP_H
#include "tensor/run.h"

/* Every op, once; tools/check_ops.py asks each for its file and its rows of gradient checks. */
#define AT_OPS(X)         \
    X(linear)             \
    X(layernorm)          \
    X(gelu)               \
    X(relu)               \
    X(add)                \
    X(prepend)            \
    X(embed)              \
    X(dropout)            \
    X(attention)          \
    X(rope)               \
    X(stickbreak)         \
    X(xent)               \
    X(square_loss)        \
    X(distill)            \
    X(head_loss)          \
    X(gate_noise)         \
    X(route)              \
    X(expert_linear)      \
    X(expert_bias)        \
    X(expert_sum)         \
    X(member_scale)       \
    X(mean_softmax)       \
    X(expert_mix)         \
    X(mutual_distill)     \
    X(mutual_info)        \
    X(load_concentration) \
    X(switch_balance)     \
    X(zloss)              \
    X(row_squares)        \
    X(weighted_sum)       \
    X(l2norm)             \
    X(exp_scale)          \
    X(rmsnorm)            \
    X(blend)              \
    X(swiglu)             \
    X(patches)            \
    X(pool)               \
    X(swap)               \
    X(batchnorm)

/** y = x w^T + b.  x [..., in], w [out, in], b [out] or NULL -> y [..., out]. */
at_tensor *at_linear(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b);
/** y = x w + b with w [in, out], the layout of GPT-2's checkpoints (Conv1D). */
at_tensor *at_linear_io(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b);

/** y = g (x - mean) / sqrt(var + eps) + b over the last dimension (biased variance).
    x [..., C], g [C], b [C] or NULL.  Source: Ba et al. 2016, arXiv 1607.06450. */
at_tensor *at_layernorm(at_run *r, at_tensor *x, at_tensor *g, at_tensor *b, double eps);

/** y = g x / sqrt(mean(x^2) + eps) over the last dimension.  x [..., C], g [C].
    Source: Zhang & Sennrich 2019, arXiv 1910.07467. */
at_tensor *at_rmsnorm(at_run *r, at_tensor *x, at_tensor *g, double eps);
/** y = silu(h) g for x = [h, g] side by side, silu(h) = h / (1 + exp(-h)).  x [..., 2 F] ->
    [..., F].  Source: Shazeer 2020, arXiv 2002.05202. */
at_tensor *at_swiglu(at_run *r, at_tensor *x);

typedef enum at_gelu_form { AT_GELU_TANH, AT_GELU_ERF } at_gelu_form;
/** tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), "gelu_new";
    erf form: x/2 (1 + erf(x / sqrt 2)), "gelu".  Source: Hendrycks & Gimpel, arXiv 1606.08415. */
at_tensor *at_gelu(at_run *r, at_tensor *x, at_gelu_form form);

/** max(x, 0); its slope at 0 is 0. */
at_tensor *at_relu(at_run *r, at_tensor *x);

/** a + b, same number of values. */
at_tensor *at_add(at_run *r, at_tensor *a, at_tensor *b);

/** A window that stands in an image at every `stride`-th place; `pad` pixels around the image are
    zeros (patches) or not there (pool). */
typedef struct at_window {
    int64_t rows, columns, stride, pad;
} at_window;
/**
 * What a window sees at each place: x [B, h, w, C] -> [B, h', w', rows columns C], in the order row,
 * column, channel; h' = (h + 2 pad - rows) / stride + 1, w' alike.  A convolution is at_linear of it,
 * with weights [out, rows columns C]: y[.., o] = b_o + sum_{i,j,c} w_o[i,j,c] x[.., i, j, c].
 * AT_ARG: the window does not fit.
 */
at_tensor *at_patches(at_run *r, at_tensor *x, const at_window *w);

typedef enum at_pool_kind { AT_POOL_MAX, AT_POOL_MEAN } at_pool_kind;
/** The largest value, or the mean, of each channel in a window, over what of it lies in the image: x
    [B, h, w, C] -> [B, h', w', C].  The gradient of the largest goes to the first of equals. */
at_tensor *at_pool_window(at_run *r, at_tensor *x, const at_window *w, at_pool_kind kind);

/** x [N, L, K, C] -> [N, K, L, C]: the two middle dimensions change places. */
at_tensor *at_swap(at_run *r, at_tensor *x);

/** Concatenates along time: each sequence of x [B*T, C] after its H rows of past [B*H, C] ->
    [B*(H+T), C]. */
at_tensor *at_prepend(at_run *r, at_tensor *past, at_tensor *x, int64_t B);

/** Rows of table [V, C] at ids[n] -> [n, C].  AT_ARG names the first id outside [0, V). */
at_tensor *at_embed(at_run *r, at_tensor *table, const int32_t *ids, int64_t n);

/** Each value is kept with probability 1 - p and divided by 1 - p; x itself when p = 0 or the run
    does not train.  The mask is a function of (seed, number of the draw, index): not stored. */
at_tensor *at_dropout(at_run *r, at_tensor *x, double p);

/**
 * Causal attention.  qkv [B*T, 3C]: queries, keys, values side by side, heads contiguous inside
 * each -> [B*T, C].
 *   a_ij = softmax_{j<=i}(q_i.k_j / sqrt D),  y_i = sum_j a_ij v_j,  D = C / heads
 * Numerics: computed in tiles with the running maximum; only the log-sum-exp of each row is kept
 * for backward, O(T) memory.  Source: Vaswani et al. 2017; Dao et al. 2022, arXiv 2205.14135.
 */
at_tensor *at_attention(at_run *r, at_tensor *qkv, int64_t B, int64_t T, int heads);

/** Keys and values of one layer and one sequence, [cap, C] each; k and v may be one. */
typedef struct at_kv {
    at_real *k, *v;
    int64_t cap;
} at_kv;
/** The next n rows of what a pass reads: tokens that continue a sequence of `past` tokens, whose
    keys and values are the first rows of its cache.  A pass writes those of the new tokens behind
    them; whoever owns the cache counts them when all went well. */
typedef struct at_span {
    int64_t n, past;
    const at_kv *cache; /* one a layer */
} at_span;
typedef struct at_spans {
    const at_span *item;
    int64_t n;
} at_spans;
/** The same for spans of T tokens in all, which continue cached sequences; each gives the bits it
    gives alone.  For inference only: not recorded.  qkv [T, 3C] -> [T, C]; layer: of the caches. */
at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, const at_spans *s, int64_t layer,
                               int heads);
/**
 * The same with q, k, v as tensors of their own and several queries for each token (`slots`, one
 * for each expert that it uses), which all attend to the same keys and values: q [B*T, slots, A], k
 * and v [B*S, A], A = heads D, S >= T -> like q.  The first S - T keys of a sequence are its
 * history.  k and v may be the same tensor.
 */
at_tensor *at_attention_slots(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B,
                              int64_t T, int64_t slots, int heads);
/** For spans of T tokens in all: q [T, slots, A], k and v [T, A].  Nothing is recorded. */
at_tensor *at_attention_slots_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v,
                                     const at_spans *s, int64_t layer, int64_t slots, int heads);

/** Cosines and sines of n rotary positions, for heads of D = 2 half values: pair i is rotated by
    the angle position * theta^(-2 i / D).  Lives as long as the run, for all layers. */
typedef struct at_angles {
    int64_t n, half;
    const at_real *cosine, *sine; /* [n, half] */
} at_angles;
const at_angles *at_rope_angles(at_run *r, const int32_t *position, int64_t n, int64_t D,
                                double theta);
/**
 * Rotary positions: pair (i, i + D/2) of every head is rotated by its angle.  x [N, slots, A], A a
 * multiple of D, N a multiple of the angles' n: token t is rotated by those of position t % n.
 *   y_i = x_i cos - x_{i+D/2} sin,  y_{i+D/2} = x_{i+D/2} cos + x_i sin
 * Scores of rotated queries and keys depend only on the distance between their positions.
 * Source: Su et al. 2021, arXiv 2104.09864; pairs as in Llama.
 */
at_tensor *at_rope(at_run *r, at_tensor *x, int64_t slots, const at_angles *angles);

/**
 * Stick-breaking attention: a query has a stick of length 1; from the newest key to the oldest, each key
 * breaks off a part of what is left, its weight.  q [B*T, slots, A], k and v [B*S, A], A = heads D, S >= T -> like q.
 *   s_ij = q_i.k_j / sqrt D,  a_ij = sigmoid(s_ij) prod_{j<m<=i} (1 - sigmoid(s_im)),
 *   y_i = sum_{j<=i} a_ij v_j
 * with i = S - T + t for token t (itself included; the first S - T keys of a sequence are its
 * history).  Every slot of a token attends the same keys and values of its head; k and v may be the
 * same tensor.  The a_ij of a query sum to at most 1; their order is the only position there is.
 * Numerics: the product itself, factors to full precision.  What is left of a stick counts as 0
 * below AT_STICK_LEAST, and tiles of keys before that are skipped: all older keys together would
 * weigh less than the rounding error of the others.  Nothing is saved for backward, which holds the
 * weights of 256 queries at a time: O(S) memory.  Source: Shen et al. 2023, arXiv 2306.04640; Tan et al. 2024, arXiv 2410.17980.
 */
at_tensor *at_stickbreak(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B, int64_t T,
                         int64_t slots, int heads);
/** The same where sequence b begins at key from[b] of its S, for instance after padding: keys
    before take nothing, and a query there sees no key: y = 0.  from: [B], borrowed as long as the
    run; NULL: all begin at 0. */
at_tensor *at_stickbreak_from(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v, int64_t B,
                              int64_t T, int64_t slots, int heads, const int32_t *from);
/** The same for spans of T tokens in all: q [T, slots, A], k and v [T, A] (where those of a cache
    are one, k and v are).  Nothing is recorded. */
at_tensor *at_stickbreak_cached(at_run *r, at_tensor *q, at_tensor *k, at_tensor *v,
                                const at_spans *s, int64_t layer, int64_t slots, int heads);

/** Mean over the labels >= 0 of  logsumexp(l) - l[label]  -> [1].  logits [N, V], label [N]
    (negative: skipped).  Keeps one number a row for backward, never probabilities.
    AT_ARG: a label >= V, or every label is skipped. */
at_tensor *at_xent(at_run *r, at_tensor *logits, const int32_t *label);

/** Mean of (x - target)^2 -> [1].  x of any shape, a target for each value. */
at_tensor *at_square_loss(at_run *r, at_tensor *x, const at_real *target);

/** Losses between q = softmax(teacher/tau) and p = softmax(student/tau), and their slopes: the
    gradient of a row is tau (h - p sum h).  All are multiplied by tau^2. */
typedef enum at_kd_kind {
    AT_KD_FORWARD,     /* KL(q || p): the teacher's q weighs;  h = -q                          */
    AT_KD_REVERSE,     /* KL(p || q): the student's p weighs;  h = p log(p/q)                  */
    AT_KD_SOFT,        /* - sum q log p: forward plus the teacher's entropy;  h = -q           */
    AT_KD_JS,          /* KL(p || m)/2 + KL(q || m)/2, m = (p+q)/2;  h = p log(p/m)/2          */
    AT_KD_SKEW,        /* KL(q || m), m = a q + (1-a) p;  h = (1-a)^2 p (p-q)/m                */
    AT_KD_SKEW_REVERSE /* KL(p || m), m = a p + (1-a) q;  h = p log(p/m) - a (1-a) p (p-q)/m   */
} at_kd_kind;
enum { AT_KD_KINDS = AT_KD_SKEW_REVERSE + 1 };
/** What a token t with label y weighs among the others, w: the loss is sum w_t kd_t / sum w_t.  Weights
    are constants to the gradient.  A token without a label weighs nothing; where nothing weighs
    anything, the loss is 0. */
typedef enum at_token_weight {
    AT_TOKENS_ALIKE,   /* w = 1, whether there is a label or not                           */
    AT_TOKEN_SURPRISE, /* w = -log p[y] at temperature 1: what the student finds hard      */
    AT_TOKEN_TEACHER   /* w = 1 - q[y]: where the teacher says more than the text          */
} at_token_weight;
/** A loss with its numbers. */
typedef struct at_kd {
    at_kd_kind kind;
    double tau;  /* > 0 */
    double skew; /* a of the last two, in [0, 1); at 0 they are forward and reverse to the bit */
    at_token_weight weight;
} at_kd;
/**
 * Mean over rows of the loss `how` -> [1].  student, teacher [N, V]; no gradient reaches the teacher.
 * Numerics: JS, and the skewed ones with a > 0, are finite wherever the probabilities are, zero
 * ones included: no ratio to a mixture is above 2, or 1/a.
 * Source: Hinton et al. 2015, arXiv 1503.02531; Gu et al. 2023, arXiv 2306.08543; Lin 1991, IEEE
 * Trans. Inf. Theory 37(1) (JS); Ko et al. 2024, arXiv 2402.03898 (skewed).
 */
at_tensor *at_distill(at_run *r, at_tensor *student, at_tensor *teacher, const at_kd *how);
/** The same with the weights that `how` names; label [N], negative: none.  AT_ARG: weights by label, but
    label is NULL.  Source of 1 - q[y], which is half of |q - onehot(y)|_1: the unused loss of the code of
    arXiv 2407.19610. */
at_tensor *at_distill_tokens(at_run *r, at_tensor *student, at_tensor *teacher, const at_kd *how,
                             const int32_t *label);

/** Rows of a teacher who is known by its n most probable tokens, at the temperature of the loss. */
typedef struct at_top {
    int64_t n, v;        /* of v tokens                                              */
    const int32_t *id;   /* [rows, n], below v, none twice in a row                  */
    const at_real *logq; /* [rows, n] logarithms of their probabilities              */
    const at_real *left; /* [rows] that of all others together; without meaning at n = v */
} at_top;
/** One of the teachers of a head_loss: hidden states and an output embedding, or top. */
typedef struct at_head_teacher {
    at_tensor *x, *w;   /* [n, Ct] last hidden states, [V, Ct]                     */
    const at_top *top;  /* or NULL                                               */
    const int64_t *row; /* [N] which of its rows speaks of each of the student's, -1: none; in
                           order, none twice, and none left out between two rows that are neighbours
                           of the student's.  NULL: the same row                         */
    double weight;      /* where several speak of a row: share of their sum        */
} at_head_teacher;

typedef struct at_head_report {
    double ce, kd;    /* means, nats per token                                 */
    int64_t n_labels; /* labels >= 0                                           */
    /* where the spec asks for them: |d ce / d logits|, |d kd / d logits| over all rows */
    double ce_norm, kd_norm;
} at_head_report;
/** What head_loss measures and how; fields after `label` are for distillation. */
typedef struct at_head_spec {
    const int32_t *label;           /* [N], negative: skipped in the cross entropy       */
    at_tensor *teacher_x;           /* [N, Ct] teacher's last hidden states, or NULL     */
    at_tensor *teacher_w;           /* [V, Ct] teacher's output embedding                */
    const at_head_teacher *teacher; /* [n_teachers], in place of teacher_x      */
    int n_teachers;
    at_kd kd;     /* the loss to the teacher                         */
    double alpha; /* weight of the cross entropy; 1 - alpha of the KD  */
    bool norms;   /* the report is to have the norms                 */
    /* NULL, or: says alpha once both losses are known, in place of the above */
    double (*weigh)(void *user, const at_head_report *known);
    void *user;
    int64_t block; /* rows of logits at a time; 0: about 32 MiB of them, 64 at least */
} at_head_spec;
/**
 * Output projection and loss in one:  loss = alpha xent(x w^T) + (1 - alpha) distill(...) -> [1].
 * x [N, C], w [V, C].  Logits exist for a block of rows at a time; when the run trains their
 * gradient is turned into dx and dw on the spot, so neither logits nor probabilities are kept.
 * Without a teacher alpha is taken as 1.  *report (may be NULL) is filled.  Several teachers: what
 * those who speak of a row say of it is mixed, the weighted mean of their probabilities at the
 * temperature; the mean of the KD is over the rows of which one speaks.  Where vocabularies differ in
 * length, the KD compares the tokens that all have, each distribution renormalised over them.
 * Of a teacher given by at_top, FORWARD and SOFT compare what is left as one token,
 *   sum_top q (log q - log p) + q' (log q' - log p'),   p' = sum of p over the tokens that are not top,
 * which is never above the divergence itself, and equal to it in the part of the top; its gradient by
 * the logits is p - q there and p (1 - q'/p') elsewhere.  The other kinds spread q' evenly over the
 * tokens that are not top, as does a mixture.
 * Weights of tokens (of a row that no teacher speaks of: 0) and `weigh` need the losses before the
 * gradient: then the logits are made twice, unless all rows are one block.
 */
at_tensor *at_head_loss(at_run *r, at_tensor *x, at_tensor *w, const at_head_spec *spec,
                        at_head_report *report);

/**
 * The experts chosen for each token, and the same by expert.  Slot s = n K + j is the j-th choice
 * of token n.  All arrays live as long as the run.
 */
typedef struct at_routing {
    int64_t n, k, e;      /* N tokens, K experts each, of E                                */
    int64_t live;         /* experts in the softmax: E, but for those excluded             */
    const int32_t *pick;  /* [N, K] experts, the most probable first, then those drawn     */
    const int64_t *slot;  /* [N K] slots by expert, ascending within one                   */
    const int64_t *first; /* [E + 1] expert x has slot[first[x]] ... slot[first[x+1] - 1]  */
    const at_real *p;     /* [N, E] probabilities of all experts                           */
    const double *lse;    /* [N] log sum exp of the logits: log p = logit - lse            */
} at_routing;
/** What may become of an expert. */
typedef enum at_slot_use {
    AT_SLOT_OPEN,    /* it may be chosen                                                    */
    AT_SLOT_CLOSED,  /* not chosen, but in the softmax: tokens that would not have chosen it
                        have the same gates to the bit                                      */
    AT_SLOT_EXCLUDED /* neither: all is to the bit as in a router that does not have it     */
} at_slot_use;
/**
 * All tokens of a sequence choose from one pool of experts while the run trains.  Its size m is drawn for each
 * sequence from [min, max] (kept within k and the experts that are open); in it are the m open experts with the
 * largest sum over the sequence's tokens of the probabilities without a pool, ties to the lowest index.  Who is
 * not in it is excluded for these tokens, before the softmax.  The choice of the pool has no gradient.
 * Source: EMO, arXiv 2605.06663, where a sequence is a document.
 */
typedef struct at_route_pool {
    int64_t min, max; /* max 0: there is none                     */
    int64_t rows;     /* tokens of a sequence, one after the other */
} at_route_pool;
/** How experts are chosen. */
typedef struct at_route_spec {
    int64_t k;          /* so many for each token                                           */
    int64_t drawn;      /* of them, while the run trains, drawn at random                   */
    bool renormalise;   /* divide the gates of a token by their sum                         */
    const uint8_t *use; /* [E] at_slot_use of each, as long as the run; NULL: all are open  */
    at_route_pool pool;
} at_route_spec;
typedef enum at_noise { AT_NOISE_NONE, AT_NOISE_NORMAL, AT_NOISE_GUMBEL } at_noise;
/**
 * y = (logits + noise) / tau.  While the run trains the noise of each value is drawn: normal with
 * deviation log(1 + e^spread), spread of the same shape; or Gumbel, -log(-log u), where spread may be
 * NULL.  Otherwise there is none.  AT_ARG: tau is not positive.
 * Source: Shazeer et al. 2017, arXiv 1701.06538, eq. 4 (tau = 1); Jang et al. 2016, arXiv 1611.01144.
 */
at_tensor *at_gate_noise(at_run *r, at_tensor *logits, at_tensor *spread, at_noise kind,
                         double tau);
/**
 * Gates of the K = k most probable experts, ties to the lowest index: logits [N, E] -> [N, K].
 *   p = softmax(logits) over all experts;  gate = p of the chosen, or with `renormalise` that
 *   divided by the sum over the chosen
 * The choice has no gradient; gates have that of the whole softmax.  *ro is filled.
 * AT_ARG: k outside [1, E].  Source: Shen et al. 2023, arXiv 2306.04640.
 */
at_tensor *at_route(at_run *r, at_tensor *logits, int64_t k, bool renormalise, at_routing *ro);
/**
 * The same with more to say.  In training the last `drawn` of the k experts are drawn at random:
 * without replacement, with probabilities in proportion to p + 1e-6.  Gates are p of the chosen
 * experts as before.  A draw depends on the run's seed, the number of the draw and the token.
 * AT_ARG: k more than are open, drawn outside [0, k].
 */
at_tensor *at_route_by(at_run *r, at_tensor *logits, const at_route_spec *how, at_routing *ro);
/**
 * For each token `more` experts beside those that ro chose, drawn evenly among the open ones without
 * replacement: not for its output, but so that they can be held against it.  A draw depends on the
 * run's seed, the number of the draw and the token.  use as in at_route_spec.  False: the run has
 * failed; AT_ARG: fewer are left.
 */
bool at_route_others(at_run *r, const at_routing *ro, const uint8_t *use, int64_t more,
                     at_routing *out);
/** The routing of the n tokens row[0], row[1], ... of ro.  False: out of memory. */
bool at_routing_rows(at_run *r, const at_routing *ro, const int32_t *row, int64_t n,
                     at_routing *out);

/** The routing of L places of each token, which all ask the token's experts: tokens n L + l of K slots
    each; or, `apart`, tokens (n K + j) L + l of one slot each, so that a slot's places lie together.  It
    has no probabilities: p and lse are NULL.  False: out of memory. */
bool at_routing_places(at_run *r, const at_routing *ro, int64_t L, bool apart, at_routing *out);
/** That of n tokens which all ask the only expert there is, without probabilities either. */
bool at_routing_single(at_run *r, int64_t n, at_routing *out);

/**
 * y[n,j,:] = x[n,:] W[pick[n,j]]; W[e] [in, out].  x [N, in], or [N, K, in] with a row for each
 * slot -> [N, K, out].  An expert that no token chose costs nothing and gets no gradient.  w: E
 * matrices, each a parameter or a slice of one.
 */
at_tensor *at_expert_linear(at_run *r, at_tensor *x, at_tensor *const *w, const at_routing *ro);
/** y[n,j,:] = x[n,j,:] + b[pick[n,j]].  x [N, K, C]; b: E biases [C], each a parameter. */
at_tensor *at_expert_bias(at_run *r, at_tensor *x, at_tensor *const *b, const at_routing *ro);
/** Running means and variances of batch norm: used as they are, or followed. */
typedef struct at_batch_norm {
    at_tensor *const *mean, *const *var; /* [E] of [C], buffers: nothing flows into them */
    double momentum, eps;                /* running = (1 - momentum) running + momentum batch's */
    bool batch;                          /* the batch's are used, and followed           */
    bool keep;                           /* and the running ones left as they are        */
    const bool *still; /* [E] experts whose running ones are kept in any case, since they are
                          frozen; NULL: none */
} at_batch_norm;
/**
 * y = (x - mean) / sqrt(var + eps) for each channel, over the slots of an expert: x [N, K, C].  With `batch`,
 * in training, mean and (biased) variance are those of the expert's slots in x, and the running ones follow
 * them (the variance unbiased); else they are the running ones.  An expert without slots keeps its own.
 * Source: Ioffe & Szegedy 2015, arXiv 1502.03167, without gain and shift.
 */
at_tensor *at_batchnorm(at_run *r, at_tensor *x, const at_routing *ro, const at_batch_norm *how);
/** y[n,:] = sum_j gates[n,j] x[n,j,:].  x [N, K, C], gates [N, K] -> [N, C]. */
at_tensor *at_expert_sum(at_run *r, at_tensor *x, at_tensor *gates);
/**
 * y[n,c] = log sum_j gates[n,j] p_j[c],  p_j = softmax(x[n,j,:]).  x [N, K, C], gates [N, K] with a
 * sum of 1, none below 0 -> [N, C].  These are logarithms of probabilities, so their cross entropy is
 * -log sum_j g_j p_j[label]: experts compete for a sample, each is held to account for it by what share
 * of the mixture's probability is its own.  Source: Jacobs et al. 1991, Adaptive Mixtures of Local
 * Experts, eq. 1.3, for classes.
 */
at_tensor *at_expert_mix(at_run *r, at_tensor *x, at_tensor *gates);

/**
 * What each of K members of an ensemble makes of its row: y[n,k,:] = x[n,k,:] g[k,:] + b[k,:].  x [N, K, C], or
 * [N, C] where all read the same; g [K, C], b [K, C] or NULL -> [N, K, C].  A linear map between two of these is
 * that of a batch ensemble.  Source: Wen et al. 2020, arXiv 2002.06715.
 */
at_tensor *at_member_scale(at_run *r, at_tensor *x, at_tensor *g, at_tensor *b);
/** y[n,c] = log(1/K sum_k softmax(x[n,k,:])_c), of which softmax is the mean of the members' probabilities.
    x [N, K, C] -> [N, C].  In double, from log-sum-exps. */
at_tensor *at_mean_softmax(at_run *r, at_tensor *x);

/** What an output of an expert is held against, and how.  o_j is what output e_j is off from the mean
    of the K outputs of its token, w_j its gate over the sum of the gates. */
typedef enum at_mutual_form {
    AT_MUTUAL_VARIANCE, /* c sum_j |o_j|^2, c = kappa / (K C), kappa = 4 where K = 2, else 1        */
    AT_MUTUAL_KL, /* tau^2 / (K (K-1)) sum over ordered pairs KL(p_i || p_j), p = softmax(e/tau) */
    AT_MUTUAL_GATED, /* c sum_j (1 - w_j) |o_j|^2: experts that are not asked move               */
    AT_MUTUAL_MIXTURE, /* c sum_j |e_j - sum_i w_i e_i|^2: the mixture teaches                     */
    AT_MUTUAL_CENTRED /* variance of outputs less their mean over C: shifts are no difference     */
} at_mutual_form;
enum { AT_MUTUAL_FORMS = AT_MUTUAL_CENTRED + 1 };
typedef struct at_mutual {
    at_mutual_form form;
    double tau;  /* of KL, > 0                                                              */
    bool detach; /* no gradient flows through the teacher or the gates: of KL through p_i, of
                    the mixture through sum w e, of the gated one through w and the mean.
                    Variance and centred have the same gradient either way, since the o_j
                    sum to 0                                                                */
} at_mutual;
/**
 * Mutual distillation among the experts of a token, mean over tokens -> [1].  x [N, K, C] outputs of
 * the experts before their gates, as at_expert_sum takes them; gates [N, K], or NULL for even ones.
 * With K = 1 it is 0.  kappa makes it mean |e_1 - e_2|^2 where K = 2, as published; the mean over
 * all ordered pairs of |e_i - e_j|^2 / C is 2 K / (K - 1) times the variance.
 * Numerics: differences are taken before squares; equal outputs give exactly 0, and no gradient.
 * Source: Xie et al. 2024, arXiv 2402.00893; its loss is known from Yu et al. (ICLR 2026, CoEKS,
 * eq. 6), who adopt it.  KL is the term of Zhang et al. 2018, arXiv 1706.00384, without labels;
 * gated, mixture and centred are variants of ours.
 */
at_tensor *at_mutual_distill(at_run *r, at_tensor *x, at_tensor *gates, const at_mutual *how);

/*
 * Losses of a router -> [1]; ro is what at_route made of the same logits [N, E].
 * P_e = 1/N sum_n p_ne is the mean load, F_e the share of the N K slots that chose e.
 *
 * With `whole` the loss is linearised at the loads of a larger batch, of which these tokens are a
 * part (gradient accumulation): the mean over the parts then has the value and the gradient of the
 * loss over the larger batch.
 */
typedef struct at_batch_load {
    const double *p, *f; /* [E] P and F over the larger batch; must outlive the run */
} at_batch_load;
/** sum_e P_e log(P_e + 1e-8) - 1/N sum_n sum_e p_ne log p_ne = -I(token; expert), in
    [-log E, 0].  Source: arXiv 2306.04640, load balancing by mutual information. */
at_tensor *at_mutual_info(at_run *r, at_tensor *logits, const at_routing *ro,
                          const at_batch_load *whole);
/** - sum_e P_e log P_e, the entropy of the load: small when few experts take it.
    Source: arXiv 2306.04640, load concentration. */
at_tensor *at_load_concentration(at_run *r, at_tensor *logits, const at_routing *ro,
                                 const at_batch_load *whole);
/** E sum_e P_e F_e; F has no gradient.  Source: Fedus et al. 2021, arXiv 2101.03961, eq. 4. */
at_tensor *at_switch_balance(at_run *r, at_tensor *logits, const at_routing *ro,
                             const at_batch_load *whole);
/** 1/N sum_n (log sum_e exp l_ne)^2, a mean over tokens like any other.
    Source: Zoph et al. 2022, arXiv 2202.08906, eq. 5. */
at_tensor *at_zloss(at_run *r, at_tensor *logits, const at_routing *ro);
/** sum of x_ij^2 over the rows i with use[i] ([rows], copied) -> [1].  x [..., C].
    Source: arXiv 2306.04640, the routing regularisation of new modules. */
at_tensor *at_row_squares(at_run *r, at_tensor *x, const bool *use);
/** sum_i w[i] x[i] over n single numbers -> [1]. */
at_tensor *at_weighted_sum(at_run *r, at_tensor *const *x, const double *w, int n);

/** y = sum_k a_k x_k over n tensors of one shape [..., C].  row NULL: a_k = 1/n, the mean.  Otherwise
    row[k] is [C] and the weights are each token's own: a = softmax over k of row[k] . x_k; rows of
    zeros give the mean.  AT_ARG: n is not 1 to AT_BLEND_MAX.
    Source: the mean is that of arXiv 2407.19610, section 3; the weights are ours. */
at_tensor *at_blend(at_run *r, at_tensor *const *x, at_tensor *const *row, int n);
enum { AT_BLEND_MAX = 64 };

/** y = x / max(|x|, least) over the last dimension: dot products of such rows are cosines. */
at_tensor *at_l2norm(at_run *r, at_tensor *x, double least);
/** y = exp(t) x; t [1]. */
at_tensor *at_exp_scale(at_run *r, at_tensor *x, at_tensor *t);

#endif
