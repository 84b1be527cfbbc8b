/*
 * test_bf16.c - checkpoints in BF16: a model that reads them from the mapped file gives the same
 * bits as one whose values were widened before; from one file, from shards, from a file with
 * unaligned values.
 *
 * Compiled in float and in double.
 */
#include "arch/read.h"
#include "base/half.h"
#include "check.h"
#include "infer/session.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

static at_ctx ctx;
static at_compute cp;
static at_arena arena;

static const char mixture[] =
    "model: {arch: moduleformer, vocab_size: 1024, n_layer: 2, n_embd: 64, att_hidden: 64, "
    "ffd_hidden: 128, n_att_experts: 16, n_mlp_experts: 8, gating_size: 1024, initializer_range: "
    "0.2}\n";
static const char dense[] =
    "model: {arch: gpt2, vocab_size: 512, n_layer: 2, n_embd: 256, n_head: 4, n_positions: 32, "
    "initializer_range: 0.1}\n";

enum { B = 2, T = 9 };

/* How a folder is written. */
enum { PLAIN, NO_PREFIX, SHARDS, ASKEW, TWICE };

static at_model *fresh(const char *yaml) {
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 0, 5, &m));
    at_conf_close(f);
    return m;
}

static char *in(const char *dir, const char *name) {
    static char path[16][400];
    static int next;
    char *p = path[next++ % 16];
    (void)snprintf(p, sizeof path[0], "%s/%s", dir, name);
    return p;
}

static void text_file(const char *path, const char *text) {
    OK(at_write_file(&ctx, path, text, strlen(text)));
}

static void add(at_st_writer *w, const at_stack *e, int how) {
    at_st_tensor t = {.dtype = sizeof(at_real) == 4 ? AT_DT_F32 : AT_DT_F64,
                      .rank = e->t.rank,
                      .data = e->t.data};
    memcpy(t.dim, e->t.dim, sizeof e->t.dim);
    const char *name = e->path;
    if (how == NO_PREFIX && !strncmp(name, "transformer.", 12)) name += 12;
    OK(at_st_writer_add_as(&ctx, w, name, AT_DT_BF16, &t));
}

/* One more byte before the data, so that no 16-bit value is aligned. */
static void put_askew(const char *path) {
    size_t bytes = 0;
    char *whole = at_read_file(&ctx, path, (size_t)1 << 30, &bytes);
    assert_non_null(whole);
    char *out = malloc(bytes + 1);
    assert_non_null(out);
    const size_t head = 8 + (size_t)((unsigned char)whole[0] | (unsigned char)whole[1] << 8);
    assert_int_equal(head % 64, 0);
    memcpy(out, whole, head);
    memcpy(out + head + 1, whole + head, bytes - head);
    out[head] = ' ';
    assert_true((unsigned char)out[0] < 255);
    out[0]++;
    OK(at_write_file(&ctx, path, out, bytes + 1));
    free(out);
    at_free(whole);
}

static void save(const at_model *m, const char *dir, int how) {
    const bool two = how == SHARDS || how == TWICE;
    OK(at_make_dir(&ctx, dir));
    at_json own;
    at_json_open(&own, &ctx);
    at_model_config(m, &own);
    cJSON *config = at_json_value(&own, "config.json");
    cJSON_SetValuestring(cJSON_GetObjectItem(config, "torch_dtype"), "bfloat16");
    write_json(&ctx, in(dir, "config.json"), config);
    cJSON_Delete(config);
    cJSON *map = cJSON_CreateObject();
    for (int f = 0; f < 1 + two; f++) {
        at_st_writer *w = NULL;
        const char *name = !two ? "model.safetensors" : f ? "b.safetensors" : "a.safetensors";
        OK(at_st_writer_open(&ctx, in(dir, name), &w));
        for (int64_t i = 0; i < m->store.n_stacks; i++) {
            if (two && i % 2 != f && !(how == TWICE && i == 0)) continue;
            add(w, m->store.stack[i], how);
            cJSON_AddStringToObject(map, m->store.stack[i]->path, name);
        }
        OK(at_st_writer_commit(&ctx, w));
        at_st_writer_close(w);
    }
    if (how == ASKEW) put_askew(in(dir, "model.safetensors"));
    cJSON *index = cJSON_CreateObject();
    cJSON_AddItemToObject(index, "weight_map", map);
    if (two) write_json(&ctx, in(dir, "model.safetensors.index.json"), index);
    cJSON_Delete(index);
}

/* ---- outputs of a model: logits of all tokens, of a session, and a loss --------------------- */

typedef struct {
    int64_t V;
    at_real *all, *step; /* [B T, V], [T - 5, V] */
    double loss;
} said;

static void ids_of(int64_t V, int32_t *ids) {
    for (int i = 0; i < B * T; i++) ids[i] = (int32_t)((i * 37 + 11) % V);
}

