/* table_read.c - finds out what kind of table a file is, and has it read. */
#include "data/table_read.h"
#include "base/file.h"
#include "data/lines.h"
#include "data/picture.h"
#include "data/rdata.h"
#include "data/table_kinds.h"
#include "data/utf8.h"
#include <string.h>

static const int64_t MOST = (int64_t)1 << 32; /* bytes, decompressed */

/* "rows inputs outputs" alone on the first line. */
static bool is_fann(const char *text, size_t bytes) {
    size_t i = 0, numbers = 0;
    while (i < bytes && text[i] != '\n' && numbers < 4) {
        while (i < bytes && (text[i] == ' ' || text[i] == '\t' || text[i] == '\r')) i++;
        if (i == bytes || text[i] == '\n') break;
        const size_t begin = i;
        while (i < bytes && text[i] >= '0' && text[i] <= '9') i++;
        if (i == begin) return false;
        numbers++;
    }
    return numbers == 3;
}

/* The first line that is no comment begins with "@relation" or "@attribute". */
static bool is_arff(const char *text, size_t bytes) {
    size_t i = 0;
    while (i < bytes) {
        while (i < bytes &&
               (text[i] == ' ' || text[i] == '\t' || text[i] == '\r' || text[i] == '\n'))
            i++;
        if (i == bytes || text[i] != '%') break;
        while (i < bytes && text[i] != '\n') i++;
    }
    return i + 2 < bytes && text[i] == '@' &&
           ((text[i + 1] | 32) == 'r' || (text[i + 1] | 32) == 'a');
}

static bool is_idx(const char *text, size_t bytes) {
    return bytes >= 8 && !text[0] && !text[1] && text[2] >= 8 && text[2] <= 14 && text[3] >= 1;
}

/* By what this is compressed that is not read here, and how it is unpacked; or NULL. */
static const char *packed_by(const char *text, size_t bytes) {
    if (bytes >= 6 && !memcmp(text,
                              "\xFD"
                              "7zXZ\0",
                              6))
        return "xz";
    return bytes >= 4 && !memcmp(text, "BZh", 3) && text[3] > '0' && text[3] <= '9' ? "bzip2"
                                                                                    : NULL;
}

/* The line of this byte, from 1. */
static int64_t line_of(const char *text, int64_t at) {
    int64_t line = 1;
    for (int64_t i = 0; i < at; i++) line += text[i] == '\n';
    return line;
}

at_status at_table_parse(at_ctx *c, const char *name, const char *text, size_t bytes,
                         const at_table_options *o, at_table *out) {
    static const at_table_options nothing = {0};
    *out = (at_table){.path = at_strdup(c, name)};
    if (!out->path) return AT_OOM;
    if (!o) o = &nothing;
    const char *packed = packed_by(text, bytes);
    const bool idx = is_idx(text, bytes), rdata = at_rdata_is(text, bytes);
    const bool picture = at_is_picture(text, bytes);
    const int64_t bad = idx || rdata || packed || picture ? -1 : at_utf8_error(text, bytes);
    at_status s = AT_OK;
    if (packed)
        s = at_error(c, AT_UNSUPPORTED,
                     "%s: compressed by %s, expected none, gzip or zstd: `%s -dc` unpacks it", name,
                     packed, packed);
    else if (bad >= 0)
        s = at_error(c, AT_FORMAT, "%s:%lld: not UTF-8 text (byte %lld)", name,
                     (long long)line_of(text, bad), (long long)bad);
    else if (o->frame && !o->frame_if_many && !rdata)
        s = at_error(c, AT_ARG, "%s: a data frame `%s` of R is asked for, and this is none", name,
                     o->frame);
    else if (rdata)
        s = at_table_read_rdata(c, text, bytes, o, out);
    else if (idx)
        s = at_table_read_idx(c, text, bytes, out);
    else if (picture)
        s = at_table_read_picture(c, text, bytes, o, out);
    else if (is_arff(text, bytes))
        s = at_table_read_arff(c, text, bytes, out);
    else if (is_fann(text, bytes))
        s = at_table_read_fann(c, text, bytes, out);
    else
        s = at_table_read_cells(c, text, bytes, o, out);
    if (!s && !out->rows) s = at_error(c, AT_FORMAT, "%s: a table without rows", name);
    for (int64_t i = 0; !s && i < o->n_levels; i++) {
        int64_t k;
        s = at_table_column(c, out, o->levels[i], &k);
        if (!s) s = at_column_to_levels(c, out, k);
    }
    if (s) at_table_close(out);
    return s;
}

static at_status slurp(at_ctx *c, const char *path, char **text, size_t *bytes) {
    at_lines *l;
    at_status s = at_lines_open(c, path, 1, &l);
    if (s) return s;
    s = at_lines_rest(c, l, MOST, text, bytes);
    at_lines_close(l);
    return s;
}

/* The labels of images: "...images-idx3..." lie in "...labels-idx1...".  No such file: no labels. */
static at_status add_labels(at_ctx *c, const char *path, at_table *t) {
    const char *at = strstr(path, "images-idx3");
    char *text = NULL, *beside = at ? at_strdup(c, path) : NULL;
    size_t bytes;
    at_table labels = {0};
    if (!at) return AT_OK;
    if (!beside) return AT_OOM;
    memcpy(beside + (at - path), "labels-idx1", 11);
    at_status s = AT_OK;
    if (at_exists(beside)) {
        s = slurp(c, beside, &text, &bytes);
        if (!s) s = at_table_parse(c, beside, text, bytes, NULL, &labels);
        if (!s && (labels.n != 1 || labels.rows != t->rows || !labels.column[0].byte))
            s = at_error(c, AT_MISMATCH, "%s: expected %lld labels, one a row of %s", beside,
                         (long long)t->rows, path);
        at_column *k = s ? NULL : at_table_add(c, t, "label", 5);
        if (!s && !k) s = AT_OOM;
        if (!s) {
            k->byte = labels.column[0].byte;
            labels.column[0].byte = NULL;
            t->outputs = 1;
        }
    }
    at_table_close(&labels);
    at_free(text);
    at_free(beside);
    return s;
}

static at_status read_folder(at_ctx *c, const char *path, const at_table_options *o,
                             at_table *out) {
    static const at_table_options nothing = {0};
    out->path = at_strdup(c, path);
    const at_status s = out->path ? at_table_read_folder(c, path, o ? o : &nothing, out) : AT_OOM;
    if (s) at_table_close(out);
    return s;
}

at_status at_table_read(at_ctx *c, const char *path, const at_table_options *o, at_table *out) {
    char *text = NULL;
    size_t bytes = 0;
    *out = (at_table){0};
    if (at_is_dir(path)) return read_folder(c, path, o, out);
    at_status s = slurp(c, path, &text, &bytes);
    const bool idx = !s && is_idx(text, bytes);
    if (!s) s = at_table_parse(c, path, text, bytes, o, out);
    at_free(text);
    if (!s && idx) s = add_labels(c, path, out);
    if (s) at_table_close(out);
    return s;
}
