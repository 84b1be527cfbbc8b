/*
 * tabm.c - rows of numbers to classes or a number: an ensemble of perceptrons that have their matrices in common.
 *
 * Member k of K has, for each layer, factors r_k of the inputs and s_k of the outputs and a bias b_k,
 *
 *   y_k = s_k o (W (r_k o x_k)) + b_k
 *
 * (batch ensembles, Wen et al. 2020, arXiv 2002.06715), and a last layer of its own.  Factors begin as 1, but for
 * the first r, which is 1 or -1 at random and makes members differ.  In training each member has its own loss, and
 * the answer is the mean of their probabilities, or of their numbers (TabM, Gorishniy et al. 2024, arXiv 2410.24210).
 */
#include "arch/arch.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t n_inputs, num_labels, hidden_size, n_layer, n_members;
    int activation;
    double hidden_pdrop, initializer_range;
} config;

enum { RELU, GELU };
enum { LAYERS = 8 };

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"n_inputs", AT_KEY_INT, AT(n_inputs), "0", 0, 1 << 24, NULL,
     "numbers of a row; 0: what the data's columns come to"},
    {"num_labels", AT_KEY_INT, AT(num_labels), "0", 0, 1 << 24, NULL,
     "classes, or 1 number; 0: the data's"},
    {"hidden_size", AT_KEY_INT, AT(hidden_size), "64", 1, 1 << 16, NULL, "width of hidden layers"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "1", 1, LAYERS, NULL, "hidden layers"},
    {"n_members", AT_KEY_INT, AT(n_members), "32", 1, 1024, NULL, "members of the ensemble"},
    {"activation_function", AT_KEY_CHOICE, AT(activation), "relu", 0, 0, "relu|gelu",
     "of hidden layers"},
    {"hidden_pdrop", AT_KEY_REAL, AT(hidden_pdrop), "0", 0, 0.99, NULL, "dropout of hidden layers"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "1", 0, 100, NULL,
     "fresh matrices are uniform within this times sqrt(3 / inputs) of their layer, twice the "
     "variance before a relu"},
    {0},
};

typedef struct {
    at_tensor *w;        /* [in, out] */
    at_stack *r, *s, *b; /* [K, in]; [K, out] both: vectors of the members */
} layer;

typedef struct {
    config c;
    layer hidden[LAYERS];
    at_stack *head, *bias; /* [K, in, V], [K, V] */
} tabm;

/* Where the data is not known yet, any size will do. */
static int64_t inputs_of(const config *c) { return c->n_inputs > 0 ? c->n_inputs : 1; }
static int64_t labels_of(const config *c) { return c->num_labels > 0 ? c->num_labels : 1; }

static double range_of(const config *c, int64_t in, bool last) {
    return c->initializer_range * sqrt((last || c->activation != RELU ? 3.0 : 6.0) / (double)in);
}

/* A vector of each member; they lie together. */
static at_stack *vectors(at_store *s, const config *c, at_init init, int64_t n, int i,
                         const char *name) {
    const int64_t dim[2] = {c->n_members, n};
    char path[64], leaf[32];
    (void)snprintf(path, sizeof path, "tabm.%d.%s", i, name);
    (void)snprintf(leaf, sizeof leaf, "%d.%s", i, name);
    return at_param_stack(s, init, 0, 2, dim, (at_stack_names){path, "tabm.members", leaf}, true);
}

static void layer_init(at_store *s, const config *c, int i, int64_t in, layer *l) {
    const int64_t out = c->hidden_size, matrix[2] = {in, out};
    l->w = at_param(s, AT_INIT_UNIFORM, range_of(c, in, false), 2, matrix, "tabm.%d.weight", i);
    l->r = vectors(s, c, i ? AT_INIT_ONE : AT_INIT_SIGN, in, i, "r");
    l->s = vectors(s, c, AT_INIT_ONE, out, i, "s");
    l->b = vectors(s, c, AT_INIT_ZERO, out, i, "bias");
}

