/* translate.c - see translate.h. */
#include "infer/translate.h"
#include "base/json.h"
#include "infer/continue.h"
#include <string.h>

enum { GROUP = 16, ROOM = 16 };

/* ---- loss ---- */

typedef struct {
    int32_t *input, *target, end[GROUP];
    int64_t cap_input, cap_target;
} room;

static at_status score_group(at_compute *cp, at_arena *arena, at_model *m, const at_bitext *p,
                             const int64_t *which, int64_t B, room *k, at_eval *out) {
    at_ctx *c = cp->ctx;
    const int64_t T = at_bitext_width(p, which, B);
    if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "interrupted");
    if (!at_reserve(c, &k->input, &k->cap_input, B * T, sizeof *k->input) ||
        !at_reserve(c, &k->target, &k->cap_target, B * T, sizeof *k->target))
        return AT_OOM;
    at_bitext_batch(p, which, B, T, k->input, k->target, k->end);
    at_pass pass = {.usage = out->usage};
    const at_input in = {.ids = k->input, .B = B, .T = T, .end = k->end};
    at_head_report rep = {0};
    const at_readout what = {.label = k->target, .parts = 1, .report = &rep};
    const at_status s = at_model_read(cp, arena, m, &in, &pass, &what);
    if (s != AT_OK) return s;
    out->nats += rep.ce * (double)rep.n_labels;
    out->tokens += rep.n_labels;
    out->windows += B;
    return AT_OK;
}

at_status at_bitext_loss(at_compute *cp, at_model *m, const at_bitext *p, int64_t limit,
                         at_eval *out) {
    const int64_t n = limit > 0 && limit < p->n ? limit : p->n;
    room k = {0};
    at_arena arena;
    at_arena_init(&arena, cp->ctx);
    int64_t *which = at_malloc(cp->ctx, (size_t)n * sizeof *which);
    at_status s = which ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < n && s == AT_OK; i++) which[i] = at_bitext_spread(p, limit, i);
    if (s == AT_OK) s = at_bitext_sort(cp->ctx, p, which, n);
    for (int64_t i = 0; i < n && s == AT_OK; i += GROUP)
        s = score_group(cp, &arena, m, p, which + i, n - i < GROUP ? n - i : GROUP, &k, out);
    at_free(which);
    at_free(k.input);
    at_free(k.target);
    at_arena_close(&arena);
    return s;
}

/* ---- what a model says of itself ---- */

at_status at_translate_sign(at_ctx *c, at_model *m, const at_dataset *set, const int *domain,
                            int n) {
    at_json j;
    at_json_open(&j, c);
    if (m->source) at_json_put_members(&j, m->source, AT_TRANSLATE_KEY);
    at_json_begin_object(&j, AT_TRANSLATE_KEY);
    at_json_begin_list(&j, "directions");
    for (int i = 0; i < n; i++) at_json_put_string(&j, NULL, set->domain[domain[i]].name);
    at_json_end(&j);
    at_json_put_bool(&j, "tagged", n > 0 && set->domain[domain[0]].tag != NULL);
    at_json_end(&j);
    cJSON *source = at_json_value(&j, "config.json");
    if (!source) return c->status;
    cJSON_Delete(m->source);
    m->source = source;
    return AT_OK;
}

at_status at_translate_tag(at_ctx *c, const at_model *m, const char *direction, char **tag) {
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(m->source, AT_TRANSLATE_KEY), *x = NULL;
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(o, "directions");
    char list[400] = "";
    size_t n = 0;
    const char *chosen = NULL;
    *tag = NULL;
    if (!cJSON_GetArraySize(all))
        return at_error(c, AT_UNSUPPORTED,
                        "%s was not trained to translate (task: translate): its config.json names "
                        "no directions",
                        m->path ? m->path : "the model");
    cJSON_ArrayForEach(x, all) {
        if (!cJSON_IsString(x))
            return at_error(c, AT_FORMAT, "%s: field \"directions\": expected a list of strings",
                            m->path);
        if (direction ? !strcmp(direction, x->valuestring) : cJSON_GetArraySize(all) == 1)
            chosen = x->valuestring;
        if (n < sizeof list)
            n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "", x->valuestring);
    }
    if (!chosen)
        return at_error(c, AT_ARG, "direction%s%s%s: expected one of %s", direction ? " `" : "",
                        direction ? direction : "", direction ? "`" : "", list);
    *tag = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "tagged")) ? at_pair_tag(c, chosen)
                                                                       : at_strdup(c, "");
    return *tag ? AT_OK : AT_OOM;
}