static void ask(at_model *m, said *s) {
    int32_t ids[B * T], label[B * T];
    s->V = m->dims.vocab;
    ids_of(s->V, ids);
    for (int i = 0; i < B * T; i++) label[i] = ids[(i + 1) % (B * T)];
    s->all = malloc(sizeof(at_real) * (size_t)(B * T * s->V));
    s->step = malloc(sizeof(at_real) * (size_t)((T - 5) * s->V));
    assert_true(s->all && s->step);
    at_run r;
    at_run_init(&r, &cp, &arena, false, 0);
    const at_input feed = {.ids = ids, .B = B, .T = T};
    at_tensor *x = at_model_hidden(m, &r, &feed, NULL), *head = at_model_head(m);
    at_tensor *l = at_linear(&r, x, head, NULL);
    at_head_report rep = {0};
    (void)at_head_loss(&r, x, head, &(at_head_spec){.label = label}, &rep);
    OK(at_run_status(&r));
    memcpy(s->all, l->data, sizeof(at_real) * (size_t)(B * T * s->V));
    s->loss = rep.ce;
    at_arena_rewind(&arena, (at_mark){0});

    at_session se;
    const at_real *logits = NULL;
    OK(at_session_open(&cp, m, 0, &se));
    OK(at_session_feed(&se, ids, 5, &logits));
    for (int i = 5; i < T; i++) {
        OK(at_session_feed(&se, ids + i, 1, &logits));
        memcpy(s->step + (i - 5) * s->V, logits, sizeof(at_real) * (size_t)s->V);
    }
    at_session_close(&se);
}

static void forget(said *s) {
    free(s->all);
    free(s->step);
}

static void same(const said *a, const said *b) {
    assert_int_equal(a->V, b->V);
    assert_memory_equal(a->all, b->all, sizeof(at_real) * (size_t)(B * T * a->V));
    assert_memory_equal(a->step, b->step, sizeof(at_real) * (size_t)((T - 5) * a->V));
    assert_true(a->loss > 0 && a->loss == b->loss);
}

/* How many parameters are read from the mapped file. */
static int borrowed(const at_model *m) {
    int n = 0;
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        const at_tensor *t = &m->store.stack[i]->t;
        assert_true((t->data == NULL) != (t->bf16 == NULL));
        if (t->bf16) assert_true(t->rank > 1 && at_numel(t) >= 1 << 16);
        n += t->bf16 != NULL;
    }
    return n;
}

static void each_way(const char *yaml, int matrices) {
    char *dir = strdup(temporary_folder());
    at_model *m = fresh(yaml), *own = NULL;
    said wanted, got;
    save(m, in(dir, "plain"), PLAIN);
    OK(at_model_load(&ctx, in(dir, "plain"), true, &own)); /* for training: expanded */
    assert_int_equal(borrowed(own), 0);
    ask(own, &wanted);
    static const char *const name[] = {"plain", "short", "shards", "askew"};
    for (int how = PLAIN; how <= ASKEW; how++) {
        at_model *x = NULL;
        if (how != PLAIN) save(m, in(dir, name[how]), how);
        OK(at_model_load(&ctx, in(dir, name[how]), false, &x));
        assert_int_equal(borrowed(x), how == ASKEW ? 0 : matrices);
        ask(x, &got);
        same(&wanted, &got);
        forget(&got);
        at_model_close(x);
    }
    forget(&wanted);
    at_model_close(own);
    at_model_close(m);
    OK(at_remove_tree(&ctx, dir));
    free(dir);
}

static void as_expanded_mixture(void **state) {
    (void)state;
    each_way(mixture, 2 + 2 * 6); /* embedding, output, stacks and first matrices of the routers */
}
static void as_expanded_dense(void **state) {
    (void)state;
    each_way(dense, 1 + 2 * 4);
}

/* Saving a borrowed model writes the widened values. */
static void saves_numbers(void **state) {
    (void)state;
    char *dir = strdup(temporary_folder());
    at_model *m = fresh(mixture), *a = NULL, *b = NULL;
    save(m, in(dir, "m"), PLAIN);
    OK(at_model_load(&ctx, in(dir, "m"), false, &a));
    OK(at_model_save(&ctx, a, in(dir, "again"), NULL));
    at_model_close(a);
    OK(at_model_load(&ctx, in(dir, "m"), true, &a));
    OK(at_model_load(&ctx, in(dir, "again"), true, &b));
    for (int64_t i = 0; i < a->store.n_stacks; i++)
        assert_memory_equal(a->store.stack[i]->t.data, b->store.stack[i]->t.data,
                            sizeof(at_real) * (size_t)at_numel(&a->store.stack[i]->t));
    const cJSON *type = cJSON_GetObjectItem(b->source, "torch_dtype");
    assert_string_equal(type->valuestring, "float32");
    at_model_close(a);
    at_model_close(b);
    at_model_close(m);
    OK(at_remove_tree(&ctx, dir));
    free(dir);
}

