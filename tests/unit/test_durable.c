/*
 * test_durable.c - outputs survive a loss of power: fsync is called in the right order.  This
 * program defines fsync and rename itself, so that the library, linked into it, calls these.
 */
#include "check.h"
#include "train/runfolder.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    bool rename;
    ino_t ino;    /* of what was synced, or of what was renamed  */
    char to[600]; /* the new name                                */
} event;
static event seen[400];
static int n_seen;

int fsync(int fd) {
    struct stat st;
    if (fstat(fd, &st) == 0 && n_seen < 400) seen[n_seen++] = (event){.ino = st.st_ino};
    return 0;
}

int rename(const char *from, const char *to) {
    struct stat st;
    const int there = stat(from, &st), rc = renameat(AT_FDCWD, from, AT_FDCWD, to);
    if (there == 0 && rc == 0 && n_seen < 400) {
        event *e = &seen[n_seen++];
        *e = (event){.rename = true, .ino = st.st_ino};
        (void)snprintf(e->to, sizeof e->to, "%s", to);
    }
    return rc;
}

static at_ctx ctx;
static char *root;

static char *in(const char *name) {
    static char path[4][600];
    static int next;
    char *p = path[next++ % 4];
    (void)snprintf(p, sizeof path[0], "%s/%s", root, name);
    return p;
}

static ino_t ino_of(const char *path) {
    struct stat st;
    if (stat(path, &st) != 0) fail_msg("%s is not there", path);
    return st.st_ino;
}

/* The first sync of a file or folder in [from, to), or -1. */
static int synced(ino_t ino, int from, int to) {
    for (int i = from; i < to; i++)
        if (!seen[i].rename && seen[i].ino == ino) return i;
    return -1;
}

static int renamed_to(const char *path) {
    for (int i = 0; i < n_seen; i++)
        if (seen[i].rename && !strcmp(seen[i].to, path)) return i;
    return -1;
}

static void of_files(void **state) {
    (void)state;
    const char *p = in("file");
    n_seen = 0;
    assert_int_equal(at_write_file(&ctx, p, "x", 1), AT_OK);
    const int named = renamed_to(p);
    assert_true(named > 0);
    if (synced(ino_of(p), 0, named) < 0)
        fail_msg("the name was given before the bytes were on disk");
    if (synced(ino_of(root), named, n_seen) < 0) fail_msg("the name is not on disk");
}

static void of_checkpoints(void **state) {
    (void)state;
    static const char recipe[] = "model: {arch: gpt2, n_layer: 1, n_embd: 8, n_head: 1, "
                                 "n_positions: 8}\n";
    static const char *const name[] = {"config.json", "model.safetensors", "adam_m.safetensors",
                                       "adam_v.safetensors", "state.json"};
    at_conf *f = NULL;
    at_model *m = NULL;
    at_runfolder r;
    OK(at_conf_parse(&ctx, "recipe.yaml", recipe, strlen(recipe), &f));
    OK(at_model_new(&ctx, f, "model", 20, 3, &m));
    OK(at_store_train(&m->store, true));
    n_seen = 0;
    OK(at_runfolder_open(&ctx, in("run"), false, &r));
    if (synced(ino_of(in("run")), 0, n_seen) < 0) fail_msg("checkpoints/ is not on disk");
    OK(at_runfolder_log_open(&r, 0));
    n_seen = 0;
    const at_train_state p = {.step = 1, .data = "d"};
    OK(at_runfolder_save(&r, &(at_learner){.model = m}, &p, NULL, 1));
    char *step = at_join(&ctx, r.checkpoints, "step-00000001");
    const int named = renamed_to(step);
    assert_true(named > 0);
    for (int i = 0; i < 5; i++) {
        char *file = at_join(&ctx, step, name[i]);
        if (synced(ino_of(file), 0, named) < 0)
            fail_msg("%s: named before it was on disk", name[i]);
        at_free(file);
    }
    if (synced(ino_of(step), 0, named) < 0) fail_msg("its names are not on disk");
    if (synced(ino_of(r.metrics), 0, named) < 0) fail_msg("the lines before it are not on disk");
    if (synced(ino_of(r.checkpoints), named, n_seen) < 0) fail_msg("its own name is not on disk");

    n_seen = 0;
    char *model = in("run/model");
    OK(at_model_save(&ctx, m, model, NULL));
    const int given = renamed_to(model);
    assert_true(given > 0);
    if (synced(ino_of(in("run/model/model.safetensors")), 0, given) < 0)
        fail_msg("model/ was named before it was on disk");
    if (synced(ino_of(in("run")), given, n_seen) < 0) fail_msg("the name of model/ is not on disk");
    at_free(step);
    at_runfolder_close(&r);
    at_model_close(m);
    at_conf_close(f);
}

int main(void) {
    at_ctx_init(&ctx, 1);
    root = temporary_folder();
    const struct CMUnitTest tests[] = {cmocka_unit_test(of_files),
                                       cmocka_unit_test(of_checkpoints)};
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)at_remove_tree(&ctx, root);
    return rc;
}
