/*
 * test_table_task.c - learning from tables, from recipe to result: mixtures of perceptrons on classes and
 * numbers, the best validation kept, the same bits on any threads and after a resume.
 */
#include "artel.h"
#include "base/file.h"
#include "base/rng.h"
#include "check.h"
#include <math.h>
#include <stdio.h>

static at_ctx ctx;
static char *root;

static char *in_root(const char *name) {
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

/* Two numbers, a colour; the class is the quadrant, turned over where the colour is red; y is smooth. */
static void write_data(void) {
    at_text t;
    at_text_init(&t, &ctx, 0);
    at_text_add(&t, "u,v,colour,class,y\n");
    for (uint64_t i = 0; i < 400; i++) {
        const double u = at_normal(1, AT_STREAM_TEST, 2 * i),
                     v = at_normal(1, AT_STREAM_TEST, 2 * i + 1);
        const bool red = at_rand_below(2, 2, AT_STREAM_TEST, i);
        const bool one = (u * v > 0) != red;
        at_textf(&t, "%.6f,%.6f,%s,%s,%.6f\n", u, v, red ? "red" : "blue", one ? "same" : "other",
                 100 + 10 * (u + v * (red ? 1 : -1)));
    }
    OK(at_write_file(&ctx, in_root("data.csv"), t.s, t.n));
    at_text_close(&t);
}

enum { SETS = 24 };
typedef struct {
    char text[SETS][640];
    const char *set[SETS];
    int n;
} sets;

static void add(sets *s, const char *assignment) {
    assert_true(s->n < SETS);
    (void)snprintf(s->text[s->n], sizeof s->text[0], "%s", assignment);
    s->set[s->n] = s->text[s->n];
    s->n++;
}

static sets plain(const char *task) {
    sets s = {.n = 0};
    char data[640], what[40];
    (void)snprintf(data, sizeof data, "data.train=%s", in_root("data.csv"));
    (void)snprintf(what, sizeof what, "task=%s", task);
    add(&s, what);
    add(&s, data);
    add(&s, !strcmp(task, "classify") ? "table.label=class" : "table.label=y");
    add(&s, !strcmp(task, "classify") ? "table.ignore=[y]" : "table.ignore=[class]");
    add(&s, "model.arch=mlp_moe");
    add(&s, "model.hidden_size=16");
    add(&s, "model.n_inputs=0"); /* as --print-config has it */
    add(&s, "train.batch=24");
    add(&s, "train.lr=1e-2");
    add(&s, "train.save_every=0");
    add(&s, "table.epochs=60");
    return s;
}

static artel_status run(const sets *s, const char *name, int threads, bool resume, char *why) {
    artel *a = artel_open(threads, NULL, NULL);
    assert_non_null(a);
    const char *set[SETS];
    for (int i = 0; i < s->n; i++) set[i] = s->text[i];
    const artel_recipe r = {.set = set, .n_set = s->n};
    const artel_status st = artel_train(a, &r, ARTEL_TRAIN, in_root(name), resume, NULL, NULL);
    (void)snprintf(why, 600, "%s", artel_error(a));
    artel_close(a);
    return st;
}

static cJSON *trained(const sets *s, const char *name, int threads) {
    char why[600], file[200];
    if (run(s, name, threads, false, why) != ARTEL_OK) fail_msg("%s: %s", name, why);
    (void)snprintf(file, sizeof file, "%s/result.json", name);
    cJSON *o = at_json_read(&ctx, in_root(file));
    if (!o) fail_msg("%s", ctx.message);
    return o;
}

static void refused(sets s, const char *set, artel_status status, const char *says) {
    char why[600];
    add(&s, set);
    const artel_status st = run(&s, "refused", 1, false, why);
    if (st != status || !strstr(why, says))
        fail_msg("%s: status %d, %s; expected %s", set, st, why, says);
    assert_false(at_exists(in_root("refused")));
}

static double number(const cJSON *o, const char *key) {
    const cJSON *x = cJSON_GetObjectItemCaseSensitive(o, key);
    if (!cJSON_IsNumber(x)) fail_msg("no number %s", key);
    return x->valuedouble;
}

static void same_file(const char *a, const char *b, bool same) {
    size_t n, m;
    char *x = at_read_file(&ctx, in_root(a), 1 << 24, &n),
         *y = at_read_file(&ctx, in_root(b), 1 << 24, &m);
    if (!x || !y) fail_msg("%s", ctx.message);
    if ((n == m && !memcmp(x, y, n)) != same) fail_msg("%s and %s: same bytes or not", a, b);
    at_free(x);
    at_free(y);
}
#define MODEL(run) run "/model/model.safetensors"

static void classes(void **state) {
    (void)state;
    sets s = plain("classify");
    cJSON *o = trained(&s, "classes", 1);
    if (!(number(o, "accuracy") > 0.85)) fail_msg("accuracy %g", number(o, "accuracy"));
    assert_true(number(o, "rows") == 80 && number(o, "baseline") < 0.7);
    double right = 0, all = 0;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++) {
            const double n =
                cJSON_GetArrayItem(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "confusion"), i), j)
                    ->valuedouble;
            right += i == j ? n : 0;
            all += n;
        }
    assert_true(all == 80 && fabs(right / all - number(o, "accuracy")) < 1e-12);
    const cJSON *interval = cJSON_GetObjectItem(o, "interval");
    assert_true(cJSON_GetArrayItem(interval, 0)->valuedouble < number(o, "accuracy"));
    assert_true(cJSON_GetArrayItem(interval, 1)->valuedouble > number(o, "accuracy"));
    cJSON_Delete(o);
    cJSON_Delete(trained(&s, "classes-2", 2));
    cJSON_Delete(trained(&s, "classes-5", 5));
    same_file(MODEL("classes"), MODEL("classes-2"), true);
    same_file(MODEL("classes"), MODEL("classes-5"), true);
    same_file("classes/result.json", "classes-5/result.json", true);
    add(&s, "seed=1");
    cJSON_Delete(trained(&s, "classes-seed", 2));
    same_file(MODEL("classes"), MODEL("classes-seed"), false);
}

