/* cmd_router.c - artel router train | compare | eval, and the table of all. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "router_text.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTHS_MAX = 16 };

/* ---- what is measured, for people ---- */

static void draw_confusion(const cJSON *o) {
    const cJSON *classes = cJSON_GetObjectItemCaseSensitive(o, "classes"), *name, *row, *v;
    printf("\nconfusion (rows: truth)\n%-12s", "");
    cJSON_ArrayForEach(name, classes) printf(" %10.10s", name->valuestring);
    printf("\n");
    int i = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(o, "confusion")) {
        printf("%-12.12s", cJSON_GetArrayItem(classes, i++)->valuestring);
        cJSON_ArrayForEach(v, row) printf(" %10.0f", v->valuedouble);
        printf("\n");
    }
}

static void draw_short(const cJSON *o) {
    const cJSON *row, *name;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(o, "per_length")) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(row, "short");
        if (!cJSON_GetArraySize(list)) continue;
        printf("%.0f tokens: the %s split is shorter for", row_number(row, "length"),
               row_text(o, "split"));
        cJSON_ArrayForEach(name, list) printf(" %s", name->valuestring);
        printf(row_number(row, "sequences") > 0 ? "\n" : ": not measured\n");
    }
}

/* What is answered, and how much of it is wrong, where the router may decline. */
static void draw_risk(const cJSON *o) {
    static const column risk[] = {
        {"threshold", "at least", 10, CELL_NUMBER, 3, 0, NULL},
        {"coverage", "answered", 10, CELL_NUMBER, 2, 100, " %"},
        {"error", "wrong", 10, CELL_NUMBER, 3, 100, " %"},
        {0},
    };
    if (!cJSON_GetObjectItemCaseSensitive(o, "risk")) return;
    printf("\nanswered at a probability of at least %g: %.2f %%\n\n", row_number(o, "abstain"),
           100 * row_number(o, "coverage"));
    table_draw(risk, cJSON_GetObjectItemCaseSensitive(o, "risk"));
}

static void draw_score(const cJSON *o) {
    static const column classes[] = {
        {"class", "class", -12, CELL_TEXT, 12, 0, NULL},
        {"precision", "precision", 10, CELL_NUMBER, 4, 0, NULL},
        {"recall", "recall", 10, CELL_NUMBER, 4, 0, NULL},
        {"f1", "f1", 10, CELL_NUMBER, 4, 0, NULL},
        {"sequences", "sequences", 10, CELL_NUMBER, 0, 0, NULL},
        {0},
    };
    static const column lengths[] = {
        {"length", "tokens", -12, CELL_NUMBER, 0, 0, NULL},
        {"accuracy", "accuracy", 10, CELL_NUMBER, 4, 0, NULL},
        {"f1", "f1", 10, CELL_NUMBER, 4, 0, NULL},
        {"weighted_f1", "weighted", 10, CELL_NUMBER, 4, 0, NULL},
        {"ece_before", "ece at 1", 10, CELL_NUMBER, 4, 0, NULL},
        {"ece", "ece", 10, CELL_NUMBER, 4, 0, NULL},
        {"sequences", "sequences", 10, CELL_NUMBER, 0, 0, NULL},
        {0},
    };
    printf("%s split, %.0f sequences of %.0f tokens\n", row_text(o, "split"),
           row_number(o, "sequences"), row_number(o, "length"));
    printf("accuracy %.4f  precision %.4f  recall %.4f  f1 %.4f (means over classes)\n",
           row_number(o, "accuracy"), row_number(o, "precision"), row_number(o, "recall"),
           row_number(o, "f1"));
    printf("f1 weighted by sequences %.4f; calibration error %.4f at temperature %.3f, %.4f at 1\n",
           row_number(o, "weighted_f1"), row_number(o, "ece"), row_number(o, "temperature"),
           row_number(o, "ece_before"));
    printf("\n");
    table_draw(classes, cJSON_GetObjectItemCaseSensitive(o, "per_class"));
    draw_confusion(o);
    printf("\n");
    const cJSON *row;
    table_head(lengths);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(
                                o, "per_length")) if (row_number(row, "sequences") > 0)
        table_row(lengths, row);
    draw_short(o);
    draw_risk(o);
    if (row_number(o, "tokens_per_second") > 0)
        printf("\n%s tokens/s routed by one thread, in sequences of %.0f\n",
               ui_count(row_number(o, "tokens_per_second")), row_number(o, "length"));
}

