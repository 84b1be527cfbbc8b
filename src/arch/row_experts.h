/*
 * row_experts.h - what mixtures of classifiers have in common: a gate over all of a row, or an image, and
 * layers of which each expert has its own.
 *
 *   y = sum_i g_i(x) e_i(x)
 *
 * With k = 0 all experts answer (dense gates), else the k most probable.  Gates are the softmax over those
 * that answer.
 */
#ifndef AT_ROW_EXPERTS_H
#define AT_ROW_EXPERTS_H
#include "arch/arch.h"

enum { AT_MIXES_LOGITS, AT_MIXES_PROBABILITIES };
/** Filled by the keys below. */
typedef struct at_gate_config {
    int64_t n_experts, k;
    int type, mixes; /* at_noise; AT_MIXES_LOGITS, AT_MIXES_PROBABILITIES */
    double temperature;
} at_gate_config;
/** Keys of a gate; `at` gives the offset of a field of it in the struct of the architecture. */
#define AT_GATE_KEYS(at)                                                                      \
    {"n_experts", AT_KEY_INT, at(n_experts), "4", 1, 1024, NULL, "experts; 1: no mixture"},   \
        {"k", AT_KEY_INT, at(k), "0", 0, 1024, NULL, "experts that answer a sample; 0: all"}, \
        {"gate_type",                                                                         \
         AT_KEY_CHOICE,                                                                       \
         at(type),                                                                            \
         "softmax",                                                                           \
         0,                                                                                   \
         0,                                                                                   \
         "softmax|noisy|gumbel",                                                              \
         "noise on the gate's logits in training: none, normal with a learnt deviation, "     \
         "Gumbel"},                                                                           \
        {"mixes",                                                                             \
         AT_KEY_CHOICE,                                                                       \
         at(mixes),                                                                           \
         "logits",                                                                            \
         0,                                                                                   \
         0,                                                                                   \
         "logits|probabilities",                                                              \
         "of the experts that the gate weighs; probabilities: experts compete for a sample"}, \
    {                                                                                         \
        "gate_temperature", AT_KEY_REAL, at(temperature), "1", 1e-3, 1e3, NULL,               \
            "the gate's logits are divided by it, noise included"                             \
    }

/** AT_CONFIG: more experts are asked than there are, or labels is 1, a number, which has no
    probabilities. */
at_status at_gate_check(at_ctx *c, const at_conf *f, const char *section, const at_gate_config *g,
                        int64_t labels);

/** The gate of a bank: a linear map of [inputs] to its experts. */
typedef struct at_gate {
    at_gate_config c;
    at_bank *bank;
    at_tensor *bias, *noise; /* [E]; [E, inputs] of a noisy one, or NULL */
} at_gate;
/** Declares "<name>.gate...", rows normal with deviation range / sqrt(inputs), into the bank's `row`; nothing
    where there is one expert. */
void at_gate_init(at_store *s, const at_gate_config *g, const char *name, int64_t inputs,
                  double range, at_bank *bank, at_gate *out);
/** Gates [N, k] of x [N, inputs], and who answers; the pass is told. */
at_tensor *at_gate_open(at_run *r, const at_gate *g, at_tensor *x, at_pass *p, at_routing *ro);

enum { AT_EXPERT_LAYERS = 4 };
/** What fresh weights of a layer are like. */
typedef struct at_layer_init {
    double range; /* factor                                                   */
    bool relu;    /* a relu follows: twice the variance                       */
} at_layer_init;
/** Deviation of uniform weights of a layer with so many inputs: they are within it. */
double at_layer_spread(at_layer_init how, int64_t inputs);
/** Declares parts 2 i and 2 i + 1 of a bank, matrix [in, out] and bias [out] of layer i of each expert:
    "<name>.experts.<i>.weight", ".bias"; of slot e "<name>.bank.<e>.<i>.weight". */
void at_expert_layer_init(at_store *s, at_bank *b, const char *name, int i, int64_t in, int64_t out,
                          at_layer_init how);
/** Layer i of every expert that is asked, with its bias or, where a norm comes between, without: x [N, in]
    or [N, K, in] -> [N, K, out]; of a single expert [..., in] -> [..., out]. */
at_tensor *at_expert_layer(at_run *r, const at_bank *b, int i, at_tensor *x, const at_routing *ro,
                           bool bias);
/** What the experts say, mixed by the gates, once the pass was told of it: x [N, K, C] -> [N, C].  others: what
    those say whom at_bank_others named, or NULL. */
at_tensor *at_experts_answer(at_run *r, const at_bank *b, at_pass *p, at_tensor *x,
                             at_tensor *gates, at_tensor *others);

#endif
