/*
 * test_module_life.c - random sequences of what can happen to a mixture: modules are trained, shipped, put in,
 * dropped.  After each of them what was not meant has the bits it had, whatever came before.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "data_fixture.h"
#include "in_folder.h"
#include "train/growth.h"
#include <unistd.h>

enum { V = 16, T = 8, NAMES = 3, STEPS = 6 };
static const char *const name[NAMES] = {"a", "b", "c"};

static at_compute cp;
static at_arena arena;
static int32_t ids[T];
static at_real of_base[T * V];

static void keep(void *user, int64_t i, const at_real *logits) {
    memcpy((at_real *)user + i * V, logits, V * sizeof *logits);
}
static void logits_of(at_model *m, uint64_t modules, at_real out[T * V]) {
    const at_input in = {.ids = ids, .B = 1, .T = T, .modules = modules};
    OK(at_model_read(&cp, &arena, m, &in, NULL,
                     &(at_readout){.logits = keep, .user = out, .rows = T}));
}

static void make_base(void) {
    static const char yaml[] =
        "model: {arch: moduleformer, n_layer: 1, n_embd: 8, n_head: 1, att_hidden: 8, "
        "ffd_hidden: 8, gating_size: 4, n_att_experts: 2, n_mlp_experts: 2, k_att: 1, k_mlp: 2, "
        "initializer_range: 0.5}\n";
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "model", yaml, sizeof yaml - 1, &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    at_conf_close(f);
    OK(at_model_save(&ctx, m, in("base"), NULL));
    logits_of(m, 0, of_base);
    at_model_close(m);
    OK(fixture_data(&ctx, in("data"), name, NAMES, V, 400));
}

/* ---- one life -------------------------------------------------------------------------------------- */

typedef struct {
    char model[600], root[600];
    int made; /* folders and files so far */
    int64_t ids;
    bool has[NAMES], shipped[NAMES];
    char digest[NAMES][AT_SHA256_TEXT], sent[NAMES][AT_SHA256_TEXT];
} life;

static const char *place(const life *l, const char *what, int n) {
    static char path[4][700];
    static int turn;
    char *p = path[turn++ % 4];
    (void)snprintf(p, sizeof path[0], "%.600s/%s-%d", l->root, what, n);
    return p;
}

static void moved_to(life *l, const char *out) {
    (void)snprintf(l->model, sizeof l->model, "%s", out);
}

static void extend(life *l, int k, uint64_t draw) {
    char yaml[600];
    at_conf *f = NULL;
    at_lm *old = NULL;
    at_growth *g = at_calloc(&ctx, 1, sizeof *g);
    const char *out = place(l, "model", ++l->made);
    const int n = snprintf(
        yaml, sizeof yaml,
        "seed: %d\nextend: {name: %s, attention: %d, feed_forward: 1, init: %s, documents: 2}\n"
        "data: {train: %s}\ntrain: {steps: 2, batch: 2, context: 8, lr: 0.1, eval_every: 0}\n",
        l->made, name[k], (int)(draw % 2), draw % 3 ? "random" : "copy", in("data"));
    OK(at_conf_parse(&ctx, "recipe", yaml, (size_t)n, &f));
    OK(at_lm_load(&ctx, l->model, &old));
    OK(at_grow(&ctx, f, l->model, old, out, place(l, "run", l->made), NULL, 0, g));
    assert_int_equal(g->id, l->ids + 1); /* never one that was given before */
    assert_int_equal(g->differ, 0);
    l->ids = g->id;
    l->has[k] = true;
    memcpy(l->digest[k], g->digest, sizeof l->digest[k]);
    at_lm_close(old);
    at_conf_close(f);
    at_free(g);
    moved_to(l, out);
}

static void ship(life *l, int k) {
    const char *file = place(l, name[k], 0);
    if (l->shipped[k]) OK(at_remove_tree(&ctx, file));
    OK(at_module_export(&ctx, l->model, name[k], file));
    l->shipped[k] = true;
    memcpy(l->sent[k], l->digest[k], sizeof l->sent[k]);
}

