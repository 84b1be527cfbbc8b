/*
 * mlp_moe.c - rows of numbers to classes or a number: a mixture of multilayer perceptrons, each of which
 * makes logits of its own, and a gate over them.
 *
 *   y = sum_i g_i(x) e_i(x)
 *
 * With k = 0 all experts answer (dense gates), else the k most probable.  Gates are the softmax over those
 * that answer.  Experts' outputs are told to the pass, so that they can distil each other (MoDE, Xie et al.
 * 2024, arXiv 2402.00893).  With one expert it is a plain perceptron, without a gate.
 */
#include "arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t n_inputs, num_labels, hidden_size, n_layer, n_experts, k;
    int activation, gate_type;
    double gate_temperature, hidden_pdrop, initializer_range;
} config;

enum { GATE_SOFTMAX = AT_NOISE_NONE, GATE_NOISY = AT_NOISE_NORMAL, GATE_GUMBEL = AT_NOISE_GUMBEL };
enum { RELU, GELU };
enum { LAYERS = AT_BANK_PARTS / 2 }; /* of an expert, a matrix and a bias each */

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"n_inputs", AT_KEY_INT, AT(n_inputs), "0", 0, 1 << 24, NULL,
     "numbers of a row; 0: what the data's columns come to"},
    {"num_labels", AT_KEY_INT, AT(num_labels), "0", 0, 1 << 24, NULL,
     "classes, or 1 number; 0: the data's"},
    {"hidden_size", AT_KEY_INT, AT(hidden_size), "32", 1, 1 << 16, NULL, "width of hidden layers"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "1", 1, LAYERS - 1, NULL, "hidden layers of an expert"},
    {"n_experts", AT_KEY_INT, AT(n_experts), "4", 1, 1024, NULL, "experts; 1: a plain perceptron"},
    {"k", AT_KEY_INT, AT(k), "0", 0, 1024, NULL, "experts that answer a row; 0: all"},
    {"activation_function", AT_KEY_CHOICE, AT(activation), "relu", 0, 0, "relu|gelu",
     "of hidden layers"},
    {"gate_type", AT_KEY_CHOICE, AT(gate_type), "softmax", 0, 0, "softmax|noisy|gumbel",
     "noise on the gate's logits in training: none, normal with a learnt deviation, Gumbel"},
    {"gate_temperature", AT_KEY_REAL, AT(gate_temperature), "1", 1e-3, 1e3, NULL,
     "the gate's logits are divided by it, noise included"},
    {"hidden_pdrop", AT_KEY_REAL, AT(hidden_pdrop), "0", 0, 0.99, NULL, "dropout of hidden layers"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "1", 0, 100, NULL,
     "fresh weights are uniform within this times sqrt(3 / inputs) of their layer, twice the "
     "variance "
     "before a relu"},
    {0},
};

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    char path[128];
    (void)snprintf(path, sizeof path, "%s%sk", section, *section ? "." : "");
    if (g->k > g->n_experts)
        return at_conf_error(c, f, path, "%lld experts a row, but n_experts = %lld",
                             (long long)g->k, (long long)g->n_experts);
    return AT_OK;
}

typedef struct {
    config c;
    at_banks banks;          /* one; parts 2 i and 2 i + 1: matrix and bias of layer i */
    at_tensor *bias, *noise; /* of the gate [E]; [E, D] of a noisy one, or NULL  */
} mlp_moe;

static void mlp_moe_close(void *model) {
    mlp_moe *m = model;
    if (!m) return;
    at_banks_close(&m->banks);
    at_free(m);
}

static at_stack *part(at_store *s, int layer, const char *name, at_init init, double std, int rank,
                      const int64_t *dim) {
    char path[64], leaf[32];
    (void)snprintf(path, sizeof path, "mlp.experts.%d.%s", layer, name);
    (void)snprintf(leaf, sizeof leaf, "%d.%s", layer, name);
    return at_param_stack(s, init, std, rank, dim, (at_stack_names){path, "mlp.bank", leaf},
                          rank == 2);
}

/* Where the data is not known yet, any size will do. */
static int64_t inputs_of(const config *c) { return c->n_inputs > 0 ? c->n_inputs : 1; }
static int64_t labels_of(const config *c) { return c->num_labels > 0 ? c->num_labels : 1; }

static void gate_init(at_store *s, const config *c, mlp_moe *m, at_bank *b) {
    const int64_t E = c->n_experts, D = inputs_of(c), rows[2] = {E, D};
    const double std = c->initializer_range * sqrt(1 / (double)D);
    b->row = at_param_stack(s, AT_INIT_NORMAL, std, 2, rows,
                            (at_stack_names){"mlp.gate.weight", "mlp.bank", "row"}, true);
    m->bias = at_param(s, AT_INIT_ZERO, 0, 1, &E, "mlp.gate.bias");
    if (c->gate_type == GATE_NOISY)
        m->noise = at_param(s, AT_INIT_ZERO, 0, 2, rows, "mlp.gate.noise.weight");
}

