/*
 * test_bits.c - the same bytes everywhere: small runs of everything whose result a user keeps, on
 * 1, 2 and 3 threads, against tests/golden/bits.json, whatever processor, compiler or C library is
 * used.
 *
 *     build/test_bits --write      writes that file anew, after a change that is meant to change bits
 *
 * Each part uses the results of those before it, so the first one that differs is the one to look
 * at. Shapes are small and odd, but there are products with several blocks of k, with one row, few
 * and many rows; experts with few rows and with several panels; attention over several tiles.
 */
#include "base/cpu.h"
#include "base/rng.h"
#include "base/sha256.h"
#include "check.h"
#include "data/build.h"
#include "infer/capture.h"
#include "infer/convert.h"
#include "infer/generate.h"
#include "train/train.h"

#define GOLDEN "tests/golden/bits.json"
enum { PARTS_MAX = 64, NAME_MAX_BYTES = 48, VOCAB = 400, STEPS = 20 };

static at_ctx ctx;
static at_compute cp;
static char root[256]; /* a folder for one number of threads */

typedef struct {
    int n;
    char name[PARTS_MAX][NAME_MAX_BYTES], hex[PARTS_MAX][AT_SHA256_TEXT];
} digests;

static const char *in(const char *name) {
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static void keep(digests *d, const char *name, at_sha256 *h) {
    unsigned char bytes[AT_SHA256_BYTES];
    assert_true(d->n < PARTS_MAX);
    at_sha256_final(h, bytes);
    at_sha256_hex(bytes, d->hex[d->n]);
    (void)snprintf(d->name[d->n++], NAME_MAX_BYTES, "%s", name);
}

static at_sha256 fresh(void) {
    at_sha256 h;
    at_sha256_init(&h);
    return h;
}

static void keep_file(digests *d, const char *name, const char *path) {
    at_sha256 h = fresh();
    size_t bytes = 0;
    char *text = at_read_file(&ctx, path, SIZE_MAX / 2, &bytes);
    if (!text) fail_msg("%s", ctx.message);
    at_sha256_update(&h, text, bytes);
    at_free(text);
    keep(d, name, &h);
}

/* ---- text, tokens, a router ------------------------------------------------------------------ */

/* Documents of words made of a language's own syllables. */
static void write_language(const char *name, const char *syllables, uint64_t stream) {
    const uint64_t n = strlen(syllables) / 2;
    uint64_t at = 0;
    for (int doc = 0; doc < 24; doc++) {
        static char text[16384];
        size_t used = 0;
        for (int word = 0; word < 400; word++) {
            const uint64_t length = 1 + at_rand_below(3, 4, stream, at++);
            for (uint64_t i = 0; i < length; i++) {
                const char *s = syllables + 2 * at_rand_below(n, 4, stream, at++);
                text[used++] = s[0];
                text[used++] = s[1];
            }
            const bool end = word % 11 == 10, paragraph = word % 80 == 79;
            used +=
                (size_t)snprintf(text + used, 8, "%s%s", end ? ". " : " ", paragraph ? "\n\n" : "");
        }
        char leaf[64];
        (void)snprintf(leaf, sizeof leaf, "text/%s/%02d.txt", name, doc);
        OK(at_write_file(&ctx, in(leaf), text, used));
    }
}

static void data_set(digests *d) {
    OK(at_make_dir(&ctx, in("text")));
    OK(at_make_dir(&ctx, in("text/north")));
    OK(at_make_dir(&ctx, in("text/south")));
    write_language("north", "kasketorulvimnoedhoalf ", AT_STREAM_TEST);
    write_language("south", "miramolasotedinupaluca", AT_STREAM_TEST + 100);
    const at_build_source source[] = {{.domain = "north", .path = (char *)in("text/north")},
                                      {.domain = "south", .path = (char *)in("text/south")}};
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = 2;
    b.out = in("data");
    b.vocab = VOCAB;
    b.seed = 9;
    cJSON *m = NULL;
    OK(at_build_run(&ctx, &b, &m));
    cJSON_Delete(m);
    keep_file(d, "tokenizer", in("data/tokenizer.json"));
    at_sha256 h = fresh();
    at_list l = {0};
    OK(at_list_tree(&ctx, in("data"), &l));
    for (int64_t i = 0; i < l.n; i++) {
        const char *dot = strrchr(l.item[i], '.');
        if (!dot || strcmp(dot, ".bin") != 0) continue;
        char path[800], hex[AT_SHA256_TEXT];
        (void)snprintf(path, sizeof path, "%s/%s", in("data"), l.item[i]);
        OK(at_sha256_file(&ctx, path, hex));
        at_sha256_update(&h, hex, strlen(hex));
    }
    at_list_free(&l);
    keep(d, "data set", &h);
}

/* The same text with a tokenizer in SentencePiece style. */
static void data_set_of_characters(digests *d) {
    const at_build_source source[] = {{.domain = "north", .path = (char *)in("text/north")},
                                      {.domain = "south", .path = (char *)in("text/south")}};
    at_build b = at_build_defaults();
    b.source = source;
    b.n_sources = 2;
    b.out = in("characters");
    b.vocab = 320;
    b.kind = AT_BPE_SENTENCEPIECE;
    cJSON *m = NULL;
    OK(at_build_run(&ctx, &b, &m));
    cJSON_Delete(m);
    keep_file(d, "sentencepiece/tokenizer", in("characters/tokenizer.json"));
    keep_file(d, "sentencepiece/data set", in("characters/north.train.bin"));
}

static void router(digests *d) {
    at_dataset *data = NULL;
    at_router *r = NULL;
    OK(at_dataset_open(&ctx, in("data"), &data));
    at_router_options o = at_router_defaults();
    o.windows = 60;
    const int32_t drop[] = {0};
    OK(at_router_train(&ctx, data, drop, 1, &o, &r));
    at_sha256 h = fresh();
    const size_t v = (size_t)r->vocab;
    at_sha256_update(&h, r->idf, v * sizeof *r->idf);
    at_sha256_update(&h, r->weight, 2 * v * sizeof *r->weight);
    at_sha256_update(&h, r->bias, 2 * sizeof *r->bias);
    keep(d, "router", &h);
    h = fresh();
    for (int32_t i = 0; i < 50; i++) {
        int32_t id[9];
        for (int32_t k = 0; k < 9; k++) id[k] = (i * 31 + k * 7) % VOCAB;
        double p[2];
        int best;
        OK(at_router_predict(&ctx, r, id, 9, p, &best, NULL));
        at_sha256_update(&h, p, sizeof p);
    }
    keep(d, "router/answers", &h);
    at_router_close(r);
    at_dataset_close(data);
}

/* Weights and answers of every classifier, on tokens and pairs of them. */
static void rivals(digests *d) {
    at_dataset *data = NULL;
    OK(at_dataset_open(&ctx, in("data"), &data));
    at_sha256 h = fresh();
    for (int k = 0; at_classifiers[k]; k++) {
        at_router *r = NULL;
        at_router_options o = at_router_defaults();
        o.windows = 40;
        o.classifier = at_classifiers[k];
        o.c = o.classifier->c;
        o.ngrams = 2;
        o.hash_bits = 10;
        o.sublinear = true;
        OK(at_router_train(&ctx, data, NULL, 0, &o, &r));
        at_sha256_update(&h, r->weight, 2 * (size_t)r->features * sizeof *r->weight);
        at_sha256_update(&h, r->bias, 2 * sizeof *r->bias);
        const int32_t id[] = {40, 41, 42, 43, 60, 41, 42, 99};
        double p[2];
        int best;
        OK(at_router_predict(&ctx, r, id, 8, p, &best, NULL));
        at_sha256_update(&h, p, sizeof p);
        at_router_close(r);
    }
    keep(d, "router/rivals", &h);
    at_dataset_close(data);
}

/* ---- training -------------------------------------------------------------------------------- */

/* Paths and values as files have them, in the order in which the architecture declares them. */
static void keep_parameters(digests *d, const char *name, const char *folder) {
    at_model *m = NULL;
    OK(at_model_load(&ctx, folder, true, &m));
    at_sha256 h = fresh();
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_stack *p = m->store.stack[i];
        at_sha256_update(&h, p->path, strlen(p->path) + 1);
        at_sha256_update(&h, p->t.data, (size_t)at_numel(&p->t) * sizeof *p->t.data);
    }
    at_model_close(m);
    keep(d, name, &h);
}

