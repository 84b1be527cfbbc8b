/* capture.c - windows through the teacher, the top of their rows to disk. */
#include "infer/capture.h"
#include "arch/read.h"
#include "base/arithmetic.h"
#include "base/clock.h"
#include "base/disk.h"
#include "base/file.h"
#include "base/ints.h"
#include "base/lock.h"
#include "base/maths.h"
#include "infer/digest.h"
#include "infer/lm.h"
#include "op/top_row.h"
#include <math.h>
#include <string.h>

#define LOCK ".artel-lock"
enum { DOMAINS_MAX = 64, CONTEXT = 256, GROUP_MAX = 16, FLUSH_SECONDS = 20 };
static const double GROUP_VALUES = 16 << 20; /* logits of the windows that are read together */

typedef struct {
    at_compute *cp;
    at_ctx *c;
    const at_capture_options *o;
    at_capture_result *res;
    at_model *m;
    at_dataset *d;
    char *out; /* folder */
    at_captured_plan plan[DOMAINS_MAX];
    int domain[DOMAINS_MAX], n;
    at_arena arena;
    int64_t group;
    int32_t *ids, *id; /* [group, T], [group, T, n] */
    float *logp;       /* [group, T, n]             */
    float *left;       /* [group, n_tau, T]         */
    at_real *tmp;      /* [threads, V]              */
    at_captured_writer w;
    double began, said, flushed, made; /* made: tokens of this call */
} work;

/* ---- what is to be done ------------------------------------------------------------------ */

static at_status check_model(const work *k, const char *teacher, const char *data) {
    if (k->m->arch->modules)
        return at_error(k->c, AT_CONFIG,
                        "%s is a model of trunks, which has no answer of its own for a text: "
                        "teach with one network",
                        teacher);
    return at_lm_check_data(k->c, teacher, k->m->tokenizer, k->m->dims.vocab, data,
                            k->d->tokenizer_hash, k->d->vocab);
}

static at_status settle(work *k, at_captured_plan *p) {
    const at_capture_options *o = k->o;
    const int64_t most = k->m->dims.context;
    *p = (at_captured_plan){.bits = o->bits ? o->bits : 16,
                            .n_tau = o->n_tau,
                            .split = o->split,
                            .vocab = k->d->vocab,
                            .context = o->context ? o->context : at_min(CONTEXT, most)};
    p->n = o->top_k && o->top_k < p->vocab ? o->top_k : p->vocab;
    memcpy(p->tau, o->tau, sizeof p->tau);
    if (!o->n_tau) {
        p->n_tau = 2;
        p->tau[0] = 1;
        p->tau[1] = 2;
    }
    (void)snprintf(p->tokenizer, sizeof p->tokenizer, "%s", k->d->tokenizer_hash);
    if (p->context <= most) return AT_OK;
    return at_error(k->c, AT_ARG, "context %lld: the teacher takes at most %lld tokens",
                    (long long)p->context, (long long)most);
}

static at_status add_domain(work *k, const at_captured_plan *common, int i) {
    const at_domain *d = &k->d->domain[i];
    at_captured_plan *p = &k->plan[k->n];
    *p = *common;
    p->shard = at_dataset_sum(k->d, i, p->split);
    p->windows = at_captured_windows(d->shard[p->split].n_tokens, p->context);
    (void)snprintf(p->domain, sizeof p->domain, "%s", d->name);
    k->domain[k->n++] = i;
    if (p->windows < 1)
        return at_error(k->c, AT_CONFIG,
                        "%s: domain \"%s\": expected more than %lld tokens in the %s split (the "
                        "context), found %lld",
                        k->d->path, d->name, (long long)p->context, at_split_name[p->split],
                        (long long)d->shard[p->split].n_tokens);
    k->res->tokens += (double)(p->windows * p->context);
    k->res->bytes += at_captured_bytes(p);
    return at_captured_check_plan(k->c, p);
}

static at_status is_there(work *k, const char *domain, bool *there) {
    char *path = at_captured_path(k->c, k->out, domain, k->o->split);
    if (!path) return k->c->status;
    *there = at_exists(path);
    at_free(path);
    return AT_OK;
}

static at_status check_names(const work *k, bool *named) {
    const at_capture_options *o = k->o;
    for (int64_t i = 0; i < o->n_domains; i++) {
        const int at = at_dataset_domain(k->d, o->domains[i]);
        if (at < 0)
            return at_error(k->c, AT_CONFIG, "%s: no domain \"%s\" in this data set", k->d->path,
                            o->domains[i]);
        if (named[at]) return at_error(k->c, AT_ARG, "domain \"%s\" is named twice", o->domains[i]);
        named[at] = true;
    }
    return AT_OK;
}

