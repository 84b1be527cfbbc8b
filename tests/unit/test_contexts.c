/* test_contexts.c - two contexts in two threads at the same time: each has the bits that it has alone,
   and nothing stays of their threads. */
#include "artel.h"
#include "check.h"
#include "data_fixture.h"
#include "threads.h"
#include <pthread.h>
#include <time.h>

enum { JOBS = 2, ROUNDS = 3, DIGITS = 65 };

static char *folder;
static const char gpt2[] = "model={arch: gpt2, n_layer: 2, n_embd: 32, n_head: 2}";
static const char mixture[] =
    "model={arch: moduleformer, n_layer: 2, n_embd: 32, n_head: 2, att_hidden: 16, ffd_hidden: 16, "
    "n_att_experts: 4, n_mlp_experts: 4, gating_size: 8}";

typedef struct {
    int which;
    char run[300], why[400];
    char digest[DIGITS];
} job;

static void take_digest(void *user, const char *json) {
    job *j = user;
    const char *at = strstr(json, "\"digest\":\"");
    if (at) (void)snprintf(j->digest, sizeof j->digest, "%.64s", at + 10);
}

static void ignore(void *user, const char *json) {
    (void)user;
    (void)json;
}

/* Trains a small model in a context of its own and takes the digest of its parameters. */
static void *train(void *arg) {
    job *j = arg;
    char data[300], seed[40];
    (void)snprintf(data, sizeof data, "data.train=%s/data", folder);
    (void)snprintf(seed, sizeof seed, "seed=%d", 5 + j->which);
    const char *const set[] = {data,
                               seed,
                               j->which ? mixture : gpt2,
                               "train.batch=4",
                               "train.context=16",
                               "train.steps=25"};
    const artel_recipe r = {.set = set, .n_set = sizeof set / sizeof set[0]};
    artel *a = artel_open(2, NULL, NULL);
    artel_status s = a ? artel_train(a, &r, ARTEL_TRAIN, j->run, 0, ignore, NULL) : ARTEL_OOM;
    if (s == ARTEL_OK) s = artel_digest(a, j->run, take_digest, j);
    if (s != ARTEL_OK) (void)snprintf(j->why, sizeof j->why, "%s", a ? artel_error(a) : "memory");
    artel_close(a);
    return NULL;
}

static job job_of(int which, const char *name, int round) {
    job j = {.which = which};
    (void)snprintf(j.run, sizeof j.run, "%s/%s-%d-%d", folder, name, which, round);
    return j;
}

static int threads_at_first;

static void same_bits(void **state) {
    (void)state;
    job alone[JOBS];
    for (int i = 0; i < JOBS; i++) {
        alone[i] = job_of(i, "alone", 0);
        (void)train(&alone[i]);
        assert_string_equal(alone[i].why, "");
        assert_int_equal(strlen(alone[i].digest), DIGITS - 1);
    }
    assert_string_not_equal(alone[0].digest, alone[1].digest);
    for (int round = 0; round < ROUNDS; round++) {
        job both[JOBS];
        pthread_t t[JOBS];
        for (int i = 0; i < JOBS; i++) both[i] = job_of(i, "both", round);
        for (int i = 0; i < JOBS; i++)
            assert_int_equal(pthread_create(&t[i], NULL, train, &both[i]), 0);
        for (int i = 0; i < JOBS; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
        for (int i = 0; i < JOBS; i++) {
            assert_string_equal(both[i].why, "");
            assert_string_equal(both[i].digest, alone[i].digest);
        }
    }
    assert_int_equal(threads_settled(threads_at_first), threads_at_first);
}

static at_ctx ctx;

static int setup(void **state) {
    (void)state;
    at_ctx_init(&ctx, 1);
    threads_at_first = threads_now();
    folder = temporary_folder();
    char data[300];
    (void)snprintf(data, sizeof data, "%s/data", folder);
    return fixture_data(&ctx, data, (const char *const[]){"one", "two"}, 2, 64, 1000);
}

static int teardown(void **state) {
    (void)state;
    return at_remove_tree(&ctx, folder);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(same_bits)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
