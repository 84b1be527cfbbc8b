/*
 * test_captured.c - files of captured logits: what is written is read within the bound of captured.h,
 * at every temperature; a changed byte, a file cut short, one of other text is refused; a file that
 * was left half made is gone on with, to the same bytes.
 */
#include "arch/model.h"
#include "base/rng.h"
#include "check.h"
#include "conf/conf.h"
#include "data_fixture.h"
#include "infer/capture.h"
#include "op/top_row.h"
#include "tensor/run.h"
#include <math.h>
#include <stdio.h>
#include <unistd.h>

enum { V = 50, T = 6, N = 7, WINDOWS = 4, TAUS = 3 };

static at_ctx ctx;
static at_compute cp;
static char *root;
static char path[600], part[610];

static at_captured_plan plan_of(int bits, int64_t n) {
    at_captured_plan p = {.bits = bits,
                          .n_tau = TAUS,
                          .n = n,
                          .vocab = V,
                          .context = T,
                          .windows = WINDOWS,
                          .shard = 77,
                          .tau = {1, 1.7, 4},
                          .domain = "aa"};
    memset(p.teacher, 'a', AT_HASH_HEX);
    memset(p.tokenizer, '0', AT_HASH_HEX);
    return p;
}

/* Logits of row i: from nearly certain to nearly even. */
static void row_of(int64_t i, at_real *z) {
    for (int64_t j = 0; j < V; j++)
        z[j] = (at_real)(at_normal(3, AT_STREAM_TEST, (uint64_t)(i * V + j)) * (i % 5 ? 3 : 20));
    z[7] = z[11]; /* equal ones are in the order of their ids */
}

typedef struct {
    int32_t id[T * V];
    float logp[T * V], left[TAUS * T];
} windowful;

static void make_window(const at_captured_plan *p, int64_t w, windowful *out) {
    for (int64_t t = 0; t < T; t++) {
        at_real z[V], tmp[V];
        float odds[TAUS];
        row_of(w * T + t, z);
        at_row_take_top(&cp.k, V, z, p->n, TAUS, p->tau, tmp, out->id + t * p->n,
                        out->logp + t * p->n, odds);
        for (int k = 0; k < TAUS; k++) out->left[k * T + t] = odds[k];
    }
}

static void write_windows(at_captured_writer *w, int64_t until) {
    static windowful x;
    while (w->done < until) {
        make_window(&w->plan, w->done, &x);
        OK(at_captured_writer_add(&ctx, w, x.id, x.logp, x.left));
    }
}

static void write_file(const at_captured_plan *p) {
    at_captured_writer w;
    OK(at_captured_writer_open(&ctx, path, p, &w));
    assert_int_equal(w.done, 0);
    write_windows(&w, WINDOWS);
    OK(at_captured_writer_commit(&ctx, &w));
    assert_false(at_exists(part));
}

/* Probabilities at a temperature, in double, descending. */
static void true_row(int64_t i, double tau, double *q) {
    at_real z[V];
    double sum = 0;
    row_of(i, z);
    for (int j = 0; j < V; j++) sum += q[j] = exp((double)(z[j] - z[0]) / tau);
    for (int j = 0; j < V; j++) q[j] /= sum;
}

