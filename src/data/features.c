/* features.c - fitting, and reading rows. */
#include "data/features.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { KNOTS = 101, FEW = 50 };

static void feature_close(at_feature *f) {
    at_free(f->name);
    at_free(f->knot);
    at_levels_close(&f->levels);
}

void at_features_close(at_features *f) {
    for (int64_t i = 0; i < f->n; i++) feature_close(&f->feature[i]);
    at_free(f->feature);
    at_free(f->label);
    at_levels_close(&f->classes);
    *f = (at_features){0};
}

/* ---- fitting ---- */

typedef struct {
    at_ctx *c;
    const at_table *t;
    const int64_t *row;
    int64_t n;
} training;

/* Values of the training rows that are there, ascending. */
static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}
static int64_t values_of(const training *g, const at_column *k, double *v) {
    int64_t n = 0;
    for (int64_t i = 0; i < g->n; i++) {
        v[n] = at_column_value(k, g->row[i]);
        n += !isnan(v[n]);
    }
    if (n > 1) qsort(v, (size_t)n, sizeof *v, ascending);
    return n;
}

/* Mean and standard deviation, which is 0 of equal values. */
static void moments(const double *v, int64_t n, double *mean, double *spread) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) sum += v[i];
    *mean = n ? sum / (double)n : 0;
    for (int64_t i = 0; i < n; i++) squares += (v[i] - *mean) * (v[i] - *mean);
    *spread = n && v[0] < v[n - 1] ? sqrt(squares / (double)n) : 0;
}

static at_status fit_number(const training *g, const at_column *k, at_scaling scaling,
                            at_feature *f) {
    double *v = at_malloc(g->c, (size_t)(g->n + 1) * sizeof *v), spread;
    if (!v) return AT_OOM;
    const int64_t n = values_of(g, k, v);
    at_status s = AT_OK;
    moments(v, n, &f->shift, &spread);
    f->indicator = n < g->n && n > 0;
    f->width = n && v[0] < v[n - 1] ? 1 + f->indicator : 0;
    f->scale = spread > 0 ? 1 / spread : 1;
    if (!(f->scale - f->scale == 0))
        f->scale = 1; /* differences below the smallest number's inverse */
    if (k->byte && scaling != AT_SCALE_QUANTILE) {
        f->shift = 0;
        f->scale = 1.0 / 255;
    } else if (scaling == AT_SCALE_NONE) {
        f->shift = 0;
        f->scale = 1;
    }
    if (f->width && scaling == AT_SCALE_QUANTILE) {
        f->knots = n < KNOTS ? n : KNOTS;
        f->knot = at_calloc(g->c, (size_t)f->knots, sizeof *f->knot);
        if (!f->knot) s = AT_OOM;
        for (int64_t i = 0; i < f->knots && !s; i++) f->knot[i] = v[i * (n - 1) / (f->knots - 1)];
    }
    at_free(v);
    return s;
}

static at_status fit_levels(const training *g, const at_column *k, at_levels *out,
                            int64_t *missing) {
    bool *seen = at_calloc(g->c, (size_t)k->levels.n, sizeof *seen);
    at_status s = seen ? AT_OK : AT_OOM;
    *missing = 0;
    for (int64_t i = 0; i < g->n && !s; i++) {
        const int32_t l = k->level[g->row[i]];
        *missing += l < 0;
        if (l >= 0) seen[l] = true;
    }
    for (int64_t l = 0; l < k->levels.n && !s; l++) {
        const char *name = k->levels.name[l];
        if (seen[l] && at_levels_add(g->c, out, name, strlen(name)) < 0) s = g->c->status;
    }
    at_free(seen);
    return s;
}

at_image_size at_features_image(const at_features *f) {
    return f->n == 1 ? f->feature[0].image : (at_image_size){0};
}

bool at_features_text(const at_features *f) { return f->n == 1 && f->feature[0].text; }