/* The cache of a session grows with its text, and keeps its content when it is moved. */
static void session_grows(void **state) {
    (void)state;
    enum { N = 300 };
    at_model *m = fresh(mixture);
    const int64_t V = m->dims.vocab;
    int32_t ids[N];
    for (int i = 0; i < N; i++) ids[i] = (int32_t)((i * 61 + 3) % V);
    at_session a, b;
    const at_real *x = NULL, *y = NULL;
    OK(at_session_open(&cp, m, 0, &a));
    OK(at_session_open(&cp, m, N, &b));
    OK(at_session_feed(&a, ids, 100, &x));
    assert_in_range(a.cache[0].cap, 100, 200);
    for (int i = 100; i < N; i++) OK(at_session_feed(&a, ids + i, 1, &x));
    assert_in_range(a.cache[0].cap, N, 2 * N);
    OK(at_session_feed(&b, ids, N, &y));
    assert_int_equal(b.cache[0].cap, N);
    for (int64_t i = 0; i < V; i++) assert_true(fabs((double)(x[i] - y[i])) < 1e-4);
    assert_int_equal(at_session_feed(&b, ids, 1, &y), AT_ARG);
    at_session_close(&a);
    at_session_close(&b);
    at_model_close(m);
}

/* ---- inputs in BF16 where they are not expected -------------------------------------------- */

enum { ROWS = 6, COLS = 16 };
static uint16_t bits[ROWS * COLS];
static at_real values[ROWS * COLS];

static void pairs(at_tensor *narrow, at_tensor *wide) {
    for (int i = 0; i < ROWS * COLS; i++) {
        bits[i] = at_bf16_from_f32((float)(i * 7 % 23) / 11 - 1);
        values[i] = (at_real)at_f32_from_bf16(bits[i]);
    }
    *narrow = (at_tensor){.bf16 = bits, .rank = 2, .dim = {ROWS, COLS}, .name = "narrow"};
    *wide = (at_tensor){.data = values, .rank = 2, .dim = {ROWS, COLS}, .name = "wide"};
}

static void equal(const at_tensor *a, const at_tensor *b) {
    assert_true(a && b && at_numel(a) == at_numel(b));
    assert_memory_equal(a->data, b->data, sizeof(at_real) * (size_t)at_numel(a));
}

/* An op that cannot read BF16 gets widened values; views of tensors in BF16 are in BF16. */
static void any_op(void **state) {
    (void)state;
    at_tensor t[2], *y[2][4];
    pairs(&t[0], &t[1]);
    at_run r;
    at_run_init(&r, &cp, &arena, true, 0);
    for (int i = 0; i < 2; i++) {
        at_tensor *v = at_view(&r, &t[i], 2, (int64_t[]){COLS, ROWS}), *d = at_detach(&r, v);
        assert_non_null(d);
        assert_ptr_equal(d->bf16, t[i].bf16);
        assert_ptr_equal(d->data, t[i].data);
        y[i][0] = at_gelu(&r, d, AT_GELU_TANH);
        y[i][1] = at_add(&r, &t[i], &t[i]);
        y[i][2] = at_l2norm(&r, &t[i], 1e-12);
        y[i][3] = at_embed(&r, &t[i], (int32_t[]){5, 0, 5}, 3);
    }
    OK(at_run_status(&r));
    for (int k = 0; k < 4; k++) equal(y[0][k], y[1][k]);
    at_arena_rewind(&arena, (at_mark){0});
}

