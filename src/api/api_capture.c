/* api_capture.c - a teacher's logits to disk. */
#include "api/api.h"
#include "infer/capture.h"

static at_status read_options(at_ctx *c, const artel_capture_options *o, at_capture_options *out) {
    *out = (at_capture_options){.domains = o->domains,
                                .n_domains = o->n_domains,
                                .top_k = o->top_k,
                                .context = o->context,
                                .bits = o->bits};
    out->split = AT_TRAIN;
    const at_status s = o->split ? at_split_find(c, o->split, &out->split) : AT_OK;
    if (s != AT_OK) return s;
    if (o->n_temperatures < 0 || o->n_temperatures > AT_CAPTURED_TAUS)
        return at_error(c, AT_ARG, "expected at most %d temperatures, found %lld", AT_CAPTURED_TAUS,
                        (long long)o->n_temperatures);
    out->n_tau = (int)o->n_temperatures;
    for (int i = 0; i < out->n_tau; i++) out->tau[i] = o->temperatures[i];
    return AT_OK;
}

artel_status artel_capture(artel *a, const char *teacher, const char *data, const char *out,
                           const artel_capture_options *o, artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_compute *cp = NULL;
    at_capture_options own;
    at_capture_result r;
    at_status s = read_options(c, o, &own);
    if (s == AT_OK) s = at_compute_of(a, &cp);
    if (s == AT_OK) s = at_capture(cp, teacher, data, out, &own, &r);
    if (s != AT_OK) return at_answer(a, s);
    at_json j;
    at_json_open(&j, c);
    at_json_put_string(&j, "logits", out);
    at_json_put_string(&j, "teacher", teacher);
    at_json_put_string(&j, "data", data);
    at_json_put_string(&j, "split", at_split_name[r.plan.split]);
    at_json_put_number(&j, "tokens", r.tokens);
    at_json_put_number(&j, "found", r.found);
    at_json_put_number(&j, "context", (double)r.plan.context);
    at_json_put_number(&j, "top_k", (double)r.plan.n);
    at_json_put_number(&j, "bits", r.plan.bits);
    at_json_put_numbers(&j, "temperatures", r.plan.tau, r.plan.n_tau);
    at_json_put_numbers(&j, "left", r.left, r.plan.n_tau);
    at_json_put_number(&j, "bytes", r.bytes);
    at_json_put_number(&j, "bytes_per_token", r.bytes / r.tokens);
    at_json_put_number(&j, "seconds", r.seconds);
    return at_emit(a, emit, user, &j);
}
