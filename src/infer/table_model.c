/* table_model.c - a table within a configuration; forward passes over rows. */
#include "infer/table_model.h"
#include <string.h>

enum { PIECE = 256 }; /* rows */

bool at_model_of_tables(const at_model *m) { return m->arch->reads == AT_INPUT_ROWS; }

void at_table_origin_close(at_table_origin *o) {
    for (int64_t i = 0; i < o->n_levels; i++) at_free(o->levels[i]);
    at_free(o->levels);
    at_free(o->frame);
    *o = (at_table_origin){0};
}

at_table_options at_table_reading(const at_table_origin *o, const at_features *f) {
    at_image_size image = at_features_image(f);
    if (!o->resized) image.height = image.width = 0;
    return (at_table_options){.header = (at_table_header)o->header,
                              .skip = o->skip,
                              .levels = o->levels,
                              .n_levels = o->n_levels,
                              .frame = o->frame,
                              .frame_if_many = true,
                              .image = image};
}

/* ---- reading ---- */

static at_status read_origin(at_ctx *c, const char *name, const cJSON *o, at_table_origin *out) {
    const char *hash;
    const cJSON *list, *x;
    int64_t header = 0, seed = 0;
    at_status s = at_json_string(c, name, o, "sha256", &hash);
    if (s == AT_OK && strlen(hash) + 1 != sizeof out->sha256)
        s = at_error(c, AT_FORMAT, "%s: field \"sha256\": expected 64 hexadecimal digits", name);
    if (s == AT_OK) memcpy(out->sha256, hash, sizeof out->sha256);
    if (s == AT_OK) s = at_json_int(c, name, o, "header", AT_HEADER_AUTO, AT_HEADER_NO, &header);
    if (s == AT_OK) s = at_json_int(c, name, o, "skip", 0, INT64_C(1) << 40, &out->skip);
    if (s == AT_OK) s = at_json_int(c, name, o, "split_seed", 0, INT64_C(9000000000000000), &seed);
    if (s == AT_OK) s = at_json_number(c, name, o, "validation", &out->split.validation);
    if (s == AT_OK) s = at_json_number(c, name, o, "test", &out->split.test);
    if (s == AT_OK) s = at_json_int(c, name, o, "rows", 0, INT64_C(1) << 40, &out->split.most);
    if (s == AT_OK && !(out->split.validation >= 0 && out->split.test >= 0 &&
                        out->split.validation + out->split.test < 1))
        s = at_error(c, AT_FORMAT, "%s: shares of validation and test rows: %g and %g", name,
                     out->split.validation, out->split.test);
    out->header = (int)header;
    out->split.seed = (uint64_t)seed;
    out->own_test = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "test_file"));
    out->resized = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "resized"));
    if (s == AT_OK && cJSON_GetObjectItemCaseSensitive(o, "frame")) {
        const char *frame;
        s = at_json_string(c, name, o, "frame", &frame);
        if (s == AT_OK && !(out->frame = at_strdup(c, frame))) s = AT_OOM;
    }
    if (s == AT_OK) s = at_json_array(c, name, o, "categories", &list);
    if (s != AT_OK) return s;
    const int n = cJSON_GetArraySize(list);
    if (!(out->levels = at_calloc(c, (size_t)n, sizeof *out->levels))) return AT_OOM;
    cJSON_ArrayForEach(x, list) {
        if (!cJSON_IsString(x))
            return at_error(c, AT_FORMAT, "%s: field \"categories\": expected a list of strings",
                            name);
        if (!(out->levels[out->n_levels] = at_strdup(c, x->valuestring))) return AT_OOM;
        out->n_levels++;
    }
    return AT_OK;
}

at_status at_table_known(at_ctx *c, const at_model *m, at_features *f, at_table_origin *o) {
    const char *name = m->path ? m->path : "the model";
    const cJSON *t = NULL;
    *f = (at_features){0};
    *o = (at_table_origin){0};
    at_status s = m->source ? AT_OK : at_error(c, AT_FORMAT, "%s: it has no table yet", name);
    if (s == AT_OK) s = at_json_object(c, name, m->source, AT_TABLE_KEY, &t);
    if (s == AT_OK) s = at_features_read(c, name, t, f);
    const int64_t outputs = f->classes.n ? f->classes.n : 1;
    if (s == AT_OK && (f->inputs != m->dims.inputs || outputs != m->dims.vocab))
        s = at_error(
            c, AT_MISMATCH,
            "%s: its table comes to %lld inputs and %lld outputs, the model has %lld and %lld",
            name, (long long)f->inputs, (long long)outputs, (long long)m->dims.inputs,
            (long long)m->dims.vocab);
    if (s == AT_OK && at_features_text(f) != m->dims.text)
        s = at_error(c, AT_MISMATCH, "%s: its table has %s, the model reads %s", name,
                     m->dims.text ? "no texts" : "texts", m->dims.text ? "texts" : "numbers");
    if (s == AT_OK) s = read_origin(c, name, t, o);
    if (s == AT_OK) return s;
    at_features_close(f);
    at_table_origin_close(o);
    return s;
}

