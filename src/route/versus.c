/* versus.c - one class against all others, a class a worker. */
#include "base/par.h"
#include "route/classifier.h"

typedef struct job {
    const at_ctx *c;
    const at_fit *f;
    at_versus_fn fit;
    double *w, *scratch;
    int64_t each;
    at_status *status;     /* [n_classes]; workers neither set the context's error nor log */
    at_fit_report *report; /* [n_classes] */
} job;

static void one_class(void *arg, int64_t begin, int64_t end, int worker) {
    (void)end;
    job *j = arg;
    const at_versus v = {.c = j->c,
                         .f = j->f,
                         .which = (int32_t)begin,
                         .w = j->w + begin * (j->f->x->columns + 1),
                         .scratch = j->scratch + worker * j->each,
                         .report = &j->report[begin]};
    j->status[begin] = j->fit(&v);
}

void at_fit_warn(at_ctx *c, const at_fit *f, int which, const at_fit_report *r) {
    if (!r->given_up) return;
    at_log(c, AT_LOG_WARN,
           "router: class \"%s\" was given up after %d steps, with %.1e of the gradient left",
           f->name[which], r->steps, r->left);
}

at_status at_one_versus_rest(at_ctx *c, const at_fit *f, int64_t scratch, at_versus_fn fit,
                             double *w) {
    const int workers = c->threads < f->n_classes ? c->threads : f->n_classes;
    job j = {.c = c, .f = f, .fit = fit, .w = w, .each = scratch};
    j.scratch = at_calloc(c, (size_t)workers, (size_t)scratch * sizeof *j.scratch);
    j.status = at_calloc(c, (size_t)f->n_classes, sizeof *j.status);
    j.report = at_calloc(c, (size_t)f->n_classes, sizeof *j.report);
    at_status s = j.scratch && j.status && j.report ? AT_OK : AT_OOM;
    if (!s) at_par_for(workers, f->n_classes, 1, one_class, &j);
    for (int k = 0; !s && k < f->n_classes; k++) s = j.status[k];
    if (s && s != AT_OOM) s = at_error(c, s, "router: interrupted while fitting");
    for (int k = 0; !s && k < f->n_classes; k++) at_fit_warn(c, f, k, &j.report[k]);
    at_free(j.report);
    at_free(j.scratch);
    at_free(j.status);
    return s;
}
