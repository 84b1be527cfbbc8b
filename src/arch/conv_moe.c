/*
 * conv_moe.c - images to classes or a number: convolutions that all experts share, then a mixture of small
 * networks over what they make of the image, with a gate over it (row_experts.h).
 *
 *   layer(x) = pool(act(norm(conv(x)) + bias))      the stem has some, and so has each expert `conv`
 *   expert   = convolutions of its own, or none, then a perceptron over all places and channels
 *
 * An image is a row of height x width x channels numbers, as the reader of images makes it.  A convolution
 * is a linear map of what a window sees at each place (at_patches).  The windows of the experts' first
 * convolution are made once for all experts; its places are tokens that ask the experts of their image.
 * Operations of a convolution: 2 N h' w' (kernel^2 in) out, K times that for K experts.
 *
 * A norm has no gain of its own: behind the activation the next layer's weights can do the same.  The running
 * means and variances of batch norm, of each expert its own, are parameters that are never learnt, so that
 * files and checkpoints have them.
 * With one expert it is a plain convolutional network.
 */
#include "arch/row_experts.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t height, width, channels, num_labels;
    int64_t stem_layers, stem_channels, kernel, stride, pool_size;
    int64_t expert_layers, expert_channels, hidden_size, n_layer;
    int expert, pool, norm, gate_input, activation;
    at_gate_config gate;
    double norm_momentum, hidden_pdrop, initializer_range;
} config;

enum { RELU, GELU };
enum { EXPERT_MLP, EXPERT_CONV };
enum { POOL_MAX, POOL_MEAN, POOL_NONE };
enum { NORM_NONE, NORM_LAYER, NORM_BATCH };
enum { GATE_FLAT, GATE_POOLED };
enum { LAYERS = AT_EXPERT_LAYERS, STEM = 6 };

#define AT(field)      offsetof(config, field)
#define OF_GATE(field) offsetof(config, gate.field)
static const at_key keys[] = {
    {"image_height", AT_KEY_INT, AT(height), "0", 0, 4096, NULL, "of the images; 0: the data's"},
    {"image_width", AT_KEY_INT, AT(width), "0", 0, 4096, NULL, "the same"},
    {"image_channels", AT_KEY_INT, AT(channels), "0", 0, 64, NULL,
     "numbers of a pixel: 1 grey, 3 colours; 0: the data's"},
    {"num_labels", AT_KEY_INT, AT(num_labels), "0", 0, 1 << 24, NULL,
     "classes, or 1 number; 0: the data's"},
    {"stem_layers", AT_KEY_INT, AT(stem_layers), "1", 0, STEM, NULL,
     "convolutions that all experts share"},
    {"stem_channels", AT_KEY_INT, AT(stem_channels), "16", 1, 1024, NULL,
     "of the first; each further one has twice as many"},
    {"kernel_size", AT_KEY_INT, AT(kernel), "3", 1, 31, NULL, "of all convolutions, an odd number"},
    {"stride", AT_KEY_INT, AT(stride), "1", 1, 31, NULL, "of all convolutions"},
    {"pool", AT_KEY_CHOICE, AT(pool), "max", 0, 0, "max|mean|none", "after each convolution"},
    {"pool_size", AT_KEY_INT, AT(pool_size), "2", 1, 64, NULL,
     "side of the square of pixels that becomes one"},
    {"norm", AT_KEY_CHOICE, AT(norm), "none", 0, 0, "none|layer|batch",
     "after each convolution: over the channels of a place, or of a channel over places and batch"},
    {"norm_momentum", AT_KEY_REAL, AT(norm_momentum), "0.1", 0, 1, NULL,
     "of batch norm: share of a batch in the running means and variances"},
    {"expert", AT_KEY_CHOICE, AT(expert), "mlp", 0, 0, "mlp|conv",
     "a perceptron, or convolutions before one"},
    {"expert_layers", AT_KEY_INT, AT(expert_layers), "1", 1, LAYERS - 1, NULL,
     "convolutions of an expert `conv`"},
    {"expert_channels", AT_KEY_INT, AT(expert_channels), "16", 1, 1024, NULL, "of these"},
    {"hidden_size", AT_KEY_INT, AT(hidden_size), "64", 1, 1 << 16, NULL,
     "width of hidden layers of the perceptron"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "1", 0, LAYERS - 1, NULL,
     "hidden layers of the perceptron; 0: a linear map"},
    AT_GATE_KEYS(OF_GATE),
    {"gate_input", AT_KEY_CHOICE, AT(gate_input), "flat", 0, 0, "flat|pooled",
     "what the gate sees of the stem: all of it, or the mean over places"},
    {"activation_function", AT_KEY_CHOICE, AT(activation), "relu", 0, 0, "relu|gelu",
     "of convolutions and hidden layers"},
    {"hidden_pdrop", AT_KEY_REAL, AT(hidden_pdrop), "0", 0, 0.99, NULL,
     "dropout of what layers of the perceptron read"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "1", 0, 100, NULL,
     "fresh weights are uniform within this times sqrt(3 / inputs) of their layer, twice the "
     "variance before a relu"},
    {0},
};

