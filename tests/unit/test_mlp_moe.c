/*
 * test_mlp_moe.c - a mixture of perceptrons is what its formula says, in plain loops: dense and top-k
 * gates, biases, temperature; noise is for training alone.  Scores of predictions are those of scikit-learn.
 */
#include "arch/read.h"
#include "base/rng.h"
#include "check.h"
#include "infer/probe.h"
#include "infer/scores.h"
#include <math.h>
#include <stdio.h>

enum { ROWS = 9, D = 5, H = 4, C = 3, E = 4 };
static at_ctx ctx;
static at_compute cp;
static at_arena arena;
static at_real x[ROWS * D];

static at_model *model_of(const char *more) {
    char yaml[400];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(
        yaml, sizeof yaml,
        "model: {arch: mlp_moe, n_inputs: %d, num_labels: %d, hidden_size: %d, n_experts: %d%s}\n",
        D, C, H, E, more);
    OK(at_conf_parse(&ctx, "m", yaml, strlen(yaml), &f));
    OK(at_model_new(&ctx, f, "model", 1, 3, &m));
    OK(at_conf_finish(&ctx, f));
    at_conf_close(f);
    for (int64_t i = 0; i < m->store.n; i++) /* biases, too */
        for (int64_t j = 0; j < at_numel(&m->store.p[i]->t); j++)
            m->store.p[i]->t.data[j] += (at_real)(0.5 * at_normal(3, (uint64_t)i, (uint64_t)j));
    return m;
}

static const at_real *of(const at_model *m, const char *path) {
    const at_param_entry *p = at_store_find(&m->store, path);
    if (!p) fail_msg("no parameter %s", path);
    return p->t.data;
}

static double slot(const at_model *m, int e, const char *part, int i) {
    char path[64];
    (void)snprintf(path, sizeof path, "mlp.bank.%d.%s", e, part);
    return (double)of(m, path)[i];
}

static void near(double found, double want, const char *what) {
    if (!(fabs(found - want) < 1e-9))
        fail_msg("%s: expected %.12g, found %.12g", what, want, found);
}

/* What each expert says of a row, and the gates of the k that are asked, in double. */
static void parts_of(const at_model *m, int k, double tau, const at_real *row, double o[E][C],
                     double p[E]) {
    double z[E], sum = 0;
    bool asked[E] = {0};
    for (int e = 0; e < E; e++) {
        z[e] = (double)of(m, "mlp.gate.bias")[e];
        for (int d = 0; d < D; d++) z[e] += slot(m, e, "row", d) * (double)row[d];
    }
    for (int i = 0; i < k; i++) {
        int best = -1;
        for (int e = 0; e < E; e++)
            if (!asked[e] && (best < 0 || z[e] > z[best])) best = e;
        asked[best] = true;
    }
    for (int e = 0; e < E; e++) sum += p[e] = asked[e] ? exp(z[e] / tau) : 0;
    for (int e = 0; e < E; e++) {
        double h[H];
        p[e] /= sum;
        for (int i = 0; i < H; i++) {
            h[i] = slot(m, e, "0.bias", i);
            for (int d = 0; d < D; d++) h[i] += (double)row[d] * slot(m, e, "0.weight", d * H + i);
            h[i] = h[i] > 0 ? h[i] : 0;
        }
        for (int c = 0; c < C; c++) {
            o[e][c] = slot(m, e, "1.bias", c);
            for (int i = 0; i < H; i++) o[e][c] += h[i] * slot(m, e, "1.weight", i * C + c);
        }
    }
}

/* Logits of a row by the formula. */
static void expected(const at_model *m, int k, double tau, const at_real *row, double *y) {
    double o[E][C], p[E];
    parts_of(m, k, tau, row, o, p);
    memset(y, 0, C * sizeof *y);
    for (int e = 0; e < E; e++)
        for (int c = 0; c < C; c++) y[c] += p[e] * o[e][c];
}

/* -log of what an expert's logits make of a class. */
static double nats(const double *o, int truth) {
    double sum = 0;
    for (int c = 0; c < C; c++) sum += exp(o[c]);
    return log(sum) - o[truth];
}