typedef struct {
    const char *name, *model, *rest;
    bool distilling;
} run_case;

/* %s in `rest` is replaced by a folder made before. */
static const run_case runs[] = {
    {"gpt2",
     "{arch: gpt2, n_layer: 2, n_embd: 40, n_head: 2, n_inner: 600, n_positions: 80, resid_pdrop: "
     "0.1, embd_pdrop: 0.1}",
     "train: {steps: 20, batch: 8, context: 71, accumulate: 2, lr: 3e-3, eval_every: 10, "
     "eval_windows: 2}\n",
     false},
    {"moduleformer",
     "{arch: moduleformer, n_layer: 2, n_embd: 40, n_head: 2, att_hidden: 36, ffd_hidden: 52, "
     "gating_size: 24, n_att_experts: 3, n_mlp_experts: 5, moe_pdrop: 0.1, resid_pdrop: 0.1, "
     "sample_topk: 1}",
     "losses: {mutual_information: 0.01, z: 0.001}\n"
     "train: {steps: 20, batch: 4, context: 67, lr: 3e-3, weight_decay: 0.2}\n",
     false},
    {"moduleformer/history",
     "{arch: moduleformer, n_layer: 2, n_embd: 33, n_head: 1, att_hidden: 40, ffd_hidden: 24, "
     "gating_size: 16, n_att_experts: 4, n_mlp_experts: 16, gate_type: gmm, norm: rms, "
     "activation_function: swiglu}",
     "losses: {concentration: 0.01, switch: 0.01, scope: step}\n"
     "train: {steps: 20, batch: 2, context: 40, history: 32, stretch: 3, accumulate: 2, lr: 3e-3, "
     "schedule: linear}\n",
     false},
    {"moduleformer/softmax",
     "{arch: moduleformer, n_layer: 1, n_embd: 40, n_head: 2, att_hidden: 40, ffd_hidden: 520, "
     "att_func: softmax, n_att_experts: 3, n_mlp_experts: 4, gate_type: linear, "
     "renormalise_gates: true, activation_function: gelu}",
     "train: {steps: 20, batch: 2, context: 50, lr: 1e-3, schedule: constant}\n", false},
    {"moduleformer/mutual",
     "{arch: moduleformer, n_layer: 2, n_embd: 40, n_head: 2, att_hidden: 40, ffd_hidden: 24, "
     "n_att_experts: 3, n_mlp_experts: 5, k_mlp: 3, gate_type: linear}",
     "losses: {mutual_distillation: 20, mutual_form: kl, mutual_end: 0.5, z: 0.001}\n"
     "train: {steps: 20, batch: 2, context: 50, lr: 1e-3}\n",
     false},
    {"moduleformer/from BF16", NULL,
     "init: %s/moduleformer.bf16\n"
     "train: {steps: 20, batch: 2, context: 45, lr: 1e-3}\n",
     false},
    {"distillation", "{arch: gpt2, n_layer: 1, n_embd: 24, n_head: 3, n_positions: 80}",
     "distill: {teacher: %s/gpt2, temperature: 2, alpha: 0.3}\n"
     "train: {steps: 20, batch: 3, context: 61, lr: 3e-3}\n",
     true},
    {"distillation/reverse",
     "{arch: gpt2, n_layer: 1, n_embd: 24, n_head: 2, n_positions: 80, tie_word_embeddings: false, "
     "activation_function: gelu}",
     "distill: {teacher: %s/moduleformer, loss: reverse_kl, temperature: 1.5}\n"
     "train: {steps: 20, batch: 2, context: 80, lr: 3e-3, clip: 0.5}\n",
     true},
    {"distillation/captured", "{arch: gpt2, n_layer: 1, n_embd: 24, n_head: 3, n_positions: 80}",
     "distill: {teachers: [{model: %s/gpt2.logits}], temperature: 2, alpha: 0.3}\n"
     "train: {steps: 20, batch: 3, context: 61, lr: 3e-3}\n",
     true},
    {"distillation/own text", "{arch: gpt2, n_layer: 1, n_embd: 24, n_head: 3, n_positions: 80}",
     "distill: {teacher: %s/gpt2, temperature: 2, alpha: 0.3, on_policy: 0.5}\n"
     "train: {steps: 20, batch: 3, context: 61, lr: 3e-3}\n",
     true},
    {"trunks",
     "{arch: trunks, modules: [north, south], common: true, combine: learned, common_dropout: 0.2, "
     "trunk: "
     "{arch: gpt2, n_layer: 1, n_embd: 40, n_head: 2, n_positions: 80, resid_pdrop: 0.1}}",
     "train: {steps: 20, batch: 3, context: 61, accumulate: 2, lr: 3e-3}\n", false},
};

