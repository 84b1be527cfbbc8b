/* table_rdata.c - a data frame of R: its vectors become columns, factors those with levels. */
#include "data/rdata.h"
#include "data/table_kinds.h"
#include "data/utf8.h"
#include <stdio.h>
#include <string.h>

typedef struct {
    at_ctx *c;
    at_table *t;
    at_bytes word; /* a text as UTF-8 */
} frame;

/* A text as UTF-8 into f->word: what is neither marked as Latin-1 nor UTF-8 is Latin-1, too. */
static at_status word(frame *f, const at_robject *text) {
    const char *p = (const char *)text->data;
    at_status s = AT_OK;
    f->word.n = 0;
    if (text->n <= 0) return AT_OK;
    if (!text->latin1 && at_utf8_error(p, (size_t)text->n) < 0)
        return at_bytes_add(f->c, &f->word, p, (size_t)text->n);
    for (int64_t i = 0; i < text->n && !s; i++)
        s = text->data[i] ? at_bytes_rune(f->c, &f->word, text->data[i])
                          : at_error(f->c, AT_FORMAT, "%s: a text with a NUL", f->t->path);
    return s;
}

static bool has_class(const at_robject *o, const char *name) {
    const at_robject *class = at_robject_get(o->attr, "class");
    for (int64_t i = 0; class && class->type == AT_R_TEXTS && i < class->n; i++)
        if (at_robject_is(class->item[i], name)) return true;
    return false;
}

static bool is_frame(const at_robject *o) {
    const at_robject *names = at_robject_get(o->attr, "names");
    return o->type == AT_R_LIST && has_class(o, "data.frame") && names &&
           names->type == AT_R_TEXTS && names->n == o->n;
}

static at_status wrong(const frame *f, const at_column *k, const char *what) {
    return at_error(f->c, AT_FORMAT, "%s: column `%s`: %s", f->t->path, k->name, what);
}

/* ---- a column ---- */

static at_status factor(frame *f, at_column *k, const at_robject *v, const at_robject *levels) {
    at_status s = AT_OK;
    if (v->type != AT_R_INTS || levels->type != AT_R_TEXTS)
        return wrong(f, k, "expected a factor as numbers of its levels");
    for (int64_t i = 0; i < levels->n && !s; i++) {
        s = word(f, levels->item[i]);
        if (!s && at_levels_add(f->c, &k->levels, f->word.p, (size_t)f->word.n) < 0)
            s = f->c->status;
        if (!s && k->levels.n != i + 1) s = wrong(f, k, "a factor with a level twice");
    }
    for (int64_t i = 0; i < v->n && !s; i++) {
        const int32_t level = at_robject_int(v, i);
        k->level[i] = level == INT32_MIN ? -1 : level - 1;
        if (level != INT32_MIN && (level < 1 || level > k->levels.n))
            s = at_error(f->c, AT_FORMAT, "%s: row %lld, column `%s`: level %d of %lld", f->t->path,
                         (long long)i, k->name, (int)level, (long long)k->levels.n);
    }
    return s;
}

static at_status bools(frame *f, at_column *k, const at_robject *v) {
    if (at_levels_add(f->c, &k->levels, "FALSE", 5) < 0 ||
        at_levels_add(f->c, &k->levels, "TRUE", 4) < 0)
        return AT_OOM;
    for (int64_t i = 0; i < v->n; i++) {
        const int32_t x = at_robject_int(v, i);
        k->level[i] = x == INT32_MIN ? -1 : x != 0;
    }
    return AT_OK;
}

static at_status texts(frame *f, at_column *k, const at_robject *v) {
    at_status s = AT_OK;
    for (int64_t i = 0; i < v->n && !s; i++) {
        k->level[i] = -1;
        if (v->item[i]->n < 0) continue;
        s = word(f, v->item[i]);
        if (!s && (k->level[i] = at_levels_add(f->c, &k->levels, f->word.p, (size_t)f->word.n)) < 0)
            s = f->c->status;
    }
    return s ? s : at_column_sort(f->c, k, v->n);
}

