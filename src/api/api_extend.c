/* api_extend.c - one more trunk, or expert. */
#include "api/api_recipe.h"
#include "train/extend.h"

artel_status artel_extend(artel *a, const char *model, const artel_recipe *r, const char *out,
                          const char *run, artel_emit emit, void *user) {
    at_conf *f = NULL;
    at_extension x;
    at_status s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_extend(&a->ctx, f, model, out, run, &x);
    at_conf_close(f);
    if (s != AT_OK) return at_answer(a, s);
    const at_certificate *k = &x.proof;
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "model", out);
    at_json_put_string(&j, "run", run);
    at_json_put_string(&j, "added", x.name);
    at_json_put_string(&j, "kind", x.trunk ? "trunk" : "expert");
    at_json_put_number(&j, "parameters", (double)k->added);
    at_json_put_string(&j, "certificate", "bit-identical");
    at_json_put_string(&j, "digest", k->before.hex);
    at_json_put_number(&j, "tensors", (double)k->before.tensors);
    at_json_put_number(&j, "ways_to_answer", (double)k->experts);
    at_json_put_number(&j, "windows", (double)k->windows);
    at_json_put_number(&j, "compared_tokens", (double)k->tokens);
    return at_emit(a, emit, user, &j);
}