static at_tensor *logits_of(at_run *r, at_model *m, bool train, uint64_t seed) {
    at_run_init(r, &cp, &arena, train, seed);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = x, .B = ROWS, .T = D};
    at_tensor *y = at_model_hidden(m, r, &in, NULL);
    OK(at_run_status(r));
    return at_model_logits(m, r, y);
}

static void formula(void **state) {
    (void)state;
    static const struct {
        const char *more;
        int k;
        double tau;
    } how[] = {{"", E, 1},
               {", k: 2", 2, 1},
               {", k: 1", 1, 1},
               {", gate_temperature: 0.6", E, 0.6},
               {", k: 3, gate_type: gumbel, gate_temperature: 2", 3, 2},
               {", gate_type: noisy", E, 1}};
    for (size_t i = 0; i < sizeof how / sizeof *how; i++) {
        at_model *m = model_of(how[i].more);
        at_run r;
        const at_tensor *l = logits_of(&r, m, false, 1);
        for (int n = 0; n < ROWS; n++) {
            double y[C];
            expected(m, how[i].k, how[i].tau, x + n * D, y);
            for (int c = 0; c < C; c++)
                if (!(fabs(y[c] - (double)l->data[n * C + c]) < 1e-5 * (1 + fabs(y[c]))))
                    fail_msg("{%s} row %d: expected %g, found %g", how[i].more, n, y[c],
                             (double)l->data[n * C + c]);
        }
        at_arena_rewind(&arena, (at_mark){0});
        at_model_close(m);
    }
}

/* Gates with noise are others for each seed, and without it the same. */
static void noise(void **state) {
    (void)state;
    static const char *const how[] = {"", ", gate_type: gumbel", ", gate_type: noisy"};
    for (int i = 0; i < 3; i++) {
        at_model *m = model_of(how[i]);
        at_real first[ROWS * C];
        at_run r;
        memcpy(first, logits_of(&r, m, true, 1)->data, sizeof first);
        const bool same = !memcmp(first, logits_of(&r, m, true, 2)->data, sizeof first);
        assert_true(same == (i == 0));
        assert_memory_equal(first, logits_of(&r, m, true, 1)->data, sizeof first);
        at_arena_rewind(&arena, (at_mark){0});
        at_model_close(m);
    }
}

/* Probabilities are mixed, not logits. */
static void competition(void **state) {
    (void)state;
    for (int k = 1; k <= E; k += 3) {
        at_model *m = model_of(k == 1 ? ", mixes: probabilities, k: 1" : ", mixes: probabilities");
        at_run r;
        const at_tensor *l = logits_of(&r, m, false, 1);
        for (int n = 0; n < ROWS; n++) {
            double o[E][C], p[E];
            parts_of(m, k, 1, x + n * D, o, p);
            for (int c = 0; c < C; c++) {
                double sum = 0;
                for (int e = 0; e < E; e++) sum += p[e] > 0 ? p[e] * exp(-nats(o[e], c)) : 0;
                assert_true(fabs((double)l->data[n * C + c] - log(sum)) < 1e-5);
            }
        }
        at_arena_rewind(&arena, (at_mark){0});
        at_model_close(m);
    }
}

/* A pass in training with losses of experts; what the model says must not depend on them. */
static at_pass passed(at_model *m, const at_aux *aux, const int32_t *label, uint64_t seed) {
    static at_real plain[ROWS * C];
    at_run r;
    memcpy(plain, logits_of(&r, m, true, seed)->data, sizeof plain);
    at_pass p = {.aux = aux, .label = label};
    const at_input in = {.kind = AT_INPUT_ROWS, .values = x, .B = ROWS, .T = D};
    at_run_init(&r, &cp, &arena, true, seed);
    const at_tensor *y = at_model_hidden(m, &r, &in, &p);
    OK(at_run_status(&r));
    assert_memory_equal(y->data, plain, (size_t)at_numel(y) * sizeof *plain);
    assert_true((double)p.loss->data[0] != 0);
    at_arena_rewind(&arena, (at_mark){0});
    return p;
}

