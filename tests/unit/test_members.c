/* test_members.c - modules of a mixture: their list, their slots behind the base's, and who takes part. */
#include "arch/read.h"
#include "base/rng.h"
#include "in_folder.h"
#include "infer/digest.h"
#include <unistd.h>

enum { V = 23, T = 9, LAYERS = 2, ATT = 2, MLP = 3 };

static at_compute cp;
static at_arena arena;
static int32_t ids[T];

static at_model *model_of(int att, int mlp, int k) {
    char yaml[400];
    at_conf *f = NULL;
    at_model *m = NULL;
    const int n = snprintf(yaml, sizeof yaml,
                           "model: {arch: moduleformer, n_layer: %d, n_embd: 12, n_head: 1, "
                           "att_hidden: 12, ffd_hidden: 20, gating_size: 8, n_att_experts: %d, "
                           "n_mlp_experts: %d, k_att: 1, k_mlp: %d, initializer_range: 0.5}\n",
                           LAYERS, att, mlp, k);
    OK(at_conf_parse(&ctx, "model", yaml, (size_t)n, &f));
    OK(at_model_new(&ctx, f, "model", V, 5, &m));
    at_conf_close(f);
    for (int64_t i = 0; i < m->store.n_stacks; i++) {
        at_stack *s = m->store.stack[i];
        for (int64_t j = 0; s->n > 1 && j < at_numel(&s->t); j++)
            s->t.data[j] = (at_real)(0.4 * at_normal(3, (uint64_t)i, (uint64_t)j));
    }
    return m;
}

static void keep(void *user, int64_t i, const at_real *logits) {
    memcpy((at_real *)user + i * V, logits, V * sizeof *logits);
}
static at_status logits_of(at_model *m, uint64_t modules, at_real out[T * V]) {
    const at_input in = {.ids = ids, .B = 1, .T = T, .modules = modules};
    return at_model_read(&cp, &arena, m, &in, NULL,
                         &(at_readout){.logits = keep, .user = out, .rows = T});
}
static bool same(const at_real *a, const at_real *b) { return !memcmp(a, b, T * V * sizeof *a); }

static void write_record(const char *text) {
    OK(at_write_file(&ctx, in("model/artel.json"), text, strlen(text)));
}

#define ENTRY(id, name, att, mlp)                                   \
    "{\"id\":" id ",\"name\":\"" name "\",\"file\":\"modules/" name \
    ".safetensors\",\"slots\":{\"attention\":[" att "],\"feed_forward\":[" mlp "]}}"
#define RECORD(ids, entries) "{\"modules\":[" entries "],\"ids\":" ids "}"
static const char two[] =
    RECORD("2", ENTRY("1", "x", "1,1", "1,1") "," ENTRY("2", "y", "0,0", "1,1"));

/* A base of 2 and 3 experts, and two modules: their slots are those that larger models have behind them. */
static void make_folder(void) {
    at_model *base = model_of(ATT, MLP, 2), *large = model_of(ATT + 1, MLP + 2, 2);
    at_banks *b = at_model_banks(large);
    int64_t first[4], n[4];
    at_model_close(base);
    base = model_of(ATT, MLP, 2);
    for (int64_t i = 0; i < base->store.n; i++) { /* the larger model has the base's values */
        const at_param_entry *from = base->store.p[i];
        memcpy(at_store_find(&large->store, from->path)->t.data, from->t.data,
               (size_t)at_numel(&from->t) * sizeof(at_real));
    }
    OK(at_model_save(&ctx, base, in("model"), NULL));
    OK(at_make_dir(&ctx, in("model/modules")));
    for (int i = 0; i < 4; i++) {
        const bool att = b->bank[i].id.kind == AT_LAYER_ATTENTION;
        first[i] = att ? ATT : MLP;
        n[i] = 1;
    }
    OK(at_member_write(&ctx, &large->store, b, first, n, in("model/modules/x.safetensors"), NULL));
    for (int i = 0; i < 4; i++) {
        n[i] = b->bank[i].id.kind == AT_LAYER_FEED_FORWARD;
        first[i] = MLP + 1;
    }
    OK(at_member_write(&ctx, &large->store, b, first, n, in("model/modules/y.safetensors"), NULL));
    OK(at_model_save(&ctx, large, in("large"), NULL));
    at_model_close(base);
    at_model_close(large);
}

