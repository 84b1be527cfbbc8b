/*
 * par.c - pools of threads that spin for a moment while they wait, then sleep.
 *
 * A caller publishes a job (function, range, grain); it and the workers take chunks from one
 * counter until none is left.  A thread that waits first spins for some tens of microseconds, which
 * is longer than the gaps between the loops of a training step, and then sleeps: on a busy machine
 * a thread that went on spinning would occupy the core that the thread it waits for needs.  (OpenMP
 * spins by default, which is why it is not used here.)
 *
 * A caller takes the first pool that is free.  So callers that compute at the same time have workers
 * each, and callers one after the other share theirs.
 */
#include "base/par.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>

enum { POOLS = 64, WORKERS_MAX = 255, SPINS = 4000 };

typedef struct pool pool;
typedef struct {
    pthread_t thread;
    pool *of;
    int number; /* from 1; the caller is 0 */
} worker;

struct pool {
    atomic_bool busy; /* a caller uses the pool; the rest belongs to it and to the workers       */
    bool ready;       /* mutex and conditions are made                            */
    pthread_mutex_t mutex; /* of sleepers                                              */
    pthread_cond_t work, done;
    worker worker[WORKERS_MAX];
    int workers; /* threads started                                          */
    at_par_fn f; /* the job: written while closed and idle; NULL: threads end   */
    void *arg;
    int64_t n, grain;
    int wanted;             /* workers numbered above it stay out                       */
    _Atomic int64_t next;   /* first index nobody took                                  */
    _Atomic uint64_t state; /* number of the job | workers in it | open, see below      */
    _Atomic int sleepers;   /* workers in, or about to enter, pthread_cond_wait         */
    _Atomic int caller_sleeps;
};

static pool pools[POOLS];

/* A worker enters a job only while it is open, and the caller waits only for workers that have
   entered: one that wakes up too late delays nobody. */
enum { OPEN = 1, INSIDE = 2, INSIDE_MASK = 0xfffe, NUMBER_SHIFT = 16 };

static void pause_a_little(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static void chunks(pool *p, int self) {
    for (;;) {
        const int64_t i = atomic_fetch_add_explicit(&p->next, p->grain, memory_order_relaxed);
        if (i >= p->n) return;
        p->f(p->arg, i, p->n - i < p->grain ? p->n : i + p->grain, self);
    }
}

static bool is_new(uint64_t state, uint64_t seen) {
    return (state & OPEN) && state >> NUMBER_SHIFT != seen;
}

/* Waits for an open job other than number `seen`; returns its state. */
static uint64_t wait_for_job(pool *p, uint64_t seen) {
    for (int i = 0; i < SPINS; i++) {
        const uint64_t state = atomic_load(&p->state);
        if (is_new(state, seen)) return state;
        pause_a_little();
    }
    (void)pthread_mutex_lock(&p->mutex);
    (void)atomic_fetch_add(&p->sleepers, 1);
    uint64_t state;
    while (!is_new(state = atomic_load(&p->state), seen))
        (void)pthread_cond_wait(&p->work, &p->mutex);
    (void)atomic_fetch_sub(&p->sleepers, 1);
    (void)pthread_mutex_unlock(&p->mutex);
    return state;
}

static void *work(void *arg) {
    const worker *w = arg;
    pool *p = w->of;
    for (uint64_t seen = 0;;) {
        uint64_t state = wait_for_job(p, seen);
        if (!atomic_compare_exchange_strong(&p->state, &state, state + INSIDE)) continue;
        seen = state >> NUMBER_SHIFT;
        const bool last = !p->f;
        if (!last && w->number <= p->wanted) chunks(p, w->number);
        state = atomic_fetch_sub(&p->state, INSIDE) - INSIDE;
        if (last) return NULL;
        if (!(state & (OPEN | INSIDE_MASK)) && atomic_load(&p->caller_sleeps)) {
            (void)pthread_mutex_lock(&p->mutex);
            (void)pthread_cond_signal(&p->done);
            (void)pthread_mutex_unlock(&p->mutex);
        }
    }
}

/* A child of fork has none of its parent's threads. */
static void forget_workers(void) {
    for (pool *p = pools; p < pools + POOLS; p++) {
        p->workers = 0;
        p->ready = false;
        atomic_store(&p->state, 0);
        atomic_store(&p->sleepers, 0);
        atomic_store(&p->busy, false);
    }
}

static void watch_fork(void) { (void)pthread_atfork(NULL, NULL, forget_workers); }

static void make_ready(pool *p) {
    if (p->ready) return;
    static pthread_once_t watched = PTHREAD_ONCE_INIT;
    (void)pthread_once(&watched, watch_fork);
    (void)pthread_mutex_init(&p->mutex, NULL);
    (void)pthread_cond_init(&p->work, NULL);
    (void)pthread_cond_init(&p->done, NULL);
    p->ready = true;
}

/* At least `wanted` workers if the system grants them. */
static void start_workers(pool *p, int wanted) {
    if (p->workers >= wanted) return;
    sigset_t all, was; /* signals go to the program's own threads */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &was);
    while (p->workers < wanted) {
        worker *w = &p->worker[p->workers];
        *w = (worker){.of = p, .number = p->workers + 1};
        if (pthread_create(&w->thread, NULL, work, w) != 0) break;
        p->workers++;
    }
    (void)pthread_sigmask(SIG_SETMASK, &was, NULL);
}