/* ---- sizes ---- */

typedef struct {
    int64_t height, width, channels;
} place;

static int64_t numbers(place p) { return p.height * p.width * p.channels; }

/* Where the data is not known yet, any size will do. */
static place image_of(const config *c) {
    if (c->height && c->width && c->channels) return (place){c->height, c->width, c->channels};
    return (place){1, 1, 1};
}
static int64_t labels_of(const config *c) { return c->num_labels > 0 ? c->num_labels : 1; }

static at_window window_of(const config *c) {
    return (at_window){c->kernel, c->kernel, c->stride, c->kernel / 2};
}
static at_window pool_of(const config *c) {
    return (at_window){c->pool_size, c->pool_size, c->pool_size, 0};
}

/* Pixels that a convolution leaves of so many in a line; 0: there is nothing to pool. */
static int64_t left(const config *c, int64_t n) {
    const at_window v = window_of(c);
    n = (n + 2 * v.pad - v.rows) / v.stride + 1;
    return c->pool == POOL_NONE ? n : n / c->pool_size;
}
static place after(const config *c, place p, int64_t channels) {
    const int64_t h = left(c, p.height), w = left(c, p.width);
    return (place){h > 0 ? h : 1, w > 0 ? w : 1, channels};
}
static int64_t stem_channels(const config *c, int64_t i) { return c->stem_channels << i; }
static int64_t own_layers(const config *c) {
    return c->expert == EXPERT_CONV ? c->expert_layers : 0;
}

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    char path[128];
    const int at = snprintf(path, sizeof path, "%s%s", section, *section ? "." : "");
    char *key = path + at;
    const size_t room = sizeof path - (size_t)at;
    place p = image_of(g);
    (void)snprintf(key, room, "kernel_size");
    if (g->kernel % 2 == 0)
        return at_conf_error(c, f, path, "expected an odd number, found %lld",
                             (long long)g->kernel);
    (void)snprintf(key, room, "n_layer");
    if (own_layers(g) + g->n_layer + 1 > LAYERS)
        return at_conf_error(c, f, path,
                             "an expert has at most %d layers: %lld convolutions, %lld hidden "
                             "layers and the last are %lld",
                             LAYERS, (long long)own_layers(g), (long long)g->n_layer,
                             (long long)(own_layers(g) + g->n_layer + 1));
    const bool known = g->height && g->width && g->channels;
    for (int64_t i = 0; known && i < g->stem_layers + own_layers(g); i++) {
        (void)snprintf(key, room, i < g->stem_layers ? "stem_layers" : "expert_layers");
        if (left(g, p.height) < 1 || left(g, p.width) < 1)
            return at_conf_error(c, f, path,
                                 "convolution %lld has %lld x %lld of the %lld x %lld pixels left, "
                                 "too few to pool by %lld",
                                 (long long)i + 1, (long long)p.height, (long long)p.width,
                                 (long long)g->height, (long long)g->width,
                                 (long long)g->pool_size);
        p = after(g, p, 1);
    }
    return at_gate_check(c, f, section, &g->gate, g->num_labels);
}

/* ---- parameters ---- */

typedef struct {
    config c;
    place seen; /* what the stem makes of an image */
    at_tensor *weight[STEM], *bias[STEM];
    at_tensor *mean[STEM], *var[STEM];                  /* of batch norm: buffers */
    const at_stack *own_mean[LAYERS], *own_var[LAYERS]; /* the same of experts    */
    at_banks banks; /* one: convolutions, then the layers of the perceptron */
    at_gate gate;
} conv_moe;

static void conv_moe_close(void *model) {
    conv_moe *m = model;
    if (!m) return;
    at_banks_close(&m->banks);
    at_free(m);
}

