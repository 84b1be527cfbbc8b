/* prune_make.c - see prune_make.h. */
#include "infer/prune_make.h"
#include "arch/closed.h"
#include "base/file.h"
#include <string.h>

/* ---- the configuration ---------------------------------------------------------------------- */

/* Slots of a bank of the new model. */
static int64_t slots_of(const at_prune_choice *p, int64_t b, bool forbid) {
    int64_t n = p->of->bank[b].n;
    for (int64_t e = 0; e < p->of->bank[b].n && !forbid; e++) n -= p->gone[b][e];
    return n;
}

static void put_closed(at_json *j, const at_prune_choice *p, bool forbid) {
    at_json_begin_list(j, "closed_experts");
    for (int64_t b = 0; b < p->of->n; b++) {
        const at_bank *bank = &p->of->bank[b];
        int64_t slot = 0; /* in the new model */
        for (int64_t e = 0; e < bank->n; e++) {
            char name[AT_SLOT_NAME];
            const bool was = bank->use && bank->use[e] == AT_SLOT_CLOSED;
            if (p->gone[b][e] && !forbid) continue;
            at_slot_name(bank->id, slot++, name);
            if (was || p->gone[b][e]) at_json_put_string(j, NULL, name);
        }
    }
    at_json_end(j);
}

static bool any_closed(const at_prune_choice *p, bool forbid) {
    bool any = false;
    for (int64_t b = 0; b < p->of->n; b++)
        for (int64_t e = 0; e < p->of->bank[b].n; e++)
            any |= (forbid && p->gone[b][e]) ||
                   (p->of->bank[b].use && p->of->bank[b].use[e] == AT_SLOT_CLOSED);
    return any;
}

static cJSON *new_config(at_ctx *c, const at_model *m, const at_prune_choice *p, at_prune_way way) {
    int64_t *more = at_calloc(c, (size_t)p->of->n, sizeof *more);
    if (!more) return NULL;
    for (int64_t b = 0; b < p->of->n; b++) more[b] = slots_of(p, b, way.forbid) - p->of->bank[b].n;
    cJSON *wide = at_members_widen(c, m->arch, p->of, m->source, more);
    const cJSON *e = NULL;
    at_free(more);
    if (!wide) return NULL;
    at_json j;
    at_json_open(&j, c);
    cJSON_ArrayForEach(e, wide) {
        if (!strcmp(e->string, "closed_experts")) continue;
        if (way.renormalise && !strcmp(e->string, "renormalise_gates")) continue;
        at_json_put_value(&j, e->string, e);
    }
    if (way.renormalise) at_json_put_bool(&j, "renormalise_gates", true);
    if (any_closed(p, way.forbid)) put_closed(&j, p, way.forbid);
    cJSON_Delete(wide);
    return at_json_value(&j, "config.json");
}

static bool has_key(const at_arch *a, const char *name) {
    for (const at_key *k = a->keys; k->name; k++)
        if (!strcmp(k->name, name)) return true;
    return false;
}

static at_status check(at_ctx *c, const at_model *m, at_prune_way way) {
    const at_arch *a = m->arch;
    const char *path = m->path ? m->path : "the model";
    if (!a->experts[AT_LAYER_FEED_FORWARD].by_layer || !has_key(a, "closed_experts"))
        return at_error(c, AT_UNSUPPORTED,
                        "%s: %s cannot be without some of its experts: moduleformer can", path,
                        a->name);
    if (way.renormalise && !has_key(a, "renormalise_gates"))
        return at_error(c, AT_CONFIG, "%s: %s has no key renormalise_gates", path, a->name);
    return AT_OK;
}

/* ---- values --------------------------------------------------------------------------------- */

/* The parameter of m that one of the new model is: slots are counted without what is gone. */
static at_param_entry *old_of(const at_model *m, const at_prune_choice *p, bool forbid,
                              const at_banks *banks, const at_param_entry *e) {
    for (int64_t b = 0; b < banks->n; b++) {
        const at_bank *bank = &banks->bank[b], *was = &p->of->bank[b];
        for (int i = -1; i < bank->parts; i++) {
            const at_stack *k = i < 0 ? bank->row : bank->part[i];
            if (k != e->of) continue;
            int64_t slot = 0, x = 0;
            while (k->slot[slot] != &e->t) slot++;
            for (;; x++) {
                if (p->gone[b][x] && !forbid) continue;
                if (!slot--) break;
            }
            return at_param_of((i < 0 ? was->row : was->part[i])->slot[x]);
        }
    }
    return at_store_find(&m->store, e->path);
}

static at_status fill(at_ctx *c, const at_model *m, const at_prune_choice *p, bool forbid,
                      at_model *new) {
    const at_banks *banks = new->arch->banks(new->impl);
    at_status s = AT_OK;
    for (int pass = 0; pass < 2 && s == AT_OK; pass++) { /* what is shared, then what is copied */
        for (int64_t i = 0; i < new->store.n &&s == AT_OK; i++) {
            at_param_entry *e = new->store.p[i];
            if (e->absent || (e->of->together && e->of->n > 1) != pass) continue;
            const at_param_entry *was = old_of(m, p, forbid, banks, e);
            if (!was || was->absent)
                return at_error(c, AT_MISMATCH, "pruning: `%s` has no values", e->path);
            if (!pass) {
                e->t.data = was->t.data;
                e->t.bf16 = was->t.bf16;
            } else {
                const at_st_tensor t = at_checkpoint_tensor(&m->store, was, AT_SLAB_VALUE);
                s = at_checkpoint_read(c, &t, e->t.data);
            }
        }
        if (!pass && s == AT_OK) s = at_store_alloc(&new->store);
    }
    return s;
}

