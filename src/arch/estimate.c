/* estimate.c - a training step, or a forward pass, in a dry run. */
#include "arch/estimate.h"

/* Which tensors of a store need a gradient: parameters, then what files have several of them in. */
static at_tensor *tensor_of(at_store *s, int64_t i) {
    return i < s->n ? &s->p[i]->t : &s->stack[i - s->n]->t;
}

/* Parameters as they are in training; what they were is kept. */
static void mark(at_store *s, bool *was, bool train) {
    for (int64_t i = 0; i < s->n + s->n_stacks; i++) {
        at_tensor *t = tensor_of(s, i);
        was[2 * i] = t->need_grad;
        was[2 * i + 1] = t->keep_grad;
        t->need_grad = t->keep_grad = i < s->n && train && !s->p[i]->frozen && !s->p[i]->absent;
        if (i < s->n || !train) continue;
        const at_stack *k = s->stack[i - s->n];
        for (int64_t j = 0; j < k->n; j++) t->need_grad |= s->p[k->at + j]->t.need_grad;
        t->keep_grad = t->need_grad;
    }
}
static void unmark(at_store *s, const bool *was) {
    for (int64_t i = 0; i < s->n + s->n_stacks; i++) {
        tensor_of(s, i)->need_grad = was[2 * i];
        tensor_of(s, i)->keep_grad = was[2 * i + 1];
    }
}

/* The pass itself; ids of N zeros are as good as any. */
static void pass(at_run *r, at_model *m, const at_workload *w, const int32_t *ids,
                 at_estimate *out) {
    const int64_t T = m->dims.inputs ? m->dims.inputs : w->T;
    const at_input in = {
        .kind = m->arch->reads, .ids = ids, .B = w->B, .T = T, .modules = w->modules};
    const at_input taught = {.ids = ids, .B = w->B, .T = w->T};
    at_history h = {.layers = m->dims.layers,
                    .kinds = m->dims.one_cache ? 1 : 2,
                    .B = w->B,
                    .length = w->history,
                    .width = m->dims.cache_width,
                    .ahead = w->history};
    at_pass p = {.aux = w->aux, .history = w->history ? &h : NULL}, still = {.still = true};
    at_head_spec spec = {.label = ids, .alpha = 1};
    if (w->teacher) {
        spec.teacher_x = at_model_hidden(w->teacher, r, &taught, &still);
        spec.teacher_w = at_model_head(w->teacher);
    }
    r->tally->active = 0;
    at_tensor *x = at_model_hidden(m, r, &in, &p);
    at_tensor *y = !w->train          ? at_model_logits(m, r, x)
                   : at_model_head(m) ? at_head_loss(r, x, at_model_head(m), &spec, NULL)
                                      : at_xent(r, x, ids);
    out->active = r->tally->active;
    if (p.loss) y = at_weighted_sum(r, (at_tensor *[]){y, p.loss}, (double[]){1, 1}, 2);
    if (y && w->train) (void)at_backward(r, y, 1);
}

at_status at_model_estimate(at_compute *cp, at_model *m, const at_workload *w, at_estimate *out) {
    at_ctx *c = cp->ctx;
    at_arena arena;
    at_run r;
    at_tally tally = {0};
    *out = (at_estimate){0};
    int32_t *ids = at_calloc(c, (size_t)(w->B * w->T), sizeof *ids);
    bool *was = at_calloc(c, (size_t)(2 * (m->store.n + m->store.n_stacks)), sizeof *was);
    at_arena_init(&arena, c);
    at_run_init(&r, cp, &arena, w->train, 0);
    r.dry = true;
    r.tally = &tally;
    at_status s = ids && was ? AT_OK : AT_OOM;
    if (s == AT_OK) {
        mark(&m->store, was, w->train);
        pass(&r, m, w, ids, out);
        unmark(&m->store, was);
        s = at_run_status(&r);
        out->forward = tally.forward;
        out->backward = tally.backward;
        out->bytes = tally.peak > 0 ? tally.peak : tally.bytes + (double)arena.peak;
    }
    at_free(ids);
    at_free(was);
    at_arena_close(&arena);
    return s;
}