static void within_its_bound(void **state) {
    (void)state;
    static const int64_t some[] = {1, N, V - 1, V};
    double worst[2] = {0};
    for (int bits = 16; bits <= 32; bits += 16)
        for (int a = 0; a < 4; a++) {
            const at_captured_plan p = plan_of(bits, some[a]);
            at_captured_file f;
            int32_t id[T * V];
            at_real logq[T * V], left[T];
            write_file(&p);
            OK(at_captured_open(&ctx, path, &f));
            assert_memory_equal(&f.plan, &p, sizeof p);
            assert_int_equal(f.map.bytes, (int64_t)at_captured_bytes(&p));
            for (int64_t i = 0; i < WINDOWS * T * TAUS; i++) {
                const int k = (int)(i % TAUS);
                const int64_t row = i / TAUS, t = row % T, n = p.n;
                double q[V], sum = 0;
                OK(at_captured_read(&ctx, &f, row / T, k, id, logq, left));
                true_row(row, p.tau[k], q);
                for (int64_t j = t * n; j < (t + 1) * n; j++) {
                    const double l = (double)logq[j];
                    if (j > t * n) assert_true(l <= (double)logq[j - 1]);
                    if (j > t * n && id[j] == 11) assert_int_equal(id[j - 1], 7);
                    if (q[id[j]] > exp(-79 / p.tau[k]))
                        worst[bits / 32] = fmax(worst[bits / 32], fabs(l - log(q[id[j]])));
                    sum += exp(l);
                    q[id[j]] = 0;
                }
                double others = 0;
                for (int j = 0; j < V; j++) others += q[j];
                if (others > exp(-15.5) && n < V)
                    worst[bits / 32] = fmax(worst[bits / 32], fabs((double)left[t] - log(others)));
                sum += n < V ? exp((double)left[t]) : 0;
                assert_true(fabs(sum - 1) < 1e-5); /* of float */
            }
            at_captured_close(&f);
            OK(at_remove_tree(&ctx, path));
        }
    print_message("logarithms are off by %.2e of 16 bits, %.2e of 32; bound %.2e\n", worst[0],
                  worst[1], AT_CAPTURED_ERROR);
    assert_true(worst[0] < AT_CAPTURED_ERROR && worst[0] > AT_CAPTURED_ERROR / 20);
    assert_true(worst[1] < 3e-5); /* sums of floats that are nearly all, or nearly nothing */
}

/* Any changed byte is found, in the header at once, in a window when it is read. */
static void altered(void **state) {
    (void)state;
    const at_captured_plan p = plan_of(16, N);
    const int64_t window = at_captured_window_bytes(&p);
    size_t bytes = 0;
    write_file(&p);
    char *text = at_read_file(&ctx, path, 1 << 20, &bytes);
    assert_non_null(text);
    for (size_t i = 0; i < bytes; i += i < 336 ? 1 : i < AT_CAPTURED_HEAD ? 1000 : 7) {
        at_captured_file f;
        int found = 0;
        if (i >= 336 && i < AT_CAPTURED_HEAD) continue; /* zeros that nobody reads */
        text[i] ^= 4;
        OK(at_write_file(&ctx, path, text, bytes));
        const at_status s = at_captured_open(&ctx, path, &f);
        for (int64_t w = 0; s == AT_OK && w < WINDOWS; w++) {
            int32_t id[T * N];
            at_real logq[T * N], left[T];
            if (at_captured_read(&ctx, &f, w, 1, id, logq, left) == AT_OK) continue;
            found++;
            expect_says(&ctx, "altered: the checksum of window");
            assert_int_equal(w, ((int64_t)i - AT_CAPTURED_HEAD) / window);
        }
        if (s == AT_OK)
            at_captured_close(&f);
        else
            assert_true(i < 336);
        if (s == AT_OK && found != 1) fail_msg("byte %zu: %d windows are altered", i, found);
        text[i] ^= 4;
    }
    for (int cut = 0; cut < 3; cut++) {
        static const char *const says[] = {"cut short", "bytes after the end",
                                           "at least 4096 bytes"};
        at_captured_file f;
        const size_t n = cut == 0 ? bytes - 1 : cut == 1 ? bytes + 1 : 4000;
        OK(at_write_file(&ctx, path, text, n));
        assert_int_equal(at_captured_open(&ctx, path, &f), AT_FORMAT);
        expect_says(&ctx, says[cut]);
    }
    char *at = text + AT_CAPTURED_HEAD; /* two windows exchanged */
    char *first = at_malloc(&ctx, (size_t)window);
    memcpy(first, at, (size_t)window);
    memcpy(at, at + window, (size_t)window);
    memcpy(at + window, first, (size_t)window);
    OK(at_write_file(&ctx, path, text, bytes));
    at_captured_file f;
    int32_t id[T * N];
    at_real logq[T * N], left[T];
    OK(at_captured_open(&ctx, path, &f));
    assert_int_equal(at_captured_read(&ctx, &f, 0, 0, id, logq, left), AT_FORMAT);
    OK(at_captured_read(&ctx, &f, 2, 0, id, logq, left));
    at_captured_close(&f);
    at_free(first);
    at_free(text);
    OK(at_remove_tree(&ctx, path));
}

