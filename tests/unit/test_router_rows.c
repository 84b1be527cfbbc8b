/* test_router_rows.c - rows of routers from text: against their formulas, and that they choose the right experts. */
#include "data/batch.h"
#include "in_folder.h"
#include "infer/router_rows.h"
#include <math.h>
#include <stdio.h>

#define DATA "tests/golden/runs/data"
enum { N = 3, TOKENS = 200 };

static at_compute cp;
static at_dataset *data;

static at_model *mixture(const char *gate, int experts) {
    char text[500];
    at_conf *f = NULL;
    at_model *m = NULL;
    (void)snprintf(text, sizeof text,
                   "model: {arch: moduleformer, n_layer: 2, n_embd: 12, n_head: 2, att_hidden: 8, "
                   "ffd_hidden: 10, n_att_experts: 3, k_att: 2, n_mlp_experts: %d, k_mlp: 2, "
                   "gating_size: 9, initializer_range: 0.3, gate_type: %s}\n",
                   experts, gate);
    OK(at_conf_parse(&ctx, "recipe.yaml", text, strlen(text), &f));
    OK(at_model_new(&ctx, f, "model", 320, 7, &m));
    at_conf_close(f);
    return m;
}

static at_status rows(at_model *m, at_rows_by how, int64_t tokens) {
    const at_shard *text[N];
    for (int i = 0; i < N; i++) text[i] = &data->domain[i].shard[AT_TRAIN];
    return at_router_rows(&cp, m, how, text, N, tokens);
}

/* ---- what a router sees, gathered without the code under test ------------------------------------------- */

typedef struct {
    at_router_id id;
    double x[N][TOKENS][12];
    int64_t R;
    int n, text;
} seen;

static void hear(void *user, at_run *r, at_router_id id, const at_tensor *x) {
    seen *s = user;
    (void)r;
    if (id.layer != s->id.layer || id.kind != s->id.kind) return;
    s->R = at_cols(x);
    for (int64_t i = 0; i < at_rows(x) && s->n < TOKENS; i++, s->n++)
        for (int64_t k = 0; k < s->R; k++) s->x[s->text][s->n][k] = (double)x->data[i * s->R + k];
}

/* Expert i alone reads text i: the other slots are excluded, and a token uses one. */
static void gather(at_model *m, at_router_id id, seen *s) {
    at_banks *banks = m->arch->banks(m->impl);
    const at_watch watch = {.features = hear, .user = s};
    at_arena arena;
    at_arena_init(&arena, &ctx);
    *s = (seen){.id = id};
    for (s->text = 0; s->text < N; s->text++) {
        const at_shard *shard = &data->domain[s->text].shard[AT_TRAIN];
        for (int64_t b = 0; b < banks->n; b++) {
            banks->bank[b].k = 1;
            for (int e = 0; e < N; e++) OK(at_bank_use(&ctx, &banks->bank[b], e, AT_SLOT_OPEN));
            for (int e = 0; e < N; e++)
                if (e != s->text) OK(at_bank_use(&ctx, &banks->bank[b], e, AT_SLOT_EXCLUDED));
        }
        s->n = 0;
        for (int64_t i = 0; i < 2; i++) {
            int32_t ids[129];
            int64_t start, n;
            at_eval_window(shard, 128, 2, i, &start, &n);
            at_shard_read(shard, start, n, ids);
            const at_input input = {.ids = ids, .B = 1, .T = 128};
            at_pass p = {.watch = &watch};
            OK(at_model_read(&cp, &arena, m, &input, &p, &(at_readout){0}));
        }
        assert_int_equal(s->n, TOKENS);
    }
    for (int64_t b = 0; b < banks->n; b++) {
        for (int e = 0; e < N; e++) OK(at_bank_use(&ctx, &banks->bank[b], e, AT_SLOT_OPEN));
        banks->bank[b].k = 2;
    }
    at_arena_close(&arena);
}

static const at_bank *bank_of(at_model *m, at_router_id id) {
    return at_bank_find(m->arch->banks(m->impl), id);
}