/* The text of a row alone. */
static at_status fit_text(const training *g, int64_t label, const at_features_options *o,
                          at_features *out) {
    int64_t column;
    at_status s = at_table_column(g->c, g->t, o->text, &column);
    if (s) return s;
    if (column == label)
        return at_error(g->c, AT_CONFIG, "%s: table.text: column `%s` is what is predicted",
                        g->t->path, o->text);
    if (!g->t->column[column].level)
        return at_error(g->c, AT_CONFIG, "%s: table.text: column `%s` has no texts", g->t->path,
                        o->text);
    if (!at_reserve(g->c, &out->feature, &out->cap, 1, sizeof *out->feature)) return AT_OOM;
    out->feature[0] = (at_feature){
        .name = at_strdup(g->c, o->text), .text = true, .scale = 1, .width = o->text_length};
    out->n = 1;
    out->inputs = o->text_length;
    return out->feature[0].name ? AT_OK : AT_OOM;
}

static at_status fit_image(const training *g, const at_column *k, at_scaling scaling,
                           at_feature *f) {
    if (scaling == AT_SCALE_QUANTILE)
        return at_error(g->c, AT_CONFIG,
                        "%s: table.scale: quantiles are of columns of numbers, images are divided "
                        "by 255",
                        g->t->path);
    f->image = k->image;
    f->width = at_image_numel(k->image);
    f->scale = 1.0 / 255;
    return AT_OK;
}

static at_status fit_feature(const training *g, const at_column *k, at_scaling scaling,
                             at_feature *f) {
    *f = (at_feature){.name = at_strdup(g->c, k->name), .of_levels = k->level != NULL, .scale = 1};
    if (!f->name) return AT_OOM;
    if (k->image.height) return fit_image(g, k, scaling, f);
    if (!k->level) return fit_number(g, k, scaling, f);
    int64_t missing;
    const at_status s = fit_levels(g, k, &f->levels, &missing);
    if (s) return s;
    f->indicator = missing > 0 && f->levels.n > 1;
    if (f->levels.n > 1 || missing > 0) f->width = f->levels.n + f->indicator;
    if (f->levels.n > FEW && 2 * f->levels.n > g->n) f->width = 0;
    return AT_OK;
}

static bool ignored(const at_features_options *o, const char *name) {
    for (int64_t i = 0; i < o->n_ignore; i++)
        if (!strcmp(o->ignore[i], name)) return true;
    return false;
}

/* What is left out, in one warning. */
static void warn(at_ctx *c, const at_table *t, int64_t same, const char *first_same,
                 const char *many, int64_t levels) {
    if (same)
        at_log(c, AT_LOG_WARN,
               "%s: %lld column%s left out, `%s` first: the same in every training row", t->path,
               (long long)same, same > 1 ? "s are" : " is", first_same);
    if (many)
        at_log(c, AT_LOG_WARN,
               "%s: column `%s` is left out: its %lld different texts seem to number the rows",
               t->path, many, (long long)levels);
}

static at_status most_frequent(const training *g, const at_column *k, at_features *out) {
    int64_t *count = at_calloc(g->c, (size_t)k->levels.n, sizeof *count), best = -1;
    if (!count) return AT_OOM;
    for (int64_t i = 0; i < g->n; i++)
        if (k->level[g->row[i]] >= 0) count[k->level[g->row[i]]]++;
    for (int64_t l = 0; l < k->levels.n; l++)
        if (count[l] && (best < 0 || count[l] > count[best])) best = l;
    out->majority =
        at_levels_find(&out->classes, k->levels.name[best], strlen(k->levels.name[best]));
    at_free(count);
    return AT_OK;
}

