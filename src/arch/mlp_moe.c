/*
 * mlp_moe.c - rows of numbers to classes or a number: a mixture of multilayer perceptrons, each of which
 * makes logits of its own, and a gate over them (row_experts.h).
 *
 * Experts' outputs are told to the pass, so that they can distil each other (MoDE, Xie et al. 2024,
 * arXiv 2402.00893).  With one expert it is a plain perceptron, without a gate.
 */
#include "arch/row_experts.h"
#include <string.h>

typedef struct {
    int64_t n_inputs, num_labels, hidden_size, n_layer;
    at_gate_config gate;
    int activation;
    double hidden_pdrop, initializer_range;
} config;

enum { RELU, GELU };

#define AT(field)      offsetof(config, field)
#define OF_GATE(field) offsetof(config, gate.field)
static const at_key keys[] = {
    {"n_inputs", AT_KEY_INT, AT(n_inputs), "0", 0, 1 << 24, NULL,
     "numbers of a row; 0: what the data's columns come to"},
    {"num_labels", AT_KEY_INT, AT(num_labels), "0", 0, 1 << 24, NULL,
     "classes, or 1 number; 0: the data's"},
    {"hidden_size", AT_KEY_INT, AT(hidden_size), "32", 1, 1 << 16, NULL, "width of hidden layers"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "1", 1, AT_EXPERT_LAYERS - 1, NULL,
     "hidden layers of an expert"},
    AT_GATE_KEYS(OF_GATE),
    {"activation_function", AT_KEY_CHOICE, AT(activation), "relu", 0, 0, "relu|gelu",
     "of hidden layers"},
    {"hidden_pdrop", AT_KEY_REAL, AT(hidden_pdrop), "0", 0, 0.99, NULL, "dropout of hidden layers"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "1", 0, 100, NULL,
     "fresh weights are uniform within this times sqrt(3 / inputs) of their layer, twice the "
     "variance "
     "before a relu"},
    {0},
};

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    return at_gate_check(c, f, section, &g->gate, g->num_labels);
}

typedef struct {
    config c;
    at_banks banks; /* one */
    at_gate gate;
} mlp_moe;

static void mlp_moe_close(void *model) {
    mlp_moe *m = model;
    if (!m) return;
    at_banks_close(&m->banks);
    at_free(m);
}

/* Where the data is not known yet, any size will do. */
static int64_t inputs_of(const config *c) { return c->n_inputs > 0 ? c->n_inputs : 1; }
static int64_t labels_of(const config *c) { return c->num_labels > 0 ? c->num_labels : 1; }

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
                   .n = c->gate.n_experts,
                   .k = c->gate.k ? c->gate.k : c->gate.n_experts};
    int64_t in = inputs_of(c);
    for (int i = 0; i <= c->n_layer; i++) {
        const bool last = i == c->n_layer;
        const int64_t out = last ? labels_of(c) : c->hidden_size;
        const at_layer_init how = {c->initializer_range, !last && c->activation == RELU};
        at_expert_layer_init(s, b, "mlp", i, in, out, how);
        in = out;
    }
    at_gate_init(s, &c->gate, "mlp", inputs_of(c), c->initializer_range, b, &m->gate);
    *model = m;
    return s->status;
}

/* What the experts that are asked say of each row [B, k, V]; the pass sees what it is made of. */
static at_tensor *answers(at_run *r, const mlp_moe *m, at_tensor *x, const at_routing *ro,
                          const at_pass *p) {
    const at_bank *b = m->banks.bank;
    for (int i = 0; i <= m->c.n_layer; i++) {
        if (p && i == m->c.n_layer && b->n > 1) at_pass_hidden(r, p, b->id, x);
        x = at_expert_layer(r, b, i, x, ro, true);
        if (i == m->c.n_layer) break;
        x = m->c.activation == RELU ? at_relu(r, x) : at_gelu(r, x, AT_GELU_ERF);
        x = at_dropout(r, x, m->c.hidden_pdrop);
    }
    return x;
}

static at_tensor *mlp_moe_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const mlp_moe *m = model;
    const at_bank *b = m->banks.bank;
    at_routing ro = {0};
    if (in->T != m->c.n_inputs)
        return at_fail(r, AT_ARG, "mlp_moe: rows of %lld numbers, expected %lld", (long long)in->T,
                       (long long)m->c.n_inputs);
    at_tensor *x = at_new2(r, in->B, in->T);
    if (x && !r->dry) memcpy(x->data, in->values, (size_t)at_numel(x) * sizeof *x->data);
    at_tensor *gates = b->n > 1 ? at_gate_open(r, &m->gate, x, p, &ro) : NULL;
    at_tensor *y = answers(r, m, x, &ro, p), *more = NULL;
    if (b->n == 1) return y;
    at_routing others;
    if (at_bank_others(r, p, b, &ro, &others)) more = answers(r, m, x, &others, NULL);
    return at_experts_answer(r, b, p, y, gates, more);
}

static at_banks *mlp_moe_banks(void *model) { return &((mlp_moe *)model)->banks; }

static void mlp_moe_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = labels_of(c),
                   .context = 1,
                   .layers = 1,
                   .width = c->hidden_size,
                   .inputs = c->n_inputs,
                   .answers = c->gate.n_experts > 1};
}

static double mlp_moe_aux(const void *cfg, at_aux *a) {
    (void)a;
    return ((const config *)cfg)->gate.n_experts > 1 ? 0 : -1;
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
