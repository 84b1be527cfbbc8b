/* continue.c - texts of one model in groups, one session each. */
#include "infer/continue.h"
#include "infer/session.h"

typedef struct {
    at_compute *cp;
    const at_lm *m;
    at_chooser chooser;
    at_continuation *text[AT_TOGETHER]; /* still written, as session and part */
    at_session session[AT_TOGETHER];
    at_session *of[AT_TOGETHER];
    at_session_part part[AT_TOGETHER];
    int64_t n;
} group;

/* What each session reads first. */
static void read_prompts(group *g) {
    for (int64_t i = 0; i < g->n; i++) {
        const at_ids *ids = &g->text[i]->ids;
        const int64_t use = at_session_prompt(g->of[i], ids->n);
        g->part[i] = (at_session_part){g->of[i], ids->id + ids->n - use, use, NULL};
    }
}

/* The token that part i of the last pass leads to; false: the text has ended. */
static bool choose(group *g, int64_t i, at_status *s) {
    at_continuation *t = g->text[i];
    at_ctx *c = g->cp->ctx;
    int32_t id;
    *s = at_choose(c, &g->chooser, g->part[i].logits, &t->how, t->ids.id, t->ids.n, &id);
    if (*s != AT_OK) return false;
    t->ended = id == at_lm_end(g->m, t->model);
    if (t->ended) return false;
    if (!at_reserve(c, &t->ids.id, &t->ids.cap, t->ids.n + 1, sizeof id)) *s = AT_OOM;
    if (*s == AT_OK) t->ids.id[t->ids.n++] = id;
    return *s == AT_OK;
}

/* What the session of a text reads after its newest token. */
static at_session_part next_part(at_session *s, const at_ids *ids) {
    int64_t n = 1;
    if (at_session_length(s) == s->cap) {
        n = at_session_kept(s);
        at_session_rewind(s, 0);
    }
    return (at_session_part){s, ids->id + ids->n - n, n, NULL};
}

static at_status write_on(group *g, int64_t n) {
    at_status s = AT_OK;
    read_prompts(g);
    for (int64_t k = 0; k < n && g->n && s == AT_OK; k++) {
        if (at_interrupted(g->cp->ctx)) return at_error(g->cp->ctx, AT_INTERRUPTED, "interrupted");
        s = at_session_feed_all(g->part, g->n);
        int64_t left = 0;
        for (int64_t i = 0; i < g->n && s == AT_OK; i++) {
            if (!choose(g, i, &s) || (g->text[i]->most && k + 1 >= g->text[i]->most)) continue;
            g->text[left] = g->text[i];
            g->of[left] = g->of[i];
            g->part[left] = next_part(g->of[i], &g->text[i]->ids);
            left++;
        }
        g->n = left;
    }
    return s;
}

static at_status write_group(group *g, int64_t n) {
    const int64_t size = g->n;
    int64_t open = 0;
    at_status s = at_chooser_open(g->cp->ctx, g->text[0]->model->dims.vocab, &g->chooser);
    while (s == AT_OK && open < size) {
        s = at_session_open(g->cp, g->text[0]->model, 0, &g->session[open]);
        g->session[open].modules = g->text[0]->modules;
        if (s == AT_OK) g->of[open] = &g->session[open];
        if (s == AT_OK) open++;
    }
    if (s == AT_OK) s = write_on(g, n);
    while (open > 0) at_session_close(&g->session[--open]);
    at_chooser_close(&g->chooser);
    return s;
}

static bool same_voice(const at_continuation *a, const at_continuation *b) {
    return a->model == b->model && a->modules == b->modules;
}

at_status at_continue_all(at_compute *cp, const at_lm *m, at_continuation *text, int64_t texts,
                          int64_t n) {
    at_status s = AT_OK;
    for (int64_t first = 0; first < texts && s == AT_OK; first++) {
        group g = {.cp = cp, .m = m};
        bool before = false;
        for (int64_t i = 0; i < first && !before; i++) before = same_voice(&text[i], &text[first]);
        for (int64_t i = first; i < texts && !before && s == AT_OK; i++) {
            if (same_voice(&text[i], &text[first])) g.text[g.n++] = &text[i];
            if (g.n < AT_TOGETHER && (i + 1 < texts || !g.n)) continue;
            s = write_group(&g, n);
            g = (group){.cp = cp, .m = m};
        }
    }
    return s;
}
