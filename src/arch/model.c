/* model.c - making, loading and saving models. */
#include "arch/model.h"
#include "arch/config.h"
#include "base/file.h"
#include <stdio.h>
#include <string.h>

void at_model_close(at_model *m) {
    if (!m) return;
    if (m->impl) m->arch->close(m->impl);
    at_store_close(&m->store);
    at_weights_close(&m->weights);
    cJSON_Delete(m->source);
    at_members_close(&m->members);
    at_config_close(&(at_config){m->arch, m->config});
    at_free(m->path);
    at_free(m->tokenizer);
    at_free(m);
}

/* Borrowed from the model. */
static at_config config_of(const at_model *m) { return (at_config){m->arch, m->config}; }

int64_t at_model_number(const at_model *m, const char *key, int64_t otherwise) {
    const at_config k = config_of(m);
    return at_config_number(&k, key, otherwise);
}

void at_model_end_token(at_model *m, int64_t id) {
    const at_config k = config_of(m);
    at_config_fill(&k, "bos_token_id", -1, id);
    at_config_fill(&k, "eos_token_id", -1, id);
}

at_modules at_model_modules(const at_model *m) {
    at_modules out = {0};
    if (m->arch->modules) m->arch->modules(m->config, &out);
    return out;
}

int at_model_module(const at_model *m, const char *name) {
    const at_modules l = at_model_modules(m);
    for (int i = 0; i < l.n; i++)
        if (!strcmp(l.name[i], name)) return i;
    return l.common && !strcmp(name, AT_MODULE_COMMON) ? l.n : -1;
}

at_banks *at_model_banks(const at_model *m) {
    return m->arch->banks ? m->arch->banks(m->impl) : NULL;
}

double at_model_aux(const at_model *m, at_aux *a) {
    *a = (at_aux){.factor = {1, 1}};
    return at_config_aux(&(at_config){m->arch, m->config}, a);
}

/* Architecture, configuration and declared parameters, no values. */
static at_status outline(at_ctx *c, at_conf *f, const char *section, bool recipe, int64_t vocab,
                         at_model **out) {
    at_config k;
    *out = NULL;
    at_status s = at_config_bind(c, f, section, recipe, vocab, &k);
    at_model *m = s == AT_OK ? at_calloc(c, 1, sizeof *m) : NULL;
    if (!m) {
        at_config_close(&k);
        return s == AT_OK ? AT_OOM : s;
    }
    m->arch = k.arch;
    m->config = k.values;
    at_store_init(&m->store, c);
    m->arch->dims(m->config, &m->dims);
    if (m->dims.vocab < 1)
        s = at_conf_error(c, f, section, "vocab_size: expected at least 1 token, found %lld",
                          (long long)m->dims.vocab);
    if (s == AT_OK) s = m->arch->init(&m->store, m->config, &m->impl);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    return s;
}

at_status at_model_outline(at_ctx *c, at_conf *f, const char *section, int64_t vocab,
                           at_model **out) {
    return outline(c, f, section, true, vocab, out);
}

at_status at_model_new(at_ctx *c, at_conf *f, const char *section, int64_t vocab, uint64_t seed,
                       at_model **out) {
    at_status s = outline(c, f, section, true, vocab, out);
    if (s != AT_OK) return s;
    s = at_store_alloc(&(*out)->store);
    if (s == AT_OK) {
        at_store_randomise(&(*out)->store, seed);
        return AT_OK;
    }
    at_model_close(*out);
    *out = NULL;
    return s;
}

at_load_options at_model_load_options(const at_model *m, bool borrow) {
    return (at_load_options){
        .prefix = m->arch->prefix, .ignore = m->arch->ignore, .borrow = borrow};
}

static size_t read_below(bool train) {
    return train ? SIZE_MAX : (size_t)1 << 30; /* larger files are mapped and not read */
}

/* From the open files. */
static at_status load_weights(at_ctx *c, at_model *m, bool train) {
    at_status s = AT_OK;
    const at_load_options how = at_model_load_options(m, !train);
    if (s == AT_OK) s = at_checkpoint_load(c, &m->store, &m->weights, &how);
    if (s == AT_OK && at_weights_bytes(&m->weights) <= read_below(train)) s = at_model_finite(c, m);
    if (s == AT_OK && m->weights.n) {
        const char *hash = at_st_meta(m->weights.file[0], "artel.tokenizer");
        if (hash && !(m->tokenizer = at_strdup(c, hash))) s = AT_OOM;
    }
    if (train) at_weights_close(&m->weights);
    if (train) m->finite = false; /* its values change */
    return s;
}