static at_status fit_label(const training *g, int64_t label, at_features *out) {
    const at_column *k = &g->t->column[label];
    at_status s = (out->label = at_strdup(g->c, k->name)) ? AT_OK : AT_OOM;
    int64_t missing;
    if (!s && k->level) {
        s = fit_levels(g, k, &out->classes, &missing);
        if (!s && out->classes.n < 2)
            s = at_error(
                g->c, AT_FORMAT,
                "%s: column `%s`: expected two classes or more in %lld training rows, found %lld",
                g->t->path, k->name, (long long)g->n, (long long)out->classes.n);
        return s ? s : most_frequent(g, k, out);
    }
    double *v = s ? NULL : at_malloc(g->c, (size_t)(g->n + 1) * sizeof *v);
    if (!s && !v) s = AT_OOM;
    if (!s) {
        const int64_t n = values_of(g, k, v);
        moments(v, n, &out->mean, &out->spread);
        if (!(out->spread > 0))
            s = at_error(g->c, AT_FORMAT,
                         "%s: column `%s` is the same number in all of %lld training rows",
                         g->t->path, k->name, (long long)g->n);
    }
    at_free(v);
    return s;
}

at_status at_features_fit(at_ctx *c, const at_table *t, int64_t label, const int64_t *row,
                          int64_t n, const at_features_options *o, at_features *out) {
    const training g = {c, t, row, n};
    int64_t same = 0, levels = 0, known;
    const char *first = NULL, *many = NULL;
    *out = (at_features){.spread = 1};
    at_status s = fit_label(&g, label, out);
    if (o->text) {
        if (!s) s = fit_text(&g, label, o, out);
        if (s) at_features_close(out);
        return s;
    }
    for (int64_t i = 0; i < o->n_ignore && !s; i++) s = at_table_column(c, t, o->ignore[i], &known);
    for (int64_t i = 0; i < t->n && !s; i++) {
        const at_column *k = &t->column[i];
        if (i == label || ignored(o, k->name) || (t->outputs && i >= t->n - t->outputs)) continue;
        if (!at_reserve(c, &out->feature, &out->cap, out->n + 1, sizeof *out->feature)) {
            s = AT_OOM;
            break;
        }
        at_feature *f = &out->feature[out->n];
        s = fit_feature(&g, k, o->scaling, f);
        if (s || !f->width) {
            if (!s && f->levels.n > FEW) {
                many = k->name;
                levels = f->levels.n;
            } else if (!s && !same++) {
                first = k->name;
            }
            feature_close(f);
            continue;
        }
        f->at = out->inputs;
        out->inputs += f->width;
        out->n++;
    }
    if (!s) warn(c, t, same, first, many, levels);
    if (!s && !out->n)
        s = at_error(c, AT_FORMAT, "%s: no column beside `%s` differs from row to row", t->path,
                     out->label);
    if (s) at_features_close(out);
    return s;
}

/* ---- reading rows ---- */

void at_reading_close(at_reading *r) {
    for (int64_t i = 0; r->level && i < r->of->n; i++) at_free(r->level[i]);
    at_free(r->level);
    at_free(r->column);
    *r = (at_reading){0};
}

static at_status read_levels(at_ctx *c, at_reading *r, at_table *t, int64_t i) {
    const at_feature *f = &r->of->feature[i];
    at_status s = at_column_to_levels(c, t, r->column[i]);
    const at_column *k = &t->column[r->column[i]];
    if (!s && !(r->level[i] = at_calloc(c, (size_t)k->levels.n, sizeof *r->level[i]))) s = AT_OOM;
    for (int64_t l = 0; l < k->levels.n && !s; l++)
        r->level[i][l] = at_levels_find(&f->levels, k->levels.name[l], strlen(k->levels.name[l]));
    return s;
}

/* The first cell that is no number. */
static at_status no_numbers(at_ctx *c, const at_table *t, const at_column *k) {
    char where[AT_WHERE];
    int64_t i = 0;
    while (i + 1 < t->rows && k->level[i] < 0) i++;
    return at_error(c, AT_MISMATCH, "%s: column `%s`: expected a number, found `%.80s`",
                    at_table_where(t, i, where), k->name,
                    k->level[i] < 0 ? "" : k->levels.name[k->level[i]]);
}

