/*
 * test_convert.c - a converted folder has the names, types, shapes, bytes, buffers and
 * configuration of the source; or its parameters alone; or in another type.
 */
#include "arch/model.h"
#include "check.h"
#include "infer/compose.h"
#include "infer/convert.h"
#include "route/router.h"
#include <stdio.h>
#include <unistd.h>

static at_ctx ctx;
static at_compute cp;
static char *dir;

static char *in_dir(const char *name) {
    static char path[16][400];
    static int next;
    char *p = path[next++ % 16];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static const char *const golden[] = {"tests/golden/gpt2", "tests/golden/gpt2_untied",
                                     "tests/golden/moduleformer/molm",
                                     "tests/golden/moduleformer/gmm_gate"};

/* a and b have the same tensors. */
static void same_tensors(const char *a, const char *b) {
    at_weights x, y;
    OK(at_weights_open(&ctx, a, 1 << 30, &x));
    OK(at_weights_open(&ctx, b, 1 << 30, &y));
    int64_t n = 0;
    for (int64_t f = 0; f < x.n; f++)
        for (int64_t i = 0; i < at_st_count(x.file[f]); i++, n++) {
            const at_st_tensor *t = at_st_at(x.file[f], i);
            const at_st_tensor *u = at_weights_find(&y, t->name, NULL);
            if (!u) fail_msg("%s is missing", t->name);
            assert_int_equal(t->dtype, u->dtype);
            assert_int_equal(t->rank, u->rank);
            assert_memory_equal(t->dim, u->dim, (size_t)t->rank * sizeof *t->dim);
            assert_int_equal(t->bytes, u->bytes);
            assert_memory_equal(t->data, u->data, t->bytes);
        }
    assert_int_equal(y.n, 1);
    assert_int_equal(at_st_count(y.file[0]), n);
    at_weights_close(&x);
    at_weights_close(&y);
}

static void same_config(const char *a, const char *b) {
    char path[2][400];
    (void)snprintf(path[0], sizeof path[0], "%s/config.json", a);
    (void)snprintf(path[1], sizeof path[1], "%s/config.json", b);
    cJSON *x = at_json_read(&ctx, path[0]), *y = at_json_read(&ctx, path[1]);
    assert_true(x && y && cJSON_Compare(x, y, true));
    cJSON_Delete(x);
    cJSON_Delete(y);
}

static void identical(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        at_conversion r;
        OK(at_convert(&cp, golden[i], in_dir("same"), AT_TO_HF, AT_DT_COUNT, 1, &r));
        same_tensors(golden[i], in_dir("same"));
        same_config(golden[i], in_dir("same"));
        assert_true(r.read == r.written && r.left_out == 0 && r.files == 1);
        assert_true(r.difference == 0 && r.largest == 0 && r.allowed == 0 && r.ids == 8);
        OK(at_remove_tree(&ctx, in_dir("same")));
    }
}

/* The source as published folders are: names without the prefix, buffers, two files, other keys in
   its configuration. */
static void published(const char *to) {
    at_model *m = NULL;
    OK(at_model_load(&ctx, golden[2], false, &m));
    OK(at_make_dir(&ctx, to));
    const signed char mask[9] = {1, 0, 0, 1, 1, 0, 1, 1, 1};
    cJSON *index = cJSON_CreateObject(), *map = cJSON_AddObjectToObject(index, "weight_map");
    for (int f = 0; f < 2; f++) {
        char path[400];
        at_st_writer *w = NULL;
        const char *name =
            f ? "model-00002-of-00002.safetensors" : "model-00001-of-00002.safetensors";
        (void)snprintf(path, sizeof path, "%s/%s", to, name);
        OK(at_st_writer_open(&ctx, path, &w));
        for (int64_t i = f; i < m->store.n_stacks; i += 2) {
            const at_stack *e = m->store.stack[i];
            at_st_tensor t = {.dtype = AT_DT_F32, .rank = e->t.rank, .data = e->t.data};
            memcpy(t.dim, e->t.dim, sizeof e->t.dim);
            const char *as = strncmp(e->path, "transformer.", 12) ? e->path : e->path + 12;
            OK(at_st_writer_add_as(&ctx, w, as, AT_DT_BF16, &t));
            cJSON_AddStringToObject(map, as, name);
        }
        if (f) OK(at_st_writer_add(&ctx, w, "h.0.attn.mask", AT_DT_I8, 2, (int64_t[]){3, 3}, mask));
        OK(at_st_writer_commit(&ctx, w));
        at_st_writer_close(w);
    }
    char path[400];
    (void)snprintf(path, sizeof path, "%s/model.safetensors.index.json", to);
    write_json(&ctx, path, index);
    cJSON_Delete(index);
    (void)snprintf(path, sizeof path, "%s/config.json", to);
    at_json config;
    at_json_open_file(&config, &ctx);
    at_model_source(m, "bfloat16", &config);
    at_json_put_null(&config, "nobody_knows");
    at_json_put_number(&config, "another", 12288);
    OK(at_json_save(&config, path));
    (void)snprintf(path, sizeof path, "%s/merges.txt", to);
    OK(at_write_file(&ctx, path, "a b\n", 4));
    at_model_close(m);
}

