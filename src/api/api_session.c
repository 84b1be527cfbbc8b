/* api_session.c - models that stay open, and texts that are read and continued with them. */
#include "api/api_ask.h"
#include "infer/session.h"

at_lm *at_inner(const artel_model *m) { return (void *)m; }

at_sampling at_sampling_of(const artel_sampling *how) {
    return (at_sampling){.temperature = how->temperature,
                         .top_k = how->top_k,
                         .top_p = how->top_p,
                         .seed = how->seed,
                         .repeat_penalty = how->repeat_penalty};
}

/* ---- models --------------------------------------------------------------------------------- */

artel_status artel_model_open(artel *a, const char *path, artel_model **out) {
    at_lm *m;
    const at_status s = at_lm_load(&a->ctx, path, &m);
    *out = (void *)m;
    return (artel_status)s;
}

void artel_model_close(artel_model *m) { at_lm_close(at_inner(m)); }
int64_t artel_model_vocab(const artel_model *m) { return at_inner(m)->vocab; }
int64_t artel_model_context(const artel_model *m) { return at_inner(m)->context; }
int artel_model_experts(const artel_model *m) { return at_inner(m)->n_experts; }

const char *artel_model_expert(const artel_model *m, int i) {
    return i >= 0 && i < at_inner(m)->n_experts ? at_inner(m)->expert[i].name : NULL;
}

const artel_tokenizer *artel_model_tokenizer(const artel_model *m) {
    return (void *)at_inner(m)->tokenizer;
}

int32_t artel_model_end(const artel_model *m) {
    return at_lm_end(at_inner(m), at_lm_shape(at_inner(m)));
}

/* ---- sessions ------------------------------------------------------------------------------- */

struct artel_session {
    artel *a;
    at_lm *m;
    at_asked asked;
    bool network; /* there is one: the router has chosen, or had not to */
    bool chosen;  /* by the router                                      */
    int expert;   /* whose network it is; -1: of those that were asked together */
    int64_t capacity;
    at_session session; /* while there is an expert */
    at_chooser chooser;
    at_ids ids;            /* what was read                          */
    const at_real *logits; /* after the last of them; NULL: not made */
};

static void drop_network(artel_session *s) {
    if (!s->network) return;
    at_session_close(&s->session);
    at_chooser_close(&s->chooser);
    s->network = false;
}

static at_status take_network(artel_session *s, int expert) {
    at_ctx *c = &s->a->ctx;
    at_compute *cp;
    at_voice v = {0};
    at_status st = at_compute_of(s->a, &cp);
    if (st == AT_OK) st = at_lm_voice(c, s->m, &s->asked.ask, expert, &v);
    if (st == AT_OK) st = at_session_open(cp, v.model, s->capacity, &s->session);
    if (st != AT_OK) return st;
    s->session.modules = v.modules;
    s->expert = expert;
    st = at_chooser_open(c, v.model->dims.vocab, &s->chooser);
    s->network = st == AT_OK;
    if (st != AT_OK) at_session_close(&s->session);
    return st;
}

static at_status open_session(artel_session *s, const artel_session_options *o) {
    at_ctx *c = &s->a->ctx;
    if (o->capacity < 0 || o->capacity > s->m->context)
        return at_error(c, AT_ARG,
                        "capacity: expected 0 to %lld tokens, the context of %s, found %lld",
                        (long long)s->m->context, s->m->path, (long long)o->capacity);
    s->capacity = o->capacity ? o->capacity : s->m->context;
    artel_who who = o->who;
    if (o->expert && (who.n_experts || who.n_exclude || who.n_average))
        return at_error(c, AT_ARG, "give either an expert or a choice of them, not both");
    if (o->expert) {
        who.experts = &o->expert;
        who.n_experts = 1;
    }
    at_status st = at_ask_of(c, s->m, &who, &s->asked);
    s->chosen = s->m->router && !o->expert && !at_ask_is_set(&s->asked.ask);
    if (st != AT_OK || s->chosen) return st;
    int expert = 0;
    st = at_lm_route(c, s->m, NULL, 0, &s->asked.ask, NULL, &expert);
    return st == AT_OK ? take_network(s, expert) : st;
}

