/* classify_logistic.c - a logistic regression for each class against all others (logistic.h). */
#include "route/classifier.h"
#include "route/logistic.h"

static at_status one(const at_versus *v) {
    const at_logistic_options o = {.c = v->f->c, .eps = v->f->eps};
    at_logistic_report r;
    const at_status s =
        at_logistic_fit(v->c, v->f->x, v->f->label, v->which, &o, v->scratch, v->w, &r);
    *v->report = (at_fit_report){.given_up = !r.converged, .steps = r.steps, .left = r.gradient};
    return s;
}

static at_status fit(at_ctx *c, const at_fit *f, double *w) {
    return at_one_versus_rest(c, f, at_logistic_scratch(f->x), one, w);
}

const at_classifier at_classifier_logistic = {
    .name = "logistic",
    .help = "logistic regression of each class against the others",
    .link = AT_LINK_SIGMOID,
    .counts = true,
    .c = 10,
    .fit = fit};