static const char *folder_of(const char *name) {
    static char leaf[4][NAME_MAX_BYTES];
    static int next;
    char *p = leaf[next++ % 4];
    (void)snprintf(p, NAME_MAX_BYTES, "%s", name);
    for (char *c = p; *c; c++)
        if (*c == '/' || *c == ' ') *c = '-';
    return in(p);
}

static void train(digests *d, const run_case *w) {
    char text[2048], rest[1024], run[600];
    (void)snprintf(rest, sizeof rest, w->rest, root);
    const int n = snprintf(text, sizeof text, "seed: 7\n%s%s%sdata: {train: %s}\n%s",
                           w->model ? "model: " : "", w->model ? w->model : "",
                           w->model ? "\n" : "", in("data"), rest);
    (void)snprintf(run, sizeof run, "%s.run", folder_of(w->name));
    at_conf *f = NULL;
    at_train_result out;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f));
    if (w->model) { /* before a step is taken */
        at_model *m = NULL;
        at_conf *again = NULL;
        OK(at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &again));
        OK(at_model_new(&ctx, again, "model", VOCAB, 7, &m));
        at_sha256 h = fresh();
        at_sha256_update(&h, m->store.value, (size_t)m->store.numel * sizeof *m->store.value);
        char name[NAME_MAX_BYTES];
        (void)snprintf(name, sizeof name, "%s/start", w->name);
        keep(d, name, &h);
        at_model_close(m);
        at_conf_close(again);
    }
    OK(at_train(&ctx, f, run, &(at_train_options){.distilling = w->distilling}, &out));
    at_conf_close(f);
    assert_true(out.finished && out.progress.step == STEPS);
    char model[640];
    (void)snprintf(model, sizeof model, "%s/model", run);
    assert_int_equal(rename(model, folder_of(w->name)), 0);
    keep_parameters(d, w->name, folder_of(w->name));
}

