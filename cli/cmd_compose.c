/* cmd_compose.c - artel compose RECIPE -o MODEL. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "verbs.h"
#include <stdio.h>

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "name");
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(o, "file");
    const cJSON *n = cJSON_GetObjectItemCaseSensitive(o, "parameters");
    if (cJSON_IsString(name) && cJSON_IsString(file))
        printf("%-16s %s parameters  %s\n", name->valuestring,
               ui_count(cJSON_IsNumber(n) ? n->valuedouble : 0), file->valuestring);
    cJSON_Delete(o);
}

int cmd_compose(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    const char *out = NULL, *mode = NULL;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        {"mode", 0, OPT_STRING, &mode, NULL, "MODE", "ple, jeet or moe-ce", 0, 0},
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a value of the recipe", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {"compose",
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
                           "  model: FOLDER",
                           table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "compose")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        if ((!mode || recipe_set(&r, "mode", mode, "option --mode")) &&
            recipe_ready(&r, &u, argv[0]))
            s = artel_compose(u.a, &r.recipe, out, u.json ? ui_json : draw, &u);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}
