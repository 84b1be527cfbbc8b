/* kept.c - see kept.h. */
#include "train/kept.h"
#include "base/file.h"
#include "io/safetensors.h"
#include <string.h>

enum { NUMBERS = 4 };

at_status at_kept_open(at_ctx *c, const at_model *m, at_kept *k) {
    k->n = m->store.numel;
    return (k->value = at_calloc(c, (size_t)k->n, sizeof *k->value)) ? AT_OK : AT_OOM;
}

void at_kept_close(at_kept *k) {
    at_free(k->value);
    *k = (at_kept){0};
}

void at_kept_offer(at_kept *k, const at_model *m, double score, double loss, bool better) {
    k->since++;
    if (!better) return;
    k->any = true;
    k->since = 0;
    k->score = score;
    k->loss = loss;
    memcpy(k->value, m->store.value, (size_t)k->n * sizeof *k->value);
}

void at_kept_restore(const at_kept *k, at_model *m) {
    if (k->any) memcpy(m->store.value, k->value, (size_t)k->n * sizeof *k->value);
}

at_status at_kept_save(at_ctx *c, const at_kept *k, const char *dir) {
    const int64_t few = NUMBERS;
    const double kept[NUMBERS] = {k->any, k->score, k->loss, (double)k->since};
    const at_dtype type = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64;
    at_st_writer *w = NULL;
    char *path = at_join(c, dir, AT_KEPT_FILE);
    at_status s = path ? at_st_writer_open(c, path, &w) : AT_OOM;
    if (s == AT_OK) s = at_st_writer_add(c, w, "best", type, 1, &k->n, k->value);
    if (s == AT_OK) s = at_st_writer_add(c, w, "kept", AT_DT_F64, 1, &few, kept);
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_free(path);
    return s;
}

static at_status find(at_ctx *c, const at_st *st, const char *name, int64_t n,
                      const at_st_tensor **out) {
    *out = at_st_find(st, name);
    if (*out && (*out)->rank == 1 && (*out)->dim[0] == n) return AT_OK;
    return at_error(c, AT_FORMAT, "%s: expected a tensor `%s` of %lld values", at_st_path(st), name,
                    (long long)n);
}

at_status at_kept_load(at_ctx *c, at_kept *k, const char *dir) {
    const at_st_tensor *t;
    double kept[NUMBERS];
    at_st *st = NULL;
    char *path = at_join(c, dir, AT_KEPT_FILE);
    at_status s = path ? at_st_open(c, path, &st) : AT_OOM;
    if (s == AT_OK) s = at_st_verify(c, st);
    if (s == AT_OK) s = find(c, st, "best", k->n, &t);
    if (s == AT_OK)
        s = sizeof(at_real) == 4 ? at_st_to_f32(c, t, (float *)(void *)k->value)
                                 : at_st_to_f64(c, t, (double *)(void *)k->value);
    if (s == AT_OK) s = find(c, st, "kept", NUMBERS, &t);
    if (s == AT_OK) s = at_st_to_f64(c, t, kept);
    if (s == AT_OK) {
        k->any = kept[0] > 0;
        k->score = kept[1];
        k->loss = kept[2];
        k->since = (int64_t)kept[3];
    }
    at_st_close(st);
    at_free(path);
    return s;
}
