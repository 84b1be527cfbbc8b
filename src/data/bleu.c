/* bleu.c - n-grams are compared by their hashes, sorted: what both lines have is found by walking
   along the two lists. */
#include "data/bleu.h"
#include "base/maths.h"
#include "data/utf8.h"
#include <string.h>
#include <utf8proc.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

void at_bleu_init(at_bleu_counts *o, at_ctx *c) { *o = (at_bleu_counts){.ctx = c}; }

void at_bleu_close(at_bleu_counts *o) {
    for (int i = 0; i < 2; i++) {
        at_free(o->key[i]);
        at_free(o->at[i]);
    }
    *o = (at_bleu_counts){0};
}

/* ---- words ---- */

static bool one_of(unsigned char b, const char *set) { return b && strchr(set, b); }
static bool digit(unsigned char b) { return b >= '0' && b <= '9'; }
static bool is_mark(unsigned char b) { /* marks that always stand alone; not . , - ' */
    return (b > ' ' && b <= '&') || (b >= '(' && b <= '+') || (b >= ':' && b <= '@') ||
           (b >= '[' && b <= '`') || (b >= '{' && b <= '~') || b == '/';
}

/* Length of the white space at s, or 0. */
static size_t space(const char *s, size_t n) {
    utf8proc_int32_t p;
    const utf8proc_ssize_t len =
        utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &p);
    if (len < 1) return 0;
    const bool is = (p >= 9 && p <= 13) || (p >= 28 && p <= 32) || p == 0x85 || p == 0xA0 ||
                    p == 0x1680 || (p >= 0x2000 && p <= 0x200A) || p == 0x2028 || p == 0x2029 ||
                    p == 0x202F || p == 0x205F || p == 0x3000;
    return is ? (size_t)len : 0;
}

static const struct {
    const char *from, *to;
} entity[] = {{"<skipped>", ""}, {"&quot;", "\""}, {"&amp;", "&"}, {"&lt;", "<"}, {"&gt;", ">"}};

static void replace(at_text *t, const char *from, const char *to) {
    char *s = at_text_take(t);
    const size_t n = strlen(from);
    for (const char *p = s; p && *p;) {
        const char *hit = strstr(p, from);
        at_text_bytes(t, p, hit ? (size_t)(hit - p) : strlen(p));
        if (hit) at_text_add(t, to);
        p = hit ? hit + n : NULL;
    }
    at_free(s);
}

/* A pass over the bytes of t; `pair` looks at two neighbours and says where blanks go. A pair that
   matched is behind us: its second byte begins no other pair. */
typedef bool (*pair_fn)(unsigned char a, unsigned char b);
static void part_pairs(at_text *t, pair_fn pair, bool before) {
    char *s = at_text_take(t);
    for (const char *p = s; p && *p;) {
        if (p[1] && pair((unsigned char)p[0], (unsigned char)p[1])) {
            if (before) at_text_add(t, " ");
            at_text_bytes(t, p, 1);
            at_text_add(t, " ");
            at_text_bytes(t, p + 1, 1);
            if (!before) at_text_add(t, " ");
            p += 2;
        } else {
            at_text_bytes(t, p++, 1);
        }
    }
    at_free(s);
}
static bool stop_after(unsigned char a, unsigned char b) { return !digit(a) && one_of(b, ".,"); }
static bool stop_before(unsigned char a, unsigned char b) { return one_of(a, ".,") && !digit(b); }
static bool digit_dash(unsigned char a, unsigned char b) { return digit(a) && b == '-'; }