/* ---- texts ---- */

/* What the model reads of a text: with white space as in training. */
static at_status prompt(at_ctx *c, const at_lm *m, const at_translating *how, const char *text,
                        int32_t end, at_ids *ids) {
    at_bytes t = {0};
    at_status s = at_bytes_add(c, &t, how->tag, strlen(how->tag));
    if (s == AT_OK) s = at_pair_text(c, text, strlen(text), &t);
    if (s == AT_OK && t.n > 0)
        s = at_tokenizer_encode(c, m->tokenizer, t.p, (size_t)t.n, false, ids);
    at_bytes_free(&t);
    if (s != AT_OK) return s;
    if (!at_reserve(c, &ids->id, &ids->cap, ids->n + 1, sizeof *ids->id)) return AT_OOM;
    ids->id[ids->n++] = end;
    return AT_OK;
}

typedef struct {
    at_continuation *text; /* [n] */
    int64_t *read;         /* [n] tokens of what is translated */
} work;

/* Each is written up to a length of its own. */
static at_status write(at_compute *cp, const at_lm *m, const at_translating *how, work *w,
                       int64_t n) {
    const int64_t context = w->text[0].model->dims.context;
    int64_t longest = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t most = how->most > 0 ? how->most : 2 * w->read[i] + ROOM;
        if (w->read[i] + 1 > context)
            return at_error(cp->ctx, AT_ARG,
                            "text %lld: %lld tokens to translate, and the model takes %lld in all",
                            (long long)i + 1, (long long)w->read[i], (long long)context);
        const int64_t room_left = context - w->read[i];
        w->text[i].most = most < room_left ? most : room_left;
        if (w->text[i].most > longest) longest = w->text[i].most;
    }
    return at_continue_all(cp, m, w->text, n, longest);
}

at_status at_translate_texts(at_compute *cp, at_lm *m, const at_translating *how,
                             const char *const *text, int64_t n, char **out, bool *ended) {
    at_ctx *c = cp->ctx;
    work w = {.text = at_calloc(c, (size_t)n, sizeof *w.text),
              .read = at_calloc(c, (size_t)n, sizeof *w.read)};
    at_voice v = {0};
    at_status s = w.text && w.read ? AT_OK : AT_OOM;
    for (int64_t i = 0; i < n; i++) out[i] = NULL;
    if (s == AT_OK && !m->tokenizer)
        s = at_error(c, AT_ARG, "%s has no tokenizer.json, so no text can be read or written",
                     m->path);
    if (s == AT_OK) s = at_lm_voice(c, m, NULL, 0, &v);
    const int32_t end = s == AT_OK ? at_lm_end(m, v.model) : -1;
    if (s == AT_OK && end < 0) s = at_error(c, AT_ARG, "%s has no token that ends a text", m->path);
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        w.text[i] = (at_continuation){.model = v.model, .modules = v.modules};
        s = prompt(c, m, how, text[i], end, &w.text[i].ids);
        w.read[i] = w.text[i].ids.n;
    }
    if (s == AT_OK && n > 0) s = write(cp, m, how, &w, n);
    for (int64_t i = 0; i < n && s == AT_OK; i++) {
        const at_ids *ids = &w.text[i].ids;
        size_t bytes;
        out[i] =
            at_tokenizer_decode(c, m->tokenizer, ids->id + w.read[i], ids->n - w.read[i], &bytes);
        at_bytes one_line = {0};
        if (!out[i]) s = c->status;
        if (s == AT_OK) s = at_pair_text(c, out[i], bytes, &one_line);
        if (s == AT_OK) s = at_bytes_add(c, &one_line, "", 1);
        if (s == AT_OK) memcpy(out[i], one_line.p, (size_t)one_line.n);
        at_bytes_free(&one_line);
        if (ended) ended[i] = w.text[i].ended;
    }
    for (int64_t i = 0; i < n && w.text; i++) at_ids_free(&w.text[i].ids);
    at_free(w.text);
    at_free(w.read);
    return s;
}