static at_status mlp_moe_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    mlp_moe *m = at_calloc(s->ctx, 1, sizeof *m);
    if (!m || !(m->banks.bank = at_calloc(s->ctx, 1, sizeof *m->banks.bank))) {
        at_free(m);
        return AT_OOM;
    }
    m->c = *c;
    m->banks.n = 1;
    at_bank *b = m->banks.bank;
    *b = (at_bank){.id = {0, AT_LAYER_FEED_FORWARD},
                   .n = c->n_experts,
                   .k = c->k ? c->k : c->n_experts,
                   .parts = 2 * ((int)c->n_layer + 1)};
    int64_t in = inputs_of(c);
    for (int i = 0; i <= c->n_layer; i++) {
        const bool last = i == c->n_layer;
        const int64_t out = last ? labels_of(c) : c->hidden_size;
        const int64_t matrix[3] = {c->n_experts, in, out}, bias[2] = {c->n_experts, out};
        const double variance = (last || c->activation != RELU ? 3.0 : 6.0) / (double)in;
        b->part[2 * i] =
            part(s, i, "weight", AT_INIT_UNIFORM, c->initializer_range * sqrt(variance), 3, matrix);
        b->part[2 * i + 1] = part(s, i, "bias", AT_INIT_ZERO, 0, 2, bias);
        in = out;
    }
    if (c->n_experts > 1) gate_init(s, c, m, b);
    *model = m;
    return s->status;
}

/* Gates [B, k], and who answers. */
static at_tensor *gate(at_run *r, const mlp_moe *m, at_tensor *x, at_pass *p, at_routing *ro) {
    const config *c = &m->c;
    const at_bank *b = m->banks.bank;
    at_tensor *rows = (at_tensor *)(uintptr_t)&b->row->t;
    at_tensor *spread = m->noise ? at_linear(r, x, m->noise, NULL) : NULL;
    at_tensor *z = at_linear(r, x, rows, m->bias);
    if (c->gate_type != GATE_SOFTMAX || c->gate_temperature < 1 || c->gate_temperature > 1) {
        z = at_gate_noise(r, z, spread, (at_noise)c->gate_type, c->gate_temperature);
    }
    return at_bank_route(r, p, b, z, 0, true, ro);
}

/* A layer of every expert that is asked. */
static at_tensor *layer(at_run *r, const at_bank *b, int i, at_tensor *x, const at_routing *ro) {
    at_tensor *const *w = b->part[2 * i]->slot, *const *bias = b->part[2 * i + 1]->slot;
    if (b->n == 1) return at_linear_io(r, x, w[0], bias[0]);
    x = at_expert_linear(r, x, w, ro);
    return at_expert_bias(r, x, bias, ro);
}

static at_tensor *mlp_moe_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const mlp_moe *m = model;
    const at_bank *b = m->banks.bank;
    at_routing ro;
    if (in->T != m->c.n_inputs)
        return at_fail(r, AT_ARG, "mlp_moe: rows of %lld numbers, expected %lld", (long long)in->T,
                       (long long)m->c.n_inputs);
    at_tensor *x = at_new2(r, in->B, in->T);
    if (x && !r->dry) memcpy(x->data, in->values, (size_t)at_numel(x) * sizeof *x->data);
    at_tensor *gates = b->n > 1 ? gate(r, m, x, p, &ro) : NULL;
    for (int i = 0; i <= m->c.n_layer; i++) {
        x = layer(r, b, i, x, &ro);
        if (i == m->c.n_layer) break;
        x = m->c.activation == RELU ? at_relu(r, x) : at_gelu(r, x, AT_GELU_ERF);
        x = at_dropout(r, x, m->c.hidden_pdrop);
    }
    if (b->n == 1) return x;
    at_pass_experts(r, p, b->id, x, gates);
    return at_expert_sum(r, x, gates);
}

static at_banks *mlp_moe_banks(void *model) { return &((mlp_moe *)model)->banks; }

static void mlp_moe_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = labels_of(c),
                   .context = 1,
                   .layers = 1,
                   .width = c->hidden_size,
                   .inputs = c->n_inputs};
}

static double mlp_moe_aux(const void *cfg, at_aux *a) {
    (void)a;
    return ((const config *)cfg)->n_experts > 1 ? 0 : -1;
}

const at_arch at_arch_mlp_moe = {
    .name = "mlp_moe",
    .hf_class = "MLPMixtureForTables",
    .source = "Jacobs et al. 1991, Adaptive Mixtures of Local Experts; Xie et al. 2024, MoDE, "
              "arXiv 2402.00893",
    .prefix = "",
    .keys = keys,
    .config_bytes = sizeof(config),
    .check = check,
    .init = mlp_moe_init,
    .close = mlp_moe_close,
    .reads = AT_INPUT_ROWS,
    .hidden = mlp_moe_hidden,
    .banks = mlp_moe_banks,
    .dims = mlp_moe_dims,
    .aux = mlp_moe_aux,
};
