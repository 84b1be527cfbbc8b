/* api_extend.c - one more trunk, expert, or module of a mixture. */
#include "api/api_recipe.h"
#include "infer/prune.h"
#include "train/extend.h"
#include "train/growth.h"

static artel_status say_expert(artel *a, const at_extension *x, const char *out, const char *run,
                               artel_emit emit, void *user) {
    const at_certificate *k = &x->proof;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "model", out);
    at_json_put_string(&j, "run", run);
    at_json_put_string(&j, "added", x->name);
    at_json_put_string(&j, "kind", x->trunk ? "trunk" : "expert");
    at_json_put_number(&j, "parameters", (double)k->added);
    at_json_put_string(&j, "certificate", "bit-identical");
    at_json_put_string(&j, "digest", k->before.hex);
    at_json_put_number(&j, "tensors", (double)k->before.tensors);
    at_json_put_number(&j, "ways_to_answer", (double)k->experts);
    at_json_put_number(&j, "windows", (double)k->windows);
    at_json_put_number(&j, "compared_tokens", (double)k->tokens);
    return at_emit(a, emit, user, &j);
}

static artel_status say_module(artel *a, const at_growth *g, const char *out, const char *run,
                               artel_emit emit, void *user) {
    at_json j;
    at_json_open(&j, &a->ctx);
    at_growth_write(g, out, &j);
    at_json_put_string(&j, "run", run);
    return at_emit(a, emit, user, &j);
}

/* Of trunks and whole experts nothing is measured. */
static at_status only_bits(at_ctx *c, const char *model, const char *const *require, int n) {
    at_status s = AT_OK;
    for (int i = 0; i < n && s == AT_OK; i++) {
        at_prune_promise p;
        s = at_prune_promise_read(c, require[i], &p);
        if (s == AT_OK && p.domain)
            s = at_error(c, AT_ARG, "require %s: of %s, which is no mixture, bit-identical alone",
                         require[i], model);
    }
    return s;
}

/* A mixture as a single network; its modules are slots. */
static bool is_mixture(const at_lm *m) {
    return !m->router && m->expert[0].model && at_model_banks(m->expert[0].model);
}

artel_status artel_extend(artel *a, const char *model, const artel_recipe *r, const char *out,
                          const char *run, const char *const *require, int n_require,
                          artel_emit emit, void *user) {
    at_ctx *c = &a->ctx;
    at_conf *f = NULL;
    at_lm *old = NULL;
    at_extension x;
    at_growth *g = NULL;
    at_status s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_lm_load(c, model, &old);
    if (s == AT_OK && is_mixture(old)) {
        g = at_calloc(c, 1, sizeof *g);
        s = g ? at_grow(c, f, model, old, out, run, require, n_require, g) : AT_OOM;
    } else if (s == AT_OK) {
        s = only_bits(c, model, require, n_require);
        if (s == AT_OK) s = at_extend(c, f, model, out, run, &x);
    }
    at_lm_close(old);
    at_conf_close(f);
    artel_status answer = at_answer(a, s);
    if (s == AT_OK)
        answer =
            g ? say_module(a, g, out, run, emit, user) : say_expert(a, &x, out, run, emit, user);
    at_free(g);
    return answer;
}
