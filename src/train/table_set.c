/* table_set.c - from files to matrices. */
#include "train/table_set.h"
#include <math.h>
#include <string.h>

enum { MANY = 50 };

void at_table_set_close(at_table_set *s) {
    if (!s) return;
    at_features_close(&s->features);
    at_table_origin_close(&s->origin);
    for (int p = 0; p < AT_PARTS_OF_TABLE; p++) at_table_rows_close(&s->part[p]);
    at_free(s);
}

static at_table_options reading_of(const at_recipe *r) {
    return (at_table_options){
        .header = (at_table_header)r->table.header,
        .skip = r->table.skip,
        .levels = r->table.categories.item,
        .n_levels = r->table.categories.n,
        .frame = r->table.frame,
        .image = {.height = r->table.image_height, .width = r->table.image_width}};
}

static at_status origin_of(at_ctx *c, const at_recipe *r, at_table_origin *o) {
    o->header = r->table.header;
    o->skip = r->table.skip;
    o->own_test = r->table.test != NULL;
    o->resized = r->table.image_height > 0;
    const int64_t seed = r->table.split_seed < 0 ? r->top.seed : r->table.split_seed;
    o->split = (at_row_split_options){.seed = (uint64_t)seed,
                                      .validation = r->table.validation,
                                      .test = o->own_test ? 0 : r->table.test_share,
                                      .most = r->table.rows};
    if (r->table.validation + o->split.test >= 1)
        return at_error(
            c, AT_CONFIG,
            "table.validation and table.test_share are %g and %g: nothing is left to learn from",
            r->table.validation, o->split.test);
    const int64_t n = r->table.categories.n;
    if (!(o->levels = at_calloc(c, (size_t)n, sizeof *o->levels))) return AT_OOM;
    for (; o->n_levels < n; o->n_levels++)
        if (!(o->levels[o->n_levels] = at_strdup(c, r->table.categories.item[o->n_levels])))
            return AT_OOM;
    if (r->table.frame && !(o->frame = at_strdup(c, r->table.frame))) return AT_OOM;
    return AT_OK;
}

/* The column that is predicted: named, or the last one. */
static at_status label_of(at_ctx *c, const at_recipe *r, at_table *t, bool classes, int64_t *out) {
    char where[AT_WHERE];
    *out = t->n - 1;
    at_status s = r->table.label ? at_table_column(c, t, r->table.label, out) : AT_OK;
    if (s != AT_OK) return s;
    const at_column *k = &t->column[*out];
    if (k->image.height)
        return at_error(c, AT_MISMATCH, "%s: column `%s` has images, and there are no labels",
                        t->path, k->name);
    if (!r->table.label)
        at_log(c, AT_LOG_INFO, "%s: the label is the last column, `%s`", t->path, k->name);
    if (!classes && k->level)
        return at_error(
            c, AT_MISMATCH,
            "%s: column `%s` is to be predicted as a number, and holds `%.80s`: task: classify "
            "tells texts apart",
            at_table_where(t, 0, where), k->name, k->levels.n ? k->levels.name[0] : "");
    if (!classes) return AT_OK;
    const bool number = k->number != NULL;
    s = at_column_to_levels(c, t, *out);
    const int64_t n = t->column[*out].levels.n;
    if (s == AT_OK && number && n > MANY && 5 * n > t->rows)
        return at_error(
            c, AT_MISMATCH,
            "%s: column `%s` has %lld different numbers in %lld rows: they are to be predicted as "
            "numbers, by task: regress (of artel train: --regress), or else the column is named "
            "under table.categories",
            t->path, t->column[*out].name, (long long)n, (long long)t->rows);
    return s;
}

/* Classes that can never be tested. */
static void warn_of_single_rows(at_ctx *c, const at_table *t, int64_t label,
                                const int32_t *class_of) {
    const at_column *k = &t->column[label];
    int64_t singles = 0, which = 0;
    for (int64_t l = 0; k->level && l < k->levels.n; l++) {
        int64_t n = 0;
        for (int64_t i = 0; i < t->rows && n < 2; i++) n += class_of[i] == l;
        if (n == 1 && !singles++) which = l;
    }
    if (singles)
        at_log(c, AT_LOG_WARN,
               "%s: %lld class%s of `%s` with a single row, `%s` first: it is learnt from and "
               "never tested",
               t->path, (long long)singles, singles > 1 ? "es" : "", k->name,
               k->levels.name[which]);
}

