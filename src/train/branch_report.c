/* branch_report.c - see branch_report.h. */
#include "train/branch_report.h"
#include "base/ints.h"
#include "infer/lm.h"
#include <stdio.h>
#include <string.h>

#define AT(x) offsetof(at_branch_report_keys, x)
const at_key at_branch_report_table[] = {
    {"split", AT_KEY_STRING, AT(split), "test", 0, 0, NULL, "of the data that is measured on"},
    {"context", AT_KEY_INT, AT(context), "256", 2, 1 << 20, NULL, "tokens of a window"},
    {"windows", AT_KEY_INT, AT(windows), "64", 0, 1e9, NULL, "of each domain; 0: all"},
    {"skip", AT_KEY_INT, AT(skip), "32", 0, 1 << 20, NULL,
     "first tokens of a window, read and not scored"},
    {"ensemble_k", AT_KEY_INT, AT(ensemble_k), "2", 1, 64, NULL,
     "models of the ensemble that answer a window"},
    {"ensemble_router", AT_KEY_STRING, AT(ensemble_router), "fit", 0, 0, NULL,
     "its weights: fit, those of a router fitted on the data; uniform; or a router's folder"},
    {0},
};

static at_status fit_router(at_ctx *c, at_branch_report *r, const at_tokenizer *tok) {
    const at_router_options o = at_router_defaults();
    const int32_t end = tok ? at_tokenizer_eot(tok) : -1;
    at_status s = at_router_train(c, r->data, &end, end >= 0, &o, &r->router);
    if (s == AT_OK) s = at_router_calibrate(c, r->router, r->data, AT_VALIDATION);
    return s;
}

/* The router of the ensemble.  A fitted one needs a domain for each branch: without, weights are equal,
   and it is said. */
static at_status open_router(at_ctx *c, at_branch_report *r) {
    const char *how = r->keys.ensemble_router;
    if (!strcmp(how, "uniform") || r->n < 2) return AT_OK;
    if (strcmp(how, "fit") != 0) return at_router_load(c, how, &r->router);
    for (int i = 0; i < r->n; i++)
        if (at_dataset_domain(r->data, r->branch[i].name) < 0) {
            at_log(c, AT_LOG_INFO,
                   "%s has no domain `%s`: no router is fitted, and the models of the ensemble "
                   "weigh the same",
                   r->data->path, r->branch[i].name);
            return AT_OK;
        }
    char *path = at_join(c, r->branch[0].model->path, "tokenizer.json");
    at_tokenizer *tok = NULL;
    at_status s = path ? AT_OK : AT_OOM;
    if (s == AT_OK && at_exists(path)) s = at_tokenizer_load(c, path, &tok);
    if (s == AT_OK) s = fit_router(c, r, tok);
    at_tokenizer_close(tok);
    at_free(path);
    return s;
}

static at_status match_classes(at_ctx *c, at_branch_report *r) {
    if (!r->router) return AT_OK;
    const char *hash = r->branch[0].model->tokenizer;
    at_status s = hash ? at_router_check(c, r->router, r->branch[0].model->path, hash) : AT_OK;
    if (s == AT_OK && !(r->class_of = at_calloc(c, (size_t)r->n, sizeof *r->class_of)))
        return AT_OOM;
    for (int i = 0; i < r->n && s == AT_OK; i++)
        if ((r->class_of[i] = at_router_class(r->router, r->branch[i].name)) < 0)
            s = at_error(c, AT_MISMATCH, "%s: the router knows no class `%s`",
                         r->keys.ensemble_router, r->branch[i].name);
    return s;
}

static at_status check_data(at_ctx *c, const at_branch_report *r) {
    const at_model *m = r->branch[0].model;
    at_status s = at_lm_check_data(c, m->path, m->tokenizer, m->dims.vocab, r->data->path,
                                   r->data->tokenizer_hash, r->data->vocab);
    for (int d = 0; d < r->data->n_domains && s == AT_OK; d++)
        if (r->data->domain[d].shard[r->split].n_tokens > r->keys.skip + 1) return AT_OK;
    return s != AT_OK ? s
                      : at_error(c, AT_CONFIG,
                                 "%s: no domain has more than report.skip = %lld tokens in the "
                                 "split %s: there is nothing to measure on",
                                 r->data->path, (long long)r->keys.skip, at_split_name[r->split]);
}