/* ---- writing ---- */

at_status at_table_sign(at_ctx *c, at_model *m, const at_features *f, const at_table_origin *o) {
    at_json j;
    at_json_open(&j, c);
    if (m->source) at_json_put_members(&j, m->source, AT_TABLE_KEY);
    at_json_begin_object(&j, AT_TABLE_KEY);
    at_json_put_string(&j, "sha256", o->sha256);
    at_json_put_number(&j, "header", o->header);
    at_json_put_number(&j, "skip", (double)o->skip);
    if (o->frame) at_json_put_string(&j, "frame", o->frame);
    at_json_begin_list(&j, "categories");
    for (int64_t i = 0; i < o->n_levels; i++) at_json_put_string(&j, NULL, o->levels[i]);
    at_json_end(&j);
    at_json_put_number(&j, "split_seed", (double)o->split.seed);
    at_json_put_number(&j, "validation", o->split.validation);
    at_json_put_number(&j, "test", o->split.test);
    at_json_put_number(&j, "rows", (double)o->split.most);
    at_json_put_bool(&j, "test_file", o->own_test);
    if (o->resized) at_json_put_bool(&j, "resized", true);
    at_features_write(f, &j);
    at_json_end(&j);
    cJSON *source = at_json_value(&j, "config.json");
    if (!source) return c->status;
    cJSON_Delete(m->source);
    m->source = source;
    return AT_OK;
}

/* ---- labels ---- */

at_status at_table_label(at_ctx *c, const at_features *f, at_table *t, int64_t *column) {
    char where[AT_WHERE];
    const int64_t k = *column = at_table_find(t, f->label);
    if (k < 0)
        return at_error(c, AT_MISMATCH, "%s: no column `%s`, which the model predicts", t->path,
                        f->label);
    if (f->classes.n || t->column[k].image.height) return at_column_to_levels(c, t, k);
    if (!t->column[k].level) return AT_OK;
    return at_error(c, AT_MISMATCH,
                    "%s: column `%s` is to be predicted as a number, and holds `%.80s`",
                    at_table_where(t, 0, where), f->label,
                    t->column[k].levels.n ? t->column[k].levels.name[0] : "");
}

at_status at_table_classes(at_ctx *c, const at_features *f, const at_column *k, int32_t **out) {
    *out = at_calloc(c, (size_t)k->levels.n, sizeof **out);
    if (!*out) return AT_OOM;
    for (int64_t i = 0; i < k->levels.n; i++)
        (*out)[i] = at_levels_find(&f->classes, k->levels.name[i], strlen(k->levels.name[i]));
    return AT_OK;
}

/* ---- answers ---- */

typedef struct {
    int64_t first;
    at_row_fn f;
    void *user;
} answer;

static void heard(void *user, int64_t i, const at_real *logits) {
    const answer *a = user;
    a->f(a->user, a->first + i, logits);
}

at_status at_table_answer(at_compute *cp, at_model *m, const at_real *x, int64_t n,
                          const at_watch *watch, at_row_fn f, void *user) {
    at_arena arena;
    at_status s = AT_OK;
    at_arena_init(&arena, cp->ctx);
    for (int64_t i = 0; i < n && s == AT_OK; i += PIECE) {
        const int64_t rows = n - i < PIECE ? n - i : PIECE;
        const at_input in = {.kind = AT_INPUT_ROWS,
                             .values = x + i * m->dims.inputs,
                             .B = rows,
                             .T = m->dims.inputs};
        answer a = {i, f, user};
        const at_readout what = {.logits = heard, .user = &a};
        at_pass p = {.watch = watch};
        s = at_interrupted(cp->ctx) ? at_error(cp->ctx, AT_INTERRUPTED, "interrupted")
                                    : at_model_read(cp, &arena, m, &in, &p, &what);
    }
    at_arena_close(&arena);
    return s;
}
