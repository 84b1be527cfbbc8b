/* test_oom.c - memory runs out in what reads, writes, computes and trains; see oom_fixture.h. */
#include "api/api.h"
#include "data/features.h"
#include "data/split.h"
#include "data/table_read.h"
#include "infer/capture.h"
#include "infer/compose.h"
#include "infer/convert.h"
#include "infer/generate.h"
#include "infer/session.h"
#include "oom_fixture.h"
#include "token/tokenizer.h"
#include "train/teachers.h"
#include "train/train.h"

/* ---- what is read ------------------------------------------------------------------ */

static const char recipe[] = "model: {arch: gpt2, n_layer: 2, n_embd: 8, n_head: 2, "
                             "n_positions: 16, resid_pdrop: 0.1}\n";

static const char trunks[] =
    "model: {arch: trunks, modules: [a, b], common: true, combine: learned, "
    "trunk: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 2, "
    "n_positions: 16}}\n";

static at_status model_from_recipe(at_model **m) { return model_of(recipe, m); }

static at_status train_tokenizer(at_tokenizer **out) {
    static const char text[] = "the cat sat on the mat, the hat on the cat; that is that.";
    const at_bpe_options o = {.vocab = VOCAB, .min_count = 2, .max_piece = 64};
    at_bpe_trainer *t = NULL;
    at_status s = at_bpe_trainer_open(&ctx, &o, &t);
    if (s == AT_OK) s = at_bpe_trainer_feed(&ctx, t, text, sizeof text - 1);
    if (s == AT_OK) s = at_bpe_trainer_finish(&ctx, t, out);
    at_bpe_trainer_close(t);
    return s;
}

static at_status train_sentencepiece(void) {
    static const char text[] = "the cat sat on the mat,\nthe hat on the caf\xC3\xA9; that is that.";
    const at_bpe_options o = {.vocab = 300, .kind = AT_BPE_SENTENCEPIECE, .across_words = true};
    at_bpe_trainer *t = NULL;
    at_tokenizer *tok = NULL;
    at_ids ids = {0};
    at_status s = at_bpe_trainer_open(&ctx, &o, &t);
    if (s == AT_OK) s = at_bpe_trainer_feed(&ctx, t, text, sizeof text - 1);
    if (s == AT_OK) s = at_bpe_trainer_finish(&ctx, t, &tok);
    if (s == AT_OK) s = at_tokenizer_encode(&ctx, tok, text, sizeof text - 1, true, &ids);
    at_bpe_trainer_close(t);
    at_tokenizer_close(tok);
    at_ids_free(&ids);
    return s;
}

static void make_router(const char *hash, at_router **r) {
    OK(at_router_new(&ctx, 2, (const char *const[]){"a", "b"}, VOCAB, r));
    for (int64_t i = 0; i < VOCAB; i++) {
        (*r)->idf[i] = 1;
        (*r)->weight[i] = i % 2 ? 1 : -1;
        (*r)->weight[VOCAB + i] = i % 2 ? -1 : 1;
    }
    (void)snprintf((*r)->tokenizer_hash, sizeof(*r)->tokenizer_hash, "%s", hash);
    (*r)->trained.n_lengths = 1;
    (*r)->trained.length[0] = 8;
}

static const char composition[] = "mode: ple\nrouter: %s/router.safetensors\nexperts:\n"
                                  "  - {name: a, model: %s/plain}\n"
                                  "  - {name: b, model: %s/plain}\n";

static const char trunk_composition[] = "mode: moe-ce\nrouter: %s/router.safetensors\n"
                                        "model: %s/trunks\n";

static at_status compose_of(const char *recipe_text, const char *out) {
    char text[2048];
    at_conf *f = NULL;
    const int n = recipe_text == composition
                      ? snprintf(text, sizeof text, composition, root, root, root)
                      : snprintf(text, sizeof text, trunk_composition, root, root);
    at_status s = at_conf_parse(&ctx, "compose.yaml", text, (size_t)n, &f);
    if (s == AT_OK) s = at_compose(&ctx, f, out);
    at_conf_close(f);
    return s;
}