/* Those that are named, or all; and those that the folder has already, which stay in its manifest. */
static at_status plan_domains(work *k, const at_captured_plan *common) {
    bool named[DOMAINS_MAX] = {0};
    at_status s = check_names(k, named);
    for (int i = 0; i < k->d->n_domains && s == AT_OK; i++) {
        bool wanted = named[i] || !k->o->n_domains;
        if (!wanted) s = is_there(k, k->d->domain[i].name, &wanted);
        if (s == AT_OK && wanted) s = add_domain(k, common, i);
    }
    return s;
}

/* ---- windows ---------------------------------------------------------------------------------- */

typedef struct {
    const work *k;
    const at_captured_plan *p;
    const at_real *logits;
    int64_t v; /* of the teacher */
} taking;

static void take_part(void *arg, int64_t begin, int64_t end, int worker) {
    const taking *t = arg;
    const at_captured_plan *p = t->p;
    for (int64_t i = begin; i < end; i++) {
        const int64_t window = i / p->context, row = i % p->context;
        float odds[AT_CAPTURED_TAUS];
        at_row_take_top(&t->k->cp->k, p->vocab, t->logits + i * t->v, p->n, p->n_tau, p->tau,
                        t->k->tmp + worker * p->vocab, t->k->id + i * p->n, t->k->logp + i * p->n,
                        odds);
        for (int k = 0; k < p->n_tau; k++)
            t->k->left[(window * p->n_tau + k) * p->context + row] = odds[k];
    }
}

/* n windows from window `first` on. */
static at_status read_windows(work *k, const at_captured_plan *p, int domain, int64_t first,
                              int64_t n) {
    const at_mark mark = at_arena_mark(&k->arena);
    const at_input in = {.ids = k->ids, .B = n, .T = p->context};
    at_shard_read(&k->d->domain[domain].shard[p->split], first * p->context, n * p->context,
                  k->ids);
    at_run r;
    at_run_init(&r, k->cp, &k->arena, false, 0);
    at_tensor *x = at_model_hidden(k->m, &r, &in, NULL);
    x = at_linear(&r, x, at_model_head(k->m), NULL);
    bool finite = true;
    if (x) {
        finite = at_first_not_finite(x->data, at_numel(x)) < 0;
        taking t = {k, p, x->data, at_cols(x)};
        if (finite) at_run_par(&r, n * p->context, 4, take_part, &t);
    }
    at_status s = at_run_status(&r);
    at_arena_rewind(&k->arena, mark);
    if (s == AT_OK && !finite) s = at_model_diagnose(k->c, k->m);
    return at_dataset_error(k->c, k->d, s);
}

static void say(work *k, const char *domain) {
    const double now = at_now(), spent = now - k->began;
    if (now - k->said < 0.5) return;
    k->said = now;
    const double rate = spent > 0 ? k->made / spent : 0, done = k->made + k->res->found;
    const double left = rate > 0 ? (k->res->tokens - done) / rate : 0;
    at_log(k->c, AT_LOG_PROGRESS,
           "capturing %s: %.0f %% of %.3g tokens, %.0f tokens/s, eta %d:%02d", domain,
           100 * done / k->res->tokens, k->res->tokens, rate, (int)(left / 60), (int)left % 60);
}

static at_status interrupted(work *k) {
    const at_status s = at_captured_writer_flush(k->c, &k->w);
    if (s != AT_OK) return s;
    return at_error(k->c, AT_INTERRUPTED,
                    "interrupted after %.0f of %.0f tokens; the same command goes on from there",
                    k->made + k->res->found, k->res->tokens);
}

static at_status capture_windows(work *k, const at_captured_plan *p, int domain) {
    at_status s = AT_OK;
    while (k->w.done < p->windows && s == AT_OK) {
        const int64_t n = at_min(k->group, p->windows - k->w.done);
        if (at_interrupted(k->c)) return interrupted(k);
        s = read_windows(k, p, domain, k->w.done, n);
        for (int64_t i = 0; i < n && s == AT_OK; i++) {
            const int64_t at = i * p->context * p->n;
            s = at_captured_writer_add(k->c, &k->w, k->id + at, k->logp + at,
                                       k->left + i * p->context * p->n_tau);
        }
        k->made += (double)(n * p->context);
        if (s == AT_OK && at_now() - k->flushed > FLUSH_SECONDS) {
            s = at_captured_writer_flush(k->c, &k->w);
            k->flushed = at_now();
        }
        say(k, p->domain);
    }
    return s;
}

