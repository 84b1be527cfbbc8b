/* logits.c - sequences are read one by one, without padding, to save memory.  A model with routers
   reads all at once, since its auxiliary loss is a mean over all tokens. */
#include "infer/logits.h"
#include "arch/read.h"
#include "base/file.h"
#include <string.h>

typedef struct {
    int64_t B, T;
    int32_t *id;
    int32_t *first, *end; /* [B] real tokens of each sequence; NULL: all */
    bool left;            /* some sequence has padding before it         */
} tokens;

static at_status convert_ids(at_ctx *c, const at_st_tensor *t, const char *path, const at_lm *m,
                             tokens *out) {
    const int64_t vocab = m->vocab;
    if (t->rank < 1 || t->rank > 2)
        return at_error(c, AT_FORMAT, "%s: tensor `%s`: expected shape [B,T], found rank %d", path,
                        t->name, t->rank);
    out->B = t->rank == 2 ? t->dim[0] : 1;
    out->T = t->dim[t->rank - 1];
    const int64_t n = out->B * out->T;
    if (n < 1) return at_error(c, AT_FORMAT, "%s: tensor `%s` is empty", path, t->name);
    if (out->T > m->context)
        return at_error(c, AT_MISMATCH,
                        "%s: tensor `%s`: %lld tokens, the model takes at most %lld", path, t->name,
                        (long long)out->T, (long long)m->context);
    int64_t *wide = at_malloc(c, (size_t)n * sizeof *wide);
    out->id = at_malloc(c, (size_t)n * sizeof *out->id);
    at_status s = wide && out->id ? at_st_to_i64(c, t, wide) : AT_OOM;
    if (s == AT_FORMAT) (void)at_error_in(c, path);
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        if (wide[i] < 0 || wide[i] >= vocab)
            s = at_error(c, AT_FORMAT,
                         "%s: tensor `%s`: id %lld at position %lld is outside [0,%lld)", path,
                         t->name, (long long)wide[i], (long long)i, (long long)vocab);
        else
            out->id[i] = (int32_t)wide[i];
    }
    at_free(wide);
    return s;
}

/* The real tokens of a sequence must be contiguous: finds the first, and one past the last. */
static at_status find_run(at_ctx *c, const char *path, const int64_t *mask, int64_t b, int64_t T,
                          tokens *out) {
    int64_t first = 0, end = T;
    for (int64_t i = 0; i < T; i++)
        if (mask[i] != 0 && mask[i] != 1)
            return at_error(c, AT_FORMAT,
                            "%s: tensor `attention_mask`: expected 0 or 1, found %lld in sequence "
                            "%lld",
                            path, (long long)mask[i], (long long)b);
    while (first < T && !mask[first]) first++;
    while (end > first && !mask[end - 1]) end--;
    if (first == end)
        return at_error(c, AT_FORMAT,
                        "%s: tensor `attention_mask`: sequence %lld is nothing but padding", path,
                        (long long)b);
    for (int64_t i = first; i < end; i++)
        if (!mask[i])
            return at_error(c, AT_FORMAT,
                            "%s: tensor `attention_mask`: sequence %lld has a hole at position "
                            "%lld; padding stands before or after a sequence",
                            path, (long long)b, (long long)i);
    out->first[b] = (int32_t)first;
    out->end[b] = (int32_t)end;
    out->left |= first > 0;
    return AT_OK;
}

/* Mask values as integers; those of type BOOL are bytes. */
static at_status mask_values(at_ctx *c, const at_st_tensor *t, int64_t *out) {
    if (t->dtype != AT_DT_BOOL) return at_st_to_i64(c, t, out);
    for (size_t i = 0; i < t->bytes; i++) out[i] = ((const uint8_t *)t->data)[i];
    return AT_OK;
}

static at_status read_mask(at_ctx *c, const at_st_tensor *ids, const at_st_tensor *t,
                           const char *path, tokens *out) {
    bool same = t->rank == ids->rank;
    for (int i = 0; same && i < t->rank; i++) same = t->dim[i] == ids->dim[i];
    if (!same)
        return at_error(c, AT_FORMAT, "%s: tensor `attention_mask`: expected the shape of `%s`",
                        path, ids->name);
    int64_t *mask = at_malloc(c, (size_t)(out->B * out->T) * sizeof *mask);
    out->first = at_malloc(c, (size_t)out->B * sizeof *out->first);
    out->end = at_malloc(c, (size_t)out->B * sizeof *out->end);
    at_status s = mask && out->first && out->end ? mask_values(c, t, mask) : AT_OOM;
    if (s == AT_FORMAT) (void)at_error_in(c, path);
    for (int64_t b = 0; b < out->B && s == AT_OK; b++)
        s = find_run(c, path, mask + b * out->T, b, out->T, out);
    at_free(mask);
    return s;
}

/* The name follows the last ':' when the part before it ends in .safetensors. */
static at_status read_ids(at_ctx *c, const char *spec, const at_lm *m, tokens *out) {
    static const char ending[] = ".safetensors";
    char *path = at_strdup(c, spec);
    if (!path) return AT_OOM;
    const char *name = "input_ids";
    char *colon = strrchr(path, ':');
    if (colon && colon - path >= (long)sizeof ending - 1 &&
        !strncmp(colon - (sizeof ending - 1), ending, sizeof ending - 1)) {
        *colon = 0;
        name = colon + 1;
    }
    at_st *st = NULL;
    at_status s = at_st_open(c, path, &st);
    const at_st_tensor *t = s == AT_OK ? at_st_find(st, name) : NULL;
    if (s == AT_OK)
        s = t ? convert_ids(c, t, path, m, out)
              : at_error(c, AT_FORMAT, "%s: no tensor `%s` in it", path, name);
    const at_st_tensor *mask = s == AT_OK ? at_st_find(st, "attention_mask") : NULL;
    if (mask) s = read_mask(c, t, mask, path, out);
    at_st_close(st);
    at_free(path);
    return s;
}