static at_status compose(const char *out) { return compose_of(composition, out); }

/* A run on a table, its result and page. */
static at_status table_run_in(const char *folder) {
    char text[1024];
    at_conf *f = NULL;
    at_train_result out;
    const int n =
        snprintf(text, sizeof text,
                 "task: classify\nmodel: {arch: mlp_moe, hidden_size: 4, k: 2}\n"
                 "losses: {mutual_distillation: 0.1}\ndata: {train: %s/rows.csv}\n"
                 "table: {epochs: 1, categories: [n]}\ntrain: {batch: 4, save_every: 1}\n",
                 root);
    at_status s = at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f);
    if (s == AT_OK) s = at_train(&ctx, f, folder, &(at_train_options){0}, &out);
    at_conf_close(f);
    return s;
}
static at_status table_run(void) { return table_run_in(in_root("out/table")); }

static void make_rows(void) {
    char text[1024] = "u,v,n,kind\n";
    for (int i = 0; i < 24; i++)
        (void)snprintf(text + strlen(text), 32, "%d,%s,%d,%s\n", i * 7 % 5, i % 6 ? "1.5" : "",
                       i % 3, i % 2 ? "a" : "b");
    OK(at_write_file(&ctx, in_root("rows.csv"), text, strlen(text)));
    OK(table_run_in(in_root("table")));
}

static void make_inputs(void) {
    make_rows();
    at_tokenizer *tok = NULL;
    at_model *m = NULL;
    at_router *r = NULL;
    OK(train_tokenizer(&tok));
    OK(at_tokenizer_save(&ctx, tok, in_root("tokenizer.json")));
    OK(model_from_recipe(&m));
    assert_non_null(m->tokenizer = at_strdup(&ctx, at_tokenizer_hash(tok)));
    OK(at_model_save(&ctx, m, in_root("plain"), in_root("tokenizer.json")));
    at_free(m->tokenizer);
    m->tokenizer = NULL;
    OK(at_model_save(&ctx, m, in_root("bare"), NULL)); /* reads text of any tokenizer */
    make_router(at_tokenizer_hash(tok), &r);
    OK(at_router_save(&ctx, r, in_root("router.safetensors")));
    at_router_close(r);
    at_model_close(m);
    at_tokenizer_close(tok);
    OK(compose(in_root("modular")));
    at_model *t = NULL;
    OK(model_of(trunks, &t));
    OK(at_model_save(&ctx, t, in_root("trunks"), in_root("tokenizer.json")));
    at_model_close(t);
    OK(compose_of(trunk_composition, in_root("moe-ce")));
}

/* ---- reading ------------------------------------------------------------------------- */