/* The label loss of each expert that is asked. */
static void experts_labels(void **state) {
    (void)state;
    int32_t label[ROWS];
    const at_aux aux = {.expert_label = 0.5, .answers = {0, AT_LAYER_FEED_FORWARD}};
    for (int k = 1; k <= E; k++) {
        char more[24];
        (void)snprintf(more, sizeof more, ", k: %d", k);
        at_model *m = model_of(more);
        double loss = 0;
        for (int n = 0; n < ROWS; n++) {
            double o[E][C], p[E];
            label[n] = n % C;
            parts_of(m, k, 1, x + n * D, o, p);
            for (int e = 0; e < E; e++) loss += p[e] > 0 ? nats(o[e], label[n]) / k / ROWS : 0;
        }
        const at_pass p = passed(m, &aux, label, 1);
        assert_true(fabs(p.expert_label - loss) < 1e-5 && p.peers == 0);
        at_model_close(m);
    }
}

/* Experts beside those of a row, for mutual distillation alone: with all of them there is no draw. */
static void others(void **state) {
    (void)state;
    static const bool layer[1] = {true};
    at_aux aux = {.peers = {.layer = layer, .n = 1, .alpha = 1, .more = 1}};
    at_model *m = model_of(", k: 3");
    double loss = 0;
    for (int n = 0; n < ROWS; n++) {
        double o[E][C], p[E];
        parts_of(m, 3, 1, x + n * D, o, p);
        for (int e = 0; e < E; e++)
            for (int c = 0; c < C; c++) {
                double mean = 0;
                for (int i = 0; i < E; i++) mean += o[i][c] / E;
                loss += (o[e][c] - mean) * (o[e][c] - mean) / E / C / ROWS;
            }
    }
    assert_true(fabs(passed(m, &aux, NULL, 1).peers - loss) < 1e-5);
    /* a gate of 0 counts as one */
    aux.peers.how.form = AT_MUTUAL_GATED;
    const double gated = passed(m, &aux, NULL, 1).peers;
    assert_true(gated > loss / E && gated < loss);
    at_model_close(m);
    m = model_of(", k: 1");
    aux.peers.how.form = AT_MUTUAL_VARIANCE;
    const double one = passed(m, &aux, NULL, 1).peers;
    assert_true(one > 0 && fabs(one - passed(m, &aux, NULL, 1).peers) == 0);
    assert_true(fabs(one - passed(m, &aux, NULL, 2).peers) > 1e-3);
    at_model_close(m);
}

static void wrong_width(void **state) {
    (void)state;
    at_model *m = model_of("");
    at_run r;
    at_run_init(&r, &cp, &arena, false, 1);
    const at_input in = {.kind = AT_INPUT_ROWS, .values = x, .B = ROWS, .T = D - 1},
                   ids = {.ids = (int32_t[]){0}, .B = 1, .T = 1};
    assert_null(at_model_hidden(m, &r, &in, NULL));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "rows of 4 numbers, expected 5");
    at_run_init(&r, &cp, &arena, false, 1);
    assert_null(at_model_hidden(m, &r, &ids, NULL));
    assert_int_equal(at_run_status(&r), AT_ARG);
    expect_says(&ctx, "reads rows of numbers, not token ids");
    at_model_close(m);
}

/* The numbers are scikit-learn's. */
static void scores(void **state) {
    (void)state;
    static const at_real logits[8][3] = {{2, 1, 0}, {0, 1.5, 1}, {1, 1, 3},     {0.25, 0.125, 0},
                                         {3, 0, 0}, {0, 2, 0.5}, {1, 2, 1.875}, {0, 0, 0.25}};
    static const int32_t truth[8] = {0, 1, 2, 1, 0, 1, 1, 0};
    at_scores s;
    OK(at_scores_open(&ctx, 3, &s));
    for (int i = 0; i < 8; i++) at_scores_class(&s, logits[i], truth[i]);
    at_scores_finish(&s);
    near(s.accuracy, 0.75, "accuracy");
    near(s.macro_f1, 0.730158730159, "macro F1");
    near(s.loss, 0.594567657184, "log loss");
    near(s.ece, 0.334754203238, "ECE");
    near(s.low, 0.40927543031, "low");
    near(s.high, 0.928520787248, "high");
    static const int64_t confusion[9] = {2, 0, 1, 1, 3, 0, 0, 0, 1};
    assert_memory_equal(s.confusion, confusion, sizeof confusion);
    at_scores_close(&s);
    OK(at_scores_open(&ctx, 0, &s));
    static const double found[4] = {1, 2.5, -1, 4}, number[4] = {1.5, 2, -1.2, 5};
    for (int i = 0; i < 4; i++) at_scores_number(&s, found[i], number[i]);
    at_scores_finish(&s);
    near(s.rmse, 0.6204836823, "RMSE");
    near(s.mae, 0.55, "MAE");
    near(s.r2, 0.920485349167, "R2");
    at_scores_close(&s);
    OK(at_scores_open(&ctx, 3, &s)); /* a class that nobody knows is wrong */
    at_scores_class(&s, logits[0], 0);
    at_scores_class(&s, logits[0], -1);
    at_scores_finish(&s);
    assert_true(s.accuracy == 0.5 && s.unknown == 1 && s.n == 2);
    near(s.loss, log(exp(2) + exp(1) + 1) - 2, "loss of those known");
    near(s.macro_f1, 1, "F1 of those known");
    at_scores_close(&s);
}