static at_status tabm_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    tabm *m = *model = at_calloc(s->ctx, 1, sizeof *m);
    if (!m) return AT_OOM;
    m->c = *c;
    for (int i = 0; i < c->n_layer; i++)
        layer_init(s, c, i, i ? c->hidden_size : inputs_of(c), &m->hidden[i]);
    const int64_t K = c->n_members, H = c->hidden_size, V = labels_of(c);
    const int64_t matrix[3] = {K, H, V}, bias[2] = {K, V};
    m->head =
        at_param_stack(s, AT_INIT_UNIFORM, range_of(c, H, true), 3, matrix,
                       (at_stack_names){"tabm.head.weight", "tabm.members", "head.weight"}, false);
    m->bias = at_param_stack(s, AT_INIT_ZERO, 0, 2, bias,
                             (at_stack_names){"tabm.head.bias", "tabm.members", "head.bias"}, true);
    return s->status;
}

static void tabm_close(void *model) { at_free(model); }

/* Every row is every member's: slot n K + k is of member k. */
static bool everyone(at_run *r, int64_t n, int64_t k, at_routing *out) {
    int32_t *pick = at_run_alloc(r, (size_t)(n * k) * sizeof *pick);
    int64_t *slot = at_run_alloc(r, (size_t)(n * k) * sizeof *slot);
    int64_t *first = at_run_alloc(r, (size_t)(k + 1) * sizeof *first);
    if (!pick || !slot || !first) return false;
    for (int64_t j = 0; j <= k; j++) first[j] = j * n;
    for (int64_t i = 0; i < n * k; i++) {
        pick[i] = (int32_t)(i % k);
        slot[i] = i % n * k + i / n;
    }
    *out =
        (at_routing){.n = n, .k = k, .e = k, .live = k, .pick = pick, .slot = slot, .first = first};
    return true;
}

/* [B, K, V] -> [B, V]: what all members say. */
static at_tensor *together(at_run *r, const tabm *m, at_tensor *x) {
    if (labels_of(&m->c) > 1) return at_mean_softmax(r, x);
    at_tensor *even = at_new2(r, x->dim[0], x->dim[1]);
    for (int64_t i = 0; even && !r->dry && i < at_numel(even); i++)
        even->data[i] = (at_real)1 / (at_real)x->dim[1];
    return at_expert_sum(r, x, even);
}

static at_tensor *whole(const at_stack *s) { return (at_tensor *)(uintptr_t)&s->t; }

static at_tensor *tabm_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const tabm *m = model;
    at_routing all;
    (void)p;
    if (in->T != m->c.n_inputs)
        return at_fail(r, AT_ARG, "tabm: rows of %lld numbers, expected %lld", (long long)in->T,
                       (long long)m->c.n_inputs);
    at_tensor *x = at_new2(r, in->B, in->T);
    if (x && !r->dry) memcpy(x->data, in->values, (size_t)at_numel(x) * sizeof *x->data);
    for (int i = 0; i < m->c.n_layer; i++) {
        const layer *l = &m->hidden[i];
        x = at_linear_io(r, at_member_scale(r, x, whole(l->r), NULL), l->w, NULL);
        x = at_member_scale(r, x, whole(l->s), whole(l->b));
        x = m->c.activation == RELU ? at_relu(r, x) : at_gelu(r, x, AT_GELU_ERF);
        x = at_dropout(r, x, m->c.hidden_pdrop);
    }
    if (!x || !everyone(r, in->B, m->c.n_members, &all)) return NULL;
    x = at_expert_linear(r, x, m->head->slot, &all);
    x = at_expert_bias(r, x, m->bias->slot, &all);
    return !x || r->train ? x : together(r, m, x);
}

static void tabm_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = labels_of(c),
                   .context = 1,
                   .layers = 1,
                   .width = c->hidden_size,
                   .inputs = c->n_inputs};
}

const at_arch at_arch_tabm = {
    .name = "tabm",
    .hf_class = "TabMForTables",
    .source =
        "Gorishniy et al. 2024, TabM, arXiv 2410.24210; Wen et al. 2020, BatchEnsemble, arXiv "
        "2002.06715",
    .prefix = "",
    .keys = keys,
    .config_bytes = sizeof(config),
    .init = tabm_init,
    .close = tabm_close,
    .reads = AT_INPUT_ROWS,
    .hidden = tabm_hidden,
    .dims = tabm_dims,
};