static at_status new_model(void) {
    at_model *m = NULL;
    const at_status s = model_from_recipe(&m);
    at_model_close(m);
    return s;
}
static at_status load_to_train(void) {
    at_model *m = NULL;
    at_status s = at_model_load(&ctx, in_root("plain"), true, &m);
    if (s == AT_OK) s = at_store_train(&m->store, true);
    at_model_close(m);
    return s;
}
static at_status load_plain(void) { return load_lm("plain"); }
static at_status load_modular(void) { return load_lm("modular"); }
static at_status load_trunks(void) {
    static const int32_t ids[] = {1, 2, 3};
    at_lm *m = NULL;
    at_voice v;
    int e = 0;
    at_status s = at_lm_load(&ctx, in_root("moe-ce"), &m);
    if (s == AT_OK) s = at_lm_route(&ctx, m, ids, 3, NULL, NULL, &e);
    if (s == AT_OK) s = at_lm_voice(&ctx, m, NULL, e, &v);
    at_lm_close(m);
    return s;
}
static at_status load_tokenizer(void) {
    at_tokenizer *t = NULL;
    at_ids ids = {0};
    size_t bytes = 0;
    char *text = NULL;
    static const char words[] = "the cat\xff is <|endoftext|> that \xc3\xa9";
    at_status s = at_tokenizer_load(&ctx, in_root("tokenizer.json"), &t);
    if (s == AT_OK) s = at_tokenizer_encode(&ctx, t, words, sizeof words - 1, true, &ids);
    if (s == AT_OK) {
        text = at_tokenizer_decode(&ctx, t, ids.id, ids.n, &bytes);
        s = text ? AT_OK : ctx.status;
    }
    if (s == AT_OK) assert_memory_equal(text, words, sizeof words);
    at_free(text);
    at_ids_free(&ids);
    at_tokenizer_close(t);
    return s;
}
static at_status new_tokenizer(void) {
    at_tokenizer *t = NULL;
    const at_status s = train_tokenizer(&t);
    at_tokenizer_close(t);
    return s;
}
static at_status open_data(void) {
    at_dataset *d = NULL;
    at_status s = at_dataset_open(&ctx, in_root("data"), &d);
    if (s == AT_OK) s = at_dataset_check(&ctx, d);
    at_dataset_close(d);
    return s;
}
static at_status read_tensors(void) {
    at_st *st = NULL;
    at_status s = at_st_open(&ctx, in_root("plain/model.safetensors"), &st);
    if (s == AT_OK) s = at_st_verify(&ctx, st);
    at_st_close(st);
    return s;
}
static at_status load_router(void) {
    at_router *r = NULL;
    const at_status s = at_router_load(&ctx, in_root("router.safetensors"), &r);
    if (s == AT_OK) assert_int_equal(r->trained.length[0], 8); /* the options too */
    at_router_close(r);
    return s;
}

/* A table of each kind; what a model reads of one, written and read again. */
static at_status tables(void) {
    static const char *const text[] = {
        "n,kind,gap,label\n1,\"a \"\"b\"\"\",?,x\n2,c,1,y\n3,c,2,x\n",
        "@relation r\n@attribute 'x y' real\n@attribute k {a,b}\n@attribute w string\n"
        "@data\n1,a,'u v'\n?,b,w\n",
        "2 1 2\n0\n0 1\n2\n1 0\n",
    };
    at_status s = AT_OK;
    for (size_t i = 0; i < sizeof text / sizeof *text && s == AT_OK; i++) {
        at_table t;
        s = at_table_parse(&ctx, "t", text[i], strlen(text[i]), NULL, &t);
        if (s == AT_OK) at_table_close(&t);
    }
    at_table t = {0};
    at_features f = {0}, again = {0};
    at_reading r = {0};
    at_row_split split = {0};
    cJSON *o = NULL;
    at_real x[8];
    if (s == AT_OK) s = at_table_parse(&ctx, "t", text[0], strlen(text[0]), NULL, &t);
    if (s == AT_OK)
        s = at_row_split_make(&ctx, 3, t.column[3].level, &(at_row_split_options){.most = 2},
                              &split);
    const at_features_options how = {.scaling = AT_SCALE_QUANTILE};
    if (s == AT_OK) s = at_features_fit(&ctx, &t, 3, (int64_t[]){0, 1, 2}, 3, &how, &f);
    if (s == AT_OK) {
        at_json j;
        at_json_open(&j, &ctx);
        at_features_write(&f, &j);
        o = at_json_value(&j, "written");
        s = o ? at_features_read(&ctx, "read", o, &again) : ctx.status;
    }
    if (s == AT_OK) s = at_reading_open(&ctx, &again, &t, &r);
    if (s == AT_OK) at_reading_row(&r, 0, x);
    cJSON_Delete(o);
    at_reading_close(&r);
    at_features_close(&f);
    at_features_close(&again);
    at_row_split_close(&split);
    at_table_close(&t);
    return s;
}

