/*
 * gpt2.c - GPT-2: pre-norm transformer with learned positions (Radford et al. 2019).
 *
 * Parameters have the names and the layout of Hugging Face's GPT2LMHeadModel (weights of the blocks
 * are [in, out]), so that its checkpoints are used without conversion.
 */
#include "arch/arch.h"
#include "arch/layer.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t vocab_size, n_positions, n_embd, n_layer, n_head, n_inner, bos_token_id, eos_token_id;
    int activation; /* at_gelu_form */
    double resid_pdrop, embd_pdrop, attn_pdrop, layer_norm_epsilon, initializer_range;
    bool tie_word_embeddings, scale_attn_weights, scale_by_layer, cross_attention;
} config;

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"vocab_size", AT_KEY_INT, AT(vocab_size), "0", 0, 1 << 24, NULL, "tokens; 0: the data's"},
    {"n_positions", AT_KEY_INT, AT(n_positions), "1024", 1, 1 << 20, NULL, "longest context"},
    {"n_embd", AT_KEY_INT, AT(n_embd), "768", 1, 1 << 16, NULL, "width"},
    {"n_layer", AT_KEY_INT, AT(n_layer), "12", 1, 1024, NULL, "blocks"},
    {"n_head", AT_KEY_INT, AT(n_head), "12", 1, 1024, NULL, "attention heads"},
    {"n_inner", AT_KEY_INT, AT(n_inner), "-1", -1, 1 << 18, NULL, "hidden width; -1: 4 n_embd"},
    {"activation_function", AT_KEY_CHOICE, AT(activation), "gelu_new", 0, 0, "gelu_new|gelu",
     "of the feed-forward layer"},
    {"resid_pdrop", AT_KEY_REAL, AT(resid_pdrop), "0", 0, 0.99, NULL, "dropout of each branch"},
    {"embd_pdrop", AT_KEY_REAL, AT(embd_pdrop), "0", 0, 0.99, NULL, "dropout of the embedding"},
    {"attn_pdrop", AT_KEY_REAL, AT(attn_pdrop), "0", 0, 0.99, NULL,
     "dropout of attention weights; kept for other programs, not applied here"},
    {"layer_norm_epsilon", AT_KEY_REAL, AT(layer_norm_epsilon), "1e-5", 1e-12, 1, NULL,
     "added to the variance"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "0.02", 0, 10, NULL,
     "standard deviation of fresh weights"},
    {"tie_word_embeddings", AT_KEY_BOOL, AT(tie_word_embeddings), "true", 0, 0, NULL,
     "the output uses the input embedding"},
    {"scale_attn_weights", AT_KEY_BOOL, AT(scale_attn_weights), "true", 0, 0, NULL,
     "divide scores by sqrt(head size); only true is supported"},
    {"scale_attn_by_inverse_layer_idx", AT_KEY_BOOL, AT(scale_by_layer), "false", 0, 0, NULL,
     "only false is supported"},
    {"bos_token_id", AT_KEY_INT, AT(bos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text begins with; -1: none"},
    {"eos_token_id", AT_KEY_INT, AT(eos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text ends with; -1: the tokenizer's"},
    {"add_cross_attention", AT_KEY_BOOL, AT(cross_attention), "false", 0, 0, NULL,
     "only false is supported"},
    {0},
};

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    char path[128];
#define REFUSE(key, ...)                                                                \
    do {                                                                                \
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", key); \
        return at_conf_error(c, f, path, __VA_ARGS__);                                  \
    } while (0)
    if (g->n_embd % g->n_head)
        REFUSE("n_head", "n_embd = %lld is not a multiple of n_head = %lld", (long long)g->n_embd,
               (long long)g->n_head);
    if (g->n_inner == 0) REFUSE("n_inner", "expected a width, or -1 for 4 n_embd; found 0");
    if (*section &&
        g->attn_pdrop >
            0) /* ignored in a checkpoint, which is not trained here; refused in a recipe */
        REFUSE("attn_pdrop", "dropout of attention weights is not supported, only 0 is; "
                             "resid_pdrop and embd_pdrop are");
    if (!g->scale_attn_weights) REFUSE("scale_attn_weights", "only true is supported");
    if (g->scale_by_layer) REFUSE("scale_attn_by_inverse_layer_idx", "only false is supported");
    if (g->cross_attention) REFUSE("add_cross_attention", "only false is supported");
#undef REFUSE
    return AT_OK;
}

typedef struct {
    at_norm ln_1, ln_2;
    at_affine qkv, out, up, down;
} block;
typedef struct {
    config c;
    at_tensor *wte, *wpe, *head;
    at_norm ln_f;
    block *h;
} gpt2;

static int64_t inner(const config *c) { return c->n_inner > 0 ? c->n_inner : 4 * c->n_embd; }

static void gpt2_close(void *model) {
    gpt2 *m = model;
    if (m) at_free(m->h);
    at_free(m);
}

static at_status gpt2_trunk_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    gpt2 *m = at_calloc(s->ctx, 1, sizeof *m);
    if (!m || !(m->h = at_calloc(s->ctx, (size_t)c->n_layer, sizeof *m->h))) {
        gpt2_close(m);
        return AT_OOM;
    }
    m->c = *c;
    const int64_t C = c->n_embd, F = inner(c);
    const double std = c->initializer_range, residual = std / sqrt(2 * (double)c->n_layer);
    const int64_t positions[] = {c->n_positions, C};
    m->wpe =
        at_param_table(at_param(s, AT_INIT_NORMAL, std, 2, positions, "transformer.wpe.weight"));
    for (int i = 0; i < c->n_layer; i++) {
        block *b = &m->h[i];
        char path[64];
#define PATH(name) ((void)snprintf(path, sizeof path, "transformer.h.%d.%s", i, name), path)
        b->ln_1 = at_norm_init(s, PATH("ln_1"), C, true);
        b->qkv = at_affine_init(s, PATH("attn.c_attn"), C, 3 * C, 3 * C, std);
        b->out = at_affine_init(s, PATH("attn.c_proj"), C, C, C, residual);
        b->ln_2 = at_norm_init(s, PATH("ln_2"), C, true);
        b->up = at_affine_init(s, PATH("mlp.c_fc"), C, F, F, std);
        b->down = at_affine_init(s, PATH("mlp.c_proj"), F, C, C, residual);
#undef PATH
    }
    m->ln_f = at_norm_init(s, "transformer.ln_f", C, true);
    *model = m;
    return s->status;
}

static at_status gpt2_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    at_tensor *wte =
        at_words_init(s, "transformer.wte.weight", c->vocab_size, c->n_embd, c->initializer_range);
    const at_status status = gpt2_trunk_init(s, cfg, model);
    if (status != AT_OK) return status;
    gpt2 *m = *model;
    m->wte = wte;
    m->head = c->tie_word_embeddings ? wte
                                     : at_words_init(s, "lm_head.weight", c->vocab_size, c->n_embd,
                                                     c->initializer_range);
    return s->status;
}

static at_tensor *attend(at_run *r, const gpt2 *m, const block *b, at_tensor *x,
                         const at_input *in) {
    x = at_linear_io(r, x, b->qkv.w, b->qkv.b);
    x = in->spans.n ? at_attention_cached(r, x, &in->spans, b - m->h, (int)m->c.n_head)
                    : at_attention(r, x, in->B, in->T, (int)m->c.n_head);
    x = at_linear_io(r, x, b->out.w, b->out.b);
    return at_dropout(r, x, m->c.resid_pdrop);
}

static at_tensor *feed_forward(at_run *r, const gpt2 *m, const block *b, at_tensor *x) {
    x = at_linear_io(r, x, b->up.w, b->up.b);
    x = at_gelu(r, x, (at_gelu_form)m->c.activation);
    x = at_linear_io(r, x, b->down.w, b->down.b);
    return at_dropout(r, x, m->c.resid_pdrop);
}

static at_tensor *positions(at_run *r, const gpt2 *m, const at_input *in) {
    const int32_t *p = at_input_positions(r, in);
    for (int64_t i = 0; p && i < in->B * in->T; i++)
        if (p[i] >= m->c.n_positions)
            return at_fail(r, AT_ARG, "gpt2: a token at position %lld, but n_positions is %lld",
                           (long long)p[i], (long long)m->c.n_positions);
    return p ? at_embed(r, m->wpe, p, in->B * in->T) : NULL;
}

static at_tensor *gpt2_trunk(at_run *r, void *model, at_tensor *x, const at_input *in, at_pass *p) {
    const gpt2 *m = model;
    (void)p;
    if (in->first)
        return at_fail(r, AT_ARG, "gpt2: padding before a sequence would shift its positions");
    at_tensor *pos = positions(r, m, in);
    x = at_add(r, x, pos);
    x = at_dropout(r, x, m->c.embd_pdrop);
    for (int i = 0; i < m->c.n_layer; i++) {
        const block *b = &m->h[i];
        at_tensor *y = at_layernorm(r, x, b->ln_1.g, b->ln_1.b, m->c.layer_norm_epsilon);
        y = attend(r, m, b, y, in);
        x = at_add(r, x, y);
        y = at_layernorm(r, x, b->ln_2.g, b->ln_2.b, m->c.layer_norm_epsilon);
        y = feed_forward(r, m, b, y);
        x = at_add(r, x, y);
    }
    return at_layernorm(r, x, m->ln_f.g, m->ln_f.b, m->c.layer_norm_epsilon);
}

static at_tensor *gpt2_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    at_tensor *x = at_embed(r, ((gpt2 *)model)->wte, in->ids, in->B * in->T);
    return gpt2_trunk(r, model, x, in, p);
}