/* Left after any number of bytes, it ends with the bytes of one that was not. */
static void gone_on_with(void **state) {
    (void)state;
    const at_captured_plan p = plan_of(16, N);
    const int64_t window = at_captured_window_bytes(&p);
    size_t bytes = 0, again = 0;
    at_captured_writer w;
    write_file(&p);
    char *whole = at_read_file(&ctx, path, 1 << 20, &bytes);
    for (int64_t cut = 0; cut <= (int64_t)bytes;
         cut += cut < AT_CAPTURED_HEAD ? 1024 : window / 3) {
        OK(at_remove_tree(&ctx, path));
        OK(at_write_file(&ctx, part, whole, (size_t)cut));
        OK(at_captured_writer_open(&ctx, path, &p, &w));
        assert_int_equal(w.done, cut < AT_CAPTURED_HEAD ? 0 : (cut - AT_CAPTURED_HEAD) / window);
        write_windows(&w, WINDOWS);
        OK(at_captured_writer_commit(&ctx, &w));
        char *now = at_read_file(&ctx, path, 1 << 20, &again);
        assert_int_equal(again, bytes);
        assert_memory_equal(now, whole, bytes);
        at_free(now);
    }
    OK(at_remove_tree(&ctx, path));
    whole[AT_CAPTURED_HEAD + window + 5] ^= 1; /* what comes after a bad window is made anew */
    OK(at_write_file(&ctx, part, whole, bytes));
    OK(at_captured_writer_open(&ctx, path, &p, &w));
    assert_int_equal(w.done, 1);
    write_windows(&w, 2);
    assert_int_equal(at_captured_writer_commit(&ctx, &w), AT_ARG);
    expect_says(&ctx, "2 of its 4 windows are missing");
    at_captured_plan other = p;
    other.shard++;
    assert_int_equal(at_captured_writer_open(&ctx, path, &other, &w), AT_MISMATCH);
    expect_says(&ctx, "another teacher, text or setting");
    assert_true(at_exists(part));
    OK(at_remove_tree(&ctx, part));
    at_free(whole);
}

/* A folder belongs to the text that it was captured over, of which another as long is none. */
static void other_text(void **state) {
    (void)state;
    static const char *const names[2][2] = {{"aa", "bb"}, {"bb", "aa"}};
    const at_captured_summary more = {.teacher = "t", .data = "d", .arithmetic = "x"};
    for (int k = 0; k < 2; k++) {
        char dir[300];
        at_dataset *d = NULL;
        at_captured *s = NULL;
        (void)snprintf(dir, sizeof dir, "%.250s/data%d", root, k);
        OK(fixture_data(&ctx, dir, names[k], 2, V, WINDOWS * T + 1));
        OK(at_dataset_open(&ctx, dir, &d));
        if (k == 0) {
            at_captured_plan p = plan_of(16, N);
            p.shard = at_dataset_sum(d, 0, AT_TRAIN);
            assert_true(p.shard != at_dataset_sum(d, 1, AT_TRAIN));
            memcpy(p.tokenizer, FIXTURE_HASH, sizeof p.tokenizer);
            write_file(&p);
            assert_int_equal(at_captured_set_open(&ctx, root, d, &s), AT_CONFIG);
            expect_says(&ctx, "the capture was not finished");
            OK(at_captured_manifest(&ctx, root, &p, 1, &more));
            OK(at_captured_set_check(&ctx, root));
            OK(at_captured_set_open(&ctx, root, d, &s));
            assert_true(s->file[0].path && !s->file[1].path && s->plan.n == N);
            assert_string_equal(s->teacher, "t");
            at_captured_set_close(s);
        } else {
            assert_int_equal(at_captured_set_open(&ctx, root, d, &s), AT_MISMATCH);
            expect_says(&ctx, "captured over other text than the train split of \"aa\"");
            assert_null(s);
        }
        at_dataset_close(d);
    }
    OK(at_remove_tree(&ctx, path));
}