static at_status column(frame *f, const at_robject *name, const at_robject *v) {
    const at_robject *levels = at_robject_get(v->attr, "levels");
    at_status s = word(f, name);
    if (s) return s;
    at_column *k = at_table_add(f->c, f->t, f->word.p, (size_t)f->word.n);
    if (!k) return AT_OOM;
    if (at_table_find(f->t, k->name) != f->t->n - 1)
        return at_error(f->c, AT_FORMAT, "%s: two columns are called `%s`", f->t->path, k->name);
    if (at_robject_get(v->attr, "dim"))
        return at_error(f->c, AT_UNSUPPORTED,
                        "%s: column `%s` is a matrix: expected one value a row", f->t->path,
                        k->name);
    const bool numbers =
        !levels && (v->type == AT_R_REALS || v->type == AT_R_INTS || v->type == AT_R_RANGE);
    if (!numbers && !levels && v->type != AT_R_BOOLS && v->type != AT_R_TEXTS)
        return at_error(f->c, AT_UNSUPPORTED,
                        "%s: column `%s` is no vector of numbers, logicals, texts or levels",
                        f->t->path, k->name);
    if (f->t->n == 1) f->t->rows = v->n;
    if (v->n != f->t->rows)
        return at_error(f->c, AT_FORMAT, "%s: column `%s` has %lld rows, the first column %lld",
                        f->t->path, k->name, (long long)v->n, (long long)f->t->rows);
    if (!numbers) {
        if (!(k->level = at_malloc(f->c, (size_t)v->n * sizeof *k->level))) return AT_OOM;
        return levels                  ? factor(f, k, v, levels)
               : v->type == AT_R_BOOLS ? bools(f, k, v)
                                       : texts(f, k, v);
    }
    if (!(k->number = at_malloc(f->c, (size_t)v->n * sizeof *k->number))) return AT_OOM;
    for (int64_t i = 0; i < v->n; i++) k->number[i] = at_robject_number(v, i);
    return AT_OK;
}

/* ---- which frame ---- */

/* The names of those there are, for a message. */
static at_status which(frame *f, const at_robject *all, at_status status, const char *what) {
    at_bytes list = {0};
    at_status s = AT_OK;
    for (int64_t i = 0; i < all->n && !s; i++) {
        if (!is_frame(all->item[i])) continue;
        if (list.n) s = at_bytes_add(f->c, &list, ", ", 2);
        if (!s && all->tag[i] && all->tag[i]->type == AT_R_TEXT) s = word(f, all->tag[i]);
        if (!s) s = at_bytes_add(f->c, &list, f->word.p, (size_t)f->word.n);
    }
    if (!s)
        s = at_error(f->c, status, "%s: %s: it has %.*s", f->t->path, what,
                     list.n ? (int)(list.n < 300 ? list.n : 300) : 4, list.n ? list.p : "none");
    at_bytes_free(&list);
    return s;
}

static at_status choose(frame *f, const at_robject *all, const at_table_options *o,
                        const at_robject **out) {
    int64_t frames = 0, named = -1, last = -1;
    for (int64_t i = 0; i < all->n; i++) {
        if (!is_frame(all->item[i])) continue;
        frames++;
        last = i;
        if (o->frame && at_robject_is(all->tag[i], o->frame)) named = i;
    }
    const bool must = o->frame && !(o->frame_if_many && frames == 1);
    if (!frames) return at_error(f->c, AT_FORMAT, "%s: no data frame in it", f->t->path);
    if (must && named < 0) {
        char what[120];
        (void)snprintf(what, sizeof what, "no data frame `%.80s`", o->frame);
        return which(f, all, AT_ARG, what);
    }
    if (!must && frames > 1)
        return which(f, all, AT_ARG, "several data frames, table.frame says which");
    *out = all->item[must ? named : last];
    return AT_OK;
}

at_status at_table_read_rdata(at_ctx *c, const char *text, size_t bytes, const at_table_options *o,
                              at_table *t) {
    frame f = {.c = c, .t = t};
    at_arena arena;
    const at_robject *all, *of = NULL;
    at_arena_init(&arena, c);
    at_status s = at_rdata_read(c, &arena, t->path, text, bytes, &all);
    if (!s) s = choose(&f, all, o, &of);
    const at_robject *names = s ? NULL : at_robject_get(of->attr, "names");
    for (int64_t i = 0; !s && i < of->n; i++) s = column(&f, names->item[i], of->item[i]);
    at_bytes_free(&f.word);
    at_arena_close(&arena);
    return s;
}