static void draw_trained(const cJSON *o) {
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(o, "trials")) printf(
        "C %-6g f1 %.4f on the validation split\n", row_number(row, "C"), row_number(row, "f1"));
    printf("%s: %d classes, %.0f %s known, temperature %.3f, from %.0f sequences in %.1f s\n",
           row_text(o, "router"),
           cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(o, "classes")),
           row_number(o, "features"), "features", row_number(o, "temperature"),
           row_number(o, "sequences"), row_number(o, "seconds"));
    printf("%s, C %g\n\n", row_text(o, "classifier"), row_number(o, "C"));
}

/* "tales: 40 sequences of 128 tokens, mean probability 0.71: en 95.0 %, fr 5.0 %" */
static void draw_ood(const cJSON *o) {
    const cJSON *v;
    int n = 0;
    printf("%s: %.0f sequences of %.0f tokens, mean probability %.3f", row_text(o, "ood"),
           row_number(o, "sequences"), row_number(o, "length"), row_number(o, "confidence"));
    cJSON_ArrayForEach(v, cJSON_GetObjectItemCaseSensitive(o, "share"))
        printf("%s %s %.1f %%", n++ ? "," : ":", v->string, 100 * v->valuedouble);
    printf("\n");
    if (row_number(o, "abstain") > 0)
        printf("    answered at a probability of at least %g: %.2f %%\n", row_number(o, "abstain"),
               100 * row_number(o, "coverage"));
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    if (cJSON_GetObjectItemCaseSensitive(o, "split"))
        draw_score(o);
    else if (cJSON_GetObjectItemCaseSensitive(o, "ood"))
        draw_ood(o);
    else
        draw_trained(o);
    cJSON_Delete(o);
}

/* ---- train ---- */

/* "8,16,32" -> numbers; how many, or -1. */
static int lengths(const char *text, int64_t out[LENGTHS_MAX]) {
    int n = 0;
    for (const char *s = text; *s;) {
        char *end;
        const long long v = strtoll(s, &end, 10);
        if (end == s || v < 1 || n == LENGTHS_MAX || (*end && *end != ',')) return -1;
        out[n++] = v;
        s = *end ? end + 1 : end;
    }
    return n ? n : -1;
}

static int bad_lengths(const char *verb, const char *text) {
    return ui_usage(verb, "--lengths %s: expected up to %d numbers such as 8,64,512", text,
                    LENGTHS_MAX);
}

/* What train and compare have in common. */
typedef struct fitting {
    const char *c, *lengths;
    int64_t length[LENGTHS_MAX], ngrams, hash_bits;
    bool sublinear, sklearn_ids;
    artel_router_options o;
} fitting;

#define FITTING_OPTIONS(f)                                                                         \
    {"C",                                                                                          \
     0,                                                                                            \
     OPT_STRING,                                                                                   \
     &(f)->c,                                                                                      \
     NULL,                                                                                         \
     "X",                                                                                          \
     "inverse strength of the penalty on weights, or auto: by the validation split; else 10 for\n" \
     "logistic and softmax, 1 for others",                                                         \
     0,                                                                                            \
     0},                                                                                           \
        {"ngrams",                                                                                 \
         0,                                                                                        \
         OPT_INT,                                                                                  \
         &(f)->ngrams,                                                                             \
         "1",                                                                                      \
         "N",                                                                                      \
         "also count sequences of 2 to N tokens, hashed",                                          \
         1,                                                                                        \
         8},                                                                                       \
        {"hash-bits", 0, OPT_INT, &(f)->hash_bits, "18", "B", "into 2^B features", 8, 26},         \
        {"sublinear",                                                                              \
         0,                                                                                        \
         OPT_FLAG,                                                                                 \
         &(f)->sublinear,                                                                          \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "what occurs n times counts as 1 + ln n",                                                 \
         0,                                                                                        \
         0},                                                                                       \
        {"sklearn-ids",                                                                            \
         0,                                                                                        \
         OPT_FLAG,                                                                                 \
         &(f)->sklearn_ids,                                                                        \
         NULL,                                                                                     \
         NULL,                                                                                     \
         "leave out ids 0 to 9, as scikit-learn's TfidfVectorizer does",                           \
         0,                                                                                        \
         0},                                                                                       \
    {                                                                                              \
        "windows", 0, OPT_INT, &(f)->o.windows, "3000", "N",                                       \
            "training windows for each class and length", 1, 1e7                                   \
    }