/* Without values, from a configuration of which it has a copy. */
static at_status outline_json(at_ctx *c, const char *name, const cJSON *config, at_model **out) {
    at_conf *f = NULL;
    char *text = at_json_text(c, config);
    const size_t bytes = text ? strlen(text) : 0;
    *out = NULL;
    at_status s = text ? at_conf_parse(c, name, text, bytes, &f) : AT_OOM;
    if (s == AT_OK) s = outline(c, f, "", false, 0, out);
    if (s == AT_OK) s = ((*out)->source = at_json_parse(c, name, text, bytes)) ? AT_OK : c->status;
    if (s != AT_OK) {
        at_model_close(*out);
        *out = NULL;
    }
    at_conf_close(f);
    at_free(text);
    return s;
}

/* The base becomes the model of all modules. */
static at_status take_members(at_ctx *c, const char *name, at_members *l, at_model **m) {
    const at_banks *banks = at_model_banks(*m);
    at_model *all = NULL;
    if (!banks)
        return at_error(c, AT_FORMAT, "%s: modules of a %s, which has no mixture layers", l->path,
                        (*m)->arch->name);
    int64_t *more = at_calloc(c, (size_t)banks->n, sizeof *more);
    at_status s = more ? at_members_count(c, l, banks, more) : AT_OOM;
    cJSON *config = s == AT_OK ? at_members_widen(c, (*m)->arch, banks, (*m)->source, more) : NULL;
    if (s == AT_OK) s = config ? outline_json(c, name, config, &all) : AT_OOM;
    if (s == AT_OK) s = at_members_own(c, l, at_model_banks(all));
    if (s == AT_OK) {
        all->members = *l;
        *l = (at_members){0};
        all->path = (*m)->path;
        (*m)->path = NULL;
        at_model_close(*m);
        *m = all;
    } else
        at_model_close(all);
    cJSON_Delete(config);
    at_free(more);
    return s;
}

static at_status outline_folder(at_ctx *c, const char *dir, bool members, at_model **m) {
    at_members l = {0};
    at_conf *f = NULL;
    char *path = at_join(c, dir, "config.json");
    at_status s = path ? at_conf_read(c, path, &f) : AT_OOM;
    if (s == AT_OK) s = outline(c, f, "", false, 0, m);
    if (s == AT_OK) s = ((*m)->path = at_strdup(c, dir)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = ((*m)->source = at_json_read(c, path)) ? AT_OK : c->status;
    if (s == AT_OK && members) s = at_members_read(c, dir, &l);
    if (s == AT_OK && l.n) s = take_members(c, path, &l, m);
    at_members_close(&l);
    at_conf_close(f);
    at_free(path);
    return s;
}

static at_status load_folder(at_ctx *c, const char *dir, bool members, bool train, at_model **out) {
    *out = NULL;
    at_model *m = NULL;
    at_status s = outline_folder(c, dir, members, &m);
    if (s == AT_OK && train) s = at_store_alloc(&m->store);
    if (s == AT_OK) s = at_weights_open(c, dir, read_below(train), &m->weights);
    for (int i = 0; s == AT_OK && i < m->members.n; i++)
        s = at_member_open(c, &m->members, i, at_model_banks(m), dir, read_below(train),
                           &m->weights);
    if (s == AT_OK) s = load_weights(c, m, train);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    return s;
}

at_status at_model_load(at_ctx *c, const char *dir, bool train, at_model **out) {
    return load_folder(c, dir, true, train, out);
}

at_status at_model_load_base(at_ctx *c, const char *dir, at_model **out) {
    return load_folder(c, dir, false, false, out);
}

at_status at_model_load_parts(at_ctx *c, const char *name, const cJSON *config,
                              const char *const *file, int64_t n, at_model **out) {
    *out = NULL;
    at_model *m = NULL;
    at_status s = outline_json(c, name, config, &m);
    for (int64_t i = 0; i < n && s == AT_OK; i++)
        s = at_weights_add(c, &m->weights, file[i], read_below(false));
    if (s == AT_OK && n) s = load_weights(c, m, false);
    if (s == AT_OK)
        *out = m;
    else
        at_model_close(m);
    return s;
}

static const char *where_of(const at_model *m) {
    return m->weights.n == 1 ? at_st_path(m->weights.file[0]) : m->path ? m->path : "the model";
}

at_status at_model_finite(at_ctx *c, at_model *m) {
    if (m->finite) return AT_OK;
    const at_status s = at_store_finite(c, &m->store, where_of(m));
    if (s == AT_OK) m->finite = true;
    return s;
}

at_status at_model_diagnose(at_ctx *c, at_model *m) {
    const at_status s = at_model_finite(c, m);
    return s != AT_OK ? s
                      : at_error(c, AT_NUMERIC,
                                 "%s: what the model computes is not finite, though all its "
                                 "parameters are: some are too large for float32",
                                 where_of(m));
}

int64_t at_model_numel(const at_model *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->store.n; i++)
        n += m->store.p[i]->absent ? 0 : at_numel(&m->store.p[i]->t);
    return n;
}

