/* cmd_eval.c - artel eval MODEL --data DIR: losses, or --generate: how its texts read. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "table_scores.h"
#include "ui.h"
#include "verbs.h"
#include "who_args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- experts of a mixture: many JSON objects become two lines of text ---- */

enum { KINDS = 2, TOP = 5 };

typedef struct {
    int layer, expert;
    double share;
} favourite;

/* Routers of one kind in one domain. */
typedef struct {
    int routers;
    double entropy, information, dead, experts;
    favourite top[TOP]; /* largest shares, in descending order */
} kind_usage;

static const char *const kind_name[KINDS] = {"attention", "feed_forward"};

static void rank(kind_usage *k, favourite f) {
    for (int i = 0; i < TOP; i++)
        if (f.share > k->top[i].share) {
            const favourite t = k->top[i];
            k->top[i] = f;
            f = t;
        }
}

static void gather(kind_usage *all, const cJSON *o) {
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(o, "kind"), *e = NULL;
    favourite f = {.layer = (int)row_number_or(o, "layer", -1)};
    for (int i = 0; i < KINDS; i++) {
        if (!cJSON_IsString(kind) || strcmp(kind->valuestring, kind_name[i]) != 0) continue;
        kind_usage *k = &all[i];
        k->routers++;
        k->entropy += row_number_or(o, "load_entropy", -1);
        k->information += row_number_or(o, "mutual_information", -1);
        k->dead += row_number_or(o, "dead", -1);
        k->experts += row_number_or(o, "experts", -1);
        cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(o, "share")) {
            f.share = e->valuedouble;
            rank(k, f);
            f.expert++;
        }
    }
}

/* Experts are named LAYER.EXPERT. */
static void draw_usage(kind_usage *all) {
    for (int i = 0; i < KINDS; i++) {
        const kind_usage *k = &all[i];
        if (!k->routers) continue;
        printf("    %-13s load entropy %.3f  dead %.0f of %.0f  information %.2f nats  most used",
               kind_name[i], k->entropy / k->routers, k->dead, k->experts,
               k->information / k->routers);
        for (int t = 0; t < TOP && k->top[t].share > 0; t++)
            printf("%s %d.%d %.0f%%", t ? "," : "", k->top[t].layer, k->top[t].expert,
                   100 * k->top[t].share);
        printf("\n");
    }
    memset(all, 0, KINDS * sizeof *all);
}

static void draw(void *user, const char *json) {
    kind_usage *usage = user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *domain = cJSON_GetObjectItemCaseSensitive(o, "domain");
    if (scores_draw(o)) {
        cJSON_Delete(o);
        return;
    }
    if (cJSON_HasObjectItem(o, "layer")) {
        gather(usage, o);
    } else if (cJSON_IsString(domain)) {
        draw_usage(usage);
        const double bpb = row_number_or(o, "bits_per_byte", -1);
        printf("%-16s %10.0f tokens", domain->valuestring, row_number_or(o, "tokens", -1));
        if (row_number(o, "tokens") > 0)
            printf("  loss %.4f  ppl %8.2f", row_number_or(o, "loss", -1),
                   row_number_or(o, "ppl", -1));
        if (bpb >= 0) printf("  %.3f bits/byte", bpb);
        if (cJSON_HasObjectItem(o, "abstained"))
            printf("  unknown %.1f%%%s", 100 * row_number_or(o, "abstained", 0),
                   row_number(o, "tokens") > 0 ? "" : ", nothing is scored");
        const cJSON *e = NULL;
        cJSON_ArrayForEach(e, cJSON_GetObjectItemCaseSensitive(o, "usage"))
            printf("  %s %.1f%%", e->string, 100 * e->valuedouble);
        printf("\n");
        const double prefix = row_number_or(o, "route_on", -1);
        if (prefix > 0 && !strcmp(domain->valuestring, "all"))
            printf("Of each window %.0f tokens are read, by a router if there is one, and only "
                   "what follows is scored.\n",
                   prefix);
    }
    cJSON_Delete(o);
}

/* ---- texts that a model writes ---- */

enum { TEMPERATURES_MAX = 16 };

/* A share as a percentage, or a dash where there was nothing to share. */
static void put_percent(const cJSON *o, const char *key) {
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(o, key)))
        printf(" %10.1f %%", 100 * row_number(o, key));
    else
        printf(" %12s", "-");
}

static void draw_text_row(void *user, const char *json) {
    bool *begun = user;
    char how[32] = "documents";
    cJSON *o = printable_row(json, stdout);
    if (!*begun)
        printf("%-12s %11s %12s %12s %12s %8s\n", "domain", "temperature", "said before",
               "known words", "language", "tokens");
    *begun = true;
    if (cJSON_IsNumber(cJSON_GetObjectItemCaseSensitive(o, "temperature")))
        (void)snprintf(how, sizeof how, "%g", row_number(o, "temperature"));
    printf("%-12.12s %11s", row_text(o, "domain"), how);
    put_percent(o, "repeated");
    put_percent(o, "known");
    put_percent(o, "language");
    printf(" %8.0f\n", row_number(o, "new_tokens"));
    cJSON_Delete(o);
}

/* "0.3,0.8" -> numbers; how many, or -1. */
static int read_temperatures(const char *text, double out[TEMPERATURES_MAX]) {
    int n = 0;
    for (const char *s = text; *s;) {
        char *end;
        const double v = strtod(s, &end);
        if (end == s || !(v >= 0 && v <= 100) || n == TEMPERATURES_MAX || (*end && *end != ','))
            return -1;
        out[n++] = v;
        s = *end ? end + 1 : end;
    }
    return n ? n : -1;
}