/* Every kind of gate learns, and what it was told is in the model. */
static void gates(void **state) {
    (void)state;
    static const char *const how[][2] = {{"model.k=2", "model.gate_type=softmax"},
                                         {"model.k=2", "model.gate_type=noisy"},
                                         {"model.k=0", "model.gate_type=gumbel"},
                                         {"model.n_experts=1", "model.n_layer=2"},
                                         {"losses.switch=0.01", "losses.mutual_distillation=0.1"},
                                         {"table.scale=quantile", "table.rows=150"}};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        char name[32];
        sets s = plain("classify");
        (void)snprintf(name, sizeof name, "gates-%d", (int)i);
        add(&s, how[i][0]);
        add(&s, how[i][1]);
        cJSON *o = trained(&s, name, 2);
        if (!(number(o, "accuracy") > 0.8))
            fail_msg("%s: accuracy %g", how[i][1], number(o, "accuracy"));
        if (i == 5)
            assert_true(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "split"), 0)->valuedouble == 150);
        cJSON_Delete(o);
        (void)strcat(name, "/model/model.safetensors");
        if (i) same_file("gates-0/model/model.safetensors", name, false);
    }
}

static void mutual(void **state) {
    (void)state;
    sets s = plain("classify");
    add(&s, "losses.z=0");
    cJSON_Delete(trained(&s, "without", 1));
    add(&s, "losses.mutual_distillation=0");
    cJSON_Delete(trained(&s, "nothing", 1));
    same_file(MODEL("without"), MODEL("nothing"), true);
    add(&s, "losses.mutual_distillation=3");
    cJSON_Delete(trained(&s, "much", 1));
    same_file(MODEL("without"), MODEL("much"), false);
}

/* How even the load of the last step is. */
static double evenness(const char *run_name) {
    char file[64];
    size_t n;
    double even = -1;
    (void)snprintf(file, sizeof file, "%s/metrics.jsonl", run_name);
    char *text = at_read_file(&ctx, in_root(file), 1 << 24, &n);
    assert_non_null(text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *o = cJSON_Parse(line);
        if (cJSON_HasObjectItem(o, "load_entropy")) even = number(o, "load_entropy");
        cJSON_Delete(o);
    }
    at_free(text);
    return even;
}