at_status at_prune_make(at_ctx *c, const at_model *m, const at_prune_choice *choice,
                        at_prune_way way, at_model **out) {
    *out = NULL;
    at_status s = check(c, m, way);
    cJSON *config = s == AT_OK ? new_config(c, m, choice, way) : NULL;
    if (s == AT_OK && !config) s = c->status;
    if (s == AT_OK) s = at_model_load_parts(c, "the pruned model", config, NULL, 0, out);
    if (s == AT_OK) s = fill(c, m, choice, way.forbid, *out);
    if (s == AT_OK && m->tokenizer && !((*out)->tokenizer = at_strdup(c, m->tokenizer))) s = AT_OOM;
    cJSON_Delete(config);
    if (s == AT_OK) return AT_OK;
    at_model_close(*out);
    *out = NULL;
    return s;
}

/* ---- files ---------------------------------------------------------------------------------- */

/* The type that m's files have of a parameter. */
static at_dtype type_of(const at_model *m, const char *path, const char *stack) {
    const char *name[2] = {path, stack};
    const size_t n = strlen(m->arch->prefix);
    for (int i = 0; i < 2; i++) {
        const at_st_tensor *t = at_weights_find(&m->weights, name[i], NULL);
        if (!t && !strncmp(name[i], m->arch->prefix, n))
            t = at_weights_find(&m->weights, name[i] + n, NULL);
        if (t) return t->dtype;
    }
    return AT_DT_F32;
}

/* Whether a stack has matrices, or rows, of a bank's slots. */
static const at_bank *bank_of(const at_banks *banks, const at_stack *k, int64_t *b, bool *row) {
    for (*b = 0; *b < banks->n; (*b)++) {
        const at_bank *bank = &banks->bank[*b];
        *row = bank->row == k;
        bool in = *row;
        for (int i = 0; i < bank->parts; i++) in |= bank->part[i] == k;
        if (in) return bank;
    }
    return NULL;
}

double at_prune_bytes(const at_model *m, const at_prune_choice *p, at_prune_way way) {
    enum { FILE_HEADER = 512, HEADER = 140, ALIGN = 64 }; /* of a tensor, beside its name twice */
    double bytes = FILE_HEADER;
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_stack *k = m->store.stack[i];
        const at_param_entry *first = at_param_of(k->slot[0]);
        int64_t there = k->n, holes = 0, b;
        bool row;
        const at_bank *bank = bank_of(p->of, k, &b, &row);
        for (int64_t e = 0; bank && e < bank->n; e++) {
            const bool absent = at_param_of(k->slot[e])->absent;
            const bool gone = p->gone[b][e] && !(row && way.forbid);
            there -= absent || gone;
            holes += absent || (gone && way.forbid);
        }
        const double one =
            (double)at_numel(k->slot[0]) * (double)at_dtype_size(type_of(m, first->path, k->path));
        const double tensors = holes ? (double)there : 1;
        bytes += one * (double)there + tensors * (HEADER + ALIGN + 2 * (double)strlen(first->path));
    }
    return bytes;
}

typedef struct {
    at_ctx *c;
    const at_model *m, *pruned;
    at_st_writer *w;
} sink;

static at_status write_tensor(void *user, const at_st_tensor *t, const at_st_tensor *part,
                              int64_t parts) {
    const sink *to = user;
    const at_param_entry *e = at_store_find(&to->pruned->store, t->name);
    const at_dtype type = type_of(to->m, t->name, e ? e->of->path : t->name);
    return at_st_writer_add_parts(to->c, to->w, t->name, type, t->rank, t->dim, part, parts);
}

static at_status write_weights(at_ctx *c, const at_model *m, const at_model *pruned,
                               const char *path) {
    at_st_writer *w = NULL;
    at_status s = at_st_writer_open(c, path, &w);
    if (s == AT_OK) at_st_writer_interruptible(w);
    if (s == AT_OK && m->tokenizer) s = at_st_writer_meta(c, w, "artel.tokenizer", m->tokenizer);
    sink to = {c, m, pruned, w};
    if (s == AT_OK) s = at_checkpoint_each(c, &pruned->store, AT_SLAB_VALUE, write_tensor, &to);
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    return s;
}

static at_status copy_if_there(at_ctx *c, const char *from, const char *to, const char *name) {
    char *a = at_join(c, from, name), *b = at_join(c, to, name);
    at_status s = a && b ? AT_OK : AT_OOM;
    if (s == AT_OK && at_exists(a)) s = at_copy_file(c, a, b);
    at_free(a);
    at_free(b);
    return s;
}

at_status at_prune_write(at_ctx *c, const at_model *m, const at_model *pruned, const char *dir) {
    static const char *const others[] = {"tokenizer.json",
                                         "tokenizer_config.json",
                                         "vocab.json",
                                         "merges.txt",
                                         "added_tokens.json",
                                         "special_tokens_map.json",
                                         "generation_config.json"};
    char *config = at_join(c, dir, "config.json"), *weights = at_join(c, dir, "model.safetensors");
    at_status s = config && weights ? AT_OK : AT_OOM;
    if (s == AT_OK) {
        at_json j;
        at_json_open_file(&j, c);
        for (const cJSON *e = pruned->source->child; e; e = e->next)
            at_json_put_value(&j, e->string, e);
        s = at_json_save(&j, config);
    }
    if (s == AT_OK) s = write_weights(c, m, pruned, weights);
    for (size_t i = 0; i < sizeof others / sizeof *others && s == AT_OK && m->path; i++)
        s = copy_if_there(c, m->path, dir, others[i]);
    at_free(config);
    at_free(weights);
    return s;
}
