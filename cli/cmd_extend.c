/* cmd_extend.c - artel extend MODEL RECIPE -o MODEL2. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A module of a mixture. */
static void draw_growth(const cJSON *o) {
    static const column domains[] = {
        {"domain", "domain", -16, CELL_TEXT, 16, 0, NULL},
        {"documents", "documents", 10, CELL_NUMBER, 0, 0, NULL},
        {"before", "before", 10, CELL_NUMBER, 4, 0, NULL},
        {"after", "after", 10, CELL_NUMBER, 4, 0, NULL},
        {"change", "change", 10, CELL_NUMBER, 2, 100, " %"},
        {"low", "from", 10, CELL_NUMBER, 2, 100, " %"},
        {"high", "to", 10, CELL_NUMBER, 2, 100, " %"},
        {0},
    };
    const cJSON *excluded = cJSON_GetObjectItemCaseSensitive(o, "excluded");
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(o, "included"), "domains");
    printf("%s: module %s added, %s parameters, digest %.12s\n", row_text(o, "model"),
           row_text(o, "added"), ui_count(row_number(o, "parameters")), row_text(o, "digest"));
    printf(
        "certificate: without it the model is what it was, to the bit: base %.12s and %.0f other "
        "modules have\n             their digests, %.0f ways to ask, %.0f windows, %.0f tokens "
        "the same logits\n",
        row_text(excluded, "base"), row_number(excluded, "modules"),
        row_number(excluded, "ways_to_answer"), row_number(excluded, "windows"),
        row_number(excluded, "tokens"));
    printf("with it, measured on validation documents (nats a token, 95 %% intervals):\n");
    table_draw(domains, list);
    if (cJSON_HasObjectItem(o, "review_tokens"))
        printf("the review read %.0f tokens of the other domains, %.3g %% of their training text\n",
               row_number(o, "review_tokens"), 100 * row_number(o, "review_share"));
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    if (!strcmp(row_text(o, "kind"), "module")) {
        draw_growth(o);
        cJSON_Delete(o);
        return;
    }
    printf("%s: %s %s added, %s parameters\n", row_text(o, "model"), row_text(o, "kind"),
           row_text(o, "added"), ui_count(row_number(o, "parameters")));
    printf("certificate: %.0f tensors of the old model have the digest they had, %s\n",
           row_number(o, "tensors"), row_text(o, "digest"));
    printf("             its answers are the same to the bit: %.0f ways to ask, %.0f windows, %.0f "
           "tokens\n",
           row_number(o, "ways_to_answer"), row_number(o, "windows"),
           row_number(o, "compared_tokens"));
    cJSON_Delete(o);
}

/* OUT.run, where no folder is given; the caller's. */
static char *default_run(const char *out) {
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    char *run = malloc(n + sizeof ".run");
    if (run) (void)snprintf(run, n + sizeof ".run", "%.*s.run", (int)n, out);
    return run;
}

int cmd_extend(int argc, char **argv) {
    ui u = {0};
    recipe_args r = {0};
    const char *out = NULL, *run = NULL;
    opt_list require = {0};
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        {"run", 0, OPT_STRING, &run, "", "RUN", "folder of the run that trains it; else MODEL.run",
         0, 0},
        {"require", 0, OPT_APPEND, &require, NULL, "PROMISE",
         "exit 1 and no model unless it holds: bit-identical, or DOMAIN:+X% (most that its loss "
         "may grow)",
         0, 0},
        {"set", 0, OPT_APPEND, &r.set, NULL, "A.B=V", "change a value of the recipe", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "extend",
        "MODEL RECIPE",
        2,
        2,
        "Adds an expert for another domain: a trunk to a model of trunks, a whole model to whole\n"
        "models behind a router.  All that was there is frozen; the result is composed with a\n"
        "router for all domains, and certified: every old tensor has its digest, every old expert\n"
        "its answers, to the bit.  Otherwise the exit code is 1 and there is no new model.  MODEL\n"
        "is never changed.  An interrupted call is continued by the same call.\n"
        "RECIPE is that of a training run without `model`, and\n"
        "  extend: {name: es, from: random, router: FOLDER}\n"
        "whose `from` may be an expert to begin as; without `router` one is fitted on the data.\n"
        "Of a mixture the module is experts more in its layers, which its routers may choose:\n"
        "  extend: {name: de, attention: 1, feed_forward: 2, init: random, router_decay: 0.01,\n"
        "           review: 20}\n"
        "attention and feed_forward may be lists, one number a layer; the review reads a little "
        "of\n"
        "the other domains, while the new rows of the routers alone learn.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "extend")) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        char *own = *run ? NULL : default_run(out);
        if ((*run || own) && recipe_ready(&r, &u, argv[1]))
            s = artel_extend(u.a, argv[0], &r.recipe, out, *run ? run : own,
                             (const char *const *)require.item, require.n, u.json ? ui_json : draw,
                             &u);
        free(own);
        rc = ui_close(&u, s);
    }
    opt_list_free(&require);
    recipe_free(&r);
    return rc;
}