/* Load balancing is a knob of its own: a gate that begins with one expert comes to use others. */
static void balance(void **state) {
    (void)state;
    sets s = plain("classify");
    add(&s, "model.k=1");
    add(&s, "model.n_experts=6");
    add(&s, "table.epochs=15");
    add(&s, "losses.switch=0");
    cJSON_Delete(trained(&s, "uneven", 1));
    add(&s, "losses.switch=1");
    cJSON_Delete(trained(&s, "even", 1));
    const double uneven = evenness("uneven"), even = evenness("even");
    if (!(even > 0.9 && even > uneven + 0.05)) fail_msg("evenness %g, %g", uneven, even);
}

/* Each key of what experts pay alone changes what is learned, says what it came to, and needs experts. */
static void experts_alone(void **state) {
    (void)state;
    static const char *const tasks[] = {"classify", "regress"};
    for (int i = 0; i < 2; i++) {
        char name[32];
        sets s = plain(tasks[i]);
        add(&s, "table.epochs=3");
        add(&s, "model.k=1");
        add(&s, "losses.mutual_distillation=0.5");
        add(&s, "losses.mutual_extra=1");
        (void)snprintf(name, sizeof name, "extra-%d", i);
        cJSON_Delete(trained(&s, name, 1));
        (void)snprintf(name, sizeof name, "labels-%d", i);
        add(&s, "losses.expert_label=0.5");
        cJSON_Delete(trained(&s, name, 1));
        char text[64];
        size_t n;
        (void)snprintf(text, sizeof text, "%s/metrics.jsonl", name);
        char *metrics = at_read_file(&ctx, in_root(text), 1 << 24, &n);
        assert_non_null(strstr(metrics, "\"expert_label\":"));
        assert_non_null(strstr(metrics, "\"mutual\":"));
        at_free(metrics);
        if (i) continue;
        same_file(MODEL("extra-0"), MODEL("labels-0"), false);
        refused(s, "model.n_experts=1", ARTEL_CONFIG, "losses");
    }
    sets s = plain("classify");
    add(&s, "table.epochs=3");
    add(&s, "model.mixes=probabilities");
    cJSON_Delete(trained(&s, "competing", 1));
    sets t = plain("classify");
    add(&t, "model.k=1");
    add(&t, "losses.mutual_distillation=1");
    refused(t, "model.hidden_size=8", ARTEL_CONFIG, "that could learn from each other");
    refused(t, "losses.mutual_extra=4", ARTEL_CONFIG,
            "losses.mutual_extra: 4 experts beside the 1 of a token, but layer 0 has 4");
    const sets r = plain("regress");
    refused(r, "model.mixes=probabilities", ARTEL_CONFIG, "a number has no probabilities");
}

static void numbers(void **state) {
    (void)state;
    sets s = plain("regress");
    cJSON *o = trained(&s, "numbers", 2);
    if (!(number(o, "r2") > 0.97)) fail_msg("R2 %g", number(o, "r2"));
    assert_true(number(o, "rmse") < 3 && number(o, "mae") <= number(o, "rmse"));
    cJSON_Delete(o);
}

/* Lines of metrics with a validation. */
static int validations(const char *run_name, double *best, double *last) {
    char file[64];
    size_t n;
    int count = 0;
    (void)snprintf(file, sizeof file, "%s/metrics.jsonl", run_name);
    char *text = at_read_file(&ctx, in_root(file), 1 << 24, &n);
    assert_non_null(text);
    *best = 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        cJSON *o = cJSON_Parse(line);
        if (cJSON_HasObjectItem(o, "val_accuracy")) {
            *last = number(o, "val_accuracy");
            *best = fmax(*best, *last);
            count++;
        }
        cJSON_Delete(o);
    }
    at_free(text);
    return count;
}

