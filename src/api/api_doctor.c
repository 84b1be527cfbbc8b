/* api_doctor.c - findings as objects, then what was looked at. */
#include "api/api.h"
#include "infer/doctor.h"

static at_status emit_finding(artel *a, const at_finding *f, artel_emit emit, void *user) {
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "finding", f->kind);
    at_json_put_string(&j, "severity", f->severity == AT_SEVERITY_ERROR ? "error" : "warning");
    at_json_put_string(&j, "where", f->where);
    at_json_put_string(&j, "measured", f->measured);
    at_json_put_number(&j, "value", f->value);
    at_json_put_string(&j, "advice", f->advice);
    return (at_status)at_emit(a, emit, user, &j);
}

artel_status artel_doctor(artel *a, const char *model, const artel_doctor_options *o,
                          artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp;
    at_diagnosis d = {0};
    at_doctor_options how = {.data = o->data,
                             .split = AT_TEST,
                             .context = o->context ? o->context : 256,
                             .windows = o->windows,
                             .seed = o->seed};
    at_status s = at_compute_of(a, &cp);
    if (s == AT_OK && o->split) s = at_split_find(c, o->split, &how.split);
    if (s == AT_OK) s = at_doctor(cp, model, &how, &d);
    if (s != AT_OK) return at_answer(a, s);
    int64_t errors = 0;
    for (int64_t i = 0; i < d.n && s == AT_OK; i++) {
        errors += d.item[i].severity == AT_SEVERITY_ERROR;
        s = emit_finding(a, &d.item[i], emit, user);
    }
    const int64_t all = d.n;
    at_json j;
    at_json_open(&j, c);
    at_json_put_string(&j, "model", model);
    at_json_put_number(&j, "tensors", (double)d.tensors);
    at_json_put_number(&j, "routers", (double)d.banks);
    at_json_put_number(&j, "tokens", (double)d.tokens);
    at_json_put_string(&j, "text", d.tokens ? o->data ? o->data : "random" : "none");
    at_json_put_number(&j, "errors", (double)errors);
    at_json_put_number(&j, "warnings", (double)(all - errors));
    at_diagnosis_close(&d);
    if (s != AT_OK) at_json_close(&j);
    if (s == AT_OK) s = (at_status)at_emit(a, emit, user, &j);
    if (s == AT_OK && all)
        s = at_error(c, AT_MISMATCH, "%s: %lld findings, %lld of them errors", model,
                     (long long)all, (long long)errors);
    return at_answer(a, s);
}