/* ---- what is loaded ------------------------------------------------------------------------------ */

static void slots_stand_behind_the_base(void **state) {
    (void)state;
    at_model *m = NULL, *large = NULL, *base = NULL;
    at_real a[T * V], b[T * V];
    at_digest x, y;
    write_record(two);
    OK(at_model_load(&ctx, in("model"), false, &m));
    OK(at_model_load(&ctx, in("large"), false, &large));
    assert_int_equal(m->members.n, 2);
    const at_bank *k = at_bank_find(at_model_banks(m), (at_router_id){1, AT_LAYER_FEED_FORWARD});
    assert_int_equal(k->n, MLP + 2);
    assert_true(!k->owner[MLP - 1] && k->owner[MLP] == 1 && k->owner[MLP + 1] == 2);
    assert_int_equal(at_member_first(&m->members, 1, k), MLP + 1);
    OK(at_digest_model(&ctx, m, &x));
    OK(at_digest_model(&ctx, large, &y));
    assert_string_equal(x.hex, y.hex); /* the same model as if all were in one file */
    OK(logits_of(m, 0, a));
    OK(logits_of(large, 0, b));
    assert_true(same(a, b));
    OK(at_model_load_base(&ctx, in("model"), &base));
    assert_int_equal(base->members.n, 0);
    OK(logits_of(base, 0, b));
    assert_false(same(a, b));
    OK(logits_of(m, 1, a)); /* the base alone, to the bit */
    assert_true(same(a, b));
    at_model_close(base);
    at_model_close(m);
    OK(at_model_load(&ctx, in("model"), true, &m)); /* copied, for training */
    OK(logits_of(m, 1, a));
    assert_true(same(a, b));
    OK(at_model_save(&ctx, m, in("flat"), NULL)); /* saved as one model */
    at_model_close(m);
    OK(at_model_load(&ctx, in("flat"), false, &m));
    assert_int_equal(m->members.n, 0);
    OK(logits_of(m, 0, a));
    OK(logits_of(large, 0, b));
    assert_true(same(a, b));
    at_model_close(m);
    at_model_close(large);
}

/* A module says the same wherever it stands, and with another one excluded the model is as without it. */
static void the_order_does_not_matter(void **state) {
    (void)state;
    at_model *m = NULL, *one = NULL;
    at_real a[T * V], b[T * V];
    write_record(RECORD("1", ENTRY("1", "x", "1,1", "1,1")));
    OK(at_model_load(&ctx, in("model"), false, &one));
    OK(logits_of(one, 0, b));
    write_record(two);
    OK(at_model_load(&ctx, in("model"), false, &m));
    OK(logits_of(m, at_members_mask(&m->members, (const bool[]){true, false}), a));
    assert_true(same(a, b));
    at_model_close(m);
    write_record(RECORD("2", ENTRY("2", "y", "0,0", "1,1") "," ENTRY("1", "x", "1,1", "1,1")));
    OK(at_model_load(&ctx, in("model"), false, &m));
    OK(logits_of(m, at_members_mask(&m->members, (const bool[]){false, true}), a));
    assert_true(same(a, b));
    at_model_close(m);
    at_model_close(one);
}