/* Training ends after `patience` validations that are no better, and the model is the best of all. */
static void best_is_kept(void **state) {
    (void)state;
    double best, last;
    sets s = plain("classify");
    add(&s, "table.patience=5");
    add(&s, "table.epochs=500");
    add(&s, "table.validation=0.4");
    cJSON_Delete(trained(&s, "patient", 2));
    const int n = validations("patient", &best, &last);
    assert_in_range(n, 6, 499);
    assert_true(best >= last);
    add(&s, "table.patience=0");
    add(&s, "train.schedule=constant");
    sets u = s;
    cJSON_Delete(trained(&s, "long", 2));
    (void)validations("long", &best, &last);
    add(&u, "table.best=loss");
    cJSON_Delete(trained(&u, "by-loss", 2));
    same_file(MODEL("long"), MODEL("by-loss"), false);
}

/* The newest checkpoints and the ending are lost; the resumed run ends with the same bytes. */
static void resumed(void **state) {
    (void)state;
    char why[600];
    sets s = plain("classify");
    add(&s, "train.save_every=50");
    add(&s, "train.keep=100");
    add(&s, "model.gate_type=noisy");
    add(&s, "table.patience=12");
    cJSON_Delete(trained(&s, "whole", 2));
    cJSON_Delete(trained(&s, "part", 2));
    for (int late = 1; late >= 0; late--) { /* after the best validation, and before it */
        at_list l = {0};
        OK(at_list_names(&ctx, in_root("part/checkpoints"), &l));
        at_list_sort(&l);
        assert_true(l.n > 2);
        for (int64_t i = late ? l.n - 1 : 1; i < l.n; i++) {
            char name[100];
            (void)snprintf(name, sizeof name, "part/checkpoints/%s", l.item[i]);
            OK(at_remove_tree(&ctx, in_root(name)));
        }
        at_list_free(&l);
        OK(at_remove_tree(&ctx, in_root("part/model")));
        OK(at_remove_tree(&ctx, in_root("part/result.json")));
        if (run(&s, "part", 1, true, why) != ARTEL_OK) fail_msg("%s", why);
        same_file(MODEL("whole"), MODEL("part"), true);
        same_file("whole/result.json", "part/result.json", true);
    }
}

/* A network over images: with batch norm, whose running means a resumed run goes on with, for any number of
   threads; mutual distillation hears of its experts. */
static void pictures(void **state) {
    (void)state;
    char why[600];
    static const char *const more[] = {
        "model.arch=conv_moe",     "model.image_height=2",    "model.image_width=2",
        "model.image_channels=1",  "model.stem_channels=8",   "model.pool=none",
        "model.norm=batch",        "model.norm_momentum=0.3", "model.expert=conv",
        "model.expert_channels=4", "train.save_every=50",     "train.keep=100"};
    sets s = {.n = 0}, all = plain("classify");
    for (int i = 0; i < all.n; i++)
        if (strncmp(all.text[i], "model.", 6) != 0 || strstr(all.text[i], "hidden"))
            add(&s, all.text[i]);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) add(&s, more[i]);
    cJSON *o = trained(&s, "conv", 2);
    if (!(number(o, "accuracy") > 0.85)) fail_msg("accuracy %g", number(o, "accuracy"));
    cJSON_Delete(o);
    cJSON_Delete(trained(&s, "conv-part", 1));
    same_file(MODEL("conv"), MODEL("conv-part"), true);
    at_list l = {0};
    OK(at_list_names(&ctx, in_root("conv-part/checkpoints"), &l));
    at_list_sort(&l);
    assert_true(l.n > 2);
    for (int64_t i = 1; i < l.n; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "conv-part/checkpoints/%s", l.item[i]);
        OK(at_remove_tree(&ctx, in_root(name)));
    }
    at_list_free(&l);
    OK(at_remove_tree(&ctx, in_root("conv-part/model")));
    OK(at_remove_tree(&ctx, in_root("conv-part/result.json")));
    if (run(&s, "conv-part", 1, true, why) != ARTEL_OK) fail_msg("%s", why);
    same_file(MODEL("conv"), MODEL("conv-part"), true);
    same_file("conv/result.json", "conv-part/result.json", true);
    add(&s, "losses.mutual_distillation=1");
    cJSON_Delete(trained(&s, "conv-mutual", 1));
    same_file(MODEL("conv"), MODEL("conv-mutual"), false);
    add(&s, "model.image_height=1");
    refused(s, "model.image_width=3", ARTEL_MISMATCH, "reads 3 numbers");
}