/* A complete file stays when it is of this capture. */
static at_status same_file(work *k, const char *path, const at_captured_plan *p) {
    at_captured_file f;
    at_status s = at_captured_open(k->c, path, &f);
    if (s != AT_OK) return s;
    unsigned char *head = at_malloc(k->c, AT_CAPTURED_HEAD);
    if (!head) s = k->c->status;
    if (head && at_captured_head(p, head) != f.check)
        s = at_error(k->c, AT_MISMATCH,
                     "%s: is of another teacher, text or setting; remove it, or capture to another "
                     "folder",
                     path);
    at_free(head);
    at_captured_close(&f);
    return s;
}

static at_status capture_domain(work *k, int i) {
    const at_captured_plan *p = &k->plan[i];
    char *path = at_captured_path(k->c, k->out, p->domain, p->split);
    at_status s = path ? AT_OK : k->c->status;
    if (s == AT_OK && at_exists(path)) {
        s = same_file(k, path, p);
        k->res->found += (double)(p->windows * p->context);
    } else if (s == AT_OK) {
        s = at_captured_writer_open(k->c, path, p, &k->w);
        if (s == AT_OK) k->res->found += (double)(k->w.done * p->context);
        if (s == AT_OK) s = capture_windows(k, p, k->domain[i]);
        if (s == AT_OK) s = at_captured_writer_commit(k->c, &k->w);
        at_captured_writer_close(&k->w);
    }
    at_free(path);
    return s;
}

/* ---- reading it back ------------------------------------------------------------------------ */

/* Sums of what is left, over all rows. */
static at_status verify_domain(work *k, int i, at_real *logq, at_real *left) {
    const at_captured_plan *p = &k->plan[i];
    char *path = at_captured_path(k->c, k->out, p->domain, p->split);
    at_captured_file f = {0};
    at_status s = path ? at_captured_open(k->c, path, &f) : k->c->status;
    for (int64_t w = 0; w < p->windows && s == AT_OK; w++) {
        if (at_interrupted(k->c))
            s = at_error(k->c, AT_INTERRUPTED, "interrupted while it was read back");
        for (int t = 0; t < p->n_tau && s == AT_OK; t++) {
            s = at_captured_read(k->c, &f, w, t, k->id, logq, left);
            for (int64_t j = 0; j < p->context && s == AT_OK && p->n < p->vocab; j++)
                k->res->left[t] += at_exp((double)left[j]);
        }
    }
    at_captured_close(&f);
    at_free(path);
    return s;
}

static at_status verify(work *k) {
    const at_captured_plan *p = &k->plan[0];
    at_real *logq = at_malloc(k->c, (size_t)(p->context * p->n) * sizeof *logq);
    at_real *left = at_malloc(k->c, (size_t)p->context * sizeof *left);
    at_status s = logq && left ? AT_OK : k->c->status;
    for (int i = 0; i < k->n && s == AT_OK; i++) s = verify_domain(k, i, logq, left);
    for (int t = 0; t < p->n_tau; t++) k->res->left[t] /= k->res->tokens;
    at_free(logq);
    at_free(left);
    return s;
}

/* ---- all of it ---------------------------------------------------------------------------------- */

/* What is missing must fit; what an earlier capture made is there already. */
static at_status check_room(work *k) {
    double there = 0, free_bytes = 0;
    at_list names = {0};
    at_status s = at_list_tree(k->c, k->out, &names);
    for (int64_t i = 0; i < names.n && s == AT_OK; i++) {
        char *path = at_join(k->c, k->out, names.item[i]);
        s = path ? AT_OK : k->c->status;
        if (path) there += at_file_bytes(path);
        at_free(path);
    }
    at_list_free(&names);
    if (s == AT_OK) s = at_disk_free(k->c, k->out, &free_bytes);
    if (s != AT_OK) return s;
    const double bytes = k->res->bytes - fmin(there, k->res->bytes);
    at_log(k->c, AT_LOG_INFO, "%s: %.0f tokens at %.1f bytes make %.1f MB; %.1f MB are free",
           k->out, k->res->tokens, k->res->bytes / k->res->tokens, k->res->bytes / 1e6,
           free_bytes / 1e6);
    if (bytes <= free_bytes) return AT_OK;
    return at_error(k->c, AT_IO,
                    "%s: expected %.1f MB of free disk for the logits, found %.1f; fewer top_k, or "
                    "fewer domains, take less",
                    k->out, bytes / 1e6, free_bytes / 1e6);
}