static atomic_int stop;
static void stop_at_once(void *user, at_log_level level, const char *line) {
    (void)user;
    (void)level;
    if (strstr(line, "MB are free")) atomic_store(&stop, 1);
}

static char *in_root(const char *name) {
    char *p = at_join(&ctx, root, name);
    assert_non_null(p);
    return p;
}

/* Asked to stop before the first window: nothing has its name yet, and the same call goes on. */
static void interrupted(void **state) {
    (void)state;
    static const char yaml[] =
        "model: {arch: gpt2, n_layer: 1, n_embd: 16, n_head: 2, n_positions: 16}\n";
    static const char *const names[] = {"aa", "bb"};
    char *teacher = in_root("teacher"), *text = in_root("text"), *out = in_root("out");
    const at_capture_options o = {.top_k = 5, .context = 16};
    at_capture_result res;
    at_conf *f = NULL;
    at_model *m = NULL;
    OK(at_conf_parse(&ctx, "recipe.yaml", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", V, 3, &m));
    OK(at_model_save(&ctx, m, teacher, NULL));
    OK(fixture_data(&ctx, text, names, 2, V, 500));
    ctx.interrupt = &stop;
    ctx.log = stop_at_once;
    assert_int_equal(at_capture(&cp, teacher, text, out, &o, &res), AT_INTERRUPTED);
    expect_says(&ctx, "interrupted after 0 of 992 tokens; the same command goes on from there");
    ctx.interrupt = NULL;
    ctx.log = NULL;
    char *begun = at_join(&ctx, out, "aa.train.logits.part");
    char *manifest = at_join(&ctx, out, "manifest.json");
    assert_true(at_exists(begun) && !at_exists(manifest) && at_captured_is(&ctx, out));
    OK(at_capture(&cp, teacher, text, out, &o, &res));
    assert_true(!at_exists(begun) && at_exists(manifest));
    assert_true(res.tokens == 992 && res.found == 0 && res.left[0] > 0.5 &&
                res.left[1] > res.left[0]);
    OK(at_capture(&cp, teacher, text, out, &o, &res));
    assert_true(res.found == 992);
    OK(at_captured_set_check(&ctx, out));
    at_model_close(m);
    at_conf_close(f);
    at_free(teacher);
    at_free(text);
    at_free(out);
    at_free(begun);
    at_free(manifest);
}

static void plans(void **state) {
    (void)state;
    for (int i = 0; i < 10; i++) {
        at_captured_plan p = plan_of(16, N);
        at_captured_writer w;
        if (i == 0) p.bits = 8;
        if (i == 1) p.n = V + 1;
        if (i == 2) p.n = 0;
        if (i == 3) p.context = 0;
        if (i == 4) p.n_tau = 9;
        if (i == 5) p.tau[1] = 1;
        if (i == 6) p.tau[0] = (double)NAN;
        if (i == 7) p.teacher[3] = 'g';
        if (i == 8) (void)snprintf(p.domain, sizeof p.domain, "../a");
        if (i == 9) p.windows = -1;
        assert_int_equal(at_captured_writer_open(&ctx, path, &p, &w), AT_ARG);
        assert_false(at_exists(part));
    }
    assert_int_equal(at_captured_windows(T, T), 0);
    assert_int_equal(at_captured_windows(T + 1, T), 1);
    assert_int_equal(at_captured_windows(3 * T, T), 2);
    const at_captured_plan p = {.bits = 16, .n_tau = 2, .n = 32, .vocab = 32000, .context = 256};
    assert_int_equal(at_captured_window_bytes(&p), 256 * 132 + 8);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    OK(at_compute_open(&cp, &ctx));
    root = temporary_folder();
    (void)snprintf(path, sizeof path, "%s/aa.train.logits", root);
    (void)snprintf(part, sizeof part, "%s.part", path);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(within_its_bound), cmocka_unit_test(altered),
        cmocka_unit_test(gone_on_with),     cmocka_unit_test(other_text),
        cmocka_unit_test(interrupted),      cmocka_unit_test(plans),
    };
    const int rc = cmocka_run_group_tests(tests, NULL, NULL);
    (void)at_remove_tree(&ctx, root);
    at_compute_close(&cp);
    return rc;
}