/* Sentences of four languages of two words each, in an order of their own; the class is the language. */
static void write_texts(void) {
    static const char *const word[4][3] = {{"and", "the", "house"},
                                           {"und", "das", "Haus"},
                                           {"et", "la", "maison"},
                                           {"\xc3\xa9s", "az", "h\xc3\xa1z"}};
    at_text t;
    at_text_init(&t, &ctx, 0);
    at_text_add(&t, "text,number,language\n");
    for (uint64_t i = 0; i < 120; i++) {
        at_textf(&t, "%s", "\"");
        for (uint64_t k = 0; k < 1 + i % 3; k++)
            at_textf(&t, "%s ", word[i % 4][at_rand_below(3, 5, AT_STREAM_TEST, 3 * i + k)]);
        at_textf(&t, "%s\",%d,l%d\n", word[i % 4][i % 3], (int)i, (int)(i % 4));
    }
    OK(at_write_file(&ctx, in_root("texts.csv"), t.s, t.n));
    at_text_close(&t);
}

static sets of_texts(void) {
    char data[640];
    sets s = {.n = 0};
    (void)snprintf(data, sizeof data, "data.train=%s", in_root("texts.csv"));
    static const char *const more[] = {"task=classify",
                                       "table.text=text",
                                       "table.text_length=20",
                                       "table.epochs=8",
                                       "model.arch=text_classifier",
                                       "model.trunk={arch: moduleformer, n_layer: 1, n_embd: 16, "
                                       "n_head: 2, att_hidden: 16, ffd_hidden: 16, gating_size: 8, "
                                       "n_att_experts: 2, k_att: 1, n_mlp_experts: 3, k_mlp: 2}",
                                       "train.batch=16",
                                       "train.lr=1e-2"};
    write_texts();
    add(&s, data);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) add(&s, more[i]);
    return s;
}

/* A mixture over texts: the same bits on any threads and after a resume; its experts distil each other, and
   with weight 0 they do not. */
static void texts(void **state) {
    (void)state;
    char why[600];
    sets s = of_texts();
    add(&s, "train.save_every=12");
    add(&s, "train.keep=100");
    cJSON *o = trained(&s, "text", 2);
    if (!(number(o, "accuracy") > 0.9)) fail_msg("accuracy %g", number(o, "accuracy"));
    cJSON_Delete(o);
    cJSON_Delete(trained(&s, "text-part", 1));
    same_file(MODEL("text"), MODEL("text-part"), true);
    at_list l = {0};
    OK(at_list_names(&ctx, in_root("text-part/checkpoints"), &l));
    at_list_sort(&l);
    assert_true(l.n > 1);
    for (int64_t i = 1; i < l.n; i++) {
        char name[100];
        (void)snprintf(name, sizeof name, "text-part/checkpoints/%s", l.item[i]);
        OK(at_remove_tree(&ctx, in_root(name)));
    }
    at_list_free(&l);
    OK(at_remove_tree(&ctx, in_root("text-part/model")));
    OK(at_remove_tree(&ctx, in_root("text-part/result.json")));
    if (run(&s, "text-part", 1, true, why) != ARTEL_OK) fail_msg("%s", why);
    same_file(MODEL("text"), MODEL("text-part"), true);
    same_file("text/result.json", "text-part/result.json", true);
    add(&s, "losses.mutual_distillation=0");
    cJSON_Delete(trained(&s, "text-0", 2));
    same_file(MODEL("text"), MODEL("text-0"), true);
    add(&s, "losses.mutual_distillation=0.5");
    cJSON_Delete(trained(&s, "text-mutual", 2));
    same_file(MODEL("text"), MODEL("text-mutual"), false);
}