/* Gradients flow through matrices in BF16; a teacher may be in BF16. */
static void through(void **state) {
    (void)state;
    at_tensor t[2];
    pairs(&t[0], &t[1]);
    at_real x[4 * COLS], gx[2][4 * COLS], tx[4 * COLS];
    for (int i = 0; i < 4 * COLS; i++)
        x[i] = (at_real)(i % 9) / 4 - 1, tx[i] = (at_real)(i % 5) / 3;
    double kd[2];
    for (int i = 0; i < 2; i++) {
        at_run r;
        at_run_init(&r, &cp, &arena, true, 0);
        memset(gx[i], 0, sizeof gx[i]);
        at_tensor in = {.data = x, .grad = gx[i], .rank = 2, .dim = {4, COLS}};
        at_tensor teacher = {.data = tx, .rank = 2, .dim = {4, COLS}};
        in.need_grad = in.keep_grad = true;
        at_routing ro;
        int64_t first[] = {0, 2, 4}, slot[] = {0, 3, 1, 2};
        ro = (at_routing){.n = 4, .e = 2, .k = 1, .first = first, .slot = slot};
        at_tensor *io = at_view(&r, &t[i], 2, (int64_t[]){COLS, ROWS});
        at_tensor *a = at_linear(&r, &in, &t[i], NULL), *b = at_linear_io(&r, &in, io, NULL);
        at_tensor *c = at_expert_linear(&r, &in, (at_tensor *[]){io, io}, &ro);
        a = at_add(&r, a, b);
        a = at_add(&r, a, c);
        at_head_report rep = {0};
        const at_head_spec spec = {.label = (int32_t[]){1, 2, 3, 4},
                                   .teacher_x = &teacher,
                                   .teacher_w = &t[i],
                                   .alpha = 0.5,
                                   .kd.tau = 2};
        at_tensor *loss = at_head_loss(&r, &in, &t[i], &spec, &rep);
        at_tensor *ce = at_xent(&r, a, (int32_t[]){0, 1, 2, 3});
        loss = at_weighted_sum(&r, (at_tensor *[]){loss, ce}, (double[]){1, 1}, 2);
        OK(at_run_status(&r));
        OK(at_backward(&r, loss, 1));
        kd[i] = rep.kd;
        at_arena_rewind(&arena, (at_mark){0});
    }
    assert_true(kd[0] > 0 && kd[0] == kd[1]);
    assert_memory_equal(gx[0], gx[1], sizeof gx[0]);
}

/* ---- folders that are refused -------------------------------------------------------------- */

static void refused(void **state) {
    (void)state;
    char *dir = strdup(temporary_folder());
    at_model *m = fresh(dense), *x = NULL;
    save(m, in(dir, "twice"), TWICE);
    assert_int_equal(at_model_load(&ctx, in(dir, "twice"), false, &x), AT_FORMAT);
    expect_says(&ctx, "given twice");
    save(m, in(dir, "pickle"), PLAIN);
    assert_int_equal(unlink(in(dir, "pickle/model.safetensors")), 0);
    assert_int_equal(at_model_load(&ctx, in(dir, "pickle"), false, &x), AT_FORMAT);
    expect_says(&ctx, "model.safetensors.index.json");
    text_file(in(dir, "pickle/pytorch_model.bin.index.json"), "{}");
    assert_int_equal(at_model_load(&ctx, in(dir, "pickle"), false, &x), AT_UNSUPPORTED);
    expect_says(&ctx, "save_file");
    text_file(in(dir, "twice/model.safetensors.index.json"), "{\"weight_map\": {\"x\": \"../a\"}}");
    assert_int_equal(at_model_load(&ctx, in(dir, "twice"), false, &x), AT_FORMAT);
    expect_says(&ctx, "weight_map");
    at_model_close(m);
    OK(at_remove_tree(&ctx, dir));
    free(dir);
}

/* Unknown keys of a configuration are kept; known ones are written with their current values. */
static void keeps_unknown_keys(void **state) {
    (void)state;
    char *dir = strdup(temporary_folder());
    at_model *m = fresh(dense), *x = NULL;
    save(m, in(dir, "m"), PLAIN);
    char *path = in(dir, "m/config.json");
    cJSON *o = at_json_read(&ctx, path);
    cJSON_AddNullToObject(o, "world_size");
    cJSON_AddStringToObject(o, "transformers_version", "4.28.1");
    cJSON_DeleteItemFromObject(o, "layer_norm_epsilon");
    write_json(&ctx, path, o);
    cJSON_Delete(o);
    OK(at_model_load(&ctx, in(dir, "m"), true, &x));
    at_json j;
    at_json_open(&j, &ctx);
    at_model_config(x, &j);
    o = at_json_value(&j, "config.json");
    assert_non_null(o);
    assert_true(cJSON_IsNull(cJSON_GetObjectItem(o, "world_size")));
    assert_string_equal(cJSON_GetObjectItem(o, "transformers_version")->valuestring, "4.28.1");
    assert_string_equal(cJSON_GetObjectItem(o, "torch_dtype")->valuestring, "float32");
    assert_true(cJSON_GetObjectItem(o, "layer_norm_epsilon")->valuedouble == 1e-5);
    assert_int_equal(at_model_number(x, "n_layer", 7), 2);
    assert_int_equal(at_model_number(x, "eos_token_id", 7), 7);
    cJSON_Delete(o);
    at_model_close(x);
    at_model_close(m);
    OK(at_remove_tree(&ctx, dir));
    free(dir);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_expanded_mixture),
        cmocka_unit_test(as_expanded_dense),
        cmocka_unit_test(saves_numbers),
        cmocka_unit_test(any_op),
        cmocka_unit_test(session_grows),
        cmocka_unit_test(through),
        cmocka_unit_test(refused),
        cmocka_unit_test(keeps_unknown_keys),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
