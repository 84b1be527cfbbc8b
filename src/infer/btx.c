/* btx.c - see btx.h. */
#include "infer/btx.h"
#include <string.h>

/* ---- whether branches go together ---------------------------------------------------------------- */

/* Keys that say how a model was trained, or what other programs do with it, and not what it computes;
   of a single expert there is nothing to choose, either. */
static bool is_idle(const char *key) {
    static const char *const idle[] = {"initializer_range", "resid_pdrop",
                                       "embd_pdrop",        "moe_pdrop",
                                       "attn_pdrop",        "aux_loss_weight",
                                       "block_size",        "aux_loss_type",
                                       "history_length",    "sample_topk",
                                       "renormalise_gates", "gate_type",
                                       "gating_size",       NULL};
    for (const char *const *k = idle; *k; k++)
        if (!strcmp(key, *k)) return true;
    return false;
}

static cJSON *config_of(at_ctx *c, const at_model *m) {
    at_json j;
    at_json_open(&j, c);
    at_model_config(m, &j);
    return at_json_value(&j, m->path);
}

static at_status say_difference(at_ctx *c, const at_model *a, const at_model *b, const char *key,
                                const cJSON *x, const cJSON *y) {
    char *left = x ? at_json_text(c, x) : NULL, *right = y ? at_json_text(c, y) : NULL;
    const at_status s = at_error(
        c, AT_MISMATCH, "%s has %s: %s, but %s has %s: branches of one mixture come from one seed",
        b->path, key, right ? right : "(none)", a->path, left ? left : "(none)");
    at_free(left);
    at_free(right);
    return s;
}

static at_status compare_configs(at_ctx *c, const at_model *a, const at_model *b) {
    cJSON *x = config_of(c, a), *y = config_of(c, b);
    at_status s = x && y ? AT_OK : AT_OOM;
    for (const at_key *k = a->arch->keys; k->name && s == AT_OK; k++) {
        const cJSON *u = cJSON_GetObjectItemCaseSensitive(x, k->name);
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(y, k->name);
        if (!is_idle(k->name) && (u || v) && !cJSON_Compare(u, v, true))
            s = say_difference(c, a, b, k->name, u, v);
    }
    cJSON_Delete(x);
    cJSON_Delete(y);
    return s;
}

static const at_banks *banks_of(const at_model *m) {
    return m->arch->banks ? m->arch->banks(m->impl) : NULL;
}

static at_status check_dense(at_ctx *c, const at_model *m) {
    const at_banks *b = banks_of(m);
    if (strcmp(m->arch->name, "moduleformer") != 0)
        return at_error(c, AT_UNSUPPORTED,
                        "%s is of architecture %s: mode btx makes a mixture of dense models of "
                        "architecture moduleformer (n_att_experts: 1, n_mlp_experts: 1); models of "
                        "any architecture are composed whole, with mode ple or ensemble",
                        m->path, m->arch->name);
    for (int64_t i = 0; i < b->n; i++)
        if (b->bank[i].n != 1)
            return at_error(c, AT_MISMATCH,
                            "%s: layer %lld has %lld %s experts; branches are dense, with one "
                            "(mixtures of one base are put together by `artel module merge`)",
                            m->path, (long long)b->bank[i].id.layer, (long long)b->bank[i].n,
                            at_layer_kind_name[b->bank[i].id.kind]);
    return AT_OK;
}

static at_status check_pair(at_ctx *c, const at_model *a, const at_model *b) {
    at_status s = check_dense(c, b);
    if (s == AT_OK && a != b) s = compare_configs(c, a, b);
    const char *x = a->tokenizer ? a->tokenizer : "", *y = b->tokenizer ? b->tokenizer : "";
    if (s == AT_OK && strcmp(x, y) != 0)
        s = at_error(c, AT_MISMATCH, "%s was trained with tokenizer %.12s, %s with %.12s", b->path,
                     *y ? y : "(none)", a->path, *x ? x : "(none)");
    return s;
}

at_status at_btx_check(at_ctx *c, const at_btx *b) {
    at_status s = AT_OK;
    for (int i = 0; i < b->n && s == AT_OK; i++)
        s = check_pair(c, b->branch[0].model, b->branch[i].model);
    return s == AT_OK && b->base ? check_pair(c, b->branch[0].model, b->base) : s;
}

/* ---- its configuration ----------------------------------------------------------------------------- */

static void put_config(const at_btx *b, at_json *j) {
    static const char *const ours[] = {"n_mlp_experts",        "k_mlp",
                                       "n_att_experts",        "k_att",
                                       "renormalise_gates",    "gate_type",
                                       "gating_size",          "sample_topk",
                                       "mlp_experts_by_layer", "att_experts_by_layer"};
    const bool ffn = b->ffn == AT_BTX_EXPERTS, attention = b->attention == AT_BTX_EXPERTS;
    const cJSON *e = NULL;
    cJSON_ArrayForEach(e, b->branch[0].model->source) {
        bool mine = false;
        for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) mine |= !strcmp(e->string, ours[i]);
        if (!mine) at_json_put_value(j, e->string, e);
    }
    at_json_put_number(j, "n_mlp_experts", ffn ? b->n : 1);
    at_json_put_number(j, "k_mlp", ffn ? (double)b->k : 1);
    at_json_put_number(j, "n_att_experts", attention ? b->n : 1);
    at_json_put_number(j, "k_att", attention ? (double)b->k_att : 1);
    if (!ffn && !attention) return;
    at_json_put_bool(j, "renormalise_gates", b->renormalise);
    at_json_put_string(j, "gate_type", b->gate);
    at_json_put_number(j, "gating_size", (double)b->gating_size);
}