/* A folder of pictures, grey ones and colours, which are resized. */
static at_status pictures(void) {
    const at_table_options how = {.image = {.height = 3, .width = 5}};
    at_table t;
    char sum[AT_SHA256_TEXT];
    at_status s = at_table_read(&ctx, in_root("pictures"), &how, &t);
    if (s == AT_OK) at_table_close(&t);
    if (s == AT_OK) s = at_table_read(&ctx, in_root("pictures/b/colour.png"), &how, &t);
    if (s == AT_OK) at_table_close(&t);
    return s == AT_OK ? at_table_sum(&ctx, in_root("pictures"), sum) : s;
}

static void make_pictures(void) {
    static const unsigned char grey[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
        0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x08, 0x00, 0x00, 0x00, 0x00, 0xe1,
        0x64, 0xe1, 0x57, 0x00, 0x00, 0x00, 0x10, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8,
        0x0f, 0x05, 0x0c, 0x78, 0x18, 0x44, 0x00, 0x00, 0xb9, 0xe2, 0x1f, 0xe1, 0x2c, 0xa1, 0x5f,
        0x8d, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    static const unsigned char colour[] = {
        0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44,
        0x52, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x08, 0x08, 0x02, 0x00, 0x00, 0x00, 0x4b,
        0x6d, 0x29, 0xdc, 0x00, 0x00, 0x00, 0x12, 0x49, 0x44, 0x41, 0x54, 0x78, 0xda, 0x63, 0xf8,
        0xaf, 0xc1, 0x00, 0x47, 0x28, 0x60, 0x68, 0x49, 0x00, 0x00, 0x66, 0x49, 0x24, 0xe1, 0xf4,
        0xea, 0xf3, 0xc1, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
    OK(at_make_dir(&ctx, in_root("pictures/a")));
    OK(at_make_dir(&ctx, in_root("pictures/b")));
    OK(at_write_file(&ctx, in_root("pictures/a/grey.png"), grey, sizeof grey));
    OK(at_write_file(&ctx, in_root("pictures/b/colour.png"), colour, sizeof colour));
    OK(at_write_file(&ctx, in_root("pictures/b/notes"), "text", 4));
}

static void reading(void **state) {
    (void)state;
    every_allocation("model from recipe", 1, new_model, NULL, NULL);
    every_allocation("model to train", 1, load_to_train, NULL, NULL);
    every_allocation("plain model", 1, load_plain, NULL, NULL);
    every_allocation("composed model", 1, load_modular, NULL, NULL);
    every_allocation("composed trunks", 1, load_trunks, NULL, NULL);
    every_allocation("tokenizer", 1, load_tokenizer, NULL, NULL);
    every_allocation("sentencepiece", 7, train_sentencepiece, NULL, NULL);
    every_allocation("tokenizer training", 1, new_tokenizer, NULL, NULL);
    every_allocation("data set", 1, open_data, NULL, NULL);
    every_allocation("safetensors read", 1, read_tensors, NULL, NULL);
    every_allocation("router read", 1, load_router, NULL, NULL);
    every_allocation("tables", 1, tables, NULL, NULL);
    make_pictures();
    every_allocation("pictures", 1, pictures, NULL, NULL);
}

/* ---- results ------------------------------------------------------------------------- */

static void listen(void *user, const char *json) {
    at_text *said = user;
    at_text_add(said, json);
    at_text_add(said, "\n");
}

static artel_status inspect_plain(artel *a, at_text *said) {
    return artel_inspect(a, in_root("plain"), listen, said);
}
static artel_status inspect_modular(artel *a, at_text *said) {
    return artel_inspect(a, in_root("modular"), listen, said);
}
static artel_status inspect_trunks(artel *a, at_text *said) {
    return artel_inspect(a, in_root("moe-ce"), listen, said);
}
static artel_status inspect_data(artel *a, at_text *said) {
    return artel_inspect(a, in_root("data"), listen, said);
}
static artel_status inspect_tensors(artel *a, at_text *said) {
    return artel_inspect(a, in_root("plain/model.safetensors"), listen, said);
}
static artel_status explain(artel *a, at_text *said) {
    const artel_router_text o = {.tokenizer = in_root("tokenizer.json"), .top = 5};
    return artel_router_explain(a, in_root("router.safetensors"), "the cat sat", 11, &o, listen,
                                said);
}
static artel_status segment(artel *a, at_text *said) {
    const artel_router_text o = {.tokenizer = in_root("tokenizer.json")};
    return artel_router_segment(a, in_root("router.safetensors"), "the cat sat", 11, &o, listen,
                                said);
}

static artel_status table_eval(artel *a, at_text *said) {
    return artel_eval(a, in_root("table/model"), in_root("rows.csv"), &(artel_eval_options){0},
                      listen, said);
}
static artel_status table_probe(artel *a, at_text *said) {
    return artel_probe(a, in_root("table/model"), in_root("rows.csv"), NULL, listen, said);
}
static void hear(void *user, const char *bytes, size_t n) { at_text_bytes(user, bytes, n); }
static artel_status table_predict(artel *a, at_text *said) {
    return artel_predict(a, in_root("table/model"), in_root("rows.csv"), hear, said);
}

static artel_status table_inputs(artel *a, at_text *said) {
    return artel_table_inputs(a, in_root("table/model"), in_root("rows.csv"), hear, said);
}

/* Whichever allocation fails: what is told is told whole, as it is with all the memory, and whoever
   was not told everything gets AT_OOM. */
static void results(void **state) {
    (void)state;
    artel_status (*const what[])(artel *, at_text *) = {
        inspect_plain, inspect_modular, inspect_trunks, inspect_data, inspect_tensors, explain,
        segment,       table_eval,      table_predict,  table_probe,  table_inputs};
    artel *a = artel_open(1, NULL, NULL);
    assert_non_null(a);
    for (size_t i = 0; i < sizeof what / sizeof *what; i++) {
        at_text whole, said;
        at_text_init(&whole, &ctx, 0);
        assert_int_equal(what[i](a, &whole), ARTEL_OK);
        assert_int_equal(whole.s[whole.n - 1], '\n');
        bool done = false;
        for (int64_t n = 1; !done; n++) {
            at_text_init(&said, &ctx, 0);
            a->ctx.fail_after = n;
            const artel_status s = what[i](a, &said);
            done = a->ctx.fail_after > 0;
            a->ctx.fail_after = 0;
            if (s != (done ? ARTEL_OK : ARTEL_OOM))
                fail_msg("result %zu, allocation %lld: status %d (%s)", i, (long long)n, (int)s,
                         artel_error(a));
            if (said.n && (strncmp(said.s, whole.s, said.n) != 0 || said.s[said.n - 1] != '\n'))
                fail_msg("result %zu, allocation %lld: %s", i, (long long)n, said.s);
            if (done) assert_int_equal(said.n, whole.n);
            at_text_close(&said);
        }
        at_text_close(&whole);
    }
    artel_close(a);
}

/* ---- writing --------------------------------------------------------------------------- */

static int64_t files_in(const char *name) {
    at_list l = {0};
    const int64_t keep = ctx.fail_after;
    ctx.fail_after = 0;
    OK(at_list_tree(&ctx, in_root(name), &l));
    ctx.fail_after = keep;
    const int64_t n = l.n;
    at_list_free(&l);
    return n;
}

static at_status write_tensors(void) {
    static const float x[6] = {1, 2, 3, 4, 5, 6};
    at_st_writer *w = NULL;
    at_status s = at_st_writer_open(&ctx, in_root("out/x.safetensors"), &w);
    if (s == AT_OK) s = at_st_writer_meta(&ctx, w, "a", "b");
    if (s == AT_OK) s = at_st_writer_add(&ctx, w, "x", AT_DT_F32, 2, (int64_t[]){2, 3}, x);
    if (s == AT_OK) s = at_st_writer_add(&ctx, w, "y", AT_DT_F32, 1, (int64_t[]){6}, x);
    if (s == AT_OK) s = at_st_writer_commit(&ctx, w);
    at_st_writer_close(w);
    return s;
}
static at_status save_model(void) {
    at_model *m = NULL;
    at_status s = at_model_load(&ctx, in_root("plain"), false, &m);
    if (s == AT_OK) s = at_model_save(&ctx, m, in_root("out/m"), in_root("tokenizer.json"));
    at_model_close(m);
    return s;
}
static at_status save_router(void) {
    at_router *r = NULL;
    at_status s = at_router_load(&ctx, in_root("router.safetensors"), &r);
    if (s == AT_OK) s = at_router_save(&ctx, r, in_root("out/r.safetensors"));
    at_router_close(r);
    return s;
}
static at_status save_tokenizer(void) {
    at_tokenizer *t = NULL;
    at_status s = train_tokenizer(&t);
    if (s == AT_OK) s = at_tokenizer_save(&ctx, t, in_root("out/tokenizer.json"));
    at_tokenizer_close(t);
    return s;
}
static at_status compose_out(void) { return compose(in_root("out/modular")); }
static at_status compose_trunks_out(void) {
    return compose_of(trunk_composition, in_root("out/moe-ce"));
}

static void nothing_written(void) {
    if (files_in("out") != 0) fail_msg("half-written files are left");
    nothing_in_the_making(&ctx, in_root("out"));
}

static void write_case(const char *name, at_status (*what)(void)) {
    empty_out();
    every_allocation(name, 1, what, nothing_written, empty_out);
    assert_true(files_in("out") > 0);
}

static at_status convert_out(void) {
    at_compute cp;
    at_conversion r;
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK)
        s = at_convert(&cp, in_root("plain"), in_root("out/m"), AT_TO_HF, AT_DT_BF16, 1, &r);
    at_compute_close(&cp);
    return s;
}

static void writing(void **state) {
    (void)state;
    write_case("safetensors write", write_tensors);
    write_case("model save", save_model);
    write_case("router save", save_router);
    write_case("tokenizer save", save_tokenizer);
    write_case("compose", compose_out);
    write_case("compose trunks", compose_trunks_out);
    write_case("convert", convert_out);
}

/* ---- computing --------------------------------------------------------------------------- */

static at_recipe step_recipe(void) {
    return (at_recipe){.train = {.steps = 10,
                                 .batch = 2,
                                 .context = 12,
                                 .accumulate = 2,
                                 .lr = 1e-3,
                                 .beta1 = 0.9,
                                 .beta2 = 0.95,
                                 .eps = 1e-8,
                                 .clip = 1},
                       .distill = {.temperature = 2,
                                   .alpha = 0.5,
                                   .alpha_rule = 4, /* gradient_norm */
                                   .sees = AT_ALPHA_SEES_OWN,
                                   .token_weight = AT_TOKEN_TEACHER}};
}

static at_status step_with(const char *yaml, bool distilling, int64_t history) {
    at_compute cp = {0};
    at_model *m = NULL, *teacher = NULL;
    at_dataset *d = NULL;
    at_learner l = {0};
    at_trainer t = {0};
    at_step_report rep;
    at_recipe r = step_recipe();
    r.train.history = history;
    r.losses.scope = AT_SCOPE_STEP; /* loads are collected, too, where there are routers */
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK) s = model_of(yaml, &m);
    if (s == AT_OK && distilling) s = at_model_load(&ctx, in_root("plain"), false, &teacher);
    if (s == AT_OK) s = at_dataset_open(&ctx, in_root("data"), &d);
    if (s == AT_OK) s = at_learner_open(&ctx, &r, m, at_teacher_live(teacher), d, &l);
    if (s == AT_OK) s = at_trainer_open(&ctx, &cp, &r, &l, 1, &t);
    t.progress.step = history > 0; /* the second one has something before it */
    if (s == AT_OK) s = at_trainer_step(&t, &rep);
    at_trainer_close(&t);
    at_learner_close(&l);
    at_dataset_close(d);
    at_model_close(m);
    at_model_close(teacher);
    at_compute_close(&cp);
    return s;
}
/* A teacher of one domain by captured logits, of the other by himself. */
static at_status capture_here(void) {
    at_compute cp = {0};
    at_capture_result res;
    const at_capture_options o = {.top_k = 5, .context = 12};
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK)
        s = at_capture(&cp, in_root("bare"), in_root("data"), in_root("logits"), &o, &res);
    at_compute_close(&cp);
    return s;
}
static void no_lock(void) { assert_false(at_exists(in_root("logits/.artel-lock"))); }
static void no_logits(void) { OK(at_remove_tree(&ctx, in_root("logits"))); }
static at_status teachers_step(void) {
    at_compute cp = {0};
    at_model *m = NULL;
    at_dataset *d = NULL;
    at_learner l = {0};
    at_trainer t = {0};
    at_teachers teachers = {0};
    at_step_report rep;
    at_recipe r = step_recipe();
    char *a = (char[]){"a"}, *b = (char[]){"b"};
    r.n_teachers = 2;
    r.teacher[0] = (at_recipe_teacher){in_root("bare"), 1, {&a, 1}};
    r.teacher[1] = (at_recipe_teacher){in_root("logits"), 1, {&b, 1}};
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK) s = model_of(recipe, &m);
    if (s == AT_OK) s = at_dataset_open(&ctx, in_root("data"), &d);
    if (s == AT_OK) s = at_teachers_open(&ctx, &r, d, &teachers);
    if (s == AT_OK) s = at_learner_open(&ctx, &r, m, at_teachers_source(&teachers), d, &l);
    if (s == AT_OK) s = at_trainer_open(&ctx, &cp, &r, &l, 1, &t);
    if (s == AT_OK) s = at_trainer_step(&t, &rep);
    at_trainer_close(&t);
    at_learner_close(&l);
    at_teachers_close(&teachers);
    at_dataset_close(d);
    at_model_close(m);
    at_compute_close(&cp);
    return s;
}
static at_status train_step(void) { return step_with(recipe, false, 0); }
static at_status distill_step(void) { return step_with(recipe, true, 0); }
static at_status mixture_step(void) { return step_with(oom_mixture, false, 10); }
static at_status trunks_step(void) { return step_with(trunks, true, 0); }