static void shards(void **state) {
    (void)state;
    at_conversion r;
    char *from = in_dir("published");
    published(from);
    OK(at_convert(&cp, from, in_dir("hf"), AT_TO_HF, AT_DT_COUNT, 2, &r));
    same_tensors(from, in_dir("hf"));
    same_config(from, in_dir("hf"));
    assert_int_equal(r.files, 2);
    assert_true(at_exists(in_dir("hf/merges.txt")));
    assert_false(at_exists(in_dir("hf/model.safetensors.index.json")));

    /* its parameters alone, by the names the model has for them */
    OK(at_convert(&cp, from, in_dir("own"), AT_TO_ARTEL, AT_DT_COUNT, 2, &r));
    same_config(from, in_dir("own"));
    at_weights w;
    OK(at_weights_open(&ctx, in_dir("own"), 1 << 30, &w));
    assert_int_equal(r.left_out, 1);
    assert_int_equal(r.read, r.written + 1);
    assert_int_equal(at_st_count(w.file[0]), r.written);
    for (int64_t i = 0; i < r.written; i++) {
        const at_st_tensor *t = at_st_at(w.file[0], i);
        assert_true(!strncmp(t->name, "transformer.", 12) || !strcmp(t->name, "lm_head.weight"));
        assert_int_equal(t->dtype, AT_DT_BF16);
    }
    at_weights_close(&w);

    /* wide, and what it was when narrow again: no bit is lost */
    OK(at_convert(&cp, from, in_dir("wide"), AT_TO_HF, AT_DT_F32, 2, &r));
    assert_true(r.difference == 0 && r.allowed == 0);
    OK(at_convert(&cp, in_dir("wide"), in_dir("narrow"), AT_TO_HF, AT_DT_BF16, 2, &r));
    assert_true(r.difference == 0 && r.allowed > 0);
    same_tensors(from, in_dir("narrow"));
    same_config(from, in_dir("narrow"));
}

/* Experts that come in shards and in BF16 become one file each, as they are. */
static void composed(void **state) {
    (void)state;
    at_router *r = NULL;
    char *from = in_dir("expert"), text[1200];
    published(from);
    OK(at_router_new(&ctx, 2, (const char *const[]){"a", "b"}, 61, &r));
    r->trained.n_lengths = 1;
    r->trained.length[0] = 8;
    OK(at_router_save(&ctx, r, in_dir("router.safetensors")));
    at_router_close(r);
    const int n =
        snprintf(text, sizeof text, "mode: ple\nrouter: %s\nexperts:\n  - {name: a, model: %s}\n",
                 in_dir("router.safetensors"), from);
    at_conf *f = NULL;
    OK(at_conf_parse(&ctx, "compose.yaml", text, (size_t)n, &f));
    OK(at_compose(&ctx, f, in_dir("composed")));
    at_conf_close(f);
    same_tensors(from, in_dir("composed/experts/e000-a.safetensors"));
    cJSON *o = at_json_read(&ctx, in_dir("composed/config.json"));
    const cJSON *config =
        cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(o, "experts"), 0), "config");
    assert_string_equal(cJSON_GetObjectItem(config, "torch_dtype")->valuestring, "bfloat16");
    cJSON_Delete(o);
}