/* ---- its values -------------------------------------------------------------------------------------- */

static at_status read_values(at_ctx *c, const at_model *m, const at_param_entry *e, at_real *out) {
    const at_st_tensor t = at_checkpoint_tensor(&m->store, e, AT_SLAB_VALUE);
    return at_checkpoint_read(c, &t, out);
}

static at_status same_path(at_ctx *c, const at_model *m, const char *path,
                           const at_param_entry **out) {
    *out = at_store_find(&m->store, path);
    return *out ? AT_OK : at_error(c, AT_FORMAT, "%s: no parameter `%s`", m->path, path);
}

static at_status average(at_ctx *c, const at_btx *b, at_param_entry *to) {
    const int64_t n = at_numel(&to->t);
    at_real *x = at_malloc(c, (size_t)n * sizeof *x);
    double *sum = at_calloc(c, (size_t)n, sizeof *sum);
    at_status s = x && sum ? AT_OK : AT_OOM;
    for (int i = 0; i < b->n && s == AT_OK; i++) {
        const at_param_entry *from;
        s = same_path(c, b->branch[i].model, to->path, &from);
        if (s == AT_OK) s = read_values(c, b->branch[i].model, from, x);
        for (int64_t k = 0; k < n && s == AT_OK; k++) sum[k] += (double)x[k];
    }
    for (int64_t k = 0; k < n && s == AT_OK; k++) to->t.data[k] = (at_real)(sum[k] / b->n);
    at_free(x);
    at_free(sum);
    return s;
}

/* A parameter that all have at the same path. */
static at_status take(at_ctx *c, const at_btx *b, at_btx_part how, at_param_entry *to) {
    const at_param_entry *from;
    if (how == AT_BTX_AVERAGE) return average(c, b, to);
    const at_status s = same_path(c, b->base, to->path, &from);
    return s == AT_OK ? read_values(c, b->base, from, to->t.data) : s;
}

/* The parts of a bank: those of each branch, or one of all. */
static at_status fill_bank(at_ctx *c, const at_btx *b, at_btx_part how, const at_bank *bank) {
    at_status s = AT_OK;
    for (int64_t x = 0; x < bank->n; x++)
        for (int i = 0; i < bank->parts && s == AT_OK; i++) {
            at_param_entry *to = at_param_of(bank->part[i]->slot[x]);
            if (how != AT_BTX_EXPERTS) {
                s = take(c, b, how, to);
                continue;
            }
            const at_model *m = b->branch[x].model;
            const at_bank *of = at_bank_find(banks_of(m), bank->id);
            s = read_values(c, m, at_param_of(of->part[i]->slot[0]), to->t.data);
        }
    return s;
}

static bool in_banks(const at_banks *banks, const at_param_entry *e) {
    for (int64_t i = 0; i < banks->n; i++) {
        const at_bank *b = &banks->bank[i];
        for (int p = 0; p < b->parts; p++)
            if (e->of == b->part[p]) return true;
        if (b->row && e->of == b->row) return true;
    }
    return false;
}

static at_status fill(at_ctx *c, const at_btx *b, at_model *m) {
    const at_banks *banks = banks_of(m);
    at_status s = AT_OK;
    for (int64_t i = 0; i < banks->n && s == AT_OK; i++) {
        const bool attention = banks->bank[i].id.kind == AT_LAYER_ATTENTION;
        s = fill_bank(c, b, attention ? b->attention : b->ffn, &banks->bank[i]);
    }
    for (int64_t i = 0; i < m->store.n && s == AT_OK; i++) {
        at_param_entry *e = m->store.p[i];
        const bool router = !at_store_find(&b->branch[0].model->store, e->path);
        if (!router && !in_banks(banks, e)) s = take(c, b, b->rest, e);
    }
    return s;
}

at_status at_btx_make(at_ctx *c, const at_btx *b, at_model **out) {
    const at_model *first = b->branch[0].model;
    at_model *m = NULL;
    at_json j;
    *out = NULL;
    at_json_open(&j, c);
    put_config(b, &j);
    cJSON *config = at_json_value(&j, "the mixture's configuration");
    at_status s = config
                      ? at_model_load_parts(c, "the mixture's configuration", config, NULL, 0, &m)
                      : AT_OOM;
    cJSON_Delete(config);
    if (s == AT_OK) s = at_store_alloc(&m->store);
    if (s == AT_OK) {
        at_store_randomise(&m->store, b->seed);
        s = fill(c, b, m);
    }
    if (s == AT_OK && first->tokenizer && !(m->tokenizer = at_strdup(c, first->tokenizer)))
        s = AT_OOM;
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    return s;
}
