/* test_interrupt.c - a request to stop is neither lost between two calls nor kept for ever; signals
   are delivered to the program's own threads only. */
#include "artel.h"
#include "base/par.h"
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

static void ignore(void *user, const char *json) {
    (void)user;
    (void)json;
}

static const char model[] = "tests/golden/gpt2";

static artel_status say(artel *a) {
    static const int32_t ids[] = {1, 2, 3};
    const artel_generate_options o = {.ids = ids, .n_ids = 3, .n = 4};
    return artel_generate(a, model, &o, NULL, ignore, NULL);
}

static void stays_until_it_is_cleared(void **state) {
    (void)state;
    artel *a = artel_open(1, NULL, NULL);
    assert_non_null(a);
    assert_int_equal(say(a), ARTEL_OK);
    artel_interrupt(a); /* between two calls */
    assert_int_equal(say(a), ARTEL_INTERRUPTED);
    assert_int_equal(say(a), ARTEL_INTERRUPTED);
    artel_interrupt_clear(a);
    assert_int_equal(say(a), ARTEL_OK);
    artel_close(a);
}

static pthread_t mine;
static volatile sig_atomic_t here, elsewhere, strangers;

static _Thread_local bool is_worker;

static void on_signal(int number) {
    (void)number;
    if (pthread_equal(pthread_self(), mine))
        here++;
    else if (is_worker)
        elsewhere++;
    else
        strangers++; /* threads of OpenBLAS, where it is linked, take signals */
}

static void mark(void *arg, int64_t begin, int64_t end, int worker) {
    (void)arg;
    (void)begin;
    (void)end;
    (void)worker;
    is_worker = !pthread_equal(pthread_self(), mine);
}

/* While this thread takes no signal, no worker does. */
static void workers_take_no_signals(void **state) {
    (void)state;
    struct sigaction act = {.sa_handler = on_signal};
    sigset_t usr1, was, now;
    mine = pthread_self();
    (void)sigemptyset(&act.sa_mask);
    assert_int_equal(sigaction(SIGUSR1, &act, NULL), 0);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &was);
    at_par_for(3, 100, 1, mark, NULL);
    (void)pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_int_equal(sigismember(&now, SIGUSR1), sigismember(&was, SIGUSR1));
    (void)sigemptyset(&usr1);
    (void)sigaddset(&usr1, SIGUSR1);
    (void)pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    (void)nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL); /* for a worker to wake */
    assert_int_equal(here, 0);
    assert_int_equal(elsewhere, 0);
    (void)pthread_sigmask(SIG_UNBLOCK, &usr1, NULL);
    assert_int_equal(here + strangers, 1);
    assert_int_equal(elsewhere, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(stays_until_it_is_cleared),
                                       cmocka_unit_test(workers_take_no_signals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
