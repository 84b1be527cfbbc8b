/*
 * text_classifier.c - texts to classes, or to a number: an embedding of bytes, the trunk of any
 * architecture, and a linear map of the mean over the tokens of a text.
 *
 *   h      = trunk(E[ids])               [B T, C], the blocks and the last norm
 *   logits = mean of h over a text W^T + b
 *
 * A text is a row of numbers (features.h): each byte plus 1, then 0 up to the length of all rows.  0 is
 * padding, which neither the mean nor the routers of the trunk see; an empty text is one such token,
 * which they do see.  A batch is as long as its longest text.
 */
#include "arch/config.h"
#include "arch/layer.h"
#include <stdio.h>

enum { WORDS = 257 };

typedef struct {
    int64_t n_inputs, num_labels;
    double initializer_range;
    at_config trunk;
} config;

#define AT(field) offsetof(config, field)
static const at_key keys[] = {
    {"n_inputs", AT_KEY_INT, AT(n_inputs), "0", 0, 1 << 15, NULL,
     "bytes of a text that are read; 0: as many as the data has"},
    {"num_labels", AT_KEY_INT, AT(num_labels), "0", 0, 1 << 24, NULL,
     "classes, or 1 number; 0: the data's"},
    {"initializer_range", AT_KEY_REAL, AT(initializer_range), "0.02", 0, 10, NULL,
     "standard deviation of the fresh embedding and head"},
    {0},
};

static at_dims trunk_dims(const config *c) {
    at_dims d = {0};
    c->trunk.arch->dims(c->trunk.values, &d);
    return d;
}

static at_status check(at_ctx *c, const at_conf *f, const char *section, const void *cfg) {
    const config *g = cfg;
    const at_dims d = trunk_dims(g);
    char path[128];
    (void)snprintf(path, sizeof path, "%s%sn_inputs", section, *section ? "." : "");
    if (d.context >= g->n_inputs) return AT_OK;
    return at_conf_error(c, f, path, "texts of %lld bytes, but the trunk reads %lld tokens at most",
                         (long long)g->n_inputs, (long long)d.context);
}

typedef struct {
    const config *c; /* the model's own, which lives as long */
    at_tensor *embed;
    void *trunk;
    at_affine head;
    at_banks none; /* of a trunk without mixtures */
} text_classifier;

static void text_classifier_close(void *model) {
    text_classifier *m = model;
    if (m && m->trunk) m->c->trunk.arch->close(m->trunk);
    at_free(m);
}

static at_status text_classifier_init(at_store *s, const void *cfg, void **model) {
    const config *c = cfg;
    const int64_t width = trunk_dims(c).width, labels = c->num_labels > 0 ? c->num_labels : 1;
    text_classifier *m = at_calloc(s->ctx, 1, sizeof *m);
    if (!m) return AT_OOM;
    m->c = c;
    *model = m; /* closed by the caller, whatever comes */
    m->embed = at_words_init(s, "embed", WORDS, width, c->initializer_range);
    at_store_scope(s, "trunk");
    const at_status status = c->trunk.arch->trunk_init(s, c->trunk.values, &m->trunk);
    at_store_scope(s, "");
    if (status != AT_OK) return status;
    m->head = at_affine_init(s, "classifier", labels, width, labels, c->initializer_range);
    return s->status;
}

/* Up to its last byte. */
static int64_t length_of(const at_real *row, int64_t n) {
    while (n > 1 && row[n - 1] == 0) n--;
    return n;
}

/* Rows as ids [B, longest] with their ends; in a dry run all are as long as they may be. */
static bool read_texts(at_run *r, const at_input *in, at_input *out) {
    const int64_t B = in->B, T = in->T;
    int64_t longest = 1;
    int32_t *end = at_run_alloc(r, (size_t)B * sizeof *end);
    if (!end) return false;
    for (int64_t b = 0; b < B; b++) {
        end[b] = (int32_t)(r->dry ? T : length_of(in->values + b * T, T));
        longest = end[b] > longest ? end[b] : longest;
    }
    int32_t *ids = at_run_alloc(r, (size_t)(B * longest) * sizeof *ids);
    if (!ids) return false;
    for (int64_t i = 0; i < B * longest; i++) {
        const at_real v = r->dry ? 0 : in->values[i / longest * T + i % longest];
        if (!(v >= 0 && v < WORDS)) {
            (void)at_fail(r, AT_ARG, "text_classifier: %g is no byte of a text", (double)v);
            return false;
        }
        ids[i] = (int32_t)v;
    }
    *out = (at_input){.ids = ids, .B = B, .T = longest, .end = end};
    return true;
}

/* Of each text, over its own tokens: [B, C]. */
static at_tensor *mean(at_run *r, at_tensor *h, const at_input *in) {
    at_tensor *share = at_new2(r, in->B, in->T);
    if (!h || !share) return NULL;
    for (int64_t i = 0; !r->dry && i < in->B * in->T; i++) {
        const int32_t n = in->end[i / in->T];
        share->data[i] = i % in->T < n ? 1 / (at_real)n : 0;
    }
    h = at_view(r, h, 3, (int64_t[]){in->B, in->T, at_cols(h)});
    return at_expert_sum(r, h, share);
}

static at_tensor *text_classifier_hidden(at_run *r, void *model, const at_input *in, at_pass *p) {
    const text_classifier *m = model;
    at_input text;
    if (in->T != m->c->n_inputs)
        return at_fail(r, AT_ARG, "text_classifier: texts of %lld bytes, expected %lld",
                       (long long)in->T, (long long)m->c->n_inputs);
    if (!read_texts(r, in, &text) || !at_pass_padding(r, p, &text)) return NULL;
    at_tensor *x = at_embed(r, m->embed, text.ids, text.B * text.T);
    x = m->c->trunk.arch->trunk(r, m->trunk, x, &text, p);
    return at_linear(r, mean(r, x, &text), m->head.w, m->head.b);
}

static at_banks *text_classifier_banks(void *model) {
    text_classifier *m = model;
    const at_arch *a = m->c->trunk.arch;
    return a->banks ? a->banks(m->trunk) : &m->none;
}

static void text_classifier_dims(const void *cfg, at_dims *out) {
    const config *c = cfg;
    const at_dims d = trunk_dims(c);
    *out = (at_dims){.vocab = c->num_labels > 0 ? c->num_labels : 1,
                     .context = 1,
                     .layers = d.layers,
                     .width = d.width,
                     .inputs = c->n_inputs,
                     .text = true};
}

static double text_classifier_aux(const void *cfg, at_aux *a) {
    return at_config_aux(&((const config *)cfg)->trunk, a);
}

const at_arch at_arch_text_classifier = {
    .name = "text_classifier",
    .type = "artel-text-classifier",
    .hf_class = "ArtelTextClassifier",
    .source = "Xue et al. 2022, ByT5, arXiv 2105.13626, for bytes as tokens",
    .prefix = "",
    .keys = keys,
    .config_bytes = sizeof(config),
    .part = "trunk",
    .part_offset = offsetof(config, trunk),
    .check = check,
    .init = text_classifier_init,
    .close = text_classifier_close,
    .reads = AT_INPUT_ROWS,
    .hidden = text_classifier_hidden,
    .banks = text_classifier_banks,
    .dims = text_classifier_dims,
    .aux = text_classifier_aux,
};