/* A failed session can be used again: what it held is as it was. */
static at_status session(void) {
    at_compute cp = {0};
    at_session se = {0};
    at_model *m = NULL;
    const at_real *logits = NULL;
    static const int32_t ids[5] = {1, 2, 3, 4, 5};
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK) s = at_model_load(&ctx, in_root("plain"), false, &m);
    if (s == AT_OK) s = at_session_open(&cp, m, 0, &se);
    const bool open = s == AT_OK;
    if (s == AT_OK) s = at_session_feed(&se, ids, 3, &logits);
    if (open && s != AT_OK) assert_int_equal(at_session_length(&se), 0);
    const bool fed = s == AT_OK;
    if (s == AT_OK) s = at_session_feed(&se, ids + 3, 2, &logits);
    if (fed && s != AT_OK) assert_int_equal(at_session_length(&se), 3);
    if (open) at_session_close(&se);
    at_model_close(m);
    at_compute_close(&cp);
    return s;
}

static void swallow(void *user, const char *bytes, size_t n) {
    (void)bytes;
    *(size_t *)user += n;
}
static at_status generate(void) {
    at_compute cp = {0};
    at_lm *m = NULL;
    size_t bytes = 0;
    const at_generation g = {.prompt = "the cat",
                             .n = 20, /* beyond the context of 16 */
                             .sampling = {.temperature = 1, .seed = 3},
                             .text = swallow,
                             .user = &bytes};
    at_generated done;
    at_status s = at_compute_open(&cp, &ctx);
    if (s == AT_OK) s = at_lm_load(&ctx, in_root("modular"), &m);
    if (s == AT_OK) s = at_generate(&cp, m, &g, &done);
    at_lm_close(m);
    at_compute_close(&cp);
    return s;
}
static at_router *asked;
static at_status predict(void) {
    static const int32_t ids[6] = {1, 3, 5, 7, 2, 1};
    double p[2];
    int best = -1;
    int64_t known = 0;
    const at_status s = at_router_predict(&ctx, asked, ids, 6, p, &best, &known);
    if (s == AT_OK) assert_int_equal(best, 0);
    return s;
}

