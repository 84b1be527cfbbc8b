/* api_train.c - train, distil, and the recipe they use. */
#include "api/api_recipe.h"
#include "base/file.h"
#include "train/plan.h"
#include "train/train.h"
#include <math.h>

artel_status artel_train(artel *a, const artel_recipe *r, artel_task task, const char *run,
                         int resume, artel_emit emit, void *user) {
    at_conf *f = NULL;
    at_status s = at_recipe_open(a, r, &f);
    if (s != AT_OK) return (artel_status)s;
    at_train_result res;
    const at_train_options o = {.resume = resume != 0, .distilling = task == ARTEL_DISTILL};
    s = at_train(&a->ctx, f, run, &o, &res);
    at_conf_close(f);
    if (s != AT_OK) return (artel_status)s;
    char *model = at_join(&a->ctx, run, "model");
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "run", run);
    if (model) cJSON_AddStringToObject(j, "model", model);
    at_free(model);
    cJSON_AddNumberToObject(j, "steps", (double)res.progress.step);
    cJSON_AddNumberToObject(j, "tokens", (double)res.progress.tokens);
    cJSON_AddNumberToObject(j, "parameters", (double)res.numel);
    cJSON_AddNumberToObject(j, "loss", res.loss); /* NaN is written as null */
    cJSON_AddNumberToObject(j, "val_loss", res.val_loss);
    cJSON_AddNumberToObject(j, "seconds", res.progress.seconds);
    return at_emit(a, emit, user, j);
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
    cJSON *o = s == AT_OK
                   ? at_plan(&a->ctx, f, task == ARTEL_DISTILL || at_conf_has(f, "distill"), true)
                   : NULL;
    at_conf_close(f);
    return o ? at_emit(a, emit, user, o) : (artel_status)a->ctx.status;
}
