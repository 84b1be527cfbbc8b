/* row_experts.c - gates, and layers of experts. */
#include "arch/row_experts.h"
#include <math.h>
#include <stdio.h>

at_status at_gate_check(at_ctx *c, const at_conf *f, const char *section, const at_gate_config *g,
                        int64_t labels) {
    char path[128];
    (void)snprintf(path, sizeof path, "%s%sk", section, *section ? "." : "");
    if (g->k > g->n_experts)
        return at_conf_error(c, f, path, "%lld experts a row, but n_experts = %lld",
                             (long long)g->k, (long long)g->n_experts);
    (void)snprintf(path, sizeof path, "%s%smixes", section, *section ? "." : "");
    if (g->mixes == AT_MIXES_PROBABILITIES && labels == 1)
        return at_conf_error(c, f, path, "a number has no probabilities: expected logits");
    return AT_OK;
}

void at_gate_init(at_store *s, const at_gate_config *g, const char *name, int64_t inputs,
                  double range, at_bank *bank, at_gate *out) {
    const int64_t rows[2] = {g->n_experts, inputs};
    const double std = range * sqrt(1 / (double)inputs);
    char path[64], slot[64];
    *out = (at_gate){.c = *g, .bank = bank};
    bank->probabilities = g->mixes == AT_MIXES_PROBABILITIES;
    if (g->n_experts == 1) return;
    (void)snprintf(path, sizeof path, "%s.gate.weight", name);
    (void)snprintf(slot, sizeof slot, "%s.bank", name);
    bank->row =
        at_param_stack(s, AT_INIT_NORMAL, std, 2, rows, (at_stack_names){path, slot, "row"}, true);
    out->bias = at_param(s, AT_INIT_ZERO, 0, 1, &g->n_experts, "%s.gate.bias", name);
    if (g->type == AT_NOISE_NORMAL)
        out->noise = at_param(s, AT_INIT_ZERO, 0, 2, rows, "%s.gate.noise.weight", name);
}

at_tensor *at_gate_open(at_run *r, const at_gate *g, at_tensor *x, at_pass *p, at_routing *ro) {
    const at_gate_config *c = &g->c;
    at_tensor *rows = (at_tensor *)(uintptr_t)&g->bank->row->t;
    at_tensor *spread = g->noise ? at_linear(r, x, g->noise, NULL) : NULL;
    at_tensor *z = at_linear(r, x, rows, g->bias);
    if (c->type != AT_NOISE_NONE || c->temperature < 1 || c->temperature > 1)
        z = at_gate_noise(r, z, spread, (at_noise)c->type, c->temperature);
    return at_bank_route(r, p, g->bank, z, 0, true, ro);
}

double at_layer_spread(at_layer_init how, int64_t inputs) {
    return how.range * sqrt((how.relu ? 6.0 : 3.0) / (double)inputs);
}

static at_stack *part(at_store *s, const char *name, int layer, const char *what, double std,
                      int rank, const int64_t *dim) {
    char path[64], bank[64], leaf[32];
    (void)snprintf(path, sizeof path, "%s.experts.%d.%s", name, layer, what);
    (void)snprintf(bank, sizeof bank, "%s.bank", name);
    (void)snprintf(leaf, sizeof leaf, "%d.%s", layer, what);
    return at_param_stack(s, std > 0 ? AT_INIT_UNIFORM : AT_INIT_ZERO, std, rank, dim,
                          (at_stack_names){path, bank, leaf}, rank == 2);
}

void at_expert_layer_init(at_store *s, at_bank *b, const char *name, int i, int64_t in, int64_t out,
                          at_layer_init how) {
    const int64_t matrix[3] = {b->n, in, out}, bias[2] = {b->n, out};
    b->part[2 * i] = part(s, name, i, "weight", at_layer_spread(how, in), 3, matrix);
    b->part[2 * i + 1] = part(s, name, i, "bias", 0, 2, bias);
    b->parts = 2 * i + 2;
}

at_tensor *at_expert_layer(at_run *r, const at_bank *b, int i, at_tensor *x, const at_routing *ro,
                           bool bias) {
    at_tensor *const *w = b->part[2 * i]->slot, *const *to = b->part[2 * i + 1]->slot;
    if (b->n == 1) return at_linear_io(r, x, w[0], bias ? to[0] : NULL);
    x = at_expert_linear(r, x, w, ro);
    return bias ? at_expert_bias(r, x, to, ro) : x;
}

at_tensor *at_experts_answer(at_run *r, const at_bank *b, at_pass *p, at_tensor *x,
                             at_tensor *gates, at_tensor *others) {
    at_pass_experts(r, p, b->id, x, gates, others);
    return b->probabilities ? at_expert_mix(r, x, gates) : at_expert_sum(r, x, gates);
}