at_status at_branch_report_open(at_ctx *c, const at_branch_report_keys *k, const char *data,
                                const at_branch *branch, int n, int all, at_branch_report *r) {
    *r = (at_branch_report){.keys = *k, .branch = branch, .n = n, .all = all};
    if (k->skip >= k->context)
        return at_error(c, AT_CONFIG,
                        "report.skip: %lld tokens of a window of %lld leave nothing to score",
                        (long long)k->skip, (long long)k->context);
    at_status s = at_split_find(c, k->split, &r->split);
    if (s == AT_OK) s = (r->rows = at_json_list(c)) ? AT_OK : AT_OOM;
    if (s == AT_OK) s = at_dataset_open_checked(c, data, &r->data);
    if (s == AT_OK) s = check_data(c, r);
    if (s == AT_OK) s = open_router(c, r);
    if (s == AT_OK) s = match_classes(c, r);
    if (s == AT_OK) s = at_compute_open(&r->cp, c);
    r->computing = s == AT_OK;
    return s;
}

void at_branch_report_close(at_branch_report *r) {
    if (r->computing) at_compute_close(&r->cp);
    at_dataset_close(r->data);
    at_router_close(r->router);
    at_free(r->class_of);
    cJSON_Delete(r->rows);
    *r = (at_branch_report){0};
}

/* ---- rows ------------------------------------------------------------------------------------------ */

static at_status measure(at_branch_report *r, const at_ensemble *e, at_json *j) {
    at_ctx *c = r->cp.ctx;
    double mean = 0;
    int64_t tokens = 0;
    int domains = 0;
    at_status s = AT_OK;
    at_json_begin_object(j, "loss");
    for (int d = 0; d < r->data->n_domains && s == AT_OK; d++) {
        at_ensemble_loss l = {0};
        s = at_ensemble_eval(&r->cp, e, &r->data->domain[d].shard[r->split], r->keys.context,
                             r->keys.windows, r->keys.skip, &l);
        if (s != AT_OK || !l.tokens) continue;
        at_json_put_number(j, r->data->domain[d].name, l.nats / (double)l.tokens);
        mean += l.nats / (double)l.tokens;
        tokens += l.tokens;
        domains++;
    }
    at_json_end(j);
    at_json_put_number(j, "mean", mean / domains);
    at_json_put_number(j, "tokens", (double)tokens);
    return at_dataset_error(c, r->data, s);
}

static at_status add_row(at_branch_report *r, const char *kind, const char *name,
                         const at_ensemble *e) {
    at_ctx *c = r->cp.ctx;
    at_json j;
    at_log(c, AT_LOG_PROGRESS, "measuring %s%s%s, %d of %d", kind, *name ? " " : "", name,
           ++r->done, r->all);
    at_json_open(&j, c);
    at_json_put_string(&j, "report", kind);
    at_json_put_string(&j, "name", name);
    const at_status s = measure(r, e, &j);
    cJSON *row = s == AT_OK ? at_json_value(&j, "report") : NULL;
    if (s != AT_OK) at_json_close(&j);
    if (s == AT_OK && !row) return AT_OOM;
    if (row) at_json_append(r->rows, row);
    return s;
}

at_status at_branch_report_model(at_branch_report *r, const char *kind, const char *name,
                                 at_model *m) {
    const at_ensemble e = {.model = &m, .n = 1, .k = 1};
    return add_row(r, kind, name, &e);
}

at_status at_branch_report_branches(at_branch_report *r) {
    at_ctx *c = r->cp.ctx;
    at_status s = AT_OK;
    at_model **m = at_calloc(c, (size_t)r->n, sizeof *m);
    if (!m) return AT_OOM;
    for (int i = 0; i < r->n && s == AT_OK; i++) {
        m[i] = r->branch[i].model;
        s = at_branch_report_model(r, "branch", r->branch[i].name, m[i]);
    }
    const int k = (int)at_min(r->keys.ensemble_k, r->n);
    const at_ensemble e = {m, r->n, k, r->router, r->class_of};
    char name[64];
    (void)snprintf(name, sizeof name, "%d of %d, %s", k, r->n, r->router ? "routed" : "uniform");
    if (s == AT_OK) s = add_row(r, "ensemble", name, &e);
    at_free(m);
    return s;
}