static int fitting_take(fitting *f, const ui *u, const char *verb) {
    f->o.length = f->length;
    f->o.n_lengths = lengths(f->lengths, f->length);
    if (f->o.n_lengths < 0) return bad_lengths(verb, f->lengths);
    f->o.tune = f->c && !strcmp(f->c, "auto");
    if (f->c && !f->o.tune) {
        char *end;
        f->o.c = strtod(f->c, &end);
        if (end == f->c || *end || !(f->o.c >= 1e-9 && f->o.c <= 1e9))
            return ui_usage(verb, "--C %s: expected auto or a number from 1e-9 to 1e9", f->c);
    }
    f->o.ngrams = (int)f->ngrams;
    f->o.hash_bits = (int)f->hash_bits;
    f->o.sublinear = f->sublinear;
    f->o.sklearn_ids = f->sklearn_ids;
    if (u->seed > 0) f->o.seed = (uint64_t)u->seed;
    return -1;
}

static int router_train(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL;
    fitting f = {0};
    const opt table[] = {{"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "DIR",
                          "folder for router.safetensors and tokenizer.json", 0, 0},
                         {"classifier", 0, OPT_STRING, &f.o.classifier, "logistic", "NAME",
                          "logistic, softmax, svm, sgd-hinge, sgd-modified-huber, sgd-log, ridge, "
                          "bayes,\ncomplement-bayes or centroid",
                          0, 0},
                         FITTING_OPTIONS(&f),
                         {"lengths", 0, OPT_STRING, &f.lengths, "8,16,32,64,128,256,512", "N,N",
                          "tokens of the training windows, mixed", 0, 0},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {"router train",
                           "DATA",
                           1,
                           1,
                           "Fits a router on the training split of a data set, one class a domain, "
                           "and on the validation\nsplit a temperature of its probabilities, and "
                           "measures it there.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    const int taken = fitting_take(&f, &u, "router train");
    if (taken >= 0) return taken;
    if (!ui_open(&u, "router train")) return 1;
    return ui_close(&u, artel_router_train(u.a, argv[0], out, &f.o, u.json ? ui_json : draw, &u));
}

/* ---- compare ---- */

/* A row a classifier, a column a length; the head comes with the first row. */
static void draw_compared(void *user, const char *json) {
    bool *begun = user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *rows = cJSON_GetObjectItemCaseSensitive(o, "per_length"), *row;
    if (!*begun) {
        printf("weighted F1, %%, by tokens\n%-20s %7s %7s", "classifier", "C", "s");
        cJSON_ArrayForEach(row, rows) printf(" %7.0f", row_number(row, "length"));
        printf("\n");
    }
    *begun = true;
    printf("%-20s %7.4g %7.2f", row_text(o, "classifier"), row_number(o, "C"),
           row_number(o, "fit_seconds"));
    cJSON_ArrayForEach(row, rows) printf(" %7.2f", 100 * row_number(row, "weighted_f1"));
    printf("\n");
    (void)fflush(stdout);
    cJSON_Delete(o);
}

static int router_compare(int argc, char **argv) {
    ui u = {0};
    fitting f = {0};
    const char *split = NULL, *measured = NULL;
    opt_list names = {0};
    bool begun = false;
    int64_t each[LENGTHS_MAX];
    artel_router_lengths l = {.lengths = each};
    const opt table[] = {
        {"classifier", 0, OPT_LIST, &names, NULL, "NAME", "only this one; may be repeated", 0, 0},
        {"split", 0, OPT_STRING, &split, "test", "NAME", "measured on: train, validation or test",
         0, 0},
        FITTING_OPTIONS(&f),
        {"train-lengths", 0, OPT_STRING, &f.lengths, "8,16,32,64,128,256,512", "N,N",
         "tokens of the training windows, mixed", 0, 0},
        {"lengths", 0, OPT_STRING, &measured, NULL, "N,N",
         "tokens of what is measured; else 8,16,...,1024 as far as the split goes", 0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "router compare",
        "DATA",
        1,
        1,
        "Fits every classifier on the same windows of the training split of a data set, and prints "
        "the\nF1 of each by length, and how long its fit took, with counting and the temperature.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0) rc = fitting_take(&f, &u, "router compare");
    l.n_lengths = rc < 0 && measured ? lengths(measured, each) : 0;
    if (l.n_lengths < 0) rc = bad_lengths("router compare", measured);
    if (rc < 0 && !ui_open(&u, "router compare")) rc = 1;
    if (rc < 0)
        rc = ui_close(&u, artel_router_compare(u.a, argv[0], &f.o, (const char *const *)names.item,
                                               names.n, split, &l, u.json ? ui_json : draw_compared,
                                               &begun));
    opt_list_free(&names);
    return rc;
}

/* ---- eval ---- */

static int router_eval(int argc, char **argv) {
    ui u = {0};
    const char *data = NULL, *split = NULL, *list = NULL;
    bool speed = false;
    int64_t each[LENGTHS_MAX];
    artel_router_lengths o = {.lengths = each};
    const opt table[] = {
        {"data", 'd', OPT_STRING, &data, OPT_REQUIRED, "DIR", "data set to measure on", 0, 0},
        {"split", 0, OPT_STRING, &split, "test", "NAME", "train, validation, test or ood", 0, 0},
        {"length", 0, OPT_INT, &o.length, "128", "N", "tokens of a sequence", 1, 1 << 20},
        {"lengths", 0, OPT_STRING, &list, NULL, "N,N",
         "lengths of the table by length; else 8,16,...,1024 as far as the split goes", 0, 0},
        {"abstain", 0, OPT_REAL, &o.abstain, "0", "P",
         "do not answer below this probability; also a table of what is answered at others", 0, 1},
        {"speed", 0, OPT_FLAG, &speed, NULL, NULL, "also measure tokens/s of one thread", 0, 0},
        UI_OPTIONS(&u),
        {0}};
    const opt_verb verb = {
        "router eval",
        "ROUTER",
        1,
        1,
        "Accuracy, precision, recall, F1 (means over classes), confusion, and a table by length.\n"
        "Calibration error: expected calibration error in 15 bins of equal width of the "
        "probability of\nthe class, at the router's temperature and at 1.\n"
        "ROUTER: a folder with router.safetensors (a model is one), or that file.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    o.n_lengths = list ? lengths(list, each) : 0;
    if (o.n_lengths < 0) return bad_lengths("router eval", list);
    o.speed = speed;
    if (!ui_open(&u, "router eval")) return 1;
    return ui_close(&u,
                    artel_router_eval(u.a, argv[0], data, split, &o, u.json ? ui_json : draw, &u));
}

int cmd_router(int argc, char **argv) {
    static const opt_sub table[] = {
        {"train", "fit a router on a data set", router_train},
        {"compare", "measure every classifier a router can be", router_compare},
        {"eval", "measure a router", router_eval},
        {"segment", "say which part of a text goes where", router_segment},
        {"explain", "say why a text goes where it goes", router_explain},
        {NULL, NULL, NULL}};
    return opt_dispatch("artel router", table, argc, argv);
}