/* A table of numbers and a category, with holes, learnt by a mixture with all that it can have. */
static void table(digests *d) {
    static const char recipe[] =
        "seed: 7\ntask: %s\ndata: {train: %s}\nmodel: {arch: mlp_moe, n_experts: 5, k: 3, "
        "hidden_size: 11, n_layer: 2, gate_type: noisy, hidden_pdrop: 0.1%s}\n"
        "losses: {switch: 0.01, mutual_distillation: 0.2}\n"
        "table: {label: %s, ignore: [%s], epochs: 5, scale: %s}\n"
        "train: {batch: 17, lr: 3e-3, save_every: 0}\n";
    at_text t;
    at_text_init(&t, &ctx, 0);
    at_text_add(&t, "a,b,c,class,number\n");
    for (uint64_t i = 0; i < 150; i++) {
        const double x = at_normal(1, AT_STREAM_TEST, i), y = at_normal(2, AT_STREAM_TEST, i);
        char b[24] = "?";
        if (i % 7) (void)snprintf(b, sizeof b, "%.3f", y * 3);
        at_textf(&t, "%.5f,%s,%c,%c,%.5f\n", x, b, (char)('p' + i % 3), x > y ? 'x' : 'y', x * y);
    }
    OK(at_write_file(&ctx, in("table.csv"), t.s, t.n));
    at_text_close(&t);
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "table/number" : "table/classes";
        char text[1024], run[600];
        const int n =
            snprintf(text, sizeof text, recipe, i ? "regress" : "classify", in("table.csv"),
                     i ? ", activation_function: gelu" : "", i ? "number" : "class",
                     i ? "class" : "number", i ? "quantile" : "standard");
        at_conf *f = NULL;
        at_train_result out;
        (void)snprintf(run, sizeof run, "%s.run", folder_of(name));
        OK(at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f));
        OK(at_train(&ctx, f, run, &(at_train_options){0}, &out));
        at_conf_close(f);
        (void)strcat(run, "/model");
        keep_parameters(d, name, run);
    }
}

