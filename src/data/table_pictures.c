/* table_pictures.c - a folder of pictures, one folder a class, as a table; the sum over its files. */
#include "base/clock.h"
#include "base/file.h"
#include "data/picture.h"
#include "data/table_kinds.h"
#include "data/table_read.h"
#include <string.h>

static const int64_t MOST = (int64_t)1 << 32; /* bytes of pixels */

typedef struct {
    at_ctx *c;
    const char *root;
    const at_table_options *o;
    at_list file;   /* below root, in order  */
    bool classes;   /* those in folders count, others do not */
    at_picture *p;  /* [rows] */
    int32_t *class; /* [rows] */
    at_levels levels;
    at_table *t;
    int64_t ignored;
    char *first; /* of those ignored */
    double began, said;
} reading;

/* Hidden files, and those in hidden folders. */
static bool hidden(const char *path) { return *path == '.' || strstr(path, "/."); }

static void tell(reading *r, int64_t i) {
    const double now = at_now();
    if (now - r->said < 0.5) return;
    r->said = now;
    at_log(r->c, AT_LOG_PROGRESS, "%s: %lld of %lld files, %.0f s left", r->root, (long long)i,
           (long long)r->file.n, i ? (now - r->began) * (double)(r->file.n - i) / (double)i : 0.0);
}

/* To the size that is asked, or that of the first one; grey ones become colour with the first that is. */
static at_status fit(reading *r, const char *name, at_picture *p) {
    const at_image_size want = r->o->image;
    at_status s = AT_OK;
    if (want.height) s = at_picture_resize(r->c, p, want.height, want.width);
    if (s == AT_OK && want.channels) s = at_picture_channels(r->c, p, want.channels);
    const at_image_size first = r->t->rows ? r->p[0].size : p->size;
    if (s == AT_OK && !want.height &&
        (p->size.height != first.height || p->size.width != first.width))
        s = at_error(r->c, AT_MISMATCH,
                     "%s is %lld x %lld pixels, %s is %lld x %lld (height x width): "
                     "table.image_size says which size all are to have",
                     r->t->file[0], (long long)first.height, (long long)first.width, name,
                     (long long)p->size.height, (long long)p->size.width);
    if (s == AT_OK && first.channels == 3) s = at_picture_channels(r->c, p, 3);
    for (int64_t i = 0; i < r->t->rows && s == AT_OK && first.channels < p->size.channels; i++)
        s = at_picture_channels(r->c, &r->p[i], 3);
    if (s == AT_OK && (double)at_image_numel(p->size) * (double)(r->t->rows + 1) > (double)MOST)
        s = at_error(r->c, AT_UNSUPPORTED, "%s: more than %lld bytes of pixels", r->root,
                     (long long)MOST);
    return s;
}

static at_status add(reading *r, const char *name, const char *path, at_picture *p) {
    const char *slash = strchr(path, '/');
    const at_status s = fit(r, name, p);
    if (s != AT_OK) return s;
    const int64_t i = r->t->rows;
    r->p[i] = *p;
    *p = (at_picture){0};
    r->class[i] = r->classes ? at_levels_add(r->c, &r->levels, path, (size_t)(slash - path)) : 0;
    if (r->class[i] < 0 || !(r->t->file[i] = at_strdup(r->c, name))) return r->c->status;
    r->t->rows++;
    return AT_OK;
}

static at_status read_one(reading *r, const char *path) {
    at_map map = {0};
    at_picture p = {0};
    char *name = at_join(r->c, r->root, path);
    at_status s = name ? at_map_open(r->c, name, &map) : AT_OOM;
    const bool in_class = strchr(path, '/') != NULL;
    if (s == AT_OK && (!at_is_picture(map.data, map.bytes) || in_class != r->classes)) {
        if (!r->ignored++ && !(r->first = at_strdup(r->c, name))) s = AT_OOM;
    } else if (s == AT_OK) {
        s = at_picture_parse(r->c, name, map.data, map.bytes, &p);
        if (s == AT_OK) s = add(r, name, path, &p);
    }
    at_picture_close(&p);
    at_map_close(&map);
    at_free(name);
    return s;
}

/* Moves the pixels of all pictures into a column. */
static at_status add_images(reading *r) {
    at_column *k = at_table_add(r->c, r->t, "image", 5);
    if (!k) return AT_OOM;
    k->image = r->p[0].size;
    const size_t each = (size_t)at_image_numel(k->image);
    if (!(k->byte = at_malloc(r->c, each * (size_t)r->t->rows))) return AT_OOM;
    for (int64_t i = 0; i < r->t->rows; i++) {
        memcpy(k->byte + (size_t)i * each, r->p[i].pixel, each);
        at_picture_close(&r->p[i]);
    }
    return AT_OK;
}

