/* near.c - see near.h. */
#include "data/near.h"
#include "base/maths.h"
#include "data/shingle.h"
#include "data/sorter.h"
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

enum { SORT_BYTES = 16 << 20, ENDS = 8 /* of a crowded band */ };

at_status at_near_init(at_ctx *c, double threshold, at_near *out) {
    *out = (at_near){.threshold = threshold};
    if (!(threshold >= 0.5 && threshold <= 1))
        return at_error(c, AT_ARG, "near-dup: expected a likeness from 0.5 to 1, found %g",
                        threshold);
    out->rows = threshold >= 0.75 ? 4 : 3;
    const double miss = 1 - at_powi(threshold, out->rows); /* of one band */
    out->bands = miss > 0 ? (int)ceil(at_ln(0.01) / at_ln(miss)) : 1;
    return AT_OK;
}

/* Where a paragraph is. */
typedef struct place {
    int64_t at;
    int32_t bytes, domain;
} place;

/* The text of a paragraph that is being compared. */
typedef struct compared {
    uint64_t number;
    at_shingles set;
} compared;

typedef struct search {
    at_stage *domain;
    int n;
    at_near *near;
    FILE *places; /* by number */
    char *places_path, *bands_path, *pairs_path;
    at_sorter *bands, *pairs; /* hash of a band, number; number, earlier number */
    at_bytes text, folded;
    unsigned char *gone; /* a bit for each number */
    compared one, other;
} search;

static at_status stop_asked(at_ctx *c) {
    return at_interrupted(c) ? at_error(c, AT_INTERRUPTED, "data build: interrupted") : AT_OK;
}

/* ---- sketches ---- */

static at_status add_paragraph(at_ctx *c, search *s, int domain, int64_t at, const char *p,
                               size_t n) {
    const at_near *o = s->near;
    uint64_t sketch[AT_SKETCH_MAX];
    const place here = {at, (int32_t)n, domain};
    if (fwrite(&here, sizeof here, 1, s->places) != 1)
        return at_error(c, AT_IO, "%s: cannot write: %s", s->places_path, strerror(errno));
    const uint64_t number = (uint64_t)s->near->paragraphs++;
    at_status status = at_fold(c, p, n, &s->folded);
    if (status || !at_sketch(&s->folded, o->bands * o->rows, sketch)) return status;
    for (int b = 0; !status && b < o->bands; b++)
        status = at_sorter_add(c, s->bands,
                               XXH3_64bits_withSeed(sketch + b * o->rows,
                                                    (size_t)o->rows * sizeof *sketch, (uint64_t)b),
                               number);
    return status;
}

/* Numbers the paragraphs of a split; a document keeps that of its first in ids_at. */
static at_status add_split(at_ctx *c, search *s, at_split split) {
    at_status status = AT_OK;
    for (int k = 0; k < s->n; k++)
        for (int64_t i = 0; !status && i < s->domain[k].n; i++) {
            at_staged *d = &s->domain[k].doc[i];
            if (d->split != split) continue;
            d->ids_at = s->near->paragraphs;
            if ((status = stop_asked(c)) || (status = at_stage_text(c, &s->domain[k], d, &s->text)))
                break;
            at_paragraphs all = {s->text.p, s->text.p + s->text.n, d->gap};
            const char *p;
            size_t n;
            while (!status && at_paragraph_next(&all, &p, &n))
                status = add_paragraph(c, s, k, d->text_at + (p - s->text.p), p, n);
        }
    return status;
}

/* ---- candidates ---- */

/* Pairs of those that share a band. */
static at_status pair_up(at_ctx *c, search *s) {
    uint64_t first[ENDS], last[ENDS], hash = 0;
    int64_t n = 0;
    at_pair p;
    bool more;
    at_status status = at_sorter_begin(c, s->bands);
    while (!status && !(status = at_sorter_next(c, s->bands, &p, &more)) && more) {
        if (n > 0 && p.key != hash) n = 0;
        hash = p.key;
        for (int64_t i = 0; !status && i < n && i < ENDS; i++)
            status = at_sorter_add(c, s->pairs, p.value, first[i]);
        for (int64_t i = n > 2 * ENDS ? n - ENDS : ENDS; !status && i < n; i++)
            status = at_sorter_add(c, s->pairs, p.value, last[i % ENDS]);
        if (n < ENDS) first[n] = p.value;
        last[n % ENDS] = p.value;
        n++;
        if ((n & 0xFFF) == 0 && !status) status = stop_asked(c);
    }
    return status;
}