static bool somebody_inside(pool *p) { return (atomic_load(&p->state) & INSIDE_MASK) != 0; }

static void wait_for_workers(pool *p) {
    for (int i = 0; i < SPINS; i++) {
        if (!somebody_inside(p)) return;
        pause_a_little();
    }
    (void)pthread_mutex_lock(&p->mutex);
    atomic_store(&p->caller_sleeps, 1);
    while (somebody_inside(p)) (void)pthread_cond_wait(&p->done, &p->mutex);
    atomic_store(&p->caller_sleeps, 0);
    (void)pthread_mutex_unlock(&p->mutex);
}

/* The job is written: opens it to the workers and wakes those that sleep. */
static void open_job(pool *p) {
    const uint64_t number = (atomic_load(&p->state) >> NUMBER_SHIFT) + 1;
    atomic_store(&p->state, number << NUMBER_SHIFT | OPEN);
    if (!atomic_load(&p->sleepers)) return;
    (void)pthread_mutex_lock(&p->mutex);
    (void)pthread_cond_broadcast(&p->work);
    (void)pthread_mutex_unlock(&p->mutex);
}

static void close_job(pool *p) { (void)atomic_fetch_and(&p->state, ~(uint64_t)OPEN); }

static void alone(int64_t n, int64_t grain, at_par_fn f, void *arg) {
    for (int64_t i = 0; i < n; i += grain) f(arg, i, n - i < grain ? n : i + grain, 0);
}

static bool take(pool *p) { return !atomic_load(&p->busy) && !atomic_exchange(&p->busy, true); }

void at_par_for(int threads, int64_t n, int64_t grain, at_par_fn f, void *arg) {
    if (n <= 0) return;
    if (grain < 1) grain = 1;
    if (threads > WORKERS_MAX + 1) threads = WORKERS_MAX + 1;
    pool *p = threads <= 1 || n <= grain ? pools + POOLS : pools;
    while (p < pools + POOLS && !take(p)) p++;
    if (p == pools + POOLS) {
        alone(n, grain, f, arg);
        return;
    }
    make_ready(p);
    start_workers(p, threads - 1);
    p->f = f;
    p->arg = arg;
    p->n = n;
    p->grain = grain;
    p->wanted = threads - 1;
    atomic_store(&p->next, 0);
    open_job(p);
    chunks(p, 0);
    close_job(p);
    wait_for_workers(p);
    atomic_store(&p->busy, false);
}

void at_par_stop(void) {
    for (pool *p = pools; p < pools + POOLS; p++) {
        if (!take(p)) continue;
        p->f = NULL;
        if (p->workers) open_job(p);
        while (p->workers > 0) (void)pthread_join(p->worker[--p->workers].thread, NULL);
        close_job(p);
        atomic_store(&p->busy, false);
    }
}
