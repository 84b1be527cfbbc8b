/* cmd_module.c - artel module ls | show | export | add | drop | merge | verify. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>

/* ---- what is told, for people ---- */

/* The items of a list, one after the other. */
static void put_items(const cJSON *list) {
    const cJSON *v = NULL;
    cJSON_ArrayForEach(v, list) {
        if (cJSON_IsString(v)) printf(" %s", v->valuestring);
    }
}

static void draw_row(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(o, "data");
    printf("%3.0f  %-16s %10s parameters  %.12s", row_number(o, "id"), row_text(o, "name"),
           ui_count(row_number(o, "parameters")),
           *row_text(o, "digest") ? row_text(o, "digest") : row_text(o, "sha256"));
    if (data) {
        printf("  data:");
        put_items(cJSON_GetObjectItemCaseSensitive(data, "domains"));
        printf("  licences:");
        put_items(cJSON_GetObjectItemCaseSensitive(data, "licences"));
    }
    printf("\n");
    cJSON_Delete(o);
}

static void draw_origin(const cJSON *o) {
    const cJSON *base = cJSON_GetObjectItemCaseSensitive(o, "base"), *e = NULL;
    const cJSON *data = cJSON_GetObjectItemCaseSensitive(o, "data");
    const cJSON *created = cJSON_GetObjectItemCaseSensitive(o, "created");
    if (cJSON_IsObject(base)) printf("base        %s\n", row_text(base, "digest"));
    cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(base, "modules"))
        printf("beside      %s %s\n", row_text(e, "name"), row_text(e, "digest"));
    printf("tokenizer   %s\n", row_text(o, "tokenizer"));
    if (data) {
        printf("data       ");
        put_items(cJSON_GetObjectItemCaseSensitive(data, "domains"));
        printf(", manifest %s\nlicences   ", row_text(data, "manifest"));
        put_items(cJSON_GetObjectItemCaseSensitive(data, "licences"));
        printf("\n");
    }
    if (created)
        printf("trained     %s, %.0f steps, seed %.0f, arithmetic %s\n", row_text(o, "trained"),
               row_number(created, "steps"), row_number(created, "seed"),
               row_text(created, "arithmetic"));
}

static void draw_passport(void *user, const char *json) {
    static const column domains[] = {
        {"domain", "domain", -16, CELL_TEXT, 16, 0, NULL},
        {"documents", "documents", 10, CELL_NUMBER, 0, 0, NULL},
        {"before", "before", 10, CELL_NUMBER, 4, 0, NULL},
        {"after", "after", 10, CELL_NUMBER, 4, 0, NULL},
        {"change", "change", 10, CELL_NUMBER, 2, 100, " %"},
        {0},
    };
    (void)user;
    cJSON *row = printable_row(json, stdout);
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(row, "passport");
    if (!o) o = row; /* of a file, or of an expert of a composed model */
    printf("module      %s, %s parameters in %d tensors\n", row_text(o, "name"),
           ui_count(row_number(o, "parameters")),
           cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, "owns")));
    printf("digest      %s\n",
           *row_text(o, "digest") ? row_text(o, "digest") : row_text(o, "sha256"));
    draw_origin(o);
    if (cJSON_HasObjectItem(o, "evaluation"))
        table_draw(domains, cJSON_GetObjectItemCaseSensitive(o, "evaluation"));
    cJSON_Delete(row);
}

static void draw_chain(const cJSON *o) {
    const cJSON *link = NULL;
    cJSON_ArrayForEach(link, cJSON_GetObjectItemCaseSensitive(o, "chain"))
        printf("  %-9s %-20s recorded %.12s, found %.12s\n", row_text(link, "what"),
               row_text(link, "name"), row_text(link, "recorded"), row_text(link, "found"));
}

static void draw_event(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *exact = cJSON_GetObjectItemCaseSensitive(o, "exact");
    if (cJSON_HasObjectItem(o, "added")) {
        printf("%s: %.0f modules added\n", row_text(o, "model"), row_number(o, "added"));
    } else if (cJSON_HasObjectItem(o, "file")) {
        printf("%s: module %s\n", row_text(o, "file"), row_text(o, "module"));
    } else {
        printf("%s: %s %s, id %.0f, digest %.12s\n", row_text(o, "model"), row_text(o, "what"),
               row_text(o, "module"), row_number(o, "id"), row_text(o, "digest"));
    }
    draw_chain(o);
    if (exact)
        printf("%.0f logits are the same to the bit as with the module excluded\n",
               row_number(o, "compared_logits"));
    if (cJSON_IsTrue(exact))
        printf("exact: what is left is, bit for bit, the model that never saw the module's data\n");
    else if (exact)
        printf("not exact: %s\n", row_text(o, "reason"));
    cJSON_Delete(o);
}

static void draw_verified(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const bool whole = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "whole"));
    draw_chain(o);
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, "verified")))
        printf("%s: module %s is not verified\n", row_text(o, "file"), row_text(o, "module"));
    else if (whole)
        printf("%s: module %s, made again in %.0f steps, has the same bits and the same passport\n",
               row_text(o, "file"), row_text(o, "module"), row_number(o, "steps"));
    else
        printf("%s: module %s, made again to step %.0f of %.0f, had the same bits there\n",
               row_text(o, "file"), row_text(o, "module"), row_number(o, "steps"),
               row_number(o, "of"));
    cJSON_Delete(o);
}