/* The posterior of spherical normal distributions, but for one temperature of all. */
static void domain_rows_are_their_formula(void **state) {
    (void)state;
    static seen s;
    const at_router_id id = {1, AT_LAYER_FEED_FORWARD};
    at_model *m = mixture("linear", 3);
    gather(m, id, &s);
    at_bank *mine = at_bank_find(m->arch->banks(m->impl), id);
    OK(at_bank_use(&ctx, mine, 0, AT_SLOT_CLOSED)); /* a mask of the caller's stays */
    OK(rows(m, AT_ROWS_DOMAIN, TOKENS));
    assert_true(mine->use && mine->use[0] == AT_SLOT_CLOSED && mine->use[1] == AT_SLOT_OPEN);
    double mean[N][12] = {{0}}, all[12] = {0}, v = 0, w[N][12], ratio = 0, norm = 0;
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 12; k++) {
            for (int t = 0; t < TOKENS; t++) mean[i][k] += s.x[i][t][k] / TOKENS;
            all[k] += mean[i][k] / N;
        }
    for (int i = 0; i < N; i++)
        for (int t = 0; t < TOKENS; t++)
            for (int k = 0; k < 12; k++) v += pow(s.x[i][t][k] - mean[i][k], 2) / (N * TOKENS * 12);
    for (int k = 0; k < 12; k++) norm += all[k] * all[k];
    for (int i = 0; i < N; i++) {
        double own = 0;
        for (int k = 0; k < 12; k++) own += mean[i][k] * mean[i][k];
        for (int k = 0; k < 12; k++)
            w[i][k] = (mean[i][k] - all[k]) / v + (norm - own) / (2 * v) * all[k] / norm;
    }
    const at_bank *b = bank_of(m, id);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < 12; k++) {
            const double x = (double)b->row->slot[i]->data[k];
            if (ratio == 0) ratio = x / w[i][k];
            assert_true(fabs(x - ratio * w[i][k]) < 1e-3 * (fabs(x) + 0.01));
        }
    assert_true(ratio >= 0.1 && ratio <= 10);
    at_model_close(m);
}

/* A gate is at the minimum of its loss: no direction goes down, whatever the temperature. */
static void gates_are_at_their_minimum(void **state) {
    (void)state;
    static seen s;
    const at_router_id id = {0, AT_LAYER_ATTENTION};
    at_model *m = mixture("linear", 3);
    gather(m, id, &s);
    OK(rows(m, AT_ROWS_GATES, TOKENS));
    const at_bank *b = bank_of(m, id);
    double best = 1e9, at = 0; /* the temperature that was divided by is one for all rows */
    for (double T = 0.1; T < 10; T *= 1.002) {
        double worst = 0;
        for (int which = 0; which < N; which++)
            for (int k = 0; k < 12; k++) {
                double g = 0;
                for (int i = 0; i < N; i++)
                    for (int t = 0; t < TOKENS; t++) {
                        double z = 0;
                        for (int j = 0; j < 12; j++)
                            z += T * (double)b->row->slot[which]->data[j] * s.x[i][t][j];
                        const double share = i == which ? -1.0 / TOKENS : 0.5 / TOKENS;
                        g += share * s.x[i][t][k] / (1 + exp(i == which ? z : -z));
                    }
                worst = fmax(worst, fabs(g));
            }
        if (worst < best) {
            best = worst;
            at = T;
        }
    }
    if (best > 3e-3) fail_msg("gradient %g at temperature %g", best, at);
    at_model_close(m);
}

static void choose(void *user, at_run *r, at_router_id id, const at_routing *ro) {
    double(*right)[2] = user;
    (void)r;
    (void)id;
    for (int64_t t = 0; t < ro->n; t++) {
        right[0][0] += ro->pick[t * ro->k] == (int)right[1][0];
        right[0][1]++;
    }
}

/* Share of the choices, in all layers, that are of the expert of the text. */
static double accuracy(at_model *m) {
    double right[2][2] = {{0}};
    const at_watch watch = {.see = choose, .user = right};
    at_arena arena;
    at_arena_init(&arena, &ctx);
    for (int d = 0; d < N; d++) {
        int32_t ids[257];
        at_shard_read(&data->domain[d].shard[AT_TEST], 0, 257, ids);
        const at_input input = {.ids = ids, .B = 1, .T = 256};
        at_pass p = {.watch = &watch};
        right[1][0] = d;
        OK(at_model_read(&cp, &arena, m, &input, &p, &(at_readout){0}));
    }
    at_arena_close(&arena);
    return right[0][0] / right[0][1];
}

static void they_choose_the_right_experts(void **state) {
    (void)state;
    static const char *const gate[] = {"linear", "mlp", "gmm"};
    for (int g = 0; g < 3; g++) {
        at_model *m = mixture(gate[g], 3), *again = mixture(gate[g], 3);
        const double before = accuracy(m);
        OK(rows(m, AT_ROWS_RANDOM, TOKENS));
        assert_true(accuracy(m) == before);
        double after[AT_ROWS_GATES + 1];
        for (int how = AT_ROWS_DOMAIN; how <= AT_ROWS_GATES; how++) {
            OK(rows(m, (at_rows_by)how, 600));
            after[how] = accuracy(m);
            if (after[how] < before + 0.05 || after[how] < 0.4) /* a third is chance */
                fail_msg("%s, %d: %.3f right, before %.3f", gate[g], how, after[how], before);
        }
        /* Rows at the minimum of the logistic loss are about the best that rows over these features, of a
           network that has learnt nothing, can be: 0.45 to 0.47.  Those from means come close. */
        if (after[AT_ROWS_DOMAIN] < after[AT_ROWS_GATES] - 0.03)
            fail_msg("%s: %.3f right by means, %.3f at the minimum", gate[g], after[AT_ROWS_DOMAIN],
                     after[AT_ROWS_GATES]);
        OK(rows(again, AT_ROWS_GATES, 600)); /* what rows were before does not matter */
        for (int64_t i = 0; i < m->store.n; i++)
            assert_memory_equal(m->store.p[i]->t.data, again->store.p[i]->t.data,
                                (size_t)at_numel(&m->store.p[i]->t) * sizeof(at_real));
        at_model_close(m);
        at_model_close(again);
    }
}

