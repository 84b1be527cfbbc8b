/* cmd_plan.c - artel plan RECIPE. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "verbs.h"
#include <stdio.h>
#include <string.h>

static void draw_time(double s) {
    if (s < 120)
        printf("%.0f s", s);
    else if (s < 7200)
        printf("%.0f min", s / 60);
    else
        printf("%.1f h", s / 3600);
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *mem = cJSON_GetObjectItemCaseSensitive(o, "memory_bytes");
    printf("parameters  %s, of which active for a %s %s\n", ui_count(row_number(o, "parameters")),
           cJSON_HasObjectItem(o, "data_rows") ? "row" : "token",
           ui_count(row_number(o, "active")));
    if (cJSON_HasObjectItem(o, "data_rows"))
        printf("rows        %s in %.0f steps, of %.0f inputs; %.3g flop a row",
               ui_count(row_number(o, "rows")), row_number(o, "steps"), row_number(o, "inputs"),
               row_number(o, "flops_per_row"));
    else
        printf("tokens      %s in %.0f steps; %.1f a parameter", ui_count(row_number(o, "tokens")),
               row_number(o, "steps"), row_number(o, "tokens_per_parameter"));
    if (row_number(o, "epochs") > 0)
        printf("; the data is read %.2f times", row_number(o, "epochs"));
    printf("\nfirst loss  about %.2f\n", row_number(o, "first_loss"));
    printf("memory      %s", ui_bytes(row_number(mem, "total")));
    const char *sep = ": ";
    const cJSON *part = NULL;
    cJSON_ArrayForEach(part, mem) {
        if (!strcmp(part->string, "total")) continue;
        printf("%s%s %s", sep, part->string, ui_bytes(part->valuedouble));
        sep = ", ";
    }
    printf("\ndisk        %s\n", ui_bytes(row_number(o, "disk_bytes")));
    printf("work        %.3g flop, about ", row_number(o, "flops"));
    draw_time(row_number(o, "seconds"));
    printf(" at %.0f %% of %.0f GFLOP/s\n", 100 * row_number(o, "assumed_share_of_peak"),
           1e-9 * row_number(o, "peak_flops_per_s"));
    const cJSON *d = NULL;
    cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(o, "doubts"))
        printf("doubt       %s\n", d->valuestring);
    cJSON_Delete(o);
}

int cmd_plan(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    const opt table[] = {
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a value of the recipe", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {"plan",
                           "RECIPE",
                           1,
                           1,
                           "Parameters, memory, disk, work and time of a training or distillation\n"
                           "recipe, and settings that look doubtful.  Runs nothing.",
                           table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "plan")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        if (recipe_ready(&r, &u, argv[0]))
            s = artel_plan(u.a, &r.recipe, ARTEL_TRAIN, u.json ? ui_json : draw, &u);
        rc = ui_close(&u, s);
    }
    recipe_free(&r);
    return rc;
}