static at_status load(at_ctx *c, search *s, uint64_t number, compared *to) {
    if (to->number == number + 1) return AT_OK; /* still there */
    place at;
    if (pread(fileno(s->places), &at, sizeof at, (off_t)(number * sizeof at)) != sizeof at)
        return at_error(c, AT_IO, "%s: cannot read: %s", s->places_path, strerror(errno));
    const at_staged where = {.text_at = at.at, .bytes = at.bytes};
    to->number = 0;
    at_status status = at_stage_text(c, &s->domain[at.domain], &where, &s->text);
    if (!status) status = at_fold(c, s->text.p, (size_t)s->text.n, &s->folded);
    if (!status) status = at_shingles_of(c, &s->folded, &to->set);
    if (!status) to->number = number + 1;
    return status;
}

static bool is_gone(const search *s, uint64_t number) {
    return s->gone[number / 8] >> number % 8 & 1;
}

/* Candidates come by the later paragraph, so that it is known whether the earlier one stays. */
static at_status compare(at_ctx *c, search *s) {
    at_pair p, before = {0, 0};
    bool more;
    s->gone = at_calloc(c, (size_t)s->near->paragraphs / 8 + 1, 1);
    if (!s->gone) return c->status;
    if (fflush(s->places) != 0)
        return at_error(c, AT_IO, "%s: cannot write: %s", s->places_path, strerror(errno));
    at_status status = at_sorter_begin(c, s->pairs);
    while (!status && !(status = at_sorter_next(c, s->pairs, &p, &more)) && more) {
        const bool again = p.key == before.key && p.value == before.value;
        before = p;
        if (again || is_gone(s, p.key) || is_gone(s, p.value)) continue;
        status = load(c, s, p.key, &s->one);
        if (!status) status = load(c, s, p.value, &s->other);
        if (!status) status = stop_asked(c);
        if (status) break;
        s->near->compared++;
        const double n = (double)s->one.set.n, m = (double)s->other.set.n;
        if (fmin(n, m) < s->near->threshold * fmax(n, m)) continue; /* cannot be */
        if (at_shingles_alike(&s->one.set, &s->other.set) >= s->near->threshold)
            s->gone[p.key / 8] |= (unsigned char)(1u << p.key % 8);
    }
    return status;
}

/* ---- dropping ---- */

static at_status stays(at_ctx *c, void *user, at_stage *stage, const at_staged *d, int64_t i,
                       const char *p, size_t n, bool *yes) {
    (void)c;
    (void)p;
    search *s = user;
    *yes = !is_gone(s, (uint64_t)(d->ids_at + i));
    if (!*yes) {
        s->near->dropped[d->split]++;
        stage->dropped.near_duplicates++;
        stage->dropped.near_duplicate_bytes += (int64_t)n;
    }
    return AT_OK;
}

static at_status search_open(at_ctx *c, search *s, const char *dir) {
    s->places_path = at_join(c, dir, "places");
    s->bands_path = at_join(c, dir, "bands");
    s->pairs_path = at_join(c, dir, "pairs");
    if (!s->places_path || !s->bands_path || !s->pairs_path) return c->status;
    if (!(s->places = fopen(s->places_path, "w+b")))
        return at_error(c, AT_IO, "%s: cannot create: %s", s->places_path, strerror(errno));
    const at_status status = at_sorter_open(c, s->bands_path, SORT_BYTES, &s->bands);
    return status ? status : at_sorter_open(c, s->pairs_path, SORT_BYTES, &s->pairs);
}

static void search_close(search *s) {
    at_sorter_close(s->bands);
    at_sorter_close(s->pairs);
    if (s->places) (void)fclose(s->places);
    at_free(s->places_path);
    at_free(s->bands_path);
    at_free(s->pairs_path);
    at_bytes_free(&s->text);
    at_bytes_free(&s->folded);
    at_shingles_free(&s->one.set);
    at_shingles_free(&s->other.set);
    at_free(s->gone);
}

at_status at_near_drop(at_ctx *c, at_stage *domain, int n, const char *dir, at_near *near) {
    search s = {.domain = domain, .n = n, .near = near};
    at_status status = search_open(c, &s, dir);
    if (!status) status = add_split(c, &s, AT_TEST);
    if (!status) status = add_split(c, &s, AT_VALIDATION);
    if (!status) status = add_split(c, &s, AT_TRAIN);
    if (!status) status = pair_up(c, &s);
    if (!status) status = compare(c, &s);
    for (int k = 0; !status && k < n; k++) status = at_stage_refine(c, &domain[k], stays, &s);
    search_close(&s);
    return status;
}