/* Experts alone, by the definitions; however many the model asks. */
static void probe(void **state) {
    (void)state;
    at_model *m = model_of(", k: 2");
    int32_t class_of[ROWS];
    for (int n = 0; n < ROWS; n++) class_of[n] = n * n % C;
    const at_table_rows rows = {.x = x, .class = class_of, .n = ROWS};
    at_expert_probe p;
    OK(at_expert_probe_rows(&cp, m, &rows, &p));
    double own = 0, all = 0, others = 0, some = 0, off = 0, size = 0, entropy = 0, differ = 0;
    int64_t domain[E] = {0};
    for (int n = 0; n < ROWS; n++) {
        double o[E][C], g[E];
        int said[E], dom = 0, any = 0;
        parts_of(m, E, 1, x + n * D, o, g);
        for (int e = 0; e < E; e++) {
            said[e] = 0;
            for (int c = 0; c < C; c++) said[e] = o[e][c] > o[e][said[e]] ? c : said[e];
            dom = g[e] > g[dom] ? e : dom;
            entropy -= g[e] * log(g[e]) / log(E);
            any |= said[e] == class_of[n];
            all += said[e] == class_of[n];
        }
        domain[dom]++;
        own += said[dom] == class_of[n];
        some += any;
        for (int e = 0; e < E; e++) {
            others += e != dom && said[e] == class_of[n];
            differ += said[e] != said[dom];
            for (int c = 0; c < C; c++) {
                double mean = 0;
                for (int i = 0; i < E; i++) mean += o[i][c] / E;
                off += (o[e][c] - mean) * (o[e][c] - mean);
                size += o[e][c] * o[e][c];
            }
        }
    }
    near(p.own, own / ROWS, "own domain");
    near(p.mean_all, all / ROWS / E, "all rows");
    near(p.others, others / ROWS / (E - 1), "other domains");
    near(p.disagree, differ / ROWS / (E - 1), "disagreement");
    near(p.recall, own / some, "recall");
    near(p.none_right, 1 - some / ROWS, "none right");
    near(1 - p.own, p.none_right + (1 - p.none_right) * (1 - p.recall), "errors");
    assert_true(fabs(p.spread - off / size) < 1e-5 && fabs(p.entropy - entropy / ROWS) < 1e-5);
    assert_true(p.few == E && p.experts == E);
    for (int e = 0; e < E; e++) assert_int_equal(p.expert[e].rows, domain[e]);
    at_expert_probe_close(&p);
    at_model_close(m);
}