static at_status check_images(at_ctx *c, const at_feature *f, const at_table *t,
                              const at_column *k) {
    const at_image_size a = f->image, b = k->image;
    if (a.height == b.height && a.width == b.width && a.channels == b.channels) return AT_OK;
    if (!a.height || !b.height)
        return at_error(c, AT_MISMATCH, "%s: column `%s` has %s, the model reads %s", t->path,
                        k->name, b.height ? "images" : "no images",
                        a.height ? "images" : "numbers or texts");
    return at_error(c, AT_MISMATCH,
                    "%s: images of %lld x %lld pixels of %lld values, the model reads %lld x %lld "
                    "of %lld",
                    t->path, (long long)b.height, (long long)b.width, (long long)b.channels,
                    (long long)a.height, (long long)a.width, (long long)a.channels);
}

at_status at_reading_open(at_ctx *c, const at_features *f, at_table *t, at_reading *out) {
    *out = (at_reading){.of = f, .t = t};
    out->column = at_calloc(c, (size_t)f->n, sizeof *out->column);
    out->level = at_calloc(c, (size_t)f->n, sizeof *out->level);
    at_status s = out->column && out->level ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < f->n && !s; i++) {
        const int64_t k = out->column[i] = at_table_find(t, f->feature[i].name);
        if (k < 0)
            s = at_error(c, AT_MISMATCH, "%s: no column `%s`, which the model reads", t->path,
                         f->feature[i].name);
        else if (f->feature[i].image.height || t->column[k].image.height)
            s = check_images(c, &f->feature[i], t, &t->column[k]);
        else if (f->feature[i].text)
            s = at_column_to_levels(c, t, k);
        else if (f->feature[i].of_levels)
            s = read_levels(c, out, t, i);
        else if (t->column[k].level && t->column[k].levels.n)
            s = no_numbers(c, t, &t->column[k]);
    }
    if (s) at_reading_close(out);
    return s;
}

/* The share of training values below v, from -sqrt 3 to sqrt 3, which has variance 1. */
static double quantile(const at_feature *f, double v) {
    int64_t below = 0, upto = f->knots; /* knots below v, and up to v */
    int64_t lo = 0, hi = f->knots;
    while (lo < hi) {
        const int64_t mid = (lo + hi) / 2;
        if (f->knot[mid] < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    below = lo;
    for (hi = f->knots; lo < hi;) {
        const int64_t mid = (lo + hi) / 2;
        if (f->knot[mid] <= v)
            lo = mid + 1;
        else
            hi = mid;
    }
    upto = lo;
    double at = ((double)below + (double)upto - 1) / 2; /* on knots: the middle of equal ones */
    if (below == upto)
        at = below == 0          ? 0
             : below == f->knots ? (double)(f->knots - 1)
                                 : (double)(below - 1) + (v - f->knot[below - 1]) /
                                                             (f->knot[below] - f->knot[below - 1]);
    return (2 * at / (double)(f->knots - 1) - 1) * 1.7320508075688772;
}

static void put_text(const at_column *k, int64_t row, int64_t width, at_real *to) {
    const char *s = k->level[row] < 0 ? "" : k->levels.name[k->level[row]];
    for (int64_t i = 0; i < width && s[i]; i++) to[i] = (at_real)(uint8_t)s[i] + 1;
}

void at_reading_row(const at_reading *r, int64_t row, at_real *x) {
    memset(x, 0, (size_t)r->of->inputs * sizeof *x);
    for (int64_t i = 0; i < r->of->n; i++) {
        const at_feature *f = &r->of->feature[i];
        const at_column *k = &r->t->column[r->column[i]];
        at_real *to = x + f->at;
        if (f->image.height) {
            const uint8_t *from = k->byte + row * f->width;
            for (int64_t p = 0; p < f->width; p++) to[p] = (at_real)((double)from[p] * f->scale);
            continue;
        }
        if (f->text) {
            put_text(k, row, f->width, to);
            continue;
        }
        const double v = at_column_value(k, row);
        if (isnan(v)) {
            if (f->indicator) to[f->width - 1] = 1;
        } else if (f->of_levels) {
            const int32_t l = r->level[i][k->level[row]];
            if (l >= 0) to[l] = 1;
        } else {
            to[0] = (at_real)(f->knot ? quantile(f, v) : (v - f->shift) * f->scale);
        }
    }
}