static at_status reserve(work *k) {
    const at_captured_plan *p = &k->plan[0];
    const double row = (double)(p->context * k->m->dims.vocab);
    k->group = at_clamp((int64_t)(GROUP_VALUES / row), 1, GROUP_MAX);
    const size_t tokens = (size_t)(k->group * p->context), tops = tokens * (size_t)p->n;
    k->ids = at_malloc(k->c, tokens * sizeof *k->ids);
    k->id = at_malloc(k->c, tops * sizeof *k->id);
    k->logp = at_malloc(k->c, tops * sizeof *k->logp);
    k->left = at_malloc(k->c, tokens * (size_t)p->n_tau * sizeof *k->left);
    k->tmp = at_malloc(k->c, (size_t)(k->cp->threads * p->vocab) * sizeof *k->tmp);
    return k->ids && k->id && k->logp && k->left && k->tmp ? AT_OK : k->c->status;
}

static at_status open_all(work *k, const char *teacher, const char *data) {
    at_captured_plan common;
    at_digest digest;
    at_status s = at_model_load(k->c, teacher, false, &k->m);
    if (s == AT_OK) s = at_dataset_open_checked(k->c, data, &k->d);
    if (s == AT_OK) s = check_model(k, teacher, data);
    if (s == AT_OK) s = settle(k, &common);
    if (s == AT_OK) s = at_digest_of(k->c, teacher, &digest);
    if (s == AT_OK) memcpy(common.teacher, digest.hex, sizeof common.teacher);
    if (s == AT_OK) s = plan_domains(k, &common);
    return s == AT_OK ? reserve(k) : s;
}

static at_status run_all(work *k, const char *teacher, const char *data) {
    at_status s = check_room(k);
    k->began = k->flushed = at_now();
    for (int i = 0; i < k->n && s == AT_OK; i++) s = capture_domain(k, i);
    if (s == AT_OK) s = verify(k);
    if (s != AT_OK) return s;
    at_captured_summary more = {.teacher = teacher, .data = data, .arithmetic = AT_ARITHMETIC};
    memcpy(more.left, k->res->left, sizeof more.left);
    k->res->plan = k->plan[k->n - 1];
    k->res->seconds = at_now() - k->began;
    return at_captured_manifest(k->c, k->out, k->plan, k->n, &more);
}

static bool ends_in(const char *s, const char *end) {
    const size_t n = strlen(s), m = strlen(end);
    return n > m && !strcmp(s + n - m, end);
}

/* A folder that is there holds nothing but what a capture makes. */
static at_status check_folder(at_ctx *c, const char *out) {
    at_list names = {0};
    if (!at_exists(out)) return AT_OK;
    at_status s = at_list_names(c, out, &names);
    for (int64_t i = 0; i < names.n && s == AT_OK; i++) {
        const char *name = names.item[i];
        if (ends_in(name, ".logits") || ends_in(name, ".logits.part") ||
            !strncmp(name, ".manifest.json", 14) || !strcmp(name, "manifest.json") ||
            !strcmp(name, LOCK))
            continue;
        s = at_error(c, AT_ARG,
                     "%s: holds `%s`, which is no part of captured logits: left as it is", out,
                     name);
    }
    at_list_free(&names);
    return s;
}

static at_status in_folder(work *k, const char *teacher, const char *data) {
    char *lock_path = at_join(k->c, k->out, LOCK);
    at_lock *lock = NULL;
    long holder = 0;
    at_status s = lock_path ? at_make_dir(k->c, k->out) : k->c->status;
    if (s == AT_OK) s = at_lock_take(k->c, lock_path, &lock, &holder);
    if (s == AT_OK && !lock)
        s = at_error(k->c, AT_IO, "%s: process %ld is capturing in it", k->out, holder);
    if (s == AT_OK) s = run_all(k, teacher, data);
    at_lock_release(lock);
    at_free(lock_path);
    return s;
}

at_status at_capture(at_compute *cp, const char *teacher, const char *data, const char *out,
                     const at_capture_options *o, at_capture_result *res) {
    work k = {.cp = cp, .c = cp->ctx, .o = o, .res = res};
    *res = (at_capture_result){0};
    at_arena_init(&k.arena, k.c);
    at_status s = at_check_out_dir(k.c, out);
    if (s == AT_OK) s = check_folder(k.c, out);
    if (s == AT_OK && !(k.out = at_path_trim(k.c, out))) s = k.c->status;
    if (s == AT_OK) s = open_all(&k, teacher, data);
    if (s == AT_OK) s = in_folder(&k, teacher, data);
    at_captured_writer_close(&k.w);
    at_arena_close(&k.arena);
    at_free(k.ids);
    at_free(k.id);
    at_free(k.logp);
    at_free(k.left);
    at_free(k.tmp);
    at_free(k.out);
    at_dataset_close(k.d);
    at_model_close(k.m);
    return s;
}