/* ---- saving -------------------------------------------------------------------- */

void at_model_config(const at_model *m, at_json *j) {
    const at_config k = config_of(m);
    at_config_put(j, &k, m->source, "float32");
}

void at_model_source(const at_model *m, const char *type, at_json *j) {
    at_config_put(j, NULL, m->source, type);
}

at_status at_model_write(at_ctx *c, const at_model *m, const char *dir, const char *tokenizer) {
    char *config = at_join(c, dir, "config.json"), *weights = at_join(c, dir, "model.safetensors");
    char *tok = at_join(c, dir, "tokenizer.json");
    at_status s =
        config && weights && tok ? at_store_finite(c, &m->store, "the model to be saved") : AT_OOM;
    if (s == AT_OK) {
        at_json j;
        at_json_open_file(&j, c);
        at_model_config(m, &j);
        s = at_json_save(&j, config);
    }
    const char *meta[] = {"artel.tokenizer", m->tokenizer ? m->tokenizer : "", NULL};
    if (s == AT_OK)
        s = at_checkpoint_save(c, &m->store, AT_SLAB_VALUE, weights, m->tokenizer ? meta : NULL);
    if (s == AT_OK && tokenizer) s = at_copy_file(c, tokenizer, tok);
    at_free(config);
    at_free(weights);
    at_free(tok);
    return s;
}

static at_status same_bytes(at_ctx *c, const char *a, const char *b, bool *same) {
    at_map x = {0}, y = {0};
    at_status s = at_map_open(c, a, &x);
    if (s == AT_OK) s = at_map_open(c, b, &y);
    *same = s == AT_OK && x.bytes == y.bytes && (!x.bytes || !memcmp(x.data, y.data, x.bytes));
    at_map_close(&x);
    at_map_close(&y);
    return s;
}

/* Whether the folder `there` has every file of `made`, byte for byte. */
static at_status holds(at_ctx *c, const char *there, const char *made, bool *same) {
    at_list l = {0};
    at_status s = at_list_names(c, made, &l);
    *same = true;
    for (int64_t i = 0; i < l.n && s == AT_OK && *same; i++) {
        char *a = at_join(c, made, l.item[i]), *b = at_join(c, there, l.item[i]);
        s = a && b ? AT_OK : AT_OOM;
        if (s == AT_OK && same_bytes(c, a, b, same) != AT_OK) {
            s = c->status == AT_OOM ? AT_OOM
                                    : AT_OK; /* a file that cannot be read counts as different */
            if (s == AT_OK) at_error_clear(c);
        }
        at_free(a);
        at_free(b);
    }
    at_list_free(&l);
    return s;
}

/* Renames the finished folder.  An existing folder of this name is kept: as it is if it holds the
   same model, otherwise under another name. */
static at_status deliver(at_ctx *c, const char *made, const char *dir) {
    bool same = false;
    char *kept = NULL;
    at_status s = AT_OK;
    if (at_exists(dir)) {
        s = holds(c, dir, made, &same);
        if (s != AT_OK || same) return s;
        s = at_move_aside(c, dir, &kept);
        if (s == AT_OK)
            at_log(c, AT_LOG_WARN, "%s was there and is another model: it is now %s", dir, kept);
        at_free(kept);
    }
    return s == AT_OK ? at_partial_commit(c, made, dir) : s;
}

at_status at_model_save(at_ctx *c, const at_model *m, const char *dir,
                        const char *source_tokenizer) {
    char *made = NULL;
    at_status s = at_partial_dir(c, dir, &made);
    if (s == AT_OK) s = at_model_write(c, m, made, source_tokenizer);
    if (s == AT_OK) s = deliver(c, made, dir);
    at_partial_drop(c, made);
    return s;
}

at_bank *at_model_answers(const at_model *m) {
    const at_banks *banks = m->dims.answers ? m->arch->banks(m->impl) : NULL;
    return banks && banks->n ? &banks->bank[banks->n - 1] : NULL;
}
