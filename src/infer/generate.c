/* generate.c - the loop of generation. */
#include "infer/generate.h"
#include "base/clock.h"
#include "base/maths.h"
#include <string.h>

typedef struct {
    at_compute *cp;
    at_lm *m;
    const at_generation *g;
    at_session session;
    at_ids ids; /* prompt and what was generated */
    at_chooser chooser;
    char held[8]; /* a UTF-8 sequence not complete yet */
    size_t n_held;
} text_state;

/* Length of the UTF-8 sequence that a lead byte begins; 1 for any other byte. */
static size_t sequence_length(unsigned char b) {
    return b >= 0xf0 && b < 0xf8 ? 4 : b >= 0xe0 && b < 0xf0 ? 3 : b >= 0xc2 && b < 0xe0 ? 2 : 1;
}

static void flush_held(text_state *t) {
    if (t->n_held) t->g->text(t->g->user, t->held, t->n_held);
    t->n_held = 0;
}

static void put_bytes(text_state *t, const char *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const unsigned char b = (unsigned char)bytes[i];
        if (t->n_held && (b & 0xc0) != 0x80) flush_held(t);
        t->held[t->n_held++] = bytes[i];
        if (t->n_held >= sequence_length((unsigned char)t->held[0])) flush_held(t);
    }
}

/* When the context is full: drops the older half and reads the rest again. */
static at_status make_room(text_state *t, const at_real **logits) {
    const int64_t keep = at_session_kept(&t->session);
    at_session_rewind(&t->session, 0);
    return at_session_feed(&t->session, t->ids.id + t->ids.n - keep, keep, logits);
}

static at_status read_prompt(text_state *t, const at_real **logits) {
    const int64_t use = at_session_prompt(&t->session, t->ids.n);
    return at_session_feed(&t->session, t->ids.id + t->ids.n - use, use, logits);
}

static at_status add_id(text_state *t, int32_t id) {
    if (!at_reserve(t->cp->ctx, &t->ids.id, &t->ids.cap, t->ids.n + 1, sizeof id)) return AT_OOM;
    t->ids.id[t->ids.n++] = id;
    return AT_OK;
}

static void put_token(text_state *t, int32_t id) {
    size_t bytes = 0;
    const int32_t before = t->ids.id[t->ids.n - 1];
    const char *piece = t->g->ids ? NULL : at_tokenizer_after(t->m->tokenizer, before, id, &bytes);
    if (t->g->ids) t->g->token(t->g->user, id);
    if (piece) put_bytes(t, piece, bytes);
}

static at_status go_on(text_state *t, const at_real *logits, at_generated *out) {
    const at_generation *g = t->g;
    const int32_t eot = at_lm_end(t->m, t->session.model);
    at_status s = AT_OK;
    for (int64_t i = 0; i < g->n && s == AT_OK; i++) {
        if (at_interrupted(t->cp->ctx)) return at_error(t->cp->ctx, AT_INTERRUPTED, "interrupted");
        int32_t id;
        s = at_choose(t->cp->ctx, &t->chooser, logits, &g->sampling, t->ids.id, t->ids.n, &id);
        if (s != AT_OK) break;
        if (id == eot) {
            out->ended = true;
            break;
        }
        put_token(t, id);
        out->new_tokens++;
        s = add_id(t, id);
        if (s != AT_OK || i + 1 == g->n) break;
        s = at_session_length(&t->session) == t->session.cap
                ? make_room(t, &logits)
                : at_session_feed(&t->session, &id, 1, &logits);
    }
    flush_held(t);
    return s;
}

static at_status read_ids(text_state *t) {
    at_ctx *c = t->cp->ctx;
    const at_generation *g = t->g;
    if (!g->ids && !t->m->tokenizer)
        return at_error(c, AT_ARG,
                        "%s has no tokenizer.json, so no text can be read or written: give the "
                        "prompt as token ids, or put the model's tokenizer.json there",
                        t->m->path);
    if (!g->ids)
        return at_tokenizer_encode(c, t->m->tokenizer, g->prompt, strlen(g->prompt), false,
                                   &t->ids);
    at_status s = at_lm_check_ids(c, t->m, g->ids, g->n_ids);
    for (int64_t i = 0; i < g->n_ids && s == AT_OK; i++) s = add_id(t, g->ids[i]);
    return s;
}

/* Whoever answers instead of an expert that the router is not sure of. */
static at_status doubt(const text_state *t, const double *probs, int *expert) {
    const at_generation *g = t->g;
    if (!t->m->router || probs[*expert] >= g->abstain) return AT_OK;
    if (g->fallback < 0)
        return at_error(t->cp->ctx, AT_ARG,
                        "%s: unknown: the router's first choice is `%s` with probability %.3f, and "
                        "below %.3g it does not answer",
                        t->m->path, t->m->expert[*expert].name, probs[*expert], g->abstain);
    *expert = g->fallback;
    return AT_OK;
}

static at_status start(text_state *t, int *expert) {
    at_ctx *c = t->cp->ctx;
    at_lm *m = t->m;
    double *probs = at_calloc(c, (size_t)m->n_experts, sizeof *probs);
    at_status s = probs ? read_ids(t) : AT_OOM;
    if (s == AT_OK) s = at_lm_route(c, m, t->ids.id, t->ids.n, &t->g->ask, probs, expert);
    if (s == AT_OK && *expert >= 0) s = doubt(t, probs, expert);
    if (s == AT_OK && t->g->routed) t->g->routed(t->g->user, m, *expert, probs, &t->ids);
    const int32_t eot = m->tokenizer ? at_tokenizer_eot(m->tokenizer) : -1;
    if (s == AT_OK && t->ids.n == 0) s = add_id(t, eot >= 0 ? eot : 0);
    at_free(probs);
    return s;
}

at_status at_generate(at_compute *cp, at_lm *m, const at_generation *g, at_generated *out) {
    text_state t = {.cp = cp, .m = m, .g = g};
    *out = (at_generated){0};
    int expert = 0;
    const at_real *logits = NULL;
    at_status s = start(&t, &expert);
    out->prompt_tokens = t.ids.n;
    at_voice v = {0};
    if (s == AT_OK) s = at_lm_voice(cp->ctx, m, &g->ask, expert, &v);
    if (s == AT_OK) s = at_session_open(cp, v.model, 0, &t.session);
    const bool open = s == AT_OK;
    t.session.modules = v.modules;
    if (open) s = at_chooser_open(cp->ctx, t.session.model->dims.vocab, &t.chooser);
    double began = at_now();
    if (s == AT_OK) s = read_prompt(&t, &logits);
    out->prompt_seconds = at_now() - began;
    began = at_now();
    if (s == AT_OK) s = go_on(&t, logits, out);
    out->seconds = at_now() - began;
    if (open) at_session_close(&t.session);
    at_chooser_close(&t.chooser);
    at_ids_free(&t.ids);
    return s;
}
