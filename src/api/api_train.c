/* api_train.c - train, distil, and the recipe they use. */
#include "api/api_recipe.h"
#include "base/file.h"
#include "train/plan.h"
#include "train/runfolder.h"
#include "train/train.h"
#include <math.h>

/* What the run says of its model, where it says something. */
static artel_status emit_result(artel *a, const char *run, artel_emit emit, void *user) {
    char *path = at_join(&a->ctx, run, AT_RESULT_FILE);
    if (!path) return ARTEL_OOM;
    cJSON *o = at_exists(path) ? at_json_read(&a->ctx, path) : NULL;
    artel_status s = o || !at_exists(path) ? ARTEL_OK : (artel_status)a->ctx.status;
    if (o) {
        at_json j;
        at_json_open(&j, &a->ctx);
        at_json_put_members(&j, o, "");
        s = at_emit(a, emit, user, &j);
    }
    cJSON_Delete(o);
    at_free(path);
    return s;
}

artel_status artel_train(artel *a, const artel_recipe *r, artel_task task, const char *run,
                         int resume, artel_emit emit, void *user) {
    at_conf *f = NULL;
    at_status s = at_recipe_open(a, r, &f);
    if (s != AT_OK) return (artel_status)s;
    at_train_result res;
    const at_train_options o = {.resume = resume != 0, .distilling = task == ARTEL_DISTILL};
    s = at_train(&a->ctx, f, run, &o, &res);
    at_conf_close(f);
    if (s != AT_OK) return at_answer(a, s);
    char *model = at_join(&a->ctx, run, "model");
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "run", run);
    at_json_put_string(&j, "model", model);
    at_free(model);
    at_json_put_number(&j, "steps", (double)res.progress.step);
    at_json_put_number(&j, res.rows ? "rows_read" : "tokens", (double)res.progress.tokens);
    at_json_put_number(&j, "parameters", (double)res.numel);
    at_json_put_number(&j, "loss", res.loss); /* NaN is written as null */
    at_json_put_number(&j, "val_loss", res.val_loss);
    at_json_put_number(&j, "seconds", res.progress.seconds);
    const artel_status told = at_emit(a, emit, user, &j);
    return told == ARTEL_OK ? emit_result(a, run, emit, user) : told;
}

artel_status artel_recipe_print(artel *a, const artel_recipe *r, artel_task task, char **yaml) {
    at_conf *f = NULL;
    at_recipe bound;
    *yaml = NULL;
    at_status s = at_recipe_open(a, r, &f);
    if (s == AT_OK) s = at_recipe_bind_all(&a->ctx, f, task == ARTEL_DISTILL, &bound);
    if (s == AT_OK) s = (*yaml = at_conf_dump(&a->ctx, f, true)) ? AT_OK : a->ctx.status;
    at_conf_close(f);
    return (artel_status)s;
}

artel_status artel_plan(artel *a, const artel_recipe *r, artel_task task, artel_emit emit,
                        void *user) {
    at_conf *f = NULL;
    at_status s = at_recipe_open(a, r, &f);
    at_json j;
    at_json_open(&j, &a->ctx);
    if (s == AT_OK)
        s = at_plan(&a->ctx, f, task == ARTEL_DISTILL || at_conf_has(f, "distill"), true, &j);
    at_conf_close(f);
    if (s == AT_OK) return at_emit(a, emit, user, &j);
    at_json_close(&j);
    return (artel_status)s;
}