/* ---- the commands ---- */

static int module_ls(int argc, char **argv) {
    ui u = {0};
    const opt table[] = {UI_OPTIONS(&u), {0}};
    const opt_verb verb = {
        "module ls", "MODEL", 1, 1, "The modules of a mixture, or the experts of a composed model.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module ls")) rc = 1;
    if (rc < 0) rc = ui_close(&u, artel_module_list(u.a, argv[0], u.json ? ui_json : draw_row, &u));
    return rc;
}

static int module_show(int argc, char **argv) {
    ui u = {0};
    const opt table[] = {UI_OPTIONS(&u), {0}};
    const opt_verb verb = {"module show",
                           "MODEL NAME | FILE",
                           1,
                           2,
                           "The passport of a module: what it is, on what base and data it was\n"
                           "trained and how, what it owns, what it changed.",
                           table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module show")) rc = 1;
    if (rc < 0)
        rc = ui_close(&u, artel_module_show(u.a, argv[0], argc > 1 ? argv[1] : NULL,
                                            u.json ? ui_json : draw_passport, &u));
    return rc;
}

static int module_export(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "FILE", "the module's file", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "module export", "MODEL NAME", 2, 2, "A module as one file, with its passport.", table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module export")) rc = 1;
    if (rc < 0)
        rc = ui_close(
            &u, artel_module_export(u.a, argv[0], argv[1], out, u.json ? ui_json : draw_event, &u));
    return rc;
}

static int module_add(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL, *as = NULL;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        {"as", 0, OPT_STRING, &as, "", "NAME", "its name there, if not its own", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "module add",
        "MODEL FILE",
        2,
        2,
        "A model with one module more.  It must have been trained on this base,\n"
        "with this tokenizer.  MODEL is not changed.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module add")) rc = 1;
    if (rc < 0)
        rc = ui_close(&u, artel_module_add(u.a, argv[0], argv[1], *as ? as : NULL, out,
                                           u.json ? ui_json : draw_event, &u));
    return rc;
}

static int module_drop(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL;
    bool certify = false;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        {"certify", 0, OPT_FLAG, &certify, NULL, NULL,
         "exit 1 and no model unless the removal is exact", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "module drop",
        "MODEL NAME",
        2,
        2,
        "A model without a module.  The removal is exact where base and other\n"
        "modules were not trained while it was there: then what is left is, bit\n"
        "for bit, the model that never saw its data.  MODEL is not changed.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module drop")) rc = 1;
    if (rc < 0)
        rc = ui_close(&u, artel_module_drop(u.a, argv[0], argv[1], certify, out,
                                            u.json ? ui_json : draw_event, &u));
    return rc;
}

static int module_merge(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL;
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "MODEL", "folder of the new model", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "module merge",
        "MODEL OTHER",
        2,
        2,
        "Two models that grew from one base become one with the modules of both.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !ui_open(&u, "module merge")) rc = 1;
    if (rc < 0)
        rc = ui_close(
            &u, artel_module_merge(u.a, argv[0], argv[1], out, u.json ? ui_json : draw_event, &u));
    return rc;
}

static int module_verify(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *base = NULL, *run = NULL;
    int64_t steps = 0;
    const opt table[] = {
        {"data", 0, OPT_STRING, &data, OPT_REQUIRED, "DIR", "the data set it was trained on", 0, 0},
        {"base", 0, OPT_STRING, &base, "", "MODEL",
         "a model with its base and the modules it was trained beside; of MODEL NAME: MODEL", 0, 0},
        {"steps", 0, OPT_INT, &steps, "0", "N", "only what its first steps show; 0: all of it", 0,
         1e12},
        {"run", 0, OPT_STRING, &run, "module.verify", "DIR",
         "folder to work in; removed in the end, and kept by Ctrl-C for the same call", 0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "module verify",
        "MODEL NAME | FILE",
        1,
        2,
        "Makes a module again from its passport and compares digests: exit code 1 where\n"
        "it is not what its passport says, or base or data are not those it was made of.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && argc < 2 && !*base) rc = ui_usage("module verify", "of a FILE: --base MODEL");
    if (rc < 0 && !ui_open(&u, "module verify")) rc = 1;
    if (rc < 0)
        rc = ui_close(&u, artel_module_verify(u.a, argv[0], argc > 1 ? argv[1] : NULL, data,
                                              *base ? base : NULL, run, steps,
                                              u.json ? ui_json : draw_verified, &u));
    return rc;
}

int cmd_module(int argc, char **argv) {
    static const opt_sub table[] = {
        {"ls", "the modules of a model", module_ls},
        {"show", "a module's passport", module_show},
        {"export", "a module as one file", module_export},
        {"add", "a model with one module more", module_add},
        {"drop", "a model without a module, and whether the removal is exact", module_drop},
        {"merge", "the modules of two models of one base", module_merge},
        {"verify", "makes a module again from its passport, and compares", module_verify},
        {0},
    };
    return opt_dispatch("artel module", table, argc, argv);
}
