/*
 * trunks.c - trunks that share an embedding and a head: Joint Expert Embedding Training, and with a
 * common trunk the Mixture of Experts with a Common Expert (Al-Maamari et al. 2024, arXiv 2407.19610,
 * section 3).
 *
 *   h_k = trunk_k(E[ids])              the blocks and the last norm of any architecture
 *   h   = mean of h_k over the trunks that are run
 *   logits = h W^T
 *
 * A pass runs the trunks that its input names (at_input.modules): one, with or without the common one;
 * several; all.  Beyond the paper, `combine: learned` weighs them for each token by a softmax over
 * products with a row that each trunk owns.  Rows begin at zero, which is the mean.
 *
 * A trunk has no embedding and no head of its own; learned positions belong to it.  Each is declared
 * under its name, trunks.<name>.<path in its architecture>, so that files, digests, globs and moments
 * know it without being told of trunks.
 */
#include "arch/config.h"
#include "arch/layer.h"
#include "base/file.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t vocab_size, bos_token_id, eos_token_id;
    at_strings modules;
    bool common, tie_word_embeddings;
    int combine;
    double common_dropout, initializer_range;
    at_config trunk;
} config;

enum { MEAN, LEARNED };

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"vocab_size", AT_KEY_INT, AT(vocab_size), "0", 0, 1 << 24, NULL, "tokens; 0: the data's"},
    {"modules", AT_KEY_STRINGS, AT(modules), "", 0, 0, NULL,
     "names of the trunks, each that of a domain; none: the domains of the data"},
    {"common", AT_KEY_BOOL, AT(common), "false", 0, 0, NULL,
     "one more trunk, which is always run and always trained"},
    {"combine", AT_KEY_CHOICE, AT(combine), "mean", 0, 0, "mean|learned",
     "of the trunks that are run; learned: each token weighs them"},
    {"common_dropout", AT_KEY_REAL, AT(common_dropout), "0", 0, 0.99, NULL,
     "share of the training steps that leave out the common trunk, so that the others learn to do "
     "without it"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "0.02", 0, 10, NULL,
     "standard deviation of the fresh embedding and head"},
    {"tie_word_embeddings", AT_KEY_BOOL, AT(tie_word_embeddings), "true", 0, 0, NULL,
     "the output uses the input embedding"},
    {"bos_token_id", AT_KEY_INT, AT(bos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text begins with; -1: none"},
    {"eos_token_id", AT_KEY_INT, AT(eos_token_id), "-1", -1, 1 << 24, NULL,
     "token a text ends with; -1: the tokenizer's"},
    {0},
};

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    const at_strings *m = &g->modules;
    char path[128];
#define REFUSE(key, ...)                                                                \
    do {                                                                                \
        (void)snprintf(path, sizeof path, "%s%s%s", section, *section ? "." : "", key); \
        return at_conf_error(c, f, path, __VA_ARGS__);                                  \
    } while (0)
    if (m->n > AT_MODULES_MAX)
        REFUSE("modules", "%lld trunks; at most %d", (long long)m->n, AT_MODULES_MAX);
    if (!m->n && !g->common && !*section)
        REFUSE("modules", "expected the names of the trunks, found none");
    for (int64_t i = 0; i < m->n; i++) {
        const char *name = m->item[i];
        if (!at_name_ok(name))
            REFUSE("modules", "`%.80s`: expected up to 64 letters, digits and ._-+", name);
        if (!strcmp(name, AT_MODULE_COMMON))
            REFUSE("modules", "`%s` is the name of the trunk that `common: true` adds", name);
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(name, m->item[k])) REFUSE("modules", "`%s` is there twice", name);
    }
    if (!*section) return AT_OK; /* a model of some trunks of another may lack the common one */
    if (!g->common && g->combine == LEARNED)
        REFUSE("combine", "learned weights need `common: true`: a trunk that is trained alone is "
                          "never weighed against another");
    if (!g->common && g->common_dropout > 0)
        REFUSE("common_dropout", "there is no common trunk to leave out: `common` is false");
#undef REFUSE
    return AT_OK;
}

typedef struct {
    void *impl;     /* of its architecture                      */
    at_tensor *row; /* [C] of `combine: learned`; NULL: the mean */
} trunk;
typedef struct {
    const config *c; /* the model's own, which lives as long */
    at_tensor *embed, *head;
    trunk *trunk; /* [n] */
    int n;        /* the common one, the last, included */
    int64_t layers;
} trunks;

static int count(const config *c) { return (int)c->modules.n + c->common; }

static at_dims trunk_dims(const config *c) {
    at_dims d = {0};
    c->trunk.arch->dims(c->trunk.values, &d);
    return d;
}

static void trunks_close(void *model) {
    trunks *m = model;
    if (!m) return;
    for (int i = 0; m->trunk && i < m->n; i++)
        if (m->trunk[i].impl) m->c->trunk.arch->close(m->trunk[i].impl);
    at_free(m->trunk);
    at_free(m);
}

