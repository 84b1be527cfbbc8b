/* cmd_train.c - artel train RECIPE -o RUN, artel distill RECIPE -o RUN. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "verbs.h"
#include <math.h>
#include <stdio.h>

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(o, "model");
    printf("%s: %s parameters, %.0f steps, %s tokens",
           cJSON_IsString(model) ? model->valuestring : "model",
           ui_count(row_number_or(o, "parameters", (double)NAN)),
           row_number_or(o, "steps", (double)NAN),
           ui_count(row_number_or(o, "tokens", (double)NAN)));
    if (!isnan(row_number_or(o, "loss", (double)NAN)))
        printf(", loss %.4f", row_number_or(o, "loss", (double)NAN));
    const double val = row_number_or(o, "val_loss", (double)NAN);
    if (!isnan(val)) printf(", validation loss %.4f (perplexity %.2f)", val, exp(val));
    printf(", %.1f s\n", row_number_or(o, "seconds", (double)NAN));
    cJSON_Delete(o);
}

static int run(int argc, char **argv, const char *name, artel_task task, const char *about) {
    ui u = {0};
    recipe_args r = {0};
    const char *out = NULL;
    bool resume = false;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, NULL, "RUN", "folder of the run", 0, 0},
        {"resume", 0, OPT_FLAG, &resume, NULL, NULL, "continue RUN from its newest checkpoint", 0,
         0},
        RECIPE_OPTIONS(&r),
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {name, "RECIPE", 1, 1, about, table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !out && !r.print) rc = ui_usage(name, "--output RUN is required");
    if (rc < 0 && !ui_open(&u, name)) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        if (recipe_ready(&r, &u, argv[0]))
            s = r.print
                    ? recipe_print(&r, &u, task)
                    : artel_train(u.a, &r.recipe, task, out, resume, u.json ? ui_json : draw, &u);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}

int cmd_train(int argc, char **argv) {
    return run(argc, argv, "train", ARTEL_TRAIN,
               "Trains a model from scratch, or from `init: MODEL`, as the recipe says.\n"
               "RUN gets recipe.yaml, metrics.jsonl, checkpoints/, model/ and report.html.\n"
               "Ctrl-C saves a checkpoint; --resume continues bit for bit.");
}

int cmd_distill(int argc, char **argv) {
    return run(argc, argv, "distill", ARTEL_DISTILL,
               "Distils a teacher into a student: the recipe's section `distill` names the\n"
               "teacher and the loss.  Both must share the tokenizer.");
}