/* The mixture without each of its experts: the gate chooses among the others. */
static void missing(void **state) {
    (void)state;
    for (int k = 2; k <= E; k += 2) {
        at_model *m = model_of(k == E ? "" : ", k: 2");
        int32_t class_of[ROWS];
        for (int n = 0; n < ROWS; n++) class_of[n] = n * n % C;
        const at_table_rows rows = {.x = x, .class = class_of, .n = ROWS};
        at_expert_probe p;
        double mean = 0, worst = 1;
        OK(at_expert_probe_with(&cp, m, &rows, &(at_probe_with){.missing = true}, &p));
        for (int out = 0; out < E; out++) {
            double right = 0, loss = 0;
            for (int n = 0; n < ROWS; n++) {
                double o[E][C], g[E], y[C] = {0}, sum = 0;
                bool asked[E] = {0};
                parts_of(m, E, 1, x + n * D, o, g);
                for (int i = 0; i < k && i < E - 1; i++) {
                    int best = -1;
                    for (int e = 0; e < E; e++)
                        if (e != out && !asked[e] && (best < 0 || g[e] > g[best])) best = e;
                    asked[best] = true;
                    sum += g[best];
                }
                for (int e = 0; e < E; e++)
                    for (int c = 0; c < C && asked[e]; c++) y[c] += g[e] / sum * o[e][c];
                int said = 0;
                for (int c = 0; c < C; c++) said = y[c] > y[said] ? c : said;
                right += said == class_of[n];
                loss += nats(y, class_of[n]);
            }
            near(p.expert[out].without, right / ROWS, "without an expert");
            assert_true(fabs(p.expert[out].without_loss - loss / ROWS) < 1e-5);
            mean += right / ROWS / E;
            worst = fmin(worst, right / ROWS);
        }
        near(p.mean_without, mean, "mean");
        near(p.worst_without, worst, "worst");
        assert_true(p.lessened && p.worst_without_loss >= p.mean_without_loss);
        assert_true(isnan(p.refit) && isnan(p.common));
        at_expert_probe_close(&p);
        /* afterwards the model is as it was */
        at_scores s;
        const at_features f = {.classes = {.n = C}};
        OK(at_table_score(&cp, m, &f, &rows, &s));
        at_expert_probe again;
        OK(at_expert_probe_with(&cp, m, &rows, &(at_probe_with){.missing = true}, &again));
        near(again.accuracy, s.accuracy, "accuracy");
        near(again.loss, s.loss, "loss");
        at_scores_close(&s);
        at_expert_probe_close(&again);
        at_model_close(m);
    }
}

/* What is shown of the hidden layer is that of the expert with the largest gate; a head on it. */
static void hidden_layer(void **state) {
    (void)state;
    at_model *m = model_of(", k: 2");
    int32_t class_of[ROWS];
    for (int n = 0; n < ROWS; n++) class_of[n] = n % C;
    const at_table_rows rows = {.x = x, .class = class_of, .n = ROWS};
    at_heard h;
    OK(at_hear_experts(&cp, m, &rows, true, &h));
    assert_int_equal(h.h, H);
    for (int n = 0; n < ROWS; n++) {
        double o[E][C], g[E];
        int dom = 0;
        parts_of(m, E, 1, x + n * D, o, g);
        for (int e = 0; e < E; e++) dom = g[e] > g[dom] ? e : dom;
        assert_int_equal(h.domain[n], dom);
        for (int i = 0; i < H; i++) {
            double v = slot(m, dom, "0.bias", i);
            for (int d = 0; d < D; d++)
                v += (double)x[n * D + d] * slot(m, dom, "0.weight", d * H + i);
            assert_true(fabs((double)h.hidden[n * H + i] - fmax(v, 0)) < 1e-5);
        }
    }
    at_heard_close(&h);
    at_expert_probe p;
    OK(at_expert_probe_with(&cp, m, &rows, &(at_probe_with){.train = &rows, .baseline = m}, &p));
    assert_true(p.refitted && p.refit > 0 && p.compared && p.shared == 1);
    near(p.common, p.own, "its own domains");
    near(p.gate_wrong, (1 - p.none_right) * (1 - p.recall), "errors of the gate");
    at_expert_probe_close(&p);
    at_model_close(m);
}

int main(void) {
    at_ctx_init(&ctx, 2);
    at_arena_init(&arena, &ctx);
    if (at_compute_open(&cp, &ctx) != AT_OK) return 1;
    for (uint64_t i = 0; i < ROWS * D; i++) x[i] = (at_real)at_normal(1, AT_STREAM_TEST, i);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formula),        cmocka_unit_test(noise),  cmocka_unit_test(wrong_width),
        cmocka_unit_test(scores),         cmocka_unit_test(probe),  cmocka_unit_test(competition),
        cmocka_unit_test(experts_labels), cmocka_unit_test(others), cmocka_unit_test(missing),
        cmocka_unit_test(hidden_layer),
    };
    const int bad = cmocka_run_group_tests(tests, NULL, NULL);
    at_compute_close(&cp);
    at_arena_close(&arena);
    return bad;
}
