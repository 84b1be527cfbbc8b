/* read.c - run, hidden states, head, rewind. */
#include "arch/read.h"
#include <math.h>
#include <string.h>

at_tensor *at_model_head(const at_model *m) {
    return m->arch->head ? m->arch->head(m->impl) : NULL;
}

at_tensor *at_model_logits(const at_model *m, at_run *r, at_tensor *x) {
    return m->arch->head ? at_linear(r, x, m->arch->head(m->impl), NULL) : x;
}

/* Products are to give the rows of each span, or each of n rows, what they give them alone. */
static void set_parts(at_run *r, const at_span *span, int64_t n) {
    int64_t *rows = at_run_alloc(r, (size_t)n * sizeof *rows);
    r->parts = (at_parts){rows, rows ? n : 0, 0};
    for (int64_t i = 0; i < r->parts.n; i++) {
        rows[i] = span ? span[i].n : 1;
        r->parts.all += rows[i];
    }
}

at_tensor *at_model_hidden(at_model *m, at_run *r, const at_input *in, at_pass *p) {
    static const char *const kind[] = {"token ids", "rows of numbers", "images"};
    at_pass nothing = {0};
    if (!p) p = &nothing;
    if (in->kind != m->arch->reads)
        return at_fail(r, AT_ARG, "%s reads %s, not %s", m->arch->name, kind[m->arch->reads],
                       kind[in->kind]);
    const at_modules l = at_model_modules(m);
    const int members = m->members.n;
    if (members && in->modules && (!(in->modules & 1) || in->modules >> members > 1))
        return at_fail(r, AT_ARG, "%s has a base and %d modules: it cannot run those of mask %llx",
                       m->arch->name, members, (unsigned long long)in->modules);
    if (!members && l.n + l.common < 64 && in->modules >> (l.n + l.common) != 0)
        return at_fail(r, AT_ARG, "%s has %d modules: it cannot run those of mask %llx",
                       m->arch->name, l.n + l.common, (unsigned long long)in->modules);
    if (!at_pass_begin(r, p, in)) return NULL;
    const bool train = r->train;
    const at_parts before = r->parts;
    r->train = train && !p->still;
    set_parts(r, in->spans.item, in->spans.n);
    at_tensor *x = m->arch->hidden(r, m->impl, in, p);
    r->train = train;
    r->parts = before;
    return x;
}

static bool finite(const at_tensor *t) { return at_first_not_finite(t->data, at_numel(t)) < 0; }

/* Losses of equal parts of the rows of x, each a matrix in place; whether all are finite. */
static bool losses(at_run *r, const at_tensor *x, at_tensor *w, const at_readout *what) {
    bool good = finite(x);
    at_tensor part = *x;
    if (!w) {
        at_fail(r, AT_UNSUPPORTED, "losses of a model without an output embedding");
        return true;
    }
    part.rank = 2;
    part.dim[0] = at_rows(x) / what->parts;
    part.dim[1] = at_cols(x);
    for (int64_t i = 0; i < what->parts; i++, part.data += at_numel(&part)) {
        const at_head_spec spec = {.label = what->label + i * part.dim[0]};
        (void)at_head_loss(r, &part, w, &spec, &what->report[i]);
        good &= r->status != AT_OK || isfinite(what->report[i].ce);
    }
    return good;
}

/* The same of logits. */
static bool logits(at_run *r, const at_model *m, at_tensor *x, const at_readout *what) {
    if (what->row) {
        const int64_t C = at_cols(x);
        at_tensor *some = at_new2(r, what->rows, C);
        for (int64_t i = 0; some && i < what->rows; i++)
            memcpy(some->data + i * C, x->data + what->row[i] * C, (size_t)C * sizeof *x->data);
        x = some;
        set_parts(r, NULL, what->rows);
    }
    const at_tensor *l = at_model_logits(m, r, x);
    if (!l) return true;
    for (int64_t i = 0; i < at_rows(l); i++) what->logits(what->user, i, l->data + i * at_cols(l));
    return finite(l);
}

at_status at_model_read(at_compute *cp, at_arena *arena, at_model *m, const at_input *in,
                        at_pass *p, const at_readout *what) {
    const at_mark mark = at_arena_mark(arena);
    at_run r;
    bool good = true;
    at_run_init(&r, cp, arena, false, 0);
    at_tensor *x = at_model_hidden(m, &r, in, p);
    if (x && what->label) good &= losses(&r, x, at_model_head(m), what);
    if (x && what->logits) good &= logits(&r, m, x, what);
    const at_status s = at_run_status(&r);
    at_arena_rewind(arena, mark);
    return s == AT_OK && !good ? at_model_diagnose(cp->ctx, m) : s;
}
