/*
 * oom_fixture.h - memory runs out at the n-th allocation, for every n: what tests of that share.  A call must answer
 * AT_OOM with a sentence, leak nothing (the sanitised build says so) and leave no file or folder half made; with all its
 * memory it succeeds.  One thread: the counter of failures is not meant for several.
 */
#ifndef OOM_FIXTURE_H
#define OOM_FIXTURE_H
#include "arch/model.h"
#include "check.h"
#include "data_fixture.h"
#include "infer/lm.h"
#include <unistd.h>

enum { VOCAB = 270, MOST = 40000 };

static at_ctx ctx;
static char *root; /* a folder with all that is read here */

static char *in_root(const char *name) {
    static char path[8][512];
    static int next;
    char *p = path[next++ % 8];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

/* A sanitised build takes eight times as long: of calls so long that they have a stride it tries a quarter. */
#ifdef __SANITIZE_ADDRESS__
enum { SPARSE = 4, FASTER = 12 };
#else
enum { SPARSE = 1, FASTER = 40 };
#endif

/* Runs `what` with its n-th allocation failing, n = 1, 1 + stride, ... until none fails.  With
   `json`, allocations of cJSON count as well; there are many, so n grows faster and faster. */
static int64_t failing(const char *name, int64_t stride, bool json, at_status (*what)(void),
                       void (*after_failure)(void)) {
    int64_t n = 1;
    if (stride > 1) stride *= SPARSE;
    for (;; n += json ? stride + n / FASTER : stride) {
        if (n > MOST) fail_msg("%s: more than %d allocations", name, MOST);
        at_error_clear(&ctx);
        at_json_inject(json ? &ctx : NULL);
        ctx.fail_after = n;
        const at_status s = what();
        const bool failed = ctx.fail_after == 0;
        ctx.fail_after = 0;
        at_json_inject(NULL);
        if (!failed) {
            if (s != AT_OK) fail_msg("%s: with all its memory: %s", name, ctx.message);
            return n;
        }
        if (s != AT_OOM)
            fail_msg("%s: allocation %lld failed, status %d (%s)", name, (long long)n, (int)s,
                     ctx.message);
        if (ctx.status != AT_OOM || !ctx.message[0])
            fail_msg("%s: allocation %lld: the context says %d: %s", name, (long long)n,
                     (int)ctx.status, ctx.message);
        if (after_failure) after_failure();
    }
}

static void every_allocation(const char *name, int64_t stride, at_status (*what)(void),
                             void (*after_failure)(void), void (*between)(void)) {
    const int64_t n = failing(name, stride, false, what, after_failure);
    if (between) between();
    const int64_t m = failing(name, stride, true, what, after_failure);
    print_message("%-20s %lld allocations, about %lld with those of JSON\n", name, (long long)n - 1,
                  (long long)m - 1);
    assert_true(n > 1);
}

static at_status model_of(const char *yaml, at_model **m) {
    at_conf *f = NULL;
    at_status s = at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f);
    if (s == AT_OK) s = at_model_new(&ctx, f, "model", VOCAB, 1, m);
    if (s == AT_OK) s = at_conf_finish(&ctx, f);
    at_conf_close(f);
    return s;
}

static at_status load_lm(const char *name) {
    at_lm *m = NULL;
    const at_status s = at_lm_load(&ctx, in_root(name), &m);
    if (s != AT_OK) assert_null(m);
    at_lm_close(m);
    return s;
}

static void empty_out(void) {
    OK(at_remove_tree(&ctx, in_root("out")));
    OK(at_make_dir(&ctx, in_root("out")));
}

static const char oom_mixture[] =
    "model: {arch: moduleformer, n_layer: 2, n_embd: 8, att_hidden: 8, ffd_hidden: 8, "
    "n_att_experts: 3, n_mlp_experts: 4, gating_size: 4, aux_loss_weight: 0.1}\n";

static void open_root(void) {
    /* Thousands of small files are synced: in memory when there is such a place. */
    if (access("/dev/shm", W_OK) == 0) (void)setenv("TMPDIR", "/dev/shm", 0);
    root = strdup(temporary_folder());
    OK(fixture_data(&ctx, in_root("data"), (const char *const[]){"a", "b"}, 2, VOCAB, 500));
}
static int end(void **state) {
    (void)state;
    (void)at_remove_tree(&ctx, root);
    free(root);
    return 0;
}

#endif