static at_layer_init fresh(const config *c) {
    return (at_layer_init){c->initializer_range, c->activation == RELU};
}

/* It is saved as parameters are, and not learnt. */
static void buffer(at_tensor *t) {
    if (t) at_param_freeze(at_param_of(t));
}

static void stem_init(at_store *s, conv_moe *m) {
    const config *c = &m->c;
    m->seen = image_of(c);
    for (int i = 0; i < c->stem_layers; i++) {
        const int64_t out = stem_channels(c, i);
        const int64_t matrix[2] = {c->kernel * c->kernel * m->seen.channels, out};
        m->weight[i] = at_param(s, AT_INIT_UNIFORM, at_layer_spread(fresh(c), matrix[0]), 2, matrix,
                                "conv.stem.%d.weight", i);
        m->bias[i] = at_param(s, AT_INIT_ZERO, 0, 1, &out, "conv.stem.%d.bias", i);
        if (c->norm == NORM_BATCH) {
            m->mean[i] = at_param(s, AT_INIT_ZERO, 0, 1, &out, "conv.stem.%d.mean", i);
            m->var[i] = at_param(s, AT_INIT_ONE, 0, 1, &out, "conv.stem.%d.variance", i);
            buffer(m->mean[i]);
            buffer(m->var[i]);
        }
        m->seen = after(c, m->seen, out);
    }
}

static const at_stack *own_buffer(at_store *s, int layer, const char *what, at_init init,
                                  int64_t experts, int64_t channels) {
    const int64_t dim[2] = {experts, channels};
    char path[64], leaf[32];
    (void)snprintf(path, sizeof path, "conv.experts.%d.%s", layer, what);
    (void)snprintf(leaf, sizeof leaf, "%d.%s", layer, what);
    const at_stack *k =
        at_param_stack(s, init, 0, 2, dim, (at_stack_names){path, "conv.bank", leaf}, false);
    for (int64_t e = 0; k && e < experts; e++) buffer(k->slot[e]);
    return k;
}

static void experts_init(at_store *s, conv_moe *m) {
    const config *c = &m->c;
    at_bank *b = m->banks.bank;
    const int own = (int)own_layers(c), last = own + (int)c->n_layer;
    place p = m->seen;
    for (int i = 0; i < own; i++) {
        const int64_t in = c->kernel * c->kernel * p.channels;
        at_expert_layer_init(s, b, "conv", i, in, c->expert_channels, fresh(c));
        p = after(c, p, c->expert_channels);
    }
    int64_t in = numbers(p);
    for (int i = own; i < last; i++, in = c->hidden_size)
        at_expert_layer_init(s, b, "conv", i, in, c->hidden_size, fresh(c));
    at_expert_layer_init(s, b, "conv", last, in, labels_of(c),
                         (at_layer_init){c->initializer_range, false});
    for (int i = 0; c->norm == NORM_BATCH && i < own; i++) {
        const int64_t n = c->expert_channels;
        m->own_mean[i] = own_buffer(s, i, "mean", AT_INIT_ZERO, b->n, n);
        m->own_var[i] = own_buffer(s, i, "variance", AT_INIT_ONE, b->n, n);
        b->part[b->parts++] = m->own_mean[i];
        b->part[b->parts++] = m->own_var[i];
    }
}

static at_status conv_moe_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    conv_moe *m = at_calloc(s->ctx, 1, sizeof *m);
    if (!m || !(m->banks.bank = at_calloc(s->ctx, 1, sizeof *m->banks.bank))) {
        at_free(m);
        return AT_OOM;
    }
    m->c = *c;
    m->banks.n = 1;
    *m->banks.bank = (at_bank){.id = {0, AT_LAYER_FEED_FORWARD},
                               .n = c->gate.n_experts,
                               .k = c->gate.k ? c->gate.k : c->gate.n_experts};
    stem_init(s, m);
    experts_init(s, m);
    const int64_t sees = c->gate_input == GATE_FLAT ? numbers(m->seen) : m->seen.channels;
    at_gate_init(s, &c->gate, "conv", sees, c->initializer_range, m->banks.bank, &m->gate);
    *model = m;
    return s->status;
}

/* ---- the pass ---- */

static at_tensor *act(at_run *r, const config *c, at_tensor *x) {
    return c->activation == RELU ? at_relu(r, x) : at_gelu(r, x, AT_GELU_ERF);
}