artel_status artel_session_open(artel *a, const artel_model *m, const artel_session_options *o,
                                artel_session **out) {
    static const artel_session_options defaults;
    artel_session *s = at_calloc(&a->ctx, 1, sizeof *s);
    *out = NULL;
    if (!s) return ARTEL_OOM;
    *s = (artel_session){.a = a, .m = at_inner(m)};
    const at_status st = open_session(s, o ? o : &defaults);
    if (st == AT_OK)
        *out = s;
    else
        artel_session_close(s);
    return (artel_status)st;
}

void artel_session_close(artel_session *s) {
    if (!s) return;
    drop_network(s);
    at_asked_free(&s->asked);
    at_ids_free(&s->ids);
    at_free(s);
}

/* Reads those of the ids that the network has not seen. */
static at_status catch_up(artel_session *s) {
    const int64_t seen = at_session_length(&s->session);
    const at_real *logits = NULL;
    const at_status st = at_session_feed(&s->session, s->ids.id + seen, s->ids.n - seen, &logits);
    s->logits = st == AT_OK ? logits : NULL;
    return st;
}

static at_status feed(artel_session *s, const int32_t *ids, int64_t n) {
    at_ctx *c = &s->a->ctx;
    if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "interrupted");
    if (n < 1 || n > s->capacity - s->ids.n)
        return at_error(c, AT_ARG, "expected 1 to %lld more tokens, found %lld",
                        (long long)(s->capacity - s->ids.n), (long long)n);
    at_status st = at_lm_check_ids(c, s->m, ids, n);
    if (st != AT_OK) return st;
    if (!at_reserve(c, &s->ids.id, &s->ids.cap, s->ids.n + n, sizeof *ids)) return AT_OOM;
    const bool routed = !s->network;
    int expert = 0;
    if (routed) st = at_lm_route(c, s->m, ids, n, &s->asked.ask, NULL, &expert);
    if (routed && st == AT_OK) st = take_network(s, expert);
    if (st != AT_OK) return st;
    for (int64_t i = 0; i < n; i++) s->ids.id[s->ids.n++] = ids[i];
    st = catch_up(s);
    if (st == AT_OK) return st;
    s->ids.n -= n;
    if (routed) drop_network(s);
    return st;
}

artel_status artel_session_feed(artel_session *s, const int32_t *ids, int64_t n) {
    return at_answer(s->a, feed(s, ids, n));
}

/* Logits after the last token: it is read again when they were lost. */
static at_status current(artel_session *s) {
    if (s->logits) return AT_OK;
    if (!s->ids.n)
        return at_error(&s->a->ctx, AT_ARG,
                        "the session has read nothing that a token could follow");
    at_session_rewind(&s->session, s->ids.n - 1);
    return catch_up(s);
}

artel_status artel_session_logits(artel_session *s, const float **logits) {
    const at_status st = current(s);
    *logits = s->logits;
    return at_answer(s->a, st);
}

artel_status artel_session_sample(artel_session *s, const artel_sampling *how, int32_t *id) {
    const at_sampling sampling = at_sampling_of(how);
    at_status st = current(s);
    if (st == AT_OK)
        st = at_choose(&s->a->ctx, &s->chooser, s->logits, &sampling, s->ids.id, s->ids.n, id);
    return at_answer(s->a, st);
}

void artel_session_rewind(artel_session *s, int64_t n) {
    if (n >= s->ids.n) return;
    s->ids.n = n > 0 ? n : 0;
    s->logits = NULL;
    if (s->ids.n == 0 && s->chosen)
        drop_network(s);
    else
        at_session_rewind(&s->session, s->ids.n);
}

int64_t artel_session_length(const artel_session *s) { return s->ids.n; }
int64_t artel_session_capacity(const artel_session *s) { return s->capacity; }

const char *artel_session_expert(const artel_session *s) {
    return !s->network || s->expert < 0 ? NULL : s->m->expert[s->expert].name;
}
