/*
 * op.h - every op: formula, shapes, what may be NULL, numerics, source.
 *
 * Letters: B batch, T time, C width, H heads, D head size, F hidden, V vocabulary, N = B T tokens.
 * "..." stands for any leading dimensions.  Each op lives in the file of its name and has rows
 * of its name in tests/double/test_gradcheck.c.
 */
#ifndef AT_OP_H
#define AT_OP_H
#include "run/run.h"

/* Every op, once; tools/check_ops.py asks each for its file and its rows of gradient checks. */
#define AT_OPS(X) \
    X(linear)     \
    X(layernorm)  \
    X(gelu)       \
    X(add)        \
    X(embed)      \
    X(dropout)    \
    X(attention)  \
    X(xent)       \
    X(distill)    \
    X(head_loss)

/** y = x w^T + b.  x [..., in], w [out, in], b [out] or NULL -> y [..., out]. */
at_tensor *at_linear(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b);
/** y = x w + b with w [in, out], the layout of GPT-2's checkpoints (Conv1D). */
at_tensor *at_linear_io(at_run *r, at_tensor *x, at_tensor *w, at_tensor *b);

/** y = g (x - mean) / sqrt(var + eps) + b over the last dimension (biased variance).
    x [..., C], g [C], b [C] or NULL.  Source: Ba et al. 2016, arXiv 1607.06450. */
at_tensor *at_layernorm(at_run *r, at_tensor *x, at_tensor *g, at_tensor *b, double eps);

typedef enum at_gelu_form { AT_GELU_TANH, AT_GELU_ERF } at_gelu_form;
/** tanh form: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), "gelu_new";
    erf form: x/2 (1 + erf(x / sqrt 2)), "gelu".  Source: Hendrycks & Gimpel, arXiv 1606.08415. */
at_tensor *at_gelu(at_run *r, at_tensor *x, at_gelu_form form);

/** a + b, same number of values. */
at_tensor *at_add(at_run *r, at_tensor *a, at_tensor *b);

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

/** Keys and values of one layer and one sequence, [cap, C] each; rows < n are filled. */
typedef struct at_kv {
    at_real *k, *v;
    int64_t n, cap;
} at_kv;
/** The same for T new tokens of one sequence after the n cached ones: their keys and values are
    appended to the cache (n grows by T), nothing is recorded.  qkv [T, 3C] -> [T, C]. */
at_tensor *at_attention_cached(at_run *r, at_tensor *qkv, at_kv *cache, int heads);

/** Mean over the labels >= 0 of  logsumexp(l) - l[label]  -> [1].  logits [N, V], label [N]
    (negative: skipped).  Keeps one number a row for backward, never probabilities.
    AT_ARG: a label >= V, or every label is skipped. */
at_tensor *at_xent(at_run *r, at_tensor *logits, const int32_t *label);

typedef enum at_kd_kind {
    AT_KD_FORWARD, /* tau^2 KL(q || p): the teacher's q weighs  */
    AT_KD_REVERSE, /* tau^2 KL(p || q): the student's p weighs  */
} at_kd_kind;
/**
 * Mean over rows of tau^2 KL between q = softmax(teacher/tau) and p = softmax(student/tau) -> [1].
 * student, teacher [N, V]; no gradient reaches the teacher.
 * Gradient a row: forward tau (p - q); reverse tau p (log p - log q - KL).
 * Source: Hinton et al. 2015, arXiv 1503.02531; Gu et al. 2023, arXiv 2306.08543.
 */
at_tensor *at_distill(at_run *r, at_tensor *student, at_tensor *teacher, at_kd_kind kind,
                      double tau);

/** What head_loss measures and how; fields after `label` are for distillation. */
typedef struct at_head_spec {
    const int32_t *label; /* [N], negative: skipped in the cross entropy       */
    at_tensor *teacher_x; /* [N, Ct] teacher's last hidden states, or NULL     */
    at_tensor *teacher_w; /* [V, Ct] teacher's output embedding                */
    at_kd_kind kind;
    double tau;
    double alpha; /* weight of the cross entropy; 1 - alpha of the KD  */
} at_head_spec;
typedef struct at_head_report {
    double ce, kd;    /* means, nats per token                                 */
    int64_t n_labels; /* labels >= 0                                           */
} at_head_report;
/**
 * Output projection and loss in one:  loss = alpha xent(x w^T) + (1 - alpha) distill(...) -> [1].
 * x [N, C], w [V, C].  Logits exist for a block of rows at a time; when the run trains their
 * gradient is turned into dx and dw on the spot, so neither logits nor probabilities are kept.
 * With teacher_x NULL alpha is taken as 1.  *report (may be NULL) is filled.
 */
at_tensor *at_head_loss(at_run *r, at_tensor *x, at_tensor *w, const at_head_spec *spec,
                        at_head_report *report);

#endif