static void computing(void **state) {
    (void)state;
    every_allocation("training step", 1, train_step, NULL, NULL);
    every_allocation("distillation step", 1, distill_step, NULL, NULL);
    every_allocation("step of a mixture", 1, mixture_step, NULL, NULL);
    every_allocation("step of trunks", 1, trunks_step, NULL, NULL);
    every_allocation("capture", 3, capture_here, no_lock, no_logits);
    every_allocation("step with teachers", 1, teachers_step, NULL, NULL);
    every_allocation("session", 1, session, NULL, NULL);
    every_allocation("generation", 1, generate, NULL, NULL);
    make_router("", &asked);
    every_allocation("router predict", 1, predict, NULL, NULL);
    at_router_close(asked);
}

/* ---- a whole run ---------------------------------------------------------------------------- */

static at_status whole_run(void) {
    char text[1024];
    at_conf *f = NULL;
    const int n =
        snprintf(text, sizeof text,
                 "%sdata: {train: %s/data}\n"
                 "train: {steps: 2, batch: 1, context: 8, save_every: 1, eval_windows: 1}\n",
                 recipe, root);
    at_train_result out;
    at_status s = at_conf_parse(&ctx, "recipe.yaml", text, (size_t)n, &f);
    if (s == AT_OK) s = at_train(&ctx, f, in_root("out/run"), &(at_train_options){0}, &out);
    at_conf_close(f);
    return s;
}

