/* mergekit.c - see mergekit.h. */
#include "infer/mergekit.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(x) offsetof(at_mergekit, x)
static const at_key table[] = {
    {"base_model", AT_KEY_STRING, AT(base), NULL, 0, 0, NULL,
     "folder that attention and norms are of"},
    {"gate_mode", AT_KEY_CHOICE, AT(gate), "hidden", 0, 0, "hidden|cheap_embed|random",
     "rows of routers: from hidden states of prompts, from their embeddings, drawn"},
    {"experts_per_token", AT_KEY_INT, AT(k), "2", 1, 65536, NULL, "experts a token uses"},
    {"dtype", AT_KEY_STRING, AT(dtype), "float32", 0, 0, NULL, "only float32"},
    {0},
};
#undef AT
#define AT(x) offsetof(at_mergekit_expert, x)
static const at_key expert_table[] = {
    {"name", AT_KEY_STRING, AT(name), "", 0, 0, NULL, "of the expert; e0, e1, ..."},
    {"source_model", AT_KEY_STRING, AT(model), NULL, 0, 0, NULL, "model folder"},
    {"positive_prompts", AT_KEY_STRINGS, AT(positive), "", 0, 0, NULL, "texts for this expert"},
    {"negative_prompts", AT_KEY_STRINGS, AT(negative), "", 0, 0, NULL, "texts for another one"},
    {0},
};

bool at_mergekit_is(const at_conf *f) { return at_conf_has(f, "base_model"); }

/* Keys of mergekit-moe that are known and refused. */
static at_status refuse(at_ctx *c, const at_conf *f, const at_mergekit *m) {
    static const struct {
        const char *key, *why;
    } no[] = {
        {"shared_experts", "a ModuleFormer has no experts that every token uses"},
        {"architecture", "the result is a ModuleFormer"},
        {"tokenizer_source", "all models have one tokenizer"},
        {"tokenizer", "all models have one tokenizer"},
        {"merge_method", "that is a recipe of mergekit-yaml; mergekit-moe's have `experts`"},
    };
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (at_conf_has(f, no[i].key))
            return at_conf_error(c, f, no[i].key, "is not supported: %s", no[i].why);
    if (strcmp(m->dtype, "float32") != 0)
        return at_conf_error(c, f, "dtype",
                             "expected float32, found %s: values are written as they are computed, "
                             "and `artel convert` narrows them",
                             m->dtype);
    return AT_OK;
}

static at_status read_expert(at_ctx *c, at_conf *f, const at_mergekit *m, int i,
                             at_mergekit_expert *e) {
    static const char *const no[] = {"noise_scale", "residual_scale", "weight"};
    char path[64];
    (void)snprintf(path, sizeof path, "experts.%d", i);
    at_status s = at_conf_bind(c, f, path, expert_table, e);
    for (size_t k = 0; k < sizeof no / sizeof *no && s == AT_OK; k++) {
        (void)snprintf(path, sizeof path, "experts.%d.%s", i, no[k]);
        if (at_conf_has(f, path))
            s = at_conf_error(c, f, path, "is not supported: experts are taken as they are");
    }
    (void)snprintf(path, sizeof path, "experts.%d.positive_prompts", i);
    if (s == AT_OK && m->gate != AT_MERGEKIT_RANDOM && !e->positive.n)
        s = at_conf_error(c, f, path, "gate_mode needs texts for every expert; random needs none");
    (void)snprintf(e->own, sizeof e->own, "e%d", i);
    if (!e->name) e->name = e->own;
    return s;
}

at_status at_mergekit_read(at_ctx *c, at_conf *f, at_mergekit *out) {
    const int64_t n = at_conf_count(f, "experts");
    at_status s = at_conf_bind(c, f, "", table, out);
    if (s == AT_OK) s = refuse(c, f, out);
    if (s == AT_OK && (n < 2 || n > AT_MERGEKIT_MOST))
        s = at_conf_error(c, f, "experts",
                          "expected a list of 2 to %d {source_model, ...}, found %lld",
                          AT_MERGEKIT_MOST, (long long)(n > 0 ? n : 0));
    for (out->n = 0; out->n < n && s == AT_OK; out->n++)
        s = read_expert(c, f, out, out->n, &out->expert[out->n]);
    return s;
}
