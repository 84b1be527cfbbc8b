/*
 * par.c - a pool of threads that spin for a moment while they wait, then sleep.
 *
 * A caller publishes a job (function, range, grain); it and the workers take chunks from one
 * counter until none is left.  A thread that waits first spins for some tens of microseconds, which
 * is longer than the gaps between the loops of a training step, and then sleeps: on a busy machine
 * a thread that went on spinning would occupy the core that the thread it waits for needs.  (OpenMP
 * spins by default, which is why it is not used here.)
 *
 * The process has one pool, since its cores are shared.  While one caller uses it, others compute
 * on their own thread alone; results do not depend on the number of workers.
 */
#include "base/par.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { WORKERS_MAX = 255, SPINS = 4000 };

static struct {
    pthread_mutex_t user;  /* held by the one caller                                   */
    pthread_mutex_t mutex; /* of sleepers                                              */
    pthread_cond_t work, done;
    int workers; /* threads started                                          */
    at_par_fn f; /* the job: written while closed and idle                   */
    void *arg;
    int64_t n, grain;
    int wanted;             /* workers numbered above it stay out                       */
    _Atomic int64_t next;   /* first index nobody took                                  */
    _Atomic uint64_t state; /* number of the job | workers in it | open, see below      */
    _Atomic int sleepers;   /* workers in, or about to enter, pthread_cond_wait         */
    _Atomic int caller_sleeps;
} pool = {.user = PTHREAD_MUTEX_INITIALIZER,
          .mutex = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

/* A worker enters a job only while it is open, and the caller waits only for workers that have
   entered: one that wakes up too late delays nobody. */
enum { OPEN = 1, INSIDE = 2, INSIDE_MASK = 0xfffe, NUMBER_SHIFT = 16 };

static void pause_a_little(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void chunks(int worker) {
    for (;;) {
        const int64_t i = atomic_fetch_add_explicit(&pool.next, pool.grain, memory_order_relaxed);
        if (i >= pool.n) return;
        pool.f(pool.arg, i, pool.n - i < pool.grain ? pool.n : i + pool.grain, worker);
    }
}

static bool is_new(uint64_t state, uint64_t seen) {
    return (state & OPEN) && state >> NUMBER_SHIFT != seen;
}

/* Waits for an open job other than number `seen`; returns its state. */
static uint64_t wait_for_job(uint64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        const uint64_t state = atomic_load(&pool.state);
        if (is_new(state, seen)) return state;
        pause_a_little();
    }
    (void)pthread_mutex_lock(&pool.mutex);
    (void)atomic_fetch_add(&pool.sleepers, 1);
    uint64_t state;
    while (!is_new(state = atomic_load(&pool.state), seen))
        (void)pthread_cond_wait(&pool.work, &pool.mutex);
    (void)atomic_fetch_sub(&pool.sleepers, 1);
    (void)pthread_mutex_unlock(&pool.mutex);
    return state;
}

static void *work(void *number) {
    const int self = (int)(intptr_t)number;
    for (uint64_t seen = 0;;) {
        uint64_t state = wait_for_job(seen);
        if (!atomic_compare_exchange_strong(&pool.state, &state, state + INSIDE)) continue;
        seen = state >> NUMBER_SHIFT;
        if (self <= pool.wanted) chunks(self);
        state = atomic_fetch_sub(&pool.state, INSIDE) - INSIDE;
        if (!(state & (OPEN | INSIDE_MASK)) && atomic_load(&pool.caller_sleeps)) {
            (void)pthread_mutex_lock(&pool.mutex);
            (void)pthread_cond_signal(&pool.done);
            (void)pthread_mutex_unlock(&pool.mutex);
        }
    }
    return NULL;
}

/* A child of fork has none of its parent's threads. */
static void forget_workers(void) {
    pool.workers = 0;
    atomic_store(&pool.state, 0);
    atomic_store(&pool.sleepers, 0);
    (void)pthread_mutex_init(&pool.user, NULL);
    (void)pthread_mutex_init(&pool.mutex, NULL);
    (void)pthread_cond_init(&pool.work, NULL);
    (void)pthread_cond_init(&pool.done, NULL);
}

/* At least `wanted` workers if the system grants them. */
static void start_workers(int wanted) {
    static bool watched;
    if (!watched) watched = pthread_atfork(NULL, NULL, forget_workers) == 0;
    pthread_attr_t a;
    if (pool.workers >= wanted || pthread_attr_init(&a) != 0) return;
    (void)pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
    sigset_t all, was; /* signals go to the program's own threads */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &was);
    while (pool.workers < wanted) {
        pthread_t t;
        if (pthread_create(&t, &a, work, (void *)(intptr_t)(pool.workers + 1)) != 0) break;
        pool.workers++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &was, NULL);
    (void)pthread_attr_destroy(&a);
}

static bool somebody_inside(void) { return (atomic_load(&pool.state) & INSIDE_MASK) != 0; }

static void wait_for_workers(void) {
    for (int i = 0; i < SPINS; i++) {
        if (!somebody_inside()) return;
        pause_a_little();
    }
    (void)pthread_mutex_lock(&pool.mutex);
    atomic_store(&pool.caller_sleeps, 1);
    while (somebody_inside()) (void)pthread_cond_wait(&pool.done, &pool.mutex);
    atomic_store(&pool.caller_sleeps, 0);
    (void)pthread_mutex_unlock(&pool.mutex);
}

/* The job is written: opens it to the workers and wakes those that sleep. */
static void open_job(void) {
    const uint64_t number = (atomic_load(&pool.state) >> NUMBER_SHIFT) + 1;
    atomic_store(&pool.state, number << NUMBER_SHIFT | OPEN);
    if (!atomic_load(&pool.sleepers)) return;
    (void)pthread_mutex_lock(&pool.mutex);
    (void)pthread_cond_broadcast(&pool.work);
    (void)pthread_mutex_unlock(&pool.mutex);
}

static void alone(int64_t n, int64_t grain, at_par_fn f, void *arg) {
    for (int64_t i = 0; i < n; i += grain) f(arg, i, n - i < grain ? n : i + grain, 0);
}

void at_par_for(int threads, int64_t n, int64_t grain, at_par_fn f, void *arg) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (threads > WORKERS_MAX + 1) threads = WORKERS_MAX + 1;
    if (threads <= 1 || n <= grain || pthread_mutex_trylock(&pool.user) != 0) {
        alone(n, grain, f, arg);
        return;
    }
    start_workers(threads - 1);
    pool.f = f;
    pool.arg = arg;
    pool.n = n;
    pool.grain = grain;
    pool.wanted = threads - 1;
    atomic_store(&pool.next, 0);
    open_job();
    chunks(0);
    (void)atomic_fetch_and(&pool.state, ~(uint64_t)OPEN);
    wait_for_workers();
    (void)pthread_mutex_unlock(&pool.user);
}