/* Of the layer that a norm and a bias follow. */
typedef struct {
    at_tensor *const *bias, *const *mean, *const *var; /* of each expert, or of all */
    bool alone;                                        /* there is one              */
} behind;

/* Places to mean 0 and variance 1, each or each channel, and the bias: x [.., C], of the slots of ro or where
   there is one of everything, in any shape -> as many values. */
static at_tensor *normed(at_run *r, const config *c, at_tensor *x, const behind *l,
                         const at_routing *ro, const at_pass *p) {
    if (!x) return NULL;
    const int64_t n = at_cols(x);
    at_routing one;
    if (c->norm == NORM_LAYER) {
        at_tensor *gain = at_new(r, 1, &n);
        for (int64_t i = 0; gain && !r->dry && i < n; i++) gain->data[i] = 1;
        x = at_layernorm(r, x, gain, l->alone ? l->bias[0] : NULL, 1e-5);
        return l->alone ? x : at_expert_bias(r, x, l->bias, ro);
    }
    if (l->alone) {
        if (!at_routing_single(r, at_rows(x), &one)) return NULL;
        x = at_view(r, x, 3, (int64_t[]){at_rows(x), 1, n});
        ro = &one;
    }
    bool *still = at_run_alloc(r, (size_t)ro->e * sizeof *still);
    for (int64_t e = 0; still && e < ro->e; e++) still[e] = at_param_of(l->bias[e])->frozen;
    x = at_batchnorm(r, x, ro,
                     &(at_batch_norm){.mean = l->mean,
                                      .var = l->var,
                                      .momentum = c->norm_momentum,
                                      .eps = 1e-5,
                                      .batch = r->train,
                                      .keep = p->collect,
                                      .still = still});
    return at_expert_bias(r, x, l->bias, ro);
}

/* x of places in images of this many channels -> the same, pooled. */
static at_tensor *pooled(at_run *r, const config *c, at_tensor *x, const int64_t dim[4]) {
    const at_window v = pool_of(c);
    x = x ? at_view(r, x, 4, dim) : NULL;
    if (c->pool == POOL_NONE) return x;
    return at_pool_window(r, x, &v, c->pool == POOL_MAX ? AT_POOL_MAX : AT_POOL_MEAN);
}

static at_tensor *stem(at_run *r, const conv_moe *m, at_tensor *x, const at_pass *p) {
    const config *c = &m->c;
    const at_window v = window_of(c);
    const bool norm = c->norm != NORM_NONE;
    for (int i = 0; i < c->stem_layers; i++) {
        if (!(x = at_patches(r, x, &v))) return NULL;
        const int64_t dim[4] = {x->dim[0], x->dim[1], x->dim[2], stem_channels(c, i)};
        x = at_linear_io(r, x, m->weight[i], norm ? NULL : m->bias[i]);
        if (norm)
            x = normed(r, c, x, &(behind){&m->bias[i], &m->mean[i], &m->var[i], true}, NULL, p);
        x = act(r, c, x);
        x = pooled(r, c, x, dim);
    }
    return x;
}

/* Convolution i of the K experts that each image asks; x: images [N, h, w, C] that all of them read, or at
   i > 0 each its own [N K, h, w, C] -> [N K, h', w', C']. */
static at_tensor *own_convolution(at_run *r, const conv_moe *m, int i, at_tensor *x,
                                  const at_routing *ro, const at_pass *p) {
    const config *c = &m->c;
    const at_bank *b = m->banks.bank;
    const at_window v = window_of(c);
    const bool norm = c->norm != NORM_NONE, alone = b->n == 1, batch = c->norm == NORM_BATCH;
    const behind l = {b->part[2 * i + 1]->slot, batch ? m->own_mean[i]->slot : NULL,
                      batch ? m->own_var[i]->slot : NULL, alone};
    at_routing of = {0};
    if (!(x = at_patches(r, x, &v))) return NULL;
    const int64_t n = x->dim[0], down = x->dim[1], across = x->dim[2], places = down * across;
    const int64_t k = alone || i ? 1 : ro->k, out = c->expert_channels;
    if (!alone && !at_routing_places(r, ro, places, i > 0, &of)) return NULL;
    x = at_view(r, x, 2, (int64_t[]){n * places, x->dim[3]});
    x = at_expert_layer(r, b, i, x, &of, !norm);
    if (norm) x = normed(r, c, x, &l, &of, p);
    x = act(r, c, x);
    x = pooled(r, c, x, (int64_t[]){n, down, across, k * out});
    if (k == 1 || !x) return x;
    const int64_t h = x->dim[1], w = x->dim[2]; /* slots become images of their own */
    x = at_view(r, x, 4, (int64_t[]){n, h * w, k, out});
    x = at_swap(r, x);
    return at_view(r, x, 4, (int64_t[]){n * k, h, w, out});
}