static void to_bf16(void) {
    at_conversion r;
    OK(at_convert(&cp, in("moduleformer"), in("moduleformer.bf16"), AT_TO_ARTEL, AT_DT_BF16, 3,
                  &r));
}

/* What a teacher says, on disk. */
static void capture(digests *d) {
    const at_capture_options o = {.top_k = 20, .context = 61};
    at_capture_result r;
    OK(at_capture(&cp, in("gpt2"), in("data"), in("gpt2.logits"), &o, &r));
    keep_file(d, "captured logits", in("gpt2.logits/north.train.logits"));
}

/* ---- reading and writing --------------------------------------------------------------------- */

/* A prompt, then single tokens, then a few at once, so that all code paths of cache and products
   are used. */
static void logits(digests *d, const char *name, const char *folder) {
    static const int64_t chunk[] = {37, 1, 1, 5, 1, 16, 3};
    at_model *m = NULL;
    at_session s;
    OK(at_model_load(&ctx, folder, false, &m));
    OK(at_session_open(&cp, m, 80, &s));
    at_sha256 h = fresh();
    uint64_t at = 0;
    for (size_t i = 0; i < sizeof chunk / sizeof *chunk; i++) {
        int32_t ids[40];
        for (int64_t k = 0; k < chunk[i]; k++)
            ids[k] = (int32_t)at_rand_below(VOCAB, 2, AT_STREAM_TEST, at++);
        const at_real *l;
        OK(at_session_feed(&s, ids, chunk[i], &l));
        at_sha256_update(&h, l, (size_t)m->dims.vocab * sizeof *l);
    }
    at_session_close(&s);
    at_model_close(m);
    keep(d, name, &h);
}

/* Translations in two directions, learnt by a mixture. */
static void translation(digests *d) {
    static const char recipe[] =
        "seed: 7\ntask: translate\ndata: {train: %s}\nmodel: {arch: moduleformer, n_layer: 1, "
        "n_embd: "
        "24, n_head: 1, att_hidden: 16, ffd_hidden: 20, n_att_experts: 3, n_mlp_experts: 4, "
        "gate_type: "
        "linear, initializer_range: 0.1}\n"
        "losses: {switch: 0.1, z: 0.01, mutual_distillation: 0.5}\n"
        "train: {steps: 20, batch: 8, context: 60, lr: 1e-2, eval_every: 5, save_every: 0}\n";
    static const char *const side[] = {"kaske toru mira ne", "ulo wende sipa ro"};
    for (int k = 0; k < 2; k++) {
        at_text t;
        at_text_init(&t, &ctx, 0);
        for (int i = 0; i < 60; i++)
            at_textf(&t, "%.*s %d\t%.*s %d\n", 3 + i % 14, side[k], i, 3 + i * 7 % 15, side[1 - k],
                     i);
        OK(at_write_file(&ctx, in(k ? "ba.tsv" : "ab.tsv"), t.s, t.n));
        at_text_close(&t);
    }
    const at_build_source source[] = {
        {(char *)(uintptr_t) "a-b", (char *)(uintptr_t)in("ab.tsv"), AT_KIND_PAIRS},
        {(char *)(uintptr_t) "b-a", (char *)(uintptr_t)in("ba.tsv"), AT_KIND_PAIRS}};
    at_build b = at_build_defaults();
    cJSON *m = NULL;
    b.source = source;
    b.n_sources = 2;
    b.out = in("pairs");
    b.vocab = 280;
    b.balance.equal = false;
    OK(at_build_run(&ctx, &b, &m));
    cJSON_Delete(m);
    char text[1400];
    const int n = snprintf(text, sizeof text, recipe, in("pairs"));
    at_conf *f = NULL;
    at_train_result out;
    OK(at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f));
    OK(at_train(&ctx, f, in("translate"), &(at_train_options){0}, &out));
    at_conf_close(f);
    keep_parameters(d, "translate", in("translate/model"));
}