/* NUL bytes end nothing here: they are blanks. */
at_status at_bleu_words(at_ctx *c, const char *text, size_t bytes, at_text *out) {
    at_text t;
    at_text_init(&t, c, 0);
    for (size_t i = 0; i < bytes; i++) at_text_bytes(&t, text[i] ? text + i : " ", 1);
    for (size_t i = 0; i < sizeof entity / sizeof *entity; i++)
        replace(&t, entity[i].from, entity[i].to);
    char *s = at_text_take(&t);
    at_text_add(&t, " ");
    for (const char *p = s; p && *p; p++) {
        const bool alone = is_mark((unsigned char)*p);
        if (alone) at_text_add(&t, " ");
        at_text_bytes(&t, p, 1);
        if (alone) at_text_add(&t, " ");
    }
    at_text_add(&t, " ");
    at_free(s);
    part_pairs(&t, stop_after, false);
    part_pairs(&t, stop_before, true);
    part_pairs(&t, digit_dash, false);
    s = at_text_take(&t);
    const size_t n = s ? strlen(s) : 0;
    bool pending = false;
    for (size_t i = 0; i < n;) {
        const size_t gap = space(s + i, n - i);
        if (gap) {
            pending = out->n > 0;
            i += gap;
            continue;
        }
        if (pending) at_text_add(out, " ");
        pending = false;
        at_text_bytes(out, s + i++, 1);
    }
    at_free(s);
    return t.failed ? t.failed : out->failed;
}

/* ---- n-grams ---- */