static void narrowed(void **state) {
    (void)state;
    at_conversion r;
    OK(at_convert(&cp, golden[0], in_dir("b"), AT_TO_HF, AT_DT_BF16, 3, &r));
    assert_true(r.difference > 0 && r.difference < 0.05 && r.largest > 0);
    cJSON *o = at_json_read(&ctx, in_dir("b/config.json"));
    assert_non_null(o);
    const cJSON *type = cJSON_GetObjectItem(o, "dtype");
    if (!type) type = cJSON_GetObjectItem(o, "torch_dtype");
    assert_true(cJSON_IsString(type));
    assert_string_equal(type->valuestring, "bfloat16");
    cJSON_Delete(o);
}

/* A conversion that is interrupted leaves nothing behind. */
static void interrupted(void **state) {
    (void)state;
    at_conversion r;
    atomic_int stop = 1;
    ctx.interrupt = &stop;
    const at_status s = at_convert(&cp, golden[0], in_dir("i"), AT_TO_HF, AT_DT_COUNT, 1, &r);
    ctx.interrupt = NULL;
    assert_int_equal(s, AT_INTERRUPTED);
    assert_false(at_exists(in_dir("i")));
    nothing_in_the_making(&ctx, dir);
}

/* The authors' programs know one number of experts for all layers; artel's own layout has each. */
static void by_layer(void **state) {
    (void)state;
    static const char yaml[] = "model: {arch: moduleformer, n_layer: 2, n_embd: 8, att_hidden: 8, "
                               "ffd_hidden: 8, gating_size: 4, n_att_experts: 3, n_mlp_experts: 4, "
                               "mlp_experts_by_layer: [4, %d], initializer_range: 0.5}";
    at_conversion r;
    for (int n = 3; n < 5; n++) {
        char text[400];
        at_conf *f = NULL;
        at_model *m = NULL;
        const int bytes = snprintf(text, sizeof text, yaml, n);
        OK(at_conf_parse(&ctx, "model", text, (size_t)bytes, &f));
        OK(at_model_new(&ctx, f, "model", 20, 1, &m));
        OK(at_model_save(&ctx, m, in_dir("uneven"), NULL));
        at_model_close(m);
        at_conf_close(f);
        OK(at_convert(&cp, in_dir("uneven"), in_dir("whole"), AT_TO_ARTEL, AT_DT_COUNT, 1, &r));
        assert_true(r.difference == 0);
        same_tensors(in_dir("uneven"), in_dir("whole"));
        const at_status s =
            at_convert(&cp, in_dir("uneven"), in_dir("theirs"), AT_TO_HF, AT_DT_COUNT, 1, &r);
        assert_int_equal(s, n == 4 ? AT_OK : AT_UNSUPPORTED);
        if (n == 3) expect_says(&ctx, "know no layers with different numbers of experts");
        if (n == 3) assert_false(at_exists(in_dir("theirs")));
        OK(at_remove_tree(&ctx, in_dir("uneven")));
        OK(at_remove_tree(&ctx, in_dir("whole")));
    }
    nothing_in_the_making(&ctx, dir);
}

static void refused(void **state) {
    (void)state;
    at_conversion r;
    OK(at_make_dir(&ctx, in_dir("there")));
    assert_int_equal(at_convert(&cp, golden[0], in_dir("there"), AT_TO_HF, AT_DT_COUNT, 1, &r),
                     AT_ARG);
    expect_says(&ctx, "exists already");
    assert_int_equal(at_convert(&cp, in_dir("none"), in_dir("x"), AT_TO_HF, AT_DT_COUNT, 1, &r),
                     AT_IO);
    OK(at_write_file(&ctx, in_dir("there/config.json"), "{\"experts\": []}", 15));
    assert_int_equal(at_convert(&cp, in_dir("there"), in_dir("x"), AT_TO_HF, AT_DT_COUNT, 1, &r),
                     AT_UNSUPPORTED);
    expect_says(&ctx, "composed");
    assert_false(at_exists(in_dir("x")));
    nothing_in_the_making(&ctx, dir);
}

static int begin(void **state) {
    (void)state;
    dir = strdup(temporary_folder());
    return dir == NULL;
}
static int end(void **state) {
    (void)state;
    (void)at_remove_tree(&ctx, dir);
    free(dir);
    return 0;
}

int main(void) {
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(identical), cmocka_unit_test(shards),
                                       cmocka_unit_test(narrowed),  cmocka_unit_test(interrupted),
                                       cmocka_unit_test(refused),   cmocka_unit_test(composed),
                                       cmocka_unit_test(by_layer)};
    const int bad = cmocka_run_group_tests(tests, begin, end);
    at_compute_close(&cp);
    return bad;
}