/* Where logits [B T, V] go.  An expert may have a larger vocabulary than V, the smallest of all. */
typedef struct {
    int64_t V;
    float *to;
} table;
static void put_row(void *user, int64_t i, const at_real *logits) {
    const table *t = user;
    for (int64_t j = 0; j < t->V; j++) t->to[i * t->V + j] = (float)logits[j];
}

static at_status forward(at_compute *cp, at_model *x, at_arena *arena, const at_input *in,
                         at_pass *p, int64_t V, float *out) {
    table t = {V, out};
    return at_model_read(cp, arena, x, in, p, &(at_readout){.logits = put_row, .user = &t});
}

static at_status sequence(at_compute *cp, const at_lm *m, const at_ask *ask, at_arena *arena,
                          const int32_t *ids, int64_t T, float *out) {
    int e = 0;
    at_voice v;
    at_status s = at_lm_route(cp->ctx, m, ids, T, ask, NULL, &e);
    if (s == AT_OK) s = at_lm_voice(cp->ctx, m, ask, e, &v);
    if (s != AT_OK) return s;
    const at_input in = {.ids = ids, .B = 1, .T = T, .modules = v.modules};
    return forward(cp, v.model, arena, &in, NULL, m->vocab, out);
}

at_status at_logits(at_compute *cp, const at_lm *m, const at_ask *ask, const int32_t *ids,
                    int64_t n, float *out) {
    at_ctx *c = cp->ctx;
    if (n < 1 || n > m->context)
        return at_error(c, AT_ARG, "%s: expected 1 to %lld tokens, found %lld", m->path,
                        (long long)m->context, (long long)n);
    at_arena arena;
    at_arena_init(&arena, c);
    at_status s = at_lm_check_ids(c, m, ids, n);
    if (s == AT_OK) s = sequence(cp, m, ask, &arena, ids, n, out);
    at_arena_close(&arena);
    return s;
}

/* All sequences in one pass, for the auxiliary loss. */
static at_status together(at_compute *cp, at_model *x, at_arena *arena, const tokens *t,
                          float *logits, float *loss) {
    at_aux aux;
    const int64_t V = x->dims.vocab;
    const at_input in = {
        .ids = t->id, .B = t->B, .T = t->T, .first = t->left ? t->first : NULL, .end = t->end};
    at_pass p = {.aux = &aux};
    (void)at_model_aux(x, &aux);
    const at_status s = forward(cp, x, arena, &in, &p, V, logits);
    for (int64_t i = 0; t->first && i < t->B * t->T; i++) /* logits of padding are 0 */
        if (i % t->T < t->first[i / t->T] || i % t->T >= t->end[i / t->T])
            memset(logits + i * V, 0, (size_t)V * sizeof *logits);
    double sum = 0;
    for (int i = 0; i < AT_AUX_KINDS; i++) sum += aux.weight[i] * p.value[i];
    *loss = (float)sum;
    return s;
}

at_status at_logits_file(at_compute *cp, at_lm *m, const at_ask *ask, const char *ids,
                         const char *out) {
    at_ctx *c = cp->ctx;
    tokens t = {0};
    at_arena arena;
    at_arena_init(&arena, c);
    at_status s = at_check_out_file(c, out);
    if (s == AT_OK) s = read_ids(c, ids, m, &t);
    const int64_t V = m->vocab;
    float loss = 0, *logits = s == AT_OK
                                  ? at_calloc(c, (size_t)(t.B * t.T), (size_t)V * sizeof *logits)
                                  : NULL;
    if (s == AT_OK && !logits) s = AT_OOM;
    at_aux aux;
    const bool routers =
        m->n_experts == 1 && !m->trunks && at_model_aux(m->expert[0].model, &aux) >= 0;
    if (s == AT_OK && routers) s = together(cp, m->expert[0].model, &arena, &t, logits, &loss);
    for (int64_t b = 0; b < t.B && s == AT_OK && !routers; b++) {
        const int64_t first = t.first ? t.first[b] : 0, end = t.end ? t.end[b] : t.T;
        const int64_t at = b * t.T + first;
        s = sequence(cp, m, ask, &arena, t.id + at, end - first, logits + at * V);
    }
    at_st_writer *w = NULL;
    if (s == AT_OK) s = at_st_writer_open(c, out, &w);
    if (s == AT_OK)
        s = at_st_writer_add(c, w, "logits", AT_DT_F32, 3, (int64_t[]){t.B, t.T, V}, logits);
    if (s == AT_OK && routers)
        s = at_st_writer_add(c, w, "aux_loss", AT_DT_F32, 0, (int64_t[]){1}, &loss);
    if (s == AT_OK) s = at_st_writer_commit(c, w);
    at_st_writer_close(w);
    at_free(logits);
    at_free(t.id);
    at_free(t.first);
    at_free(t.end);
    at_arena_close(&arena);
    return s;
}
