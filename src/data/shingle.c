/* shingle.c - see shingle.h. */
#include "data/shingle.h"
#include <string.h>

/* Scrambles 64 bits: each bit of the result depends on all. */
static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= UINT64_C(0xBF58476D1CE4E5B9);
    x ^= x >> 27;
    x *= UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

static unsigned char fold(unsigned char b) {
    if (b >= 'A' && b <= 'Z') return b | 0x20;
    if (b >= '0' && b <= '9') return '0';
    if ((b >= 'a' && b <= 'z') || b >= 0x80) return b;
    return ' ';
}

at_status at_fold(at_ctx *c, const char *p, size_t n, at_bytes *out) {
    out->n = 0;
    if (!at_reserve(c, &out->p, &out->cap, (int64_t)n + 1, 1)) return c->status;
    char *to = out->p;
    char last = ' ';
    for (size_t i = 0; i < n; i++) {
        const char b = (char)fold((unsigned char)p[i]);
        *to = b;
        to += b != ' ' || last != ' ';
        last = b;
    }
    out->n = to - out->p;
    if (out->n > 0 && last == ' ') out->n--;
    return AT_OK;
}

void at_shingles_free(at_shingles *s) {
    at_free(s->slot);
    *s = (at_shingles){0};
}

/* The last eight bytes of folded text up to each place, from the first whole shingle on. */
typedef struct window {
    uint64_t bytes;
    int64_t first;
} window;

static window window_begin(const at_bytes *t) {
    window w = {.first = t->n < AT_SHINGLE ? t->n : AT_SHINGLE};
    for (int64_t i = 0; i < w.first; i++) w.bytes = w.bytes << 8 | (unsigned char)t->p[i];
    return w;
}

/* The slot of a hash, or the free one where it belongs. */
static uint64_t *slot_of(const at_shingles *s, uint64_t hash) {
    const uint64_t mask = (uint64_t)s->room - 1;
    for (uint64_t i = hash >> 8 & mask;; i = (i + 1) & mask)
        if (!s->slot[i] || s->slot[i] == hash) return &s->slot[i];
}

static void enter(at_shingles *s, uint64_t bytes) {
    const uint64_t hash = mix(bytes) | 1;
    uint64_t *at = slot_of(s, hash);
    s->n += !*at;
    *at = hash;
}

at_status at_shingles_of(at_ctx *c, const at_bytes *t, at_shingles *out) {
    out->n = out->room = 0;
    if (t->n == 0) return AT_OK;
    out->room = 16;
    while (out->room < 2 * t->n) out->room *= 2;
    if (!at_reserve(c, &out->slot, &out->cap, out->room, sizeof *out->slot)) return c->status;
    memset(out->slot, 0, (size_t)out->room * sizeof *out->slot);
    window w = window_begin(t);
    enter(out, w.bytes);
    for (int64_t i = w.first; i < t->n; i++) {
        w.bytes = w.bytes << 8 | (unsigned char)t->p[i];
        enter(out, w.bytes);
    }
    return AT_OK;
}

double at_shingles_alike(const at_shingles *a, const at_shingles *b) {
    if (a->n > b->n) return at_shingles_alike(b, a);
    int64_t both = 0;
    for (int64_t i = 0; i < a->room; i++)
        if (a->slot[i]) both += *slot_of(b, a->slot[i]) != 0;
    const int64_t either = a->n + b->n - both;
    return either > 0 ? (double)both / (double)either : 1;
}

static void see(uint64_t bytes, uint64_t n, uint64_t *out) {
    const uint64_t h = mix(bytes);
    const uint64_t bin = (h >> 32) * n >> 32, low = h & 0xFFFFFFFF;
    if (low < out[bin]) out[bin] = low;
}

bool at_sketch(const at_bytes *t, int n, uint64_t *out) {
    uint64_t found[AT_SKETCH_MAX];
    if (t->n == 0) return false;
    for (int i = 0; i < n; i++) found[i] = UINT64_MAX;
    window w = window_begin(t);
    see(w.bytes, (uint64_t)n, found);
    for (int64_t i = w.first; i < t->n; i++) {
        w.bytes = w.bytes << 8 | (unsigned char)t->p[i];
        see(w.bytes, (uint64_t)n, found);
    }
    for (int i = 0; i < n; i++) {
        uint64_t from = (uint64_t)i;
        for (uint64_t k = 1; found[from] == UINT64_MAX; k++)
            from = (mix((uint64_t)i << 32 | k) >> 32) * (uint64_t)n >> 32;
        out[i] = found[from] << 9 | from; /* the same number of another bin is another one */
    }
    return true;
}

static const uint64_t FACTOR = UINT64_C(0x9E3779B97F4A7C15);

at_roll at_roll_begin(const at_bytes *folded, int64_t length) {
    at_roll r = {.p = (const unsigned char *)folded->p, .n = folded->n, .length = length, .out = 1};
    for (int64_t i = 0; i < length; i++) {
        r.out *= FACTOR;
        if (i + 1 < length && i < r.n) r.sum = r.sum * FACTOR + r.p[i] + 1;
    }
    r.i = length - 1;
    return r;
}

bool at_roll_next(at_roll *r, uint64_t *hash) {
    if (r->i >= r->n) return false;
    r->sum = r->sum * FACTOR + r->p[r->i] + 1;
    if (r->i >= r->length) r->sum -= r->out * (r->p[r->i - r->length] + UINT64_C(1));
    r->i++;
    *hash = mix(r->sum);
    return true;
}