/* Its parameters, and the numbers of its routers' layers: trunks follow each other. */
static at_status trunk_init(at_store *s, const trunks *m, int k) {
    const config *c = m->c;
    const at_arch *a = c->trunk.arch;
    trunk *t = &m->trunk[k];
    char scope[96];
    (void)snprintf(scope, sizeof scope, "trunks.%.64s",
                   k < c->modules.n ? c->modules.item[k] : AT_MODULE_COMMON);
    at_store_scope(s, scope);
    at_status status = a->trunk_init(s, c->trunk.values, &t->impl);
    const int64_t width = trunk_dims(c).width;
    if (status == AT_OK && c->combine == LEARNED)
        t->row = at_param(s, AT_INIT_ZERO, 0, 1, &width, "combine");
    at_store_scope(s, "");
    const at_banks *banks = status == AT_OK && a->banks ? a->banks(t->impl) : NULL;
    for (int64_t i = 0; banks && i < banks->n; i++) banks->bank[i].id.layer += k * m->layers;
    return s->status != AT_OK ? s->status : status;
}

static at_status trunks_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    const at_dims d = trunk_dims(c);
    trunks *m = at_calloc(s->ctx, 1, sizeof *m);
    if (!m) return AT_OOM;
    *m = (trunks){.c = c, .n = count(c), .layers = d.layers};
    *model = m; /* closed by the caller, whatever comes */
    if (!(m->trunk = at_calloc(s->ctx, (size_t)m->n, sizeof *m->trunk))) return AT_OOM;
    m->embed = at_words_init(s, "embed", c->vocab_size, d.width, c->initializer_range);
    at_status status = s->status;
    for (int k = 0; k < m->n && status == AT_OK; k++) status = trunk_init(s, m, k);
    if (status != AT_OK) return status;
    m->head = c->tie_word_embeddings
                  ? m->embed
                  : at_words_init(s, "head", c->vocab_size, d.width, c->initializer_range);
    return s->status;
}

/* The caches of trunk k in the place where an architecture looks for its own. */
static bool input_of(at_run *r, const trunks *m, int k, const at_input *in, at_input *out) {
    *out = *in;
    out->modules = 0;
    if (!in->spans.n) return true;
    at_span *span = at_run_alloc(r, (size_t)in->spans.n * sizeof *span);
    if (!span) return false;
    for (int64_t i = 0; i < in->spans.n; i++) {
        span[i] = in->spans.item[i];
        span[i].cache += k * m->layers;
    }
    out->spans.item = span;
    return true;
}

static at_tensor *trunks_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const trunks *m = model;
    const config *c = m->c;
    at_tensor *h[AT_MODULES_MAX + 1], *row[AT_MODULES_MAX + 1];
    at_tensor *x = at_embed(r, m->embed, in->ids, in->B * in->T);
    int n = 0;
    for (int k = 0; k < m->n; k++) {
        at_input own;
        if (in->modules && !(in->modules >> k & 1)) continue;
        if (!input_of(r, m, k, in, &own)) return NULL;
        row[n] = m->trunk[k].row;
        h[n++] = c->trunk.arch->trunk(r, m->trunk[k].impl, x, &own, p);
    }
    if (n == 0) return at_fail(r, AT_ARG, "trunks: no trunk is to be run");
    at_pass_modules(r, p, h, n);
    return n == 1 ? h[0] : at_blend(r, h, c->combine == LEARNED ? row : NULL, n);
}

static at_tensor *trunks_head(void *model) { return ((trunks *)model)->head; }

static void trunks_dims(const void *cfg, at_dims *out) {
    const config *c = cfg;
    at_dims d = trunk_dims(c);
    d.vocab = c->vocab_size;
    d.module_layers = d.layers;
    d.layers *= count(c);
    d.history = false;
    *out = d;
}

static void trunks_modules(const void *cfg, at_modules *out) {
    const config *c = cfg;
    *out = (at_modules){c->modules.item, (int)c->modules.n, c->common, c->common_dropout};
}

static double trunks_aux(const void *cfg, at_aux *a) {
    return at_config_aux(&((const config *)cfg)->trunk, a);
}

const at_arch at_arch_trunks = {
    .name = "trunks",
    .type = "artel-trunks",
    .hf_class = "ArtelTrunks",
    .source = "Al-Maamari et al. 2024, Mixture of Modular Experts, arXiv 2407.19610",
    .prefix = "",
    .keys = keys,
    .config_bytes = sizeof(config),
    .part = "trunk",
    .part_offset = offsetof(config, trunk),
    .check = check,
    .init = trunks_init,
    .close = trunks_close,
    .reads = AT_INPUT_IDS,
    .hidden = trunks_hidden,
    .head = trunks_head,
    .dims = trunks_dims,
    .modules = trunks_modules,
    .aux = trunks_aux,
};