static int write_texts(ui *u, const char *model, const char *data, artel_fluency_options *o) {
    bool begun = false;
    if (!ui_open(u, "eval")) return 1;
    o->sampling.seed = u->seed < 0 ? 0 : (uint64_t)u->seed;
    const artel_status s =
        artel_fluency(u->a, model, data, o, u->json ? ui_json : draw_text_row, &begun);
    if (begun)
        printf("said before: runs of four words that the same text had before; known words: in the "
               "training text of the domain;\nlanguage: texts that the router takes for the "
               "domain's; documents: what follows the prompts in the data set.\n");
    return ui_close(u, s);
}

static int losses(ui *u, const char *model, const char *data, const artel_eval_options *o) {
    kind_usage last[KINDS] = {0};
    if (!ui_open(u, "eval")) return 1;
    const artel_status s = artel_eval(u->a, model, data, o, u->json ? ui_json : draw, last);
    draw_usage(last);
    return ui_close(u, s);
}

int cmd_eval(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *split = NULL, *heat = NULL;
    bool usage = false, own = false, generate = false;
    double temperature[TEMPERATURES_MAX];
    who_args who = {0};
    artel_eval_options o = {0};
    artel_fluency_options f = {.temperatures = temperature};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DIR",
         "data set folder; of a model of tables a file of rows", 0, 0},
        {"split", 0, OPT_STRING, &split, NULL, "NAME",
         "train, validation, test (what is taken without it) or ood", 0, 0},
        {"context", 0, OPT_INT, &o.context, "0", "N",
         "tokens of a window; 0: what the model takes, at most 1024", 0, 1 << 20},
        {"windows", 0, OPT_INT, &o.windows, "0", "N", "most windows a domain; 0: all", 0, 1e12},
        {"route-on", 0, OPT_INT, &o.route_on, "0", "N",
         "leave the first N tokens of a window to the router, unscored; 0: 32 for a composed "
         "model, "
         "none for a plain one; -1: none",
         -1, 1 << 20},
        {"abstain", 0, OPT_REAL, &o.abstain, "0", "P",
         "windows whose expert the router gives less than P are not answered", 0, 1},
        {"usage", 0, OPT_FLAG, &usage, NULL, NULL, "also how often each expert is used", 0, 0},
        {"own", 0, OPT_FLAG, &own, NULL, NULL,
         "each domain is answered by the expert of its name, not by the router's", 0, 0},
        {"generate", 0, OPT_FLAG, &generate, NULL, NULL,
         "instead of all this: how texts read that the model writes", 0, 0},
        {"samples", 0, OPT_INT, &f.samples, "20", "N", "--generate: texts a domain and temperature",
         1, 1e6},
        {"prompt-tokens", 0, OPT_INT, &f.prompt, "32", "N",
         "--generate: each begins as a document of the split does, by so many tokens", 1, 1 << 20},
        {"tokens", 'n', OPT_INT, &f.n, "100", "N", "--generate: most new tokens of a text", 1, 1e9},
        {"temperatures", 0, OPT_STRING, &heat, "0.3,0.8,1", "T,T",
         "--generate: one after the other", 0, 0},
        {"top-k", 0, OPT_INT, &f.sampling.top_k, "40", "K",
         "--generate: only the K most probable; 0: all", 0, 1e9},
        {"top-p", 0, OPT_REAL, &f.sampling.top_p, "1", "P",
         "--generate: only the most probable that reach P", 0, 1},
        {"repeat-penalty", 0, OPT_REAL, &f.sampling.repeat_penalty, "1", "R",
         "--generate: a token among the last 64 becomes R times less likely; 1: off", 1, 1e6},
        {"router", 0, OPT_STRING, &f.router, "", "DIR",
         "--generate: whose verdict on the language; else a composed model's own", 0, 0},
        WHO_OPTIONS(&who),
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "eval",
        "MODEL",
        1,
        1,
        "Loss and perplexity of a model on each domain of a data set.\n"
        "A composed model routes every window to one of its experts, by its first tokens,\n"
        "which are not scored; with --route-on -1 by the very tokens that are, which flatters\n"
        "it.  To compare a plain model with a composed one, give both the same --route-on.\n"
        "--usage of a mixture: a load entropy of 1 is an even load; dead experts\n"
        "have under 1 % of an even share; 3.12 is expert 12 of layer 3, from 0.\n"
        "--generate has the model go on where documents of the split begin, and says whether\n"
        "the texts loop, are made of words that the domain's training text has, and are in the\n"
        "domain's language.  The first row of a domain is what the documents themselves say.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !who_ready(&who, &o.who)) rc = ui_fail("eval", "out of memory");
    if (rc < 0 && generate) {
        f.n_temperatures = read_temperatures(heat, temperature);
        f.split = split;
        f.who = o.who;
        if (!*f.router) f.router = NULL;
        rc = f.n_temperatures < 0
                 ? ui_usage("eval", "--temperatures %s: expected up to %d numbers such as 0.3,0.8",
                            heat, TEMPERATURES_MAX)
                 : write_texts(&u, argv[0], data, &f);
    } else if (rc < 0) {
        o.split = split;
        o.usage = usage;
        o.own = own;
        rc = losses(&u, argv[0], data, &o);
    }
    who_free(&who);
    return rc;
}
