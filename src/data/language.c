/* language.c - see language.h. */
#include "data/language.h"
#include "base/maths.h"
#include "data/words.h"
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum { SAMPLE = 4 << 20, MARGIN = 4 };

/* ---- counting ---- */

typedef struct counted {
    uint64_t hash; /* 0: free */
    int64_t count;
} counted;

typedef struct tally {
    counted *slot;
    int64_t n, cap;
} tally;

static counted *place(const tally *t, uint64_t hash) {
    const uint64_t mask = (uint64_t)t->cap - 1;
    for (uint64_t i = hash & mask;; i = (i + 1) & mask)
        if (!t->slot[i].hash || t->slot[i].hash == hash) return &t->slot[i];
}

static at_status grow(at_ctx *c, tally *t) {
    tally more = {.n = t->n, .cap = t->cap ? 2 * t->cap : 4096};
    more.slot = at_calloc(c, (size_t)more.cap, sizeof *more.slot);
    if (!more.slot) return c->status;
    for (int64_t i = 0; i < t->cap; i++)
        if (t->slot[i].hash) *place(&more, t->slot[i].hash) = t->slot[i];
    at_free(t->slot);
    *t = more;
    return AT_OK;
}

static uint64_t hash_of(const at_words *w) {
    const uint64_t h = XXH3_64bits(w->word, (size_t)w->n);
    return h ? h : 1;
}

static at_status count(at_ctx *c, tally *t, uint64_t hash) {
    if (2 * (t->n + 1) > t->cap) {
        const at_status s = grow(c, t);
        if (s) return s;
    }
    counted *at = place(t, hash);
    t->n += !at->hash;
    at->hash = hash;
    at->count++;
    return AT_OK;
}

static int most_first(const void *a, const void *b) {
    const counted *x = a, *y = b;
    if (x->count != y->count) return x->count > y->count ? -1 : 1;
    return x->hash < y->hash ? -1 : x->hash > y->hash; /* free ones have count 0 and come last */
}

/* ---- what is known of the domains ---- */

typedef struct model {
    at_stage *domain;
    int n;
    tally list;   /* `count` is the place of a word in ln_p, from 1 */
    double *ln_p; /* [words, n] */
    double *sum;  /* [n], of a paragraph */
    bool *prose;  /* [n]: the domain has paragraphs */
    at_bytes text;
} model;

typedef at_status (*word_seen)(at_ctx *c, void *user, uint64_t hash);

/* Words of at most SAMPLE bytes of a domain's paragraphs, from documents evenly spread. */
static at_status sample(at_ctx *c, model *m, int domain, word_seen seen, void *user) {
    at_stage *s = &m->domain[domain];
    int64_t bytes = 0;
    for (int64_t i = 0; i < s->n; i++) bytes += s->doc[i].gap ? s->doc[i].bytes : 0;
    const int64_t every = bytes / SAMPLE + 1;
    m->prose[domain] = bytes > 0;
    at_status status = AT_OK;
    for (int64_t i = 0; !status && i < s->n; i += every) {
        if (!s->doc[i].gap) continue;
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "data build: interrupted");
        status = at_stage_text(c, s, &s->doc[i], &m->text);
        at_words w = {.p = m->text.p, .end = m->text.p + m->text.n};
        while (!status && at_word_next(&w)) status = seen(c, user, hash_of(&w));
    }
    return status;
}

static at_status tally_word(at_ctx *c, void *user, uint64_t hash) { return count(c, user, hash); }

/* Adds the most frequent words of a domain to the list. */
static at_status list_domain(at_ctx *c, model *m, int domain) {
    tally t = {0};
    at_status s = sample(c, m, domain, tally_word, &t);
    if (!s && t.n > 0) qsort(t.slot, (size_t)t.cap, sizeof *t.slot, most_first);
    for (int64_t i = 0; !s && i < t.n && i < AT_LANGUAGE_WORDS; i++)
        s = count(c, &m->list, t.slot[i].hash);
    at_free(t.slot);
    return s;
}

typedef struct frequencies {
    const tally *list;
    int64_t *count, words;
} frequencies;

static at_status count_listed(at_ctx *c, void *user, uint64_t hash) {
    (void)c;
    frequencies *f = user;
    f->words++;
    const counted *at = place(f->list, hash);
    if (at->hash) f->count[at->count - 1]++;
    return AT_OK;
}

static at_status learn_domain(at_ctx *c, model *m, int domain) {
    frequencies f = {.list = &m->list, .count = at_calloc(c, (size_t)m->list.n, sizeof(int64_t))};
    at_status s = f.count ? sample(c, m, domain, count_listed, &f) : c->status;
    for (int64_t i = 0; !s && i < m->list.n; i++)
        m->ln_p[i * m->n + domain] = at_ln(((double)f.count[i] + 0.5) / ((double)f.words + 1));
    at_free(f.count);
    return s;
}

static at_status learn(at_ctx *c, model *m) {
    at_status s = AT_OK;
    int prose = 0;
    for (int k = 0; !s && k < m->n; k++) {
        s = list_domain(c, m, k);
        prose += m->prose[k];
    }
    if (!s && prose < 2)
        return at_error(
            c, AT_ARG,
            "language-filter: expected at least two domains with paragraphs of prose to "
            "tell apart, found %d",
            prose);
    int64_t place_of = 0;
    for (int64_t i = 0; !s && i < m->list.cap; i++)
        if (m->list.slot[i].hash) m->list.slot[i].count = ++place_of;
    if (!s && !(m->ln_p = at_calloc(c, (size_t)(m->list.n * m->n), sizeof *m->ln_p))) s = c->status;
    for (int k = 0; !s && k < m->n; k++) s = learn_domain(c, m, k);
    return s;
}

/* ---- judging ---- */

static at_status stays(at_ctx *c, void *user, at_stage *stage, const at_staged *d, int64_t i,
                       const char *p, size_t n, bool *yes) {
    (void)c;
    (void)i;
    model *m = user;
    const int own = (int)(stage - m->domain);
    *yes = true;
    if (!d->gap) return AT_OK;
    memset(m->sum, 0, (size_t)m->n * sizeof *m->sum);
    at_words w = {.p = p, .end = p + n};
    while (at_word_next(&w)) {
        const counted *at = place(&m->list, hash_of(&w));
        if (!at->hash) continue;
        const double *ln_p = m->ln_p + (at->count - 1) * m->n;
        for (int k = 0; k < m->n; k++) m->sum[k] += ln_p[k];
    }
    for (int k = 0; k < m->n; k++)
        if (k != own && m->prose[k] && m->sum[k] > m->sum[own] + MARGIN) *yes = false;
    if (*yes) return AT_OK;
    stage->dropped.other_language++;
    stage->dropped.other_language_bytes += (int64_t)n;
    return AT_OK;
}

at_status at_language_filter(at_ctx *c, at_stage *domain, int n) {
    model m = {.domain = domain,
               .n = n,
               .sum = at_calloc(c, (size_t)n, sizeof(double)),
               .prose = at_calloc(c, (size_t)n, sizeof(bool))};
    at_status s = m.sum && m.prose ? learn(c, &m) : c->status;
    for (int k = 0; !s && k < n; k++) s = at_stage_refine(c, &domain[k], stays, &m);
    at_free(m.list.slot);
    at_free(m.ln_p);
    at_free(m.sum);
    at_free(m.prose);
    at_bytes_free(&m.text);
    return s;
}
