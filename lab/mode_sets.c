/* mode_sets.c - which tables, and how each is learnt. */
#include "base/file.h"
#include "base/sha256.h"
#include "data/table_read.h"
#include "lab/lab_page.h"
#include "lab/mode_lab.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST "tables.tsv"

/* Few rows to learn from: where there are many, nothing is left for experts to teach each other.  Hidden
   units, rates and epochs are those of a pilot, and were not chosen by what is compared here. */
const mode_set mode_sets[] = {
    {"digits", 32, 1e-3, 60, 300, MODE_IN_QUICK | MODE_IN_FULL | MODE_IN_CURVE | MODE_IN_DOSE},
    {"dna", 32, 1e-3, 15, 600, MODE_IN_QUICK | MODE_IN_FULL | MODE_IN_CURVE | MODE_IN_DOSE},
    {"segment", 32, 2e-3, 80, 300, MODE_IN_QUICK | MODE_IN_FULL},
    {"satellite", 64, 1e-3, 60, 600, MODE_IN_QUICK | MODE_IN_FULL},
    {"vowel", 64, 2e-3, 100, 594, MODE_IN_QUICK | MODE_IN_FULL | MODE_IN_CURVE},
    {"vehicle", 32, 2e-3, 60, 300, MODE_IN_QUICK | MODE_IN_FULL},
    {"soybean", 32, 2e-3, 40, 300, MODE_IN_QUICK | MODE_IN_FULL},
    {"gene", 32, 1e-3, 15, 600, MODE_IN_QUICK | MODE_IN_FULL},
    {"letter", 64, 1e-3, 40, 2000, MODE_IN_FULL},
    {"spam", 32, 1e-3, 30, 600, MODE_IN_FULL},
    {"cells", 32, 1e-3, 30, 600, MODE_IN_FULL},
    {"fashion-mnist", 64, 1e-3, 12, 3000, MODE_IN_FULL},
    {NULL, 32, 2e-3, 60, 600, 0},
};

const mode_set mode_made_set = {"domains", 32, 2e-3, 30, 600, 0};

/* At the scale of a test, every table. */
static const mode_set tiny_set = {"tiny", 4, 1e-2, 3, 40, 0};

static const mode_set *set_of(const mode *m, const char *name) {
    const mode_set *s = mode_sets;
    if (!m->scale->use) return &tiny_set;
    while (s->name && strcmp(s->name, name) != 0) s++;
    return s;
}

/* ---- where the tables are ---- */

/* From the heap: --data, or where tools/tables.sh puts them. */
static char *place_of(at_lab_session *l) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    char path[4096];
    if (l->o->data) return at_strdup(l->c, l->o->data);
    if (cache && *cache)
        (void)snprintf(path, sizeof path, "%s/artel/tables", cache);
    else
        (void)snprintf(path, sizeof path, "%s/.cache/artel/tables", home ? home : ".");
    return at_strdup(l->c, path);
}

/* What the results depend on: the list, or the one table, and the column that is told. */
at_status mode_open_data(at_lab_session *l) {
    at_ctx *c = l->c;
    char *place = place_of(l), *list = place ? at_join(c, place, LIST) : NULL;
    at_status s = list ? AT_OK : AT_OOM;
    if (s == AT_OK && at_exists(list) && l->o->label)
        s = at_error(c, AT_ARG, "%s says which column is the label: --label is of a single table",
                     list);
    else if (s == AT_OK && at_exists(list))
        s = at_sha256_file(c, list, l->data_hash);
    else if (s == AT_OK && (!at_exists(place) || at_is_dir(place)))
        s = at_error(c, AT_IO,
                     "%s: there is no table, and no " LIST
                     "; tools/tables.sh makes a folder of tables, --data names one, or a CSV",
                     place);
    else if (s == AT_OK)
        s = at_sha256_file(c, place, l->data_hash);
    at_free(place);
    at_free(list);
    return s;
}

/* ---- the list ---- */

typedef struct {
    at_table t;
    const at_column *name, *file, *label, *ignore;
} list;

static const char *cell(const at_column *k, int64_t row) {
    return k->level && k->level[row] >= 0 ? k->levels.name[k->level[row]] : "-";
}

static at_status open_list(at_ctx *c, const char *path, list *out) {
    static const char *const names[] = {"name", "file", "label", "ignore"};
    const at_column **to[] = {&out->name, &out->file, &out->label, &out->ignore};
    const at_table_options how = {.header = AT_HEADER_YES};
    *out = (list){0};
    at_status s = at_table_read(c, path, &how, &out->t);
    for (int i = 0; i < 4 && s == AT_OK; i++) {
        int64_t k = 0;
        s = at_table_column(c, &out->t, names[i], &k);
        *to[i] = &out->t.column[k];
    }
    return s;
}

static at_status read_named(mode *m, const char *place, const list *f, int64_t row) {
    const char *name = cell(f->name, row), *ignore = cell(f->ignore, row);
    char *path = at_join(m->l->c, place, cell(f->file, row));
    const at_status s = path ? at_rows_read(m->rows, name, path, cell(f->label, row),
                                            strcmp(ignore, "-") != 0 ? ignore : NULL)
                             : AT_OOM;
    at_free(path);
    m->set[m->n++] = set_of(m, name);
    return s;
}

/* Those of the scale that are there, in the order of mode_sets, which is that of the page. */
static at_status read_list(mode *m, const char *place, const char *path) {
    list f;
    at_status s = open_list(m->l->c, path, &f);
    for (const mode_set *z = mode_sets; z->name && s == AT_OK; z++) {
        int64_t row = 0;
        if (!(z->use & m->scale->use)) continue;
        while (row < f.t.rows && strcmp(cell(f.name, row), z->name) != 0) row++;
        s = row < f.t.rows
                ? read_named(m, place, &f, row)
                : at_lab_warn(m->l, "%s: there is no table %s: it is left out", path, z->name);
    }
    /* at the scale of a test, whatever is there */
    for (int64_t i = 0; m->scale->use == 0 && i < f.t.rows && m->n < MODE_SETS_MAX - 1; i++)
        if (s == AT_OK) s = read_named(m, place, &f, i);
    at_table_close(&f.t);
    if (s == AT_OK && !m->n)
        s = at_error(m->l->c, AT_ARG, "%s: none of the tables of this lab is there", path);
    return s;
}

static at_status read_one(mode *m, const char *path) {
    m->alone = true;
    m->set[m->n++] = set_of(m, "");
    return at_rows_read(m->rows, "table", path, m->l->o->label, NULL);
}

at_status mode_read(mode *m) {
    char *place = place_of(m->l), *path = place ? at_join(m->l->c, place, LIST) : NULL;
    at_status s = path ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_exists(path) ? read_list(m, place, path) : read_one(m, place);
    at_free(place);
    at_free(path);
    return s;
}
