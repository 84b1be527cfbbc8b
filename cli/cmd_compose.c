/* cmd_compose.c - artel compose RECIPE -o MODEL. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "verbs.h"
#include <stdio.h>

/* One model's losses, the domains in columns; above the first the names of these. */
static void draw_losses(const cJSON *o, bool *headed) {
    const cJSON *loss = cJSON_GetObjectItemCaseSensitive(o, "loss"), *e = NULL;
    if (!*headed) {
        printf("\n%-28s", "loss, nats per token");
        cJSON_ArrayForEach(e, loss) printf(" %9.9s", e->string);
        printf("      mean\n");
        *headed = true;
    }
    printf("%-9s %-18.18s", row_text(o, "report"), row_text(o, "name"));
    cJSON_ArrayForEach(e, loss) printf(" %9.4f", e->valuedouble);
    printf(" %9.4f\n", row_number(o, "mean"));
}

static void draw(void *user, const char *json) {
    cJSON *o = printable_row(json, stdout);
    if (cJSON_HasObjectItem(o, "report")) {
        draw_losses(o, user);
        cJSON_Delete(o);
        return;
    }
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "name");
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(o, "file");
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, "parameters");
    if (cJSON_IsString(name) && cJSON_IsString(file))
        printf("%-16s %s parameters  %s\n", name->valuestring,
               ui_count(cJSON_IsNumber(n) ? n->valuedouble : 0), file->valuestring);
    else if (cJSON_IsString(name))
        printf("%-16s %s parameters  slot %.0f  %s\n", name->valuestring,
               ui_count(cJSON_IsNumber(n) ? n->valuedouble : 0), row_number(o, "slot"),
               row_text(o, "source"));
    cJSON_Delete(o);
}

int cmd_compose(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    const char *out = NULL, *mode = NULL;
    bool headed = false;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        {"mode", 0, OPT_STRING, &mode, NULL, "MODE", "ple, jeet, moe-ce, btx or ensemble", 0, 0},
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a value of the recipe", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "compose",
        "RECIPE",
        1,
        1,
        "Puts trained experts and a router together into one model.  RECIPE:\n"
        "  mode: ple                 whole models\n"
        "  router: FOLDER\n"
        "  experts: [{name: fr, model: FOLDER}, ...]\n"
        "or\n"
        "  mode: jeet, or moe-ce     the trunks of a model, with a common one\n"
        "  router: FOLDER\n"
        "  model: FOLDER\n"
        "or, of dense models that were branched from one seed, one mixture:\n"
        "  mode: btx\n"
        "  experts: [{name: fr, model: FOLDER}, ...]\n"
        "  data: {train: FOLDER}     what it is measured on, with its parts\n"
        "  train: {...}              its routers, in MODEL.run\n"
        "The words of mergekit-moe (base_model, gate_mode, ...) are understood,\n"
        "too.  mode: ensemble is whole models that are measured together.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "compose")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        if ((!mode || recipe_set(&r, "mode", mode, "option --mode")) &&
            recipe_ready(&r, &u, argv[0]))
            s = artel_compose(u.a, &r.recipe, out, u.json ? ui_json : draw,
                              u.json ? (void *)&u : &headed);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}