static void masks_that_do_not_fit(void **state) {
    (void)state;
    at_model *m = NULL;
    at_real a[T * V];
    write_record(two);
    OK(at_model_load(&ctx, in("model"), false, &m));
    assert_int_equal(at_members_mask(&m->members, NULL), 7);
    assert_int_equal(logits_of(m, 2, a), AT_ARG); /* without the base */
    expect_says(&ctx, "has a base and 2 modules: it cannot run those of mask 2");
    assert_int_equal(logits_of(m, 9, a), AT_ARG);
    OK(at_members_check(&ctx, &m->members, at_model_banks(m), 1, "m"));
    for (int64_t i = 0; i < 4; i++) at_model_banks(m)->bank[i].k = ATT + 1;
    assert_int_equal(at_members_check(&ctx, &m->members, at_model_banks(m), 1, "m"), AT_ARG);
    expect_says(&ctx, "m: in the attention bank of layer 0 a token uses 3 slots, but without the "
                      "modules left out only 2 are there");
    assert_int_equal(logits_of(m, 1, a), AT_ARG);
    expect_says(&ctx, "but the modules that are run leave only 2");
    at_model_close(m);
}

/* ---- what is refused ------------------------------------------------------------------------------- */

static void refused(const char *record, const char *says) {
    at_model *m = NULL;
    write_record(record);
    if (at_model_load(&ctx, in("model"), false, &m) == AT_OK) fail_msg("opened: %s", record);
    assert_null(m);
    expect_says(&ctx, says);
}

static void lists_that_are_wrong(void **state) {
    (void)state;
#define ONE(entry) RECORD("9", entry)
    refused("{\"modules\":{},\"ids\":0}", "field \"modules\": expected");
    refused("{\"modules\":[]}", "field \"ids\"");
    refused("{\"modules\":[{}],\"ids\":0}", "field \"name\"");
    refused(ONE(ENTRY("0", "x", "1,1", "1,1")), "field \"id\"");
    refused(RECORD("0", ENTRY("1", "x", "1,1", "1,1")), "`ids`, the last that was given, is 0");
    refused(ONE(ENTRY("1", "x", "1,1", "1,1") "," ENTRY("2", "x", "1,1", "1,1")),
            "module `x`: expected a name that occurs once");
    refused(ONE(ENTRY("1", "x", "1,1", "1,1") "," ENTRY("1", "y", "0,0", "1,1")),
            "modules `x` and `y` both have id 1");
    refused(ONE(ENTRY("1", "../x", "1,1", "1,1")), "expected a name that occurs once");
    refused("{\"modules\":[{\"id\":1,\"name\":\"x\",\"file\":\"/x\",\"slots\":{}}],\"ids\":1}",
            "module `x`: expected a file in this folder, found `/x`");
    refused(ONE(ENTRY("1", "x", "1,1", "-1,1")), "slots.feed_forward: expected whole numbers");
    refused(ONE(ENTRY("1", "x", "1,1", "1,1.5")), "slots.feed_forward: expected whole numbers");
    refused(ONE(ENTRY("1", "x", "1", "1,1")),
            "slots.attention: expected 2 numbers, one a layer of the base, found 1");
    refused(ONE(ENTRY("1", "z", "1,1", "1,1")), "the file of module `z`, modules/z.safetensors");
    refused(ONE(ENTRY("1", "x", "1,1", "2,2")),
            "x.safetensors: expected 18 tensors for the slots of module `x`, found 12");
    refused(ONE(ENTRY("1", "x", "0,0", "1,1")),
            "attn.q_proj.experts.+0.in` is of no slot that module `x` has here");
#undef ONE
    refused("{\"modules\":", "artel.json");
    write_record("{\"experts\":[]}"); /* of something else */
    at_model *m = NULL;
    OK(at_model_load(&ctx, in("model"), false, &m));
    at_model_close(m);
}

static int begin(void **state) {
    /* many small files are synced: in memory when there is such a place */
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
    if (setup(state)) return -1;
    OK(at_compute_open(&cp, &ctx));
    at_arena_init(&arena, &ctx);
    for (uint64_t i = 0; i < T; i++) ids[i] = (int32_t)at_rand_below(V, 1, AT_STREAM_TEST, i);
    make_folder();
    return 0;
}
static int end(void **state) {
    at_arena_close(&arena);
    at_compute_close(&cp);
    return teardown(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_stand_behind_the_base),
        cmocka_unit_test(the_order_does_not_matter),
        cmocka_unit_test(masks_that_do_not_fit),
        cmocka_unit_test(lists_that_are_wrong),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