/* A column of texts that all look like numbers is one of texts still. */
static at_status text_of(at_ctx *c, const at_recipe *r, at_table *t) {
    int64_t column;
    const at_status s = at_table_column(c, t, r->table.text, &column);
    return s == AT_OK && !t->column[column].image.height ? at_column_to_levels(c, t, column) : s;
}

static at_status fill(at_ctx *c, const at_recipe *r, at_table *t, int64_t label,
                      at_table_set *set) {
    const at_features_options how = {.scaling = (at_scaling)r->table.scale,
                                     .ignore = r->table.ignore.item,
                                     .n_ignore = r->table.ignore.n,
                                     .text = r->table.text,
                                     .text_length = r->table.text_length};
    at_row_split split = {0};
    int32_t *class_of = NULL;
    at_status s = at_table_strata(c, t, label, &class_of);
    if (s == AT_OK) warn_of_single_rows(c, t, label, class_of);
    if (s == AT_OK) s = at_row_split_make(c, t->rows, class_of, &set->origin.split, &split);
    if (s == AT_OK && r->table.text) s = text_of(c, r, t);
    if (s == AT_OK && !split.n[AT_PART_TRAIN])
        s = at_error(c, AT_FORMAT, "%s: no row has a label `%s`", t->path, t->column[label].name);
    if (s == AT_OK)
        s = at_features_fit(c, t, label, split.row[AT_PART_TRAIN], split.n[AT_PART_TRAIN], &how,
                            &set->features);
    for (int p = 0; p < AT_PARTS_OF_TABLE && s == AT_OK; p++)
        s = at_table_rows_read(c, &set->features, t, split.row[p], split.n[p], &set->part[p]);
    at_row_split_close(&split);
    at_free(class_of);
    return s;
}

/* Test rows of a file of their own. */
static at_status read_test(at_ctx *c, const at_recipe *r, at_table_set *set) {
    at_table_options how = reading_of(r);
    at_table t = {0};
    how.frame_if_many = true;
    how.image.channels = at_features_image(&set->features).channels;
    at_status s = at_table_read(c, r->table.test, &how, &t);
    at_table_rows_close(&set->part[AT_PART_TEST]);
    if (s == AT_OK)
        s = at_table_rows_read(c, &set->features, &t, NULL, 0, &set->part[AT_PART_TEST]);
    at_table_close(&t);
    return s;
}

static at_status make(at_ctx *c, const at_recipe *r, at_table *t, bool classes, at_table_set *set) {
    int64_t label = 0;
    at_status s = origin_of(c, r, &set->origin);
    if (s == AT_OK && set->origin.resized && !t->file)
        s = at_error(c, AT_CONFIG, "table.image_size: %s is no picture and no folder of pictures",
                     r->data.train);
    if (s == AT_OK) s = label_of(c, r, t, classes, &label);
    return s == AT_OK ? fill(c, r, t, label, set) : s;
}

at_status at_table_set_of(at_ctx *c, const at_recipe *r, at_table *t, bool classes,
                          at_table_set **out) {
    at_table_set *set = *out = at_calloc(c, 1, sizeof *set);
    if (!set) return AT_OOM;
    const at_status s = make(c, r, t, classes, set);
    if (s == AT_OK) return AT_OK;
    at_table_set_close(set);
    *out = NULL;
    return s;
}

at_status at_table_set_open(at_ctx *c, const at_recipe *r, bool classes, at_table_set **out) {
    const at_table_options how = reading_of(r);
    at_table t = {0};
    *out = NULL;
    at_status s = at_table_read(c, r->data.train, &how, &t);
    if (s == AT_OK) s = at_table_set_of(c, r, &t, classes, out);
    at_table_close(&t);
    if (s == AT_OK) s = at_table_sum(c, r->data.train, (*out)->origin.sha256);
    if (s == AT_OK && r->table.test) s = read_test(c, r, *out);
    if (s == AT_OK) return AT_OK;
    at_table_set_close(*out);
    *out = NULL;
    return s;
}

at_data at_table_data(at_table_set *s) {
    at_data d = {.set = s,
                 .outputs = s->features.classes.n ? s->features.classes.n : 1,
                 .inputs = s->features.inputs,
                 .text = at_features_text(&s->features),
                 .image = at_features_image(&s->features),
                 .samples = s->part[AT_PART_TRAIN].n};
    memcpy(d.hash, s->origin.sha256, sizeof d.hash);
    return d;
}