static at_tensor *gpt2_head(void *model) { return ((gpt2 *)model)->head; }

static void gpt2_dims(const void *cfg, at_dims *d) {
    const config *c = cfg;
    *d = (at_dims){.vocab = c->vocab_size,
                   .context = c->n_positions,
                   .layers = c->n_layer,
                   .width = c->n_embd,
                   .cache_width = c->n_embd,
                   .head_size = c->n_embd / c->n_head};
}

static bool ends_with(const char *s, const char *tail) {
    const size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* Causal-mask buffers of old checkpoints, and a tied head that is stored as well. */
static bool gpt2_ignore(const char *name) {
    return ends_with(name, ".attn.bias") || ends_with(name, ".attn.masked_bias") ||
           !strcmp(name, "lm_head.weight");
}

const at_arch at_arch_gpt2 = {
    .name = "gpt2",
    .hf_class = "GPT2LMHeadModel",
    .source = "Radford et al. 2019, Language Models are Unsupervised Multitask Learners",
    .prefix = "transformer.",
    .keys = keys,
    .config_bytes = sizeof(config),
    .check = check,
    .init = gpt2_init,
    .trunk_init = gpt2_trunk_init,
    .close = gpt2_close,
    .reads = AT_INPUT_IDS,
    .hidden = gpt2_hidden,
    .trunk = gpt2_trunk,
    .head = gpt2_head,
    .dims = gpt2_dims,
    .ignore = gpt2_ignore,
};
