/* test_par.c - every chunk once, whatever the number of threads; many short loops; a child of
   fork; callers at the same time, each with workers; threads that end. */
#include "base/par.h"
#include "check.h"
#include "threads.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef struct {
    _Atomic int seen[1000];
    int64_t n, grain;
    int threads;
    _Atomic int wrong;
} job;

static void mark(void *arg, int64_t begin, int64_t end, int worker) {
    job *j = arg;
    if (begin % j->grain || end > j->n || worker < 0 || worker >= j->threads) j->wrong++;
    if (end - begin != (j->n - begin < j->grain ? j->n - begin : j->grain)) j->wrong++;
    for (int64_t i = begin; i < end; i++) j->seen[i]++;
}

static int run_one(int threads, int64_t n, int64_t grain) {
    job *j = calloc(1, sizeof *j);
    j->n = n;
    j->grain = grain;
    j->threads = threads;
    at_par_for(threads, n, grain, mark, j);
    int bad = j->wrong;
    for (int64_t i = 0; i < 1000; i++) bad += j->seen[i] != (i < n);
    free(j);
    return bad;
}

static void every_chunk_once(void **state) {
    (void)state;
    for (int threads = 1; threads <= 5; threads++)
        for (int64_t n = 0; n <= 1000; n += 37)
            for (int64_t grain = 1; grain < 400; grain = grain * 3 + 1)
                assert_int_equal(run_one(threads, n, grain), 0);
}

static void many_short_loops(void **state) {
    (void)state;
    for (int i = 0; i < 20000; i++) assert_int_equal(run_one(1 + i % 3, 7, 1), 0);
}

static void asleep_and_awake(void **state) {
    (void)state;
    for (int i = 0; i < 20; i++) {
        (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
        assert_int_equal(run_one(3, 100, 3), 0);
    }
}

static void child_of_fork(void **state) {
    (void)state;
    assert_int_equal(run_one(3, 100, 3), 0);
    const pid_t pid = fork();
    if (pid == 0) _exit(run_one(3, 1000, 7) + run_one(2, 1000, 7) != 0);
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(run_one(3, 100, 3), 0);
}

static void *caller(void *bad) {
    for (int i = 0; i < 2000; i++) *(int *)bad += run_one(2 + i % 2, 300, 5);
    return NULL;
}
static void two_callers(void **state) {
    (void)state;
    int bad[2] = {0, 0};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, caller, &bad[0]), 0);
    (void)caller(&bad[1]);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(bad[0] + bad[1], 0);
}

/* ---- callers at the same time have workers each --------------------------------------------- */

enum { CALLERS = 3, EACH = 2 };
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static int here, late;

/* A chunk ends when every thread of every caller has come into one. */
static void meet(void *arg, int64_t begin, int64_t end, int worker) {
    int *workers = arg;
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 20;
    (void)pthread_mutex_lock(&gate);
    if (end == begin + 1) workers[worker]++;
    if (++here == CALLERS * EACH) (void)pthread_cond_broadcast(&all_here);
    while (here < CALLERS * EACH && !late)
        late = pthread_cond_timedwait(&all_here, &gate, &limit) != 0;
    (void)pthread_mutex_unlock(&gate);
}

static void *meeting(void *workers) {
    at_par_for(EACH, EACH, 1, meet, workers);
    return NULL;
}

static void callers_have_workers_each(void **state) {
    (void)state;
    int workers[CALLERS][EACH] = {{0}};
    pthread_t t[CALLERS];
    for (int i = 0; i < CALLERS; i++)
        assert_int_equal(pthread_create(&t[i], NULL, meeting, workers[i]), 0);
    for (int i = 0; i < CALLERS; i++) assert_int_equal(pthread_join(t[i], NULL), 0);
    assert_false(late); /* somebody computed alone */
    for (int i = 0; i < CALLERS; i++)
        for (int k = 0; k < EACH; k++) assert_int_equal(workers[i][k], 1);
}

/* ---- threads end ---------------------------------------------------------------------------- */

static void ends_and_begins(void **state) {
    (void)state;
    at_par_stop();
    (void)nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    const int others = threads_now(); /* of OpenBLAS, where it is linked; a fork ends some */
    for (int i = 0; i < 50; i++) {
        assert_int_equal(run_one(2 + i % 4, 100, 3), 0);
        if (others > 0) assert_true(threads_now() > others);
        if (i % 3 == 0) (void)nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL); /* asleep */
        at_par_stop();
        assert_int_equal(threads_settled(others), others);
    }
    at_par_stop(); /* nothing to end */
    assert_int_equal(run_one(3, 100, 3), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_once), cmocka_unit_test(many_short_loops),
        cmocka_unit_test(asleep_and_awake), cmocka_unit_test(child_of_fork),
        cmocka_unit_test(two_callers),      cmocka_unit_test(callers_have_workers_each),
        cmocka_unit_test(ends_and_begins),  cmocka_unit_test(child_of_fork),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