static void add(life *l, int k) {
    at_life_event e;
    const char *out = place(l, "model", ++l->made);
    OK(at_module_add(&ctx, l->model, place(l, name[k], 0), NULL, out, &e));
    assert_int_equal(e.id, l->ids + 1);
    l->ids = e.id;
    l->has[k] = true;
    memcpy(l->digest[k], l->sent[k], sizeof l->digest[k]);
    moved_to(l, out);
}

static void drop(life *l, int k) {
    at_life_event e;
    at_removal r;
    const char *out = place(l, "model", ++l->made);
    OK(at_module_drop(&ctx, l->model, name[k], false, out, &e, &r));
    at_removal_close(&r);
    l->has[k] = false;
    moved_to(l, out);
}

static void same_file(const char *a, const char *b) {
    size_t n[2];
    char *x = at_read_file(&ctx, a, 1 << 24, &n[0]), *y = at_read_file(&ctx, b, 1 << 24, &n[1]);
    assert_true(x && y && n[0] == n[1] && !memcmp(x, y, n[0]));
    at_free(x);
    at_free(y);
}

/* Base and modules are what they were, in the files, as digests, and in what they answer. */
static void whole(const life *l) {
    at_model *m = NULL;
    at_real a[T * V];
    char path[900];
    int n = 0;
    (void)snprintf(path, sizeof path, "%s/model.safetensors", l->model);
    same_file(path, in("base/model.safetensors"));
    (void)snprintf(path, sizeof path, "%s/config.json", l->model);
    same_file(path, in("base/config.json"));
    OK(at_model_load(&ctx, l->model, false, &m));
    logits_of(m, m->members.n ? 1 : 0, a);
    assert_memory_equal(a, of_base, sizeof a);
    for (int k = 0; k < NAMES; k++) {
        const int i = at_member_find(&m->members, name[k]);
        assert_true((i >= 0) == l->has[k]);
        if (i < 0) continue;
        at_digest d;
        n++;
        (void)snprintf(path, sizeof path, "%s/%s", l->model, m->members.item[i].file);
        OK(at_digest_of(&ctx, path, &d));
        assert_string_equal(d.hex, l->digest[k]);
        assert_true(m->members.item[i].id <= l->ids);
    }
    assert_int_equal(m->members.n, n);
    at_model_close(m);
}

static void step(life *l, uint64_t seed, uint64_t i) {
    const int k = (int)at_rand_below(NAMES, seed, AT_STREAM_TEST, 2 * i);
    const uint64_t draw = at_rand_below(6, seed, AT_STREAM_TEST, 2 * i + 1);
    if (l->has[k] && draw < 2)
        ship(l, k);
    else if (l->has[k])
        drop(l, k);
    else if (l->shipped[k] && draw < 4)
        add(l, k);
    else
        extend(l, k, draw);
    whole(l);
}

static void lives(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        life l = {0};
        (void)snprintf(l.root, sizeof l.root, "%s", in(seed == 1 ? "one" : "two"));
        OK(at_make_dir(&ctx, l.root));
        moved_to(&l, in("base"));
        for (uint64_t i = 0; i < STEPS; i++) step(&l, seed, i);
        for (int k = 0; k < NAMES; k++) /* and all of it undone */
            if (l.has[k]) drop(&l, k);
        whole(&l);
        nothing_in_the_making(&ctx, l.root);
    }
}

static int begin(void **state) {
    /* many small files are synced: in memory when there is such a place */
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
    if (setup(state)) return -1;
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (uint64_t i = 0; i < T; i++) ids[i] = (int32_t)at_rand_below(V, 1, AT_STREAM_TEST, i);
    make_base();
    return 0;
}
static int end(void **state) {
    at_arena_close(&arena);
    at_compute_close(&cp);
    return teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(lives)};
    return cmocka_run_group_tests(tests, begin, end);
}