static at_status add_classes(reading *r) {
    at_column *k = r->classes ? at_table_add(r->c, r->t, "label", 5) : NULL;
    if (!r->classes) return AT_OK;
    if (!k) return AT_OOM;
    k->level = r->class;
    k->levels = r->levels;
    r->class = NULL;
    r->levels = (at_levels){0};
    r->t->outputs = 1;
    return at_column_sort(r->c, k, r->t->rows);
}

static at_status read_all(reading *r) {
    at_ctx *c = r->c;
    const size_t n = (size_t)r->file.n;
    r->p = at_calloc(c, n, sizeof *r->p);
    r->class = at_calloc(c, n, sizeof *r->class);
    r->t->file = at_calloc(c, n, sizeof *r->t->file);
    at_status s = r->p && r->class && r->t->file ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < r->file.n && s == AT_OK; i++) {
        tell(r, i);
        if (!hidden(r->file.item[i])) s = read_one(r, r->file.item[i]);
        if (s == AT_OK && at_interrupted(c)) s = at_error(c, AT_INTERRUPTED, "interrupted");
    }
    if (s == AT_OK && !r->t->rows)
        s = at_error(c, AT_FORMAT, "%s: expected PNG or JPEG files, in a folder for each class",
                     r->root);
    if (s == AT_OK && r->ignored)
        at_log(c, AT_LOG_WARN, "%s: %lld file%s left out, %s first: %s", r->root,
               (long long)r->ignored, r->ignored > 1 ? "s are" : " is", r->first,
               r->classes ? "no PNG or JPEG in the folder of a class" : "no PNG or JPEG");
    if (s == AT_OK) s = add_images(r);
    return s == AT_OK ? add_classes(r) : s;
}

at_status at_table_read_folder(at_ctx *c, const char *path, const at_table_options *o,
                               at_table *t) {
    if (o->frame && !o->frame_if_many)
        return at_error(c, AT_ARG, "%s: a data frame `%s` of R is asked for, and this is a folder",
                        path, o->frame);
    reading r = {.c = c, .root = path, .o = o, .t = t, .began = at_now(), .said = at_now()};
    at_status s = at_list_tree(c, path, &r.file);
    for (int64_t i = 0; i < r.file.n && s == AT_OK; i++)
        r.classes |= !hidden(r.file.item[i]) && strchr(r.file.item[i], '/');
    if (s == AT_OK) s = read_all(&r);
    for (int64_t i = 0; r.p && i < r.file.n; i++) at_picture_close(&r.p[i]);
    at_free(r.p);
    at_free(r.class);
    at_free(r.first);
    at_levels_close(&r.levels);
    at_list_free(&r.file);
    return s;
}

at_status at_table_read_picture(at_ctx *c, const char *data, size_t bytes,
                                const at_table_options *o, at_table *t) {
    at_picture p;
    reading r = {.c = c, .root = t->path, .o = o, .t = t, .p = &p};
    at_status s = at_picture_parse(c, t->path, data, bytes, &p);
    if (s == AT_OK) s = fit(&r, t->path, &p);
    if (s == AT_OK && !(t->file = at_calloc(c, 1, sizeof *t->file))) s = AT_OOM;
    if (s == AT_OK && !(t->file[0] = at_strdup(c, t->path))) s = AT_OOM;
    if (s == AT_OK) t->rows = 1;
    if (s == AT_OK) s = add_images(&r);
    at_picture_close(&p);
    return s;
}

/* Of a folder: names and sums of its files, those hidden apart. */
at_status at_table_sum(at_ctx *c, const char *path, char text[AT_SHA256_TEXT]) {
    at_list l = {0};
    at_sha256 h;
    unsigned char digest[AT_SHA256_BYTES];
    if (!at_is_dir(path)) return at_sha256_file(c, path, text);
    at_status s = at_list_tree(c, path, &l);
    at_sha256_init(&h);
    for (int64_t i = 0; i < l.n && s == AT_OK; i++) {
        char *name = hidden(l.item[i]) ? NULL : at_join(c, path, l.item[i]);
        if (hidden(l.item[i])) continue;
        s = name ? at_sha256_file(c, name, text) : AT_OOM;
        at_sha256_update(&h, l.item[i], strlen(l.item[i]) + 1);
        at_sha256_update(&h, text, s == AT_OK ? AT_SHA256_TEXT : 0);
        at_free(name);
    }
    at_sha256_final(&h, digest);
    at_sha256_hex(digest, text);
    at_list_free(&l);
    return s;
}