/* Each checkpoint that is there is complete: it can be loaded. */
static void run_is_sound(void) {
    for (int step = 1; step <= 2; step++) {
        char name[64];
        (void)snprintf(name, sizeof name, "out/run/checkpoints/step-%08d", step);
        if (at_exists(in_root(name))) OK(load_lm(name));
        (void)snprintf(name, sizeof name, "out/run/checkpoints/step-%08d.partial", step);
        assert_false(at_exists(in_root(name)));
    }
    if (at_exists(in_root("out/run/model"))) OK(load_lm("out/run/model"));
    OK(at_remove_tree(&ctx, in_root("out/run")));
}

static void table_is_sound(void) { OK(at_remove_tree(&ctx, in_root("out/table"))); }

static void running(void **state) {
    (void)state;
    OK(at_remove_tree(&ctx, in_root("out")));
    OK(at_make_dir(&ctx, in_root("out")));
    every_allocation("run on a table", 5, table_run, table_is_sound, table_is_sound);
    every_allocation("whole run", 7, whole_run, run_is_sound, run_is_sound);
    run_is_sound();
}

static int begin(void **state) {
    (void)state;
    open_root();
    make_inputs();
    return 0;
}

int main(void) {
    at_ctx_init(&ctx, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading),   cmocka_unit_test(results), cmocka_unit_test(writing),
        cmocka_unit_test(computing), cmocka_unit_test(running),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
