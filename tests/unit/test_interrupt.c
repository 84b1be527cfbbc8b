/* test_interrupt.c - a request to stop ends one call, the running one or the next, and no later one;
   signals are delivered to the program's own threads only. */
#include "artel.h"
#include "base/par.h"
#include "check.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

static const char model[] = "tests/golden/gpt2";
static const char tokenizer[] = "tests/golden/tokenizer/artel.json";
static const int32_t ids[] = {1, 2, 3};

static void ignore(void *user, const char *json) {
    (void)user;
    (void)json;
}

static artel_status say_n(artel *a, int64_t n, artel_text text, void *user) {
    const artel_generate_options o = {.ids = ids, .n_ids = 3, .n = n};
    return artel_generate(a, model, &o, text, ignore, user);
}

static artel_status say(artel *a) { return say_n(a, 4, NULL, NULL); }

static artel *a;
static int open_one(void **state) {
    (void)state;
    return (a = artel_open(1, NULL, NULL)) ? 0 : -1;
}
static int close_one(void **state) {
    (void)state;
    artel_close(a);
    return 0;
}

/* Two requests before the answer are one. */
static void waits_for_the_next_call(void **state) {
    (void)state;
    assert_int_equal(say(a), ARTEL_OK);
    artel_interrupt(a);
    artel_interrupt(a);
    assert_int_equal(say(a), ARTEL_INTERRUPTED);
    assert_int_equal(say(a), ARTEL_OK);
    artel_interrupt(a);
    artel_interrupt_clear(a);
    assert_int_equal(say(a), ARTEL_OK);
}

/* By what cannot stop, or fails for another reason, it is not answered. */
static void is_not_lost_to_other_calls(void **state) {
    (void)state;
    artel_tokenizer *t = NULL;
    artel_interrupt(a);
    assert_int_equal(artel_tokenizer_open(a, "tests/golden/no-such-tokenizer", &t), ARTEL_IO);
    assert_int_equal(artel_inspect(a, "tests/golden/tensors.safetensors", ignore, NULL), ARTEL_OK);
    char *about = artel_about(a);
    artel_free(about);
    assert_int_equal(say(a), ARTEL_INTERRUPTED);
    assert_int_equal(say(a), ARTEL_OK);
}

typedef struct {
    int pieces, at;
} counter;

static void stop_at(void *user, const char *bytes, size_t n) {
    counter *c = user;
    (void)bytes;
    (void)n;
    if (++c->pieces == c->at) artel_interrupt(a);
}

/* From a callback: at the second token, and at the last one, when the work is done. */
static void stops_the_running_call(void **state) {
    (void)state;
    counter c = {.at = 2};
    assert_int_equal(say_n(a, 5, stop_at, &c), ARTEL_INTERRUPTED);
    assert_int_equal(c.pieces, 2);
    c = (counter){.at = 0};
    assert_int_equal(say_n(a, 5, stop_at, &c), ARTEL_OK);
    assert_int_equal(c.pieces, 5);
    c = (counter){.at = 5};
    assert_int_equal(say_n(a, 5, stop_at, &c), ARTEL_OK);
    assert_int_equal(say(a),
                     ARTEL_INTERRUPTED); /* it came too late for that call, and is not lost */
    assert_int_equal(say(a), ARTEL_OK);
}

/* Each function that can stop answers. */
static void every_call_answers(void **state) {
    (void)state;
    at_ctx c;
    at_ctx_init(&c, 1);
    char *folder = temporary_folder(), *path = at_join(&c, folder, "tokenizer.json");
    artel_tokenizer *t = NULL;
    assert_int_equal(artel_tokenizer_open(a, tokenizer, &t), ARTEL_OK);
    const char *const input = "README.md";
    const artel_tokenizer_training training = {
        .vocab = 300, .input = &input, .n_input = 1, .output = path};
    for (int which = 0; which < 5; which++)
        for (int again = 0; again < 2; again++) {
            int32_t *out = NULL;
            int64_t n = 0;
            size_t bytes = 0;
            char *text = NULL;
            artel_status s = ARTEL_OK;
            if (!again) artel_interrupt(a);
            if (which == 0) s = artel_tokenizer_encode(a, t, "ab", 2, 0, &out, &n);
            if (which == 1) s = artel_tokenizer_decode(a, t, ids, 3, &text, &bytes);
            if (which == 2) s = artel_digest(a, model, ignore, NULL);
            if (which == 3) s = say(a);
            if (which == 4) s = artel_tokenizer_train(a, &training, ignore, NULL);
            if (s != (again ? ARTEL_OK : ARTEL_INTERRUPTED))
                fail_msg("call %d, %s: %s", which, again ? "after" : "asked", artel_error(a));
            artel_free(out);
            artel_free(text);
        }
    artel_tokenizer_close(t);
    assert_int_equal(at_remove_tree(&c, folder), AT_OK);
    at_free(path);
}

/* ---- from another thread ------------------------------------------------------------------ */

enum { REQUESTS = 300 };
static atomic_int requests, answers;
static atomic_bool over;

/* Asks, waits until it was answered, asks again: at any point of a call or between two. */
static void *ask(void *arg) {
    (void)arg;
    for (int i = 0; i < REQUESTS; i++) {
        const int before = atomic_load(&answers);
        (void)nanosleep(&(struct timespec){.tv_nsec = (i * 7919) % 400000}, NULL);
        atomic_fetch_add(&requests, 1);
        artel_interrupt(a);
        for (int k = 0; atomic_load(&answers) == before; k++) {
            if (k == 30000) return "a request was lost";
            (void)nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        }
    }
    atomic_store(&over, true);
    return NULL;
}

static void each_request_is_answered_once(void **state) {
    (void)state;
    pthread_t t;
    artel_tokenizer *tok = NULL;
    assert_int_equal(artel_tokenizer_open(a, tokenizer, &tok), ARTEL_OK);
    assert_int_equal(pthread_create(&t, NULL, ask, NULL), 0);
    int calls = 0;
    while (!atomic_load(&over) && ++calls < 100000000) {
        int32_t *out = NULL;
        int64_t n = 0;
        const artel_status s = artel_tokenizer_encode(a, tok, "some words", 10, 0, &out, &n);
        artel_free(out);
        if (s == ARTEL_INTERRUPTED)
            atomic_fetch_add(&answers, 1);
        else
            assert_int_equal(s, ARTEL_OK);
    }
    void *lost = NULL;
    assert_int_equal(pthread_join(t, &lost), 0);
    if (lost) fail_msg("%s", (const char *)lost);
    assert_int_equal(answers, REQUESTS);
    assert_int_equal(requests, REQUESTS);
    assert_int_equal(say(a), ARTEL_OK); /* nothing is left */
    artel_tokenizer_close(tok);
}

/* ---- signals ------------------------------------------------------------------------------ */

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
#define T(f) cmocka_unit_test_setup_teardown(f, open_one, close_one)
    const struct CMUnitTest tests[] = {
        T(waits_for_the_next_call),       T(is_not_lost_to_other_calls),
        T(stops_the_running_call),        T(every_call_answers),
        T(each_request_is_answered_once), cmocka_unit_test(workers_take_no_signals)};
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
