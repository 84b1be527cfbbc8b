/* cmd_train.c - artel train RECIPE -o RUN, artel train TABLE -o RUN, artel distill RECIPE -o RUN. */
#include "artel.h"
#include "printable.h"
#include "recipe_args.h"
#include "table.h"
#include "table_scores.h"
#include "verbs.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Of a model that translates, a line a direction. */
static bool directions_draw(const cJSON *o) {
    const cJSON *all = cJSON_GetObjectItemCaseSensitive(o, "directions"), *d = NULL;
    cJSON_ArrayForEach(d, all)
        printf("%s, %.0f test pairs: loss %.4f for each of %.0f tokens\n", row_text(d, "direction"),
               row_number(d, "pairs"), row_number(d, "loss"), row_number(d, "tokens"));
    return all != NULL;
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    if (scores_draw(o) || directions_draw(o)) {
        cJSON_Delete(o);
        return;
    }
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(o, "model");
    const bool rows = cJSON_HasObjectItem(o, "rows_read");
    printf("%s: %s parameters, %.0f steps, %s %s",
           cJSON_IsString(model) ? model->valuestring : "model",
           ui_count(row_number_or(o, "parameters", (double)NAN)),
           row_number_or(o, "steps", (double)NAN),
           ui_count(row_number_or(o, rows ? "rows_read" : "tokens", (double)NAN)),
           rows ? "rows" : "tokens");
    if (!isnan(row_number_or(o, "loss", (double)NAN)))
        printf(", loss %.4f", row_number_or(o, "loss", (double)NAN));
    const double val = row_number_or(o, "val_loss", (double)NAN);
    if (!isnan(val)) printf(", validation loss %.4f", val);
    if (!isnan(val) && !rows) printf(" (perplexity %.2f)", exp(val));
    printf(", %.1f s\n", row_number_or(o, "seconds", (double)NAN));
    cJSON_Delete(o);
}

/* ---- a table in place of a recipe ---- */

typedef struct {
    const char *label, *text;
    bool regress;
} table_args;

static bool ends_with(const char *s, const char *tail) {
    const size_t n = strlen(s), m = strlen(tail);
    return n >= m && !strcmp(s + n - m, tail);
}

/* A folder of pictures. */
static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* By its name, or by what is asked of it. */
static bool is_table(const char *path, const table_args *t) {
    static const char *const kind[] = {".csv", ".tsv", ".arff", ".fann", "-ubyte"};
    static const char *const packed[] = {"", ".gz", ".zst"};
    char tail[16];
    bool is = t->label || t->text || t->regress || is_folder(path);
    for (size_t i = 0; i < sizeof kind / sizeof *kind; i++)
        for (size_t k = 0; k < sizeof packed / sizeof *packed; k++) {
            (void)snprintf(tail, sizeof tail, "%s%s", kind[i], packed[k]);
            is |= ends_with(path, tail);
        }
    return is;
}

/* Text as a YAML value in quotes; false: out of memory. */
static bool quoted(recipe_args *r, const char *key, const char *text, const char *from) {
    char *s = malloc(2 * strlen(text) + 3), *to = s;
    if (!s) return false;
    *to++ = '\'';
    for (const char *p = text; *p; p++) {
        if (*p == '\'') *to++ = '\'';
        *to++ = *p;
    }
    *to++ = '\'';
    *to = 0;
    const bool ok = recipe_default(r, key, s, from);
    free(s);
    return ok;
}

/* Whether --set says which model it is to be. */
static bool has_model(const recipe_args *r) {
    static const char *const key[] = {"model.arch=", "model.trunk.arch="};
    bool has = false;
    for (int i = 0; i < r->set.n; i++)
        for (int k = 0; k < 2; k++) has |= !strncmp(r->set.item[i], key[k], strlen(key[k]));
    return has;
}