/* As mergekit-moe has it: mean of the positive less mean of the negative prompts, of length 1. */
static void rows_of_prompts_are_their_formula(void **state) {
    (void)state;
    static const int32_t id[] = {5, 9, 300, 7, 7, 80, 44};
    static const int64_t two[] = {0, 3, 5}, one[] = {0, 2}, none[] = {0};
    const at_prompts positive[N] = {{id, two, 2}, {id + 3, one, 1}, {id + 5, one, 1}};
    const at_prompts negative[N] = {{id, none, 0}, {id + 5, one, 1}, {id, none, 0}};
    at_model *m = mixture("linear", 3);
    const at_bank *b = bank_of(m, (at_router_id){1, AT_LAYER_FEED_FORWARD});
    OK(at_router_rows_of_prompts(&cp, m, true, positive, negative, N));
    const at_real *wte = at_store_find(&m->store, "transformer.wte.weight")->t.data;
    double row[12], length = 0;
    for (int k = 0; k < 12; k++) {
        row[k] =
            (double)(wte[7 * 12 + k] + wte[7 * 12 + k] - wte[80 * 12 + k] - wte[44 * 12 + k]) / 2;
        length += row[k] * row[k];
    }
    for (int k = 0; k < 12; k++)
        assert_true(fabs((double)b->row->slot[1]->data[k] - row[k] / sqrt(length)) < 1e-6);

    /* of hidden states: slot 0 alone reads its prompts */
    at_banks *banks = m->arch->banks(m->impl);
    static seen s;
    s = (seen){.id = b->id};
    for (int64_t i = 0; i < banks->n; i++) {
        banks->bank[i].k = 1;
        for (int e = 1; e < N; e++) OK(at_bank_use(&ctx, &banks->bank[i], e, AT_SLOT_EXCLUDED));
    }
    at_arena arena;
    at_arena_init(&arena, &ctx);
    const at_watch watch = {.features = hear, .user = &s};
    for (int i = 0; i < 2; i++) {
        const at_input input = {.ids = id + two[i], .B = 1, .T = two[i + 1] - two[i]};
        at_pass p = {.watch = &watch};
        OK(at_model_read(&cp, &arena, m, &input, &p, &(at_readout){0}));
    }
    at_arena_close(&arena);
    for (int64_t i = 0; i < banks->n; i++) {
        for (int e = 0; e < N; e++) OK(at_bank_use(&ctx, &banks->bank[i], e, AT_SLOT_OPEN));
        banks->bank[i].k = 2;
    }
    length = 0;
    for (int k = 0; k < 12; k++) {
        row[k] = 0;
        for (int t = 0; t < 5; t++) row[k] += s.x[0][t][k] / 5;
        length += row[k] * row[k];
    }
    OK(at_router_rows_of_prompts(&cp, m, false, positive, negative, N));
    for (int k = 0; k < 12; k++)
        assert_true(fabs((double)b->row->slot[0]->data[k] - row[k] / sqrt(length)) < 1e-5);
    static const int32_t far[] = {320};
    static const int64_t first[] = {0, 1};
    const at_prompts outside[N] = {{far, first, 1}, {id, one, 1}, {id, one, 1}};
    for (int e = 0; e < 2; e++)
        assert_int_equal(at_router_rows_of_prompts(&cp, m, e, outside, negative, N), AT_ARG);
    at_model_close(m);
}

static void what_is_refused(void **state) {
    (void)state;
    at_model *m = mixture("linear", 4);
    assert_int_equal(rows(m, AT_ROWS_GATES, TOKENS), AT_ARG);
    expect_says(&ctx, "feed_forward bank of layer 0: 4 slots, but 3 texts");
    at_model_close(m);
    m = mixture("linear", 3);
    const at_shard none = {0};
    const at_shard *text[N] = {&none, &none, &none};
    assert_int_equal(at_router_rows(&cp, m, AT_ROWS_DOMAIN, text, N, TOKENS), AT_ARG);
    expect_says(&ctx, "text 0 has no tokens");
    at_model_close(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(domain_rows_are_their_formula),
        cmocka_unit_test(gates_are_at_their_minimum),
        cmocka_unit_test(they_choose_the_right_experts),
        cmocka_unit_test(rows_of_prompts_are_their_formula),
        cmocka_unit_test(what_is_refused),
    };
    at_ctx_init(&ctx, 2);
    if (at_compute_open(&cp, &ctx) != AT_OK || at_dataset_open(&ctx, DATA, &data) != AT_OK)
        return 1;
    const int failed = cmocka_run_group_tests_name("router_rows", tests, setup, teardown);
    at_dataset_close(data);
    at_compute_close(&cp);
    return failed;
}