static int ascending(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Items are the parts of s that begin at o->at[side][0 .. n], with the end behind the last. */
static at_status grams(at_bleu_counts *o, int side, const char *s, int64_t n, int order,
                       int64_t *count) {
    *count = n - order + 1 > 0 ? n - order + 1 : 0;
    if (!at_reserve(o->ctx, &o->key[side], &o->cap[side], *count + 1, sizeof(uint64_t)))
        return AT_OOM;
    const int64_t *at = o->at[side];
    for (int64_t i = 0; i < *count; i++)
        o->key[side][i] = XXH3_64bits(s + at[i], (size_t)(at[i + order] - at[i]));
    qsort(o->key[side], (size_t)*count, sizeof(uint64_t), ascending);
    return AT_OK;
}

static at_status compare(at_bleu_counts *o, const char *const s[2], const int64_t n[2], int orders,
                         at_gram_counts *out) {
    at_status st = AT_OK;
    for (int k = 1; k <= orders && st == AT_OK; k++) {
        int64_t m[2], both = 0;
        for (int side = 0; side < 2 && st == AT_OK; side++)
            st = grams(o, side, s[side], n[side], k, &m[side]);
        for (int64_t i = 0, j = 0; st == AT_OK && i < m[0] && j < m[1];) {
            const uint64_t a = o->key[0][i], b = o->key[1][j];
            both += a == b;
            i += a <= b;
            j += b <= a;
        }
        if (st != AT_OK) break;
        out[k - 1].ours += m[0];
        out[k - 1].theirs += m[1];
        out[k - 1].both += both;
    }
    return st;
}

/* Where the words of a line begin, each with the blank behind it; returns how many. */
static at_status find_words(at_bleu_counts *o, int side, at_text *t, int64_t *n) {
    *n = 0;
    if (t->n) at_text_add(t, " ");
    for (size_t i = 0; i <= t->n && t->n; i++) {
        if (i && i < t->n && t->s[i - 1] != ' ') continue;
        if (!at_reserve(o->ctx, &o->at[side], &o->at_cap[side], *n + 1, sizeof(int64_t)))
            return AT_OOM;
        o->at[side][(*n)++] = (int64_t)i;
    }
    *n = *n ? *n - 1 : 0;
    return t->failed;
}

/* The same of characters, after white space is taken out of the line. */
static at_status find_letters(at_bleu_counts *o, int side, const char *s, size_t bytes, at_text *t,
                              int64_t *n) {
    *n = 0;
    for (size_t i = 0; i < bytes;) {
        const size_t gap = space(s + i, bytes - i);
        if (gap) {
            i += gap;
            continue;
        }
        utf8proc_int32_t p;
        const utf8proc_ssize_t len =
            utf8proc_iterate((const utf8proc_uint8_t *)s + i, (utf8proc_ssize_t)(bytes - i), &p);
        if (!at_reserve(o->ctx, &o->at[side], &o->at_cap[side], *n + 2, sizeof(int64_t)))
            return AT_OOM;
        o->at[side][(*n)++] = (int64_t)t->n;
        at_text_bytes(t, s + i, len > 0 ? (size_t)len : 1);
        i += len > 0 ? (size_t)len : 1;
    }
    if (*n) o->at[side][*n] = (int64_t)t->n;
    return t->failed;
}

static at_status add_side(at_bleu_counts *o, int side, const char *s, size_t bytes, bool words,
                          at_text *t, int64_t *n) {
    at_text_init(t, o->ctx, 0);
    if (!words) return find_letters(o, side, s, bytes, t, n);
    const at_status st = at_bleu_words(o->ctx, s, bytes, t);
    return st == AT_OK ? find_words(o, side, t, n) : st;
}

at_status at_bleu_add(at_bleu_counts *o, const char *text, size_t bytes, const char *reference,
                      size_t reference_bytes) {
    at_status st = AT_OK;
    for (int words = 0; words < 2 && st == AT_OK; words++) {
        at_text t[2];
        int64_t n[2];
        st = add_side(o, 0, text, bytes, words, &t[0], &n[0]);
        const at_status second = add_side(o, 1, reference, reference_bytes, words, &t[1], &n[1]);
        if (st == AT_OK) st = second;
        const char *s[2] = {t[0].s ? t[0].s : "", t[1].s ? t[1].s : ""};
        at_gram_counts before[AT_CHRF_ORDER];
        memcpy(before, o->letter, sizeof before);
        if (st == AT_OK)
            st = compare(o, s, n, words ? AT_BLEU_ORDER : AT_CHRF_ORDER,
                         words ? o->word : o->letter);
        for (int k = 0; k < AT_CHRF_ORDER && !words; k++) /* nothing to find, nothing missed */
            if (n[1] < k + 1) o->letter[k].ours = before[k].ours;
        if (words) {
            o->words += n[0];
            o->reference_words += n[1];
        }
        at_text_close(&t[0]);
        at_text_close(&t[1]);
    }
    if (st == AT_OK) o->lines++;
    return st;
}

/* ---- scores ---- */

void at_bleu_score(const at_bleu_counts *o, at_bleu *out) {
    double logs = 0, smooth = 1;
    int64_t both = 0;
    bool none = false;
    *out = (at_bleu){.brevity = 1};
    if (o->words < o->reference_words)
        out->brevity = o->words ? at_exp(1 - (double)o->reference_words / (double)o->words) : 0;
    for (int k = 0; k < AT_BLEU_ORDER; k++) both += o->word[k].both;
    for (int k = 0; k < AT_BLEU_ORDER && both; k++) {
        const at_gram_counts *g = &o->word[k];
        if (!g->ours) {
            none = true;
            break;
        }
        double share = (double)g->both / (double)g->ours;
        if (!g->both) share = 1 / ((smooth *= 2) * (double)g->ours);
        out->precision[k] = 100 * share;
        logs += at_ln(share) / AT_BLEU_ORDER;
    }
    out->score = both && !none ? 100 * out->brevity * at_exp(logs) : 0;
}

double at_chrf_score(const at_bleu_counts *o) {
    double precision = 0, recall = 0;
    int orders = 0;
    for (int k = 0; k < AT_CHRF_ORDER; k++) {
        const at_gram_counts *g = &o->letter[k];
        if (!g->ours || !g->theirs) continue;
        precision += (double)g->both / (double)g->ours;
        recall += (double)g->both / (double)g->theirs;
        orders++;
    }
    if (!orders || !(precision + recall > 0)) return 0;
    return 100 * 5 * precision * recall / (4 * precision + recall) / orders;
}