static void hear(void *user, const char *bytes, size_t n) { at_sha256_update(user, bytes, n); }

static void text(digests *d, const char *name, const char *folder, const at_sampling *how) {
    at_lm *m = NULL;
    at_generated out;
    OK(at_lm_load(&ctx, folder, &m));
    at_sha256 h = fresh();
    const at_generation g = {
        .prompt = "kaske toru mira", .n = 150, .sampling = *how, .text = hear, .user = &h};
    OK(at_generate(&cp, m, &g, &out));
    assert_true(out.new_tokens > 20);
    at_lm_close(m);
    keep(d, name, &h);
}

static void everything(digests *d, int threads) {
    ctx.threads = threads;
    (void)snprintf(root, sizeof root, "%s", temporary_folder());
    OK(at_compute_open(&cp, &ctx));
    d->n = 0;
    data_set(d);
    data_set_of_characters(d);
    router(d);
    rivals(d);
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        if (!runs[i].model) to_bf16();
        if (strstr(runs[i].rest, "gpt2.logits")) capture(d);
        train(d, &runs[i]);
    }
    table(d);
    translation(d);
    logits(d, "gpt2/logits", in("gpt2"));
    logits(d, "moduleformer/logits", in("moduleformer"));
    logits(d, "moduleformer/BF16 logits", in("moduleformer.bf16"));
    logits(d, "moduleformer/softmax logits", in("moduleformer-softmax"));
    logits(d, "trunks/logits of all", in("trunks"));
    static const at_sampling plain = {.temperature = 1, .top_p = 1, .seed = 3},
                             narrow = {.temperature = 0.8, .top_k = 40, .top_p = 0.9, .seed = 4};
    text(d, "gpt2/text", in("gpt2"), &plain);
    text(d, "moduleformer/text", in("moduleformer"), &narrow);
    at_compute_close(&cp);
    OK(at_remove_tree(&ctx, root));
}

/* ---- against the file ------------------------------------------------------------------------ */

static int differ(const digests *d, const digests *want, const char *what) {
    int bad = d->n != want->n;
    for (int i = 0; i < d->n && i < want->n; i++)
        if (strcmp(d->name[i], want->name[i]) != 0 || strcmp(d->hex[i], want->hex[i]) != 0) {
            print_message("%-28s %.12s, not %.12s (%s)\n", d->name[i], d->hex[i], want->hex[i],
                          what);
            bad++;
        }
    return bad;
}

static void read_golden(digests *d) {
    cJSON *o = at_json_read(&ctx, GOLDEN);
    if (!o) fail_msg("%s", ctx.message);
    const cJSON *e;
    d->n = 0;
    cJSON_ArrayForEach(e, o) {
        assert_true(d->n < PARTS_MAX && cJSON_IsString(e));
        (void)snprintf(d->name[d->n], NAME_MAX_BYTES, "%s", e->string);
        (void)snprintf(d->hex[d->n++], AT_SHA256_TEXT, "%s", e->valuestring);
    }
    cJSON_Delete(o);
}

static int write_golden(void) {
    static digests d;
    everything(&d, 1);
    at_json j;
    at_json_open_file(&j, &ctx);
    for (int i = 0; i < d.n; i++) at_json_put_string(&j, d.name[i], d.hex[i]);
    const at_status s = at_json_save(&j, GOLDEN);
    print_message("%s: %s\n", GOLDEN, s == AT_OK ? "written" : ctx.message);
    return s != AT_OK;
}

static void same_bytes_everywhere(void **state) {
    (void)state;
    static digests want, d;
    read_golden(&want);
    int bad = 0;
    for (int threads = 1; threads <= 3; threads++) {
        char what[32];
        (void)snprintf(what, sizeof what, "%d threads, %s", threads, at_cpu_name(ctx.cpu));
        everything(&d, threads);
        bad += differ(&d, &want, what);
    }
    if (bad)
        fail_msg("%d digests differ from %s; if that is meant: build/test_bits --write", bad,
                 GOLDEN);
}

int main(int argc, char **argv) {
    at_ctx_init(&ctx, 1);
    if (argc > 1 && !strcmp(argv[1], "--write")) return write_golden();
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bytes_everywhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