/* What the gate sees. */
static at_tensor *view_of_gate(at_run *r, const conv_moe *m, at_tensor *x) {
    const place p = m->seen;
    if (!x) return NULL;
    if (m->c.gate_input == GATE_POOLED)
        x = at_pool_window(r, x, &(at_window){p.height, p.width, 1, 0}, AT_POOL_MEAN);
    return x ? at_view(r, x, 2, (int64_t[]){x->dim[0], at_numel(x) / x->dim[0]}) : NULL;
}

/* What the experts that are asked say of each of the `n` images; the pass sees what it is made of. */
static at_tensor *answers(at_run *r, const conv_moe *m, at_tensor *x, int64_t n,
                          const at_routing *ro, const at_pass *p) {
    const config *c = &m->c;
    const at_bank *b = m->banks.bank;
    const int own = (int)own_layers(c), last = own + (int)c->n_layer;
    for (int i = 0; i < own; i++) x = own_convolution(r, m, i, x, ro, p);
    if (!x) return NULL;
    const int64_t k = x->dim[0] / n, each = at_numel(x) / x->dim[0];
    const int64_t dim[3] = {n, k, each};
    x = own && b->n > 1 ? at_view(r, x, 3, dim) : at_view(r, x, 2, (int64_t[]){x->dim[0], each});
    for (int i = own; i <= last; i++) {
        x = at_dropout(r, x, c->hidden_pdrop);
        if (x && i == last && x->rank == 3) at_pass_hidden(r, p, b->id, x);
        x = at_expert_layer(r, b, i, x, ro, true);
        if (i < last) x = act(r, c, x);
    }
    return x;
}

static at_tensor *conv_moe_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const conv_moe *m = model;
    const at_bank *b = m->banks.bank;
    const place image = image_of(&m->c);
    at_routing ro = {0}, others;
    if (in->T != numbers(image))
        return at_fail(r, AT_ARG,
                       "conv_moe: rows of %lld numbers, expected images of %lld x %lld x %lld",
                       (long long)in->T, (long long)image.height, (long long)image.width,
                       (long long)image.channels);
    at_tensor *x = at_new(r, 4, (int64_t[]){in->B, image.height, image.width, image.channels});
    if (x && !r->dry) memcpy(x->data, in->values, (size_t)at_numel(x) * sizeof *x->data);
    x = stem(r, m, x, p);
    at_tensor *gates = b->n > 1 ? at_gate_open(r, &m->gate, view_of_gate(r, m, x), p, &ro) : NULL;
    at_tensor *y = answers(r, m, x, in->B, &ro, p), *more = NULL;
    if (b->n == 1) return y;
    const at_pass aside = {.collect = true}; /* they leave no trace in running means */
    if (at_bank_others(r, p, b, &ro, &others)) more = answers(r, m, x, in->B, &others, &aside);
    return at_experts_answer(r, b, p, y, gates, more);
}

static at_banks *conv_moe_banks(void *model) { return &((conv_moe *)model)->banks; }

static void conv_moe_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = labels_of(c),
                   .context = 1,
                   .layers = 1,
                   .width = c->hidden_size,
                   .answers = c->gate.n_experts > 1,
                   .inputs = c->height * c->width * c->channels};
}

static double conv_moe_aux(const void *cfg, at_aux *a) {
    (void)a;
    return ((const config *)cfg)->gate.n_experts > 1 ? 0 : -1;
}

const at_arch at_arch_conv_moe = {
    .name = "conv_moe",
    .hf_class = "ConvolutionalMixtureForImages",
    .source =
        "LeCun et al. 1998, Gradient-Based Learning Applied to Document Recognition; Xie et al. "
        "2024, MoDE, arXiv 2402.00893",
    .prefix = "",
    .keys = keys,
    .config_bytes = sizeof(config),
    .check = check,
    .init = conv_moe_init,
    .close = conv_moe_close,
    .reads = AT_INPUT_ROWS,
    .hidden = conv_moe_hidden,
    .banks = conv_moe_banks,
    .dims = conv_moe_dims,
    .aux = conv_moe_aux,
};