/* A small mixture over texts. */
static bool model_of_texts(recipe_args *r, const table_args *t) {
    static const char *const set[][2] = {
        {"arch", "moduleformer"}, {"n_layer", "2"},     {"n_embd", "64"},       {"n_head", "2"},
        {"att_hidden", "64"},     {"ffd_hidden", "64"}, {"n_att_experts", "4"}, {"k_att", "2"},
        {"n_mlp_experts", "4"},   {"k_mlp", "2"},       {"gating_size", "32"}};
    char key[64];
    bool ok = quoted(r, "table.text", t->text, "option --text");
    const bool given = has_model(r);
    for (size_t i = 0; i < sizeof set / sizeof *set && !given; i++) {
        (void)snprintf(key, sizeof key, "model.trunk.%s", set[i][0]);
        ok = ok && recipe_default(r, key, set[i][1], "artel train TABLE");
    }
    return ok;
}

/* What a recipe for it would say. */
static bool recipe_of_table(recipe_args *r, const char *path, const table_args *t) {
    const bool pictures = is_folder(path);
    const char *const set[][2] = {{"model.arch", t->text    ? "text_classifier"
                                                 : pictures ? "conv_moe"
                                                            : "mlp_moe"},
                                  {"train.batch", "32"},
                                  {"train.lr", pictures || t->text ? "1e-3" : "3e-3"},
                                  {"train.weight_decay", "0.01"},
                                  {"train.save_every", "0"},
                                  {"train.spike", "0"}};
    bool ok = recipe_default(r, "task", t->regress ? "regress" : "classify", "artel train TABLE");
    ok = ok && quoted(r, "data.train", path, "artel train TABLE");
    if (t->label) ok = ok && quoted(r, "table.label", t->label, "option --label");
    if (t->text) ok = ok && model_of_texts(r, t);
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        ok = ok && recipe_default(r, set[i][0], set[i][1], "artel train TABLE");
    return ok;
}

static int run(int argc, char **argv, const char *name, artel_task task, const char *about) {
    ui u = {0};
    recipe_args r = {0};
    const char *out = NULL;
    bool resume = false;
    table_args t = {0};
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, NULL, "RUN", "folder of the run", 0, 0},
        {"resume", 0, OPT_FLAG, &resume, NULL, NULL, "continue RUN from its newest checkpoint", 0,
         0},
        RECIPE_OPTIONS(&r),
        UI_OPTIONS(&u),
        {"label", 0, OPT_STRING, &t.label, NULL, "COLUMN",
         "of a table: the column to predict; without it the last", 0, 0},
        {"text", 0, OPT_STRING, &t.text, NULL, "COLUMN",
         "of a table: learn from the texts of this column alone", 0, 0},
        {"regress", 0, OPT_FLAG, &t.regress, NULL, NULL, "of a table: the column is a number", 0,
         0},
        {0},
    };
    opt plain[sizeof table / sizeof *table]; /* without those of tables */
    memcpy(plain, table, sizeof plain);
    plain[sizeof table / sizeof *table - 4] = (opt){0};
    const bool tables = task == ARTEL_TRAIN;
    const opt_verb verb = {
        name, tables ? "RECIPE|TABLE" : "RECIPE", 1, 1, about, tables ? table : plain};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !out && !r.print) rc = ui_usage(name, "--output RUN is required");
    if (rc < 0 && !ui_open(&u, name)) rc = 1;
    if (rc < 0) {
        artel_status s = ARTEL_OOM;
        const bool of_table = tables && is_table(argv[0], &t);
        if ((!of_table || recipe_of_table(&r, argv[0], &t)) &&
            recipe_ready(&r, &u, of_table ? NULL : argv[0]))
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
               "Ctrl-C saves a checkpoint; --resume continues bit for bit.\n"
               "A TABLE (CSV, ARFF, FANN, IDX) stands for a recipe that learns one of its columns\n"
               "and says how well it does on rows held back; --print-config shows it.  So does a\n"
               "folder of PNG and JPEG files that has a folder for each class.");
}

int cmd_distill(int argc, char **argv) {
    return run(argc, argv, "distill", ARTEL_DISTILL,
               "Distils a teacher into a student: the recipe's section `distill` names the\n"
               "teacher and the loss.  Both must share the tokenizer.");
}