static void refused_texts(void **state) {
    (void)state;
    const sets s = of_texts();
    refused(s, "table.text=texd", ARTEL_ARG, "no column `texd`, did you mean `text`?");
    refused(s, "table.text=language", ARTEL_CONFIG, "column `language` is what is predicted");
    refused(s, "model.n_inputs=19", ARTEL_MISMATCH, "the model reads 19 numbers");
    refused(s, "model={arch: mlp_moe}", ARTEL_MISMATCH, "table.text is for text_classifier");
    refused(s,
            "model={arch: text_classifier, trunk: {arch: gpt2, n_positions: 8, n_layer: 1, n_embd: "
            "8, n_head: 1}}",
            ARTEL_CONFIG, "texts of 20 bytes, but the trunk reads 8 tokens at most");
    refused(plain("classify"),
            "model={arch: text_classifier, trunk: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 1}}",
            ARTEL_MISMATCH, "reads a column of texts: table.text says which");
}

/* A file of test rows, and starting from another model. */
static void other_files(void **state) {
    (void)state;
    char test[640], init[640];
    sets s = plain("classify");
    (void)snprintf(test, sizeof test, "table.test=%s", in_root("data.csv"));
    add(&s, test);
    cJSON *o = trained(&s, "own-test", 2);
    assert_true(number(o, "rows") == 400);
    cJSON_Delete(o);
    sets t = plain("classify");
    (void)snprintf(init, sizeof init, "init=%s", in_root("own-test/model"));
    sets u = {.n = 0}, holes = plain("regress");
    /* rows of the test file that have no label are left out */
    (void)snprintf(test, sizeof test, "table.test=%s", in_root("holes.csv"));
    add(&holes, test);
    OK(at_write_file(&ctx, in_root("holes.csv"),
                     "u,v,colour,y\n0,0,red,100\n1,1,red,?\n1,0,blue,110\n", 48));
    o = trained(&holes, "holes", 1);
    assert_true(number(o, "rows") == 2 && number(o, "rmse") < 20);
    cJSON_Delete(o);
    for (int i = 0; i < t.n; i++)
        if (strncmp(t.text[i], "model.", 6) != 0) add(&u, t.text[i]);
    add(&u, init);
    o = trained(&u, "goes-on", 2);
    assert_true(number(o, "accuracy") > 0.85);
    cJSON_Delete(o);
}

static void refusals(void **state) {
    (void)state;
    const sets c = plain("classify"), n = plain("regress");
    refused(c, "table.label=klass", ARTEL_ARG, "no column `klass`, did you mean `class`?");
    refused(c, "table.label=y", ARTEL_MISMATCH, "task: regress");
    refused(n, "table.label=colour", ARTEL_MISMATCH, "task: classify");
    refused(c, "table.ignore=[z]", ARTEL_ARG, "no column `z`");
    refused(c, "table.validation=0.9", ARTEL_CONFIG, "nothing is left to learn from");
    refused(c, "train.tokens=100", ARTEL_CONFIG, "give table.epochs");
    refused(c, "model.k=5", ARTEL_CONFIG, "5 experts a row, but n_experts = 4");
    refused(c, "model.n_inputs=3", ARTEL_MISMATCH, "the model reads 3 numbers");
    refused(c, "model.num_labels=3", ARTEL_MISMATCH, "has 3 outputs");
    sets text = c;
    add(&text, "train.steps=1");
    refused(text, "task=lm", ARTEL_CONFIG, "table");
    refused(c, "table.test=/nowhere.csv", ARTEL_IO, "/nowhere.csv");
}

static int begin(void **state) {
    (void)state;
    root = strdup(temporary_folder());
    write_data();
    return 0;
}
static int end(void **state) {
    (void)state;
    (void)at_remove_tree(&ctx, root);
    free(root);
    return 0;
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),       cmocka_unit_test(gates),
        cmocka_unit_test(mutual),        cmocka_unit_test(numbers),
        cmocka_unit_test(balance),       cmocka_unit_test(experts_alone),
        cmocka_unit_test(resumed),       cmocka_unit_test(best_is_kept),
        cmocka_unit_test(other_files),   cmocka_unit_test(refusals),
        cmocka_unit_test(pictures),      cmocka_unit_test(texts),
        cmocka_unit_test(refused_texts),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
