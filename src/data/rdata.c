/* rdata.c - R's serialisation: an item is its flags, then what its type says, item by item. */
#include "data/rdata.h"
#include <math.h>
#include <string.h>

enum { DEEP = 100 }; /* items within items */

/* Types that nobody outside needs to know. */
enum {
    SYMBOL = 1,
    CLOSURE = 3,
    ENVIRONMENT = 4,
    PROMISE = 5,
    CALL = 6,
    SPECIAL = 7,
    BUILTIN = 8,
    COMPLEX = 15,
    DOTS = 17,
    EXPRESSIONS = 20,
    BYTE_CODE = 21,
    POINTER = 22,
    WEAK = 23,
    BYTES = 24,
    S4 = 25,
    CALL_WITH_ATTRIBUTES = 240,
    BASE = 241,
    PAIRS_WITH_ATTRIBUTES = 239,
    EMPTY = 242,
    PERSISTENT = 247,
    PACKAGE = 248,
    NAMESPACE = 249,
    BASE_NAMESPACE = 250,
    MISSING_ARGUMENT = 251,
    UNBOUND = 252,
    GLOBAL = 253,
    REFERENCE = 255
};
enum { HAS_ATTRIBUTES = 1 << 9, HAS_TAG = 1 << 10, LATIN1 = 1 << (12 + 2) };

typedef struct {
    at_ctx *c;
    at_arena *arena;
    const char *name;
    const unsigned char *begin, *at, *end;
    at_robject **seen; /* [n_seen] that references are to, in order */
    int64_t n_seen, cap;
    int depth;
    at_status s;
} reader;

static at_robject *item(reader *r);

static uint64_t big_endian(const unsigned char *p, int n) {
    uint64_t x = 0;
    for (int i = 0; i < n; i++) x = x << 8 | p[i];
    return x;
}

static void *wrong(reader *r, at_status s, const char *what) {
    if (!r->s)
        r->s = at_error(r->c, s, "%s: byte %lld of the R data: %s", r->name,
                        (long long)(r->at - r->begin), what);
    return NULL;
}

/* n elements of so many bytes, or NULL where the file ends before. */
static const unsigned char *take(reader *r, int64_t n, int64_t width) {
    const unsigned char *p = r->at;
    if (r->s) return NULL;
    if (n < 0 || n > (r->end - p) / width) return wrong(r, AT_FORMAT, "the file is cut off here");
    r->at += n * width;
    return p;
}

static int32_t integer(reader *r) {
    const unsigned char *p = take(r, 1, 4);
    return p ? (int32_t)(uint32_t)big_endian(p, 4) : 0;
}

/* A length; beyond 2^31 it is -1 and two halves. */
static int64_t length(reader *r) {
    const int32_t n = integer(r);
    if (n >= 0) return n;
    if (n != -1) return wrong(r, AT_FORMAT, "expected a length"), 0;
    const int64_t high = integer(r), low = (uint32_t)integer(r);
    if (high < 0 || high > 1 << 16) return wrong(r, AT_FORMAT, "expected a length"), 0;
    return high << 32 | low;
}

static at_robject *fresh(reader *r, at_rtype type) {
    at_robject *o = r->s ? NULL : at_arena_alloc(r->arena, sizeof *o);
    if (!o && !r->s) r->s = AT_OOM;
    if (o) *o = (at_robject){.type = type};
    return o;
}

/* References count from 1, in the order in which what they mean began. */
static at_robject *remember(reader *r, at_robject *o) {
    if (!o || !at_reserve(r->c, &r->seen, &r->cap, r->n_seen + 1, sizeof *r->seen)) {
        if (!r->s) r->s = AT_OOM;
        return NULL;
    }
    return r->seen[r->n_seen++] = o;
}

static at_robject *reference(reader *r, int32_t flags) {
    const int64_t i = flags >> 8 ? flags >> 8 : integer(r);
    if (i < 1 || i > r->n_seen) return wrong(r, AT_FORMAT, "a reference to nothing");
    return r->seen[i - 1];
}

static at_robject *numbers(reader *r, at_rtype type, int64_t width) {
    at_robject *o = fresh(r, type);
    if (!o) return NULL;
    o->n = length(r);
    o->data = take(r, o->n, width);
    return o;
}

static at_robject *string(reader *r, int32_t flags) {
    at_robject *o = fresh(r, AT_R_TEXT);
    const int32_t n = integer(r);
    if (!o) return NULL;
    if (n < -1) return wrong(r, AT_FORMAT, "expected the length of a text");
    o->n = n;
    o->latin1 = flags & LATIN1;
    o->data = n > 0 ? take(r, n, 1) : r->at;
    return o;
}

/* n items, each of at least four bytes. */
static at_robject *items(reader *r, at_rtype type, int64_t n) {
    at_robject *o = fresh(r, type);
    if (!o || r->s) return NULL;
    if (n < 0 || n > (r->end - r->at) / 4) return wrong(r, AT_FORMAT, "the file is cut off here");
    o->n = n;
    o->item = at_arena_alloc(r->arena, (size_t)(n + 1) * sizeof(at_robject *));
    if (!o->item) return r->s = AT_OOM, NULL;
    for (int64_t i = 0; i < n && !r->s; i++) {
        o->item[i] = item(r);
        if (type == AT_R_TEXTS && !r->s && o->item[i]->type != AT_R_TEXT)
            return wrong(r, AT_FORMAT, "expected a text");
    }
    return o;
}

static bool is_pair(int type) { return type == AT_R_PAIRS || type == CALL || type == DOTS; }

/* Pairs are written as (attributes, tag, value) and what follows: another pair, NULL, or in R's own
   representations any item, which then is the last. */
static at_robject *pairs(reader *r, int32_t flags) {
    at_robject *o = fresh(r, AT_R_PAIRS);
    at_robject **value = NULL;
    const at_robject **tag = NULL;
    int64_t cap_value = 0, cap_tag = 0, n = 0;
    bool more = o != NULL;
    while (more && !r->s) {
        if (!at_reserve(r->c, &value, &cap_value, n + 1, sizeof *value) ||
            !at_reserve(r->c, &tag, &cap_tag, n + 1, sizeof *tag)) {
            r->s = AT_OOM;
            break;
        }
        const bool pair = is_pair(flags & 255);
        if (pair && flags & HAS_ATTRIBUTES) (void)item(r);
        tag[n] = pair && flags & HAS_TAG ? item(r) : NULL;
        if (!pair) r->at -= 4;
        value[n++] = item(r);
        if (!pair) break;
        flags = integer(r);
        more = (flags & 255) != AT_R_NULL;
    }
    if (o && !r->s) {
        o->n = n;
        o->item = at_arena_alloc(r->arena, (size_t)n * sizeof *value);
        o->tag = at_arena_alloc(r->arena, (size_t)n * sizeof *tag);
        if (o->item && o->tag) {
            memcpy(o->item, value, (size_t)n * sizeof *value);
            memcpy(o->tag, tag, (size_t)n * sizeof *tag);
        } else {
            r->s = AT_OOM;
        }
    }
    at_free(value);
    at_free(tag);
    return o;
}

/* What nobody needs: so many items, read and dropped. */
static at_robject *other(reader *r, int n) {
    for (int i = 0; i < n && !r->s; i++) (void)item(r);
    return fresh(r, AT_R_OTHER);
}

/* Another representation of a vector: its class, its state, its attributes. */
static at_robject *represented(reader *r) {
    const at_robject *about = item(r), *state = item(r);
    const at_robject *attr = item(r);
    if (r->s) return NULL;
    const at_robject *class = about->type == AT_R_PAIRS ? about->item[0] : NULL;
    at_robject *o = NULL;
    if (at_robject_is(class, "compact_intseq") || at_robject_is(class, "compact_realseq")) {
        if (state->type != AT_R_REALS || state->n != 3 || !(at_robject_number(state, 0) >= 0) ||
            at_robject_number(state, 0) > (double)INT32_MAX)
            return wrong(r, AT_FORMAT, "a sequence without length, beginning and step");
        if ((o = fresh(r, AT_R_RANGE))) {
            o->n = (int64_t)at_robject_number(state, 0);
            o->first = at_robject_number(state, 1);
            o->step = at_robject_number(state, 2);
        }
    } else if (class && class->type == AT_R_TEXT && class->n > 5 &&
               !memcmp(class->data, "wrap_", 5) &&
               (state->type == AT_R_PAIRS || state->type == AT_R_LIST) && state->n) {
        if ((o = fresh(r, AT_R_OTHER))) *o = *state->item[0];
    } else {
        o = fresh(r, AT_R_OTHER);
    }
    if (o && attr->type == AT_R_PAIRS) o->attr = attr;
    return o;
}

/* The names of a namespace or package: 0, how many, and their texts. */
static at_robject *names(reader *r) {
    (void)integer(r);
    (void)items(r, AT_R_TEXTS, integer(r));
    return remember(r, fresh(r, AT_R_OTHER));
}

static at_robject *of_type(reader *r, int32_t flags, bool *attributes) {
    const int type = flags & 255;
    switch (type) {
    case AT_R_BOOLS:
    case AT_R_INTS: return numbers(r, (at_rtype)type, 4);
    case AT_R_REALS: return numbers(r, AT_R_REALS, 8);
    case COMPLEX: return numbers(r, AT_R_OTHER, 16);
    case BYTES: return numbers(r, AT_R_OTHER, 1);
    case AT_R_TEXT: return string(r, flags);
    case AT_R_TEXTS: return items(r, AT_R_TEXTS, length(r));
    case AT_R_LIST: return items(r, AT_R_LIST, length(r));
    case EXPRESSIONS: return items(r, AT_R_OTHER, length(r));
    case S4: return fresh(r, AT_R_OTHER);
    default: break;
    }
    *attributes = false; /* of these they come elsewhere */
    switch (type) {
    case AT_R_NULL: return fresh(r, AT_R_NULL);
    case EMPTY:
    case BASE:
    case BASE_NAMESPACE:
    case GLOBAL:
    case UNBOUND:
    case MISSING_ARGUMENT: return fresh(r, AT_R_OTHER);
    case REFERENCE: return reference(r, flags);
    case SYMBOL: return remember(r, item(r));
    case NAMESPACE:
    case PACKAGE:
    case PERSISTENT: return names(r);
    case ENVIRONMENT: {
        at_robject *o = remember(r, fresh(r, AT_R_OTHER));
        (void)integer(r);
        (void)other(r, 4);
        return o;
    }
    case AT_R_PAIRS:
    case CALL:
    case DOTS: return pairs(r, flags);
    case PAIRS_WITH_ATTRIBUTES: return pairs(r, AT_R_PAIRS | HAS_ATTRIBUTES | (flags & HAS_TAG));
    case CALL_WITH_ATTRIBUTES: return pairs(r, CALL | HAS_ATTRIBUTES | (flags & HAS_TAG));
    case CLOSURE:
    case PROMISE: return other(r, 2 + !!(flags & HAS_ATTRIBUTES) + !!(flags & HAS_TAG));
    case SPECIAL:
    case BUILTIN: return string(r, 0);
    case POINTER: {
        at_robject *o = remember(r, fresh(r, AT_R_OTHER));
        (void)other(r, 2 + !!(flags & HAS_ATTRIBUTES));
        return o;
    }
    case WEAK: {
        at_robject *o = remember(r, fresh(r, AT_R_OTHER));
        if (flags & HAS_ATTRIBUTES) (void)other(r, 1);
        return o;
    }
    case AT_R_RANGE: return represented(r);
    case BYTE_CODE:
        return wrong(r, AT_UNSUPPORTED, "compiled functions are not read: save the data alone");
    default: return wrong(r, AT_FORMAT, "an item of no type that R has");
    }
}

static at_robject *item(reader *r) {
    bool attributes = true;
    if (r->depth >= DEEP) return wrong(r, AT_FORMAT, "items within items, too deep");
    r->depth++;
    const int32_t flags = integer(r);
    at_robject *o = r->s ? NULL : of_type(r, flags, &attributes);
    if (o && !r->s && attributes && flags & HAS_ATTRIBUTES) {
        const at_robject *attr = item(r);
        if (attr && attr->type == AT_R_PAIRS) o->attr = attr;
    }
    r->depth--;
    if (!o && !r->s) r->s = AT_OOM;
    return r->s ? NULL : o;
}

/* ---- the whole ---- */

bool at_rdata_is(const char *text, size_t bytes) {
    if (bytes >= 5 && !memcmp(text, "RD", 2) && strchr("XAB", text[2]) && text[4] == '\n')
        return text[3] >= '1' && text[3] <= '9';
    return bytes >= 6 && !memcmp(text, "X\n\0\0\0", 5) && text[5] > 0 && text[5] < 9;
}

/* Version, R's own versions, from version 3 on the encoding of texts that do not name theirs. */
static void header(reader *r) {
    const int32_t version = integer(r);
    (void)take(r, 2, 4);
    if (!r->s && version != 2 && version != 3)
        (void)wrong(r, AT_UNSUPPORTED, "read are versions 2 and 3 of what R writes");
    if (version == 3) (void)take(r, integer(r), 1);
}

at_status at_rdata_read(at_ctx *c, at_arena *a, const char *name, const char *text, size_t bytes,
                        const at_robject **out) {
    const unsigned char *p = (const unsigned char *)text;
    const bool single = text[0] == 'X';
    reader r = {.c = c, .arena = a, .name = name, .begin = p, .at = p, .end = p + bytes};
    if (!single) {
        r.at += 5;
        if (text[2] != 'X')
            (void)wrong(&r, AT_UNSUPPORTED, "expected data saved as XDR: save(..., ascii = FALSE)");
    }
    const unsigned char *form = take(&r, 2, 1);
    if (form && memcmp(form, "X\n", 2)) (void)wrong(&r, AT_FORMAT, "expected the mark X");
    header(&r);
    at_robject *o = item(&r);
    if (!r.s && single) {
        at_robject *all = fresh(&r, AT_R_PAIRS);
        if (all && (all->item = at_arena_alloc(a, sizeof(at_robject *))) &&
            (all->tag = at_arena_alloc(a, sizeof(at_robject *)))) {
            all->n = 1;
            all->item[0] = o;
            all->tag[0] = NULL;
            o = all;
        } else {
            r.s = AT_OOM;
        }
    }
    if (!r.s && r.at < r.end) (void)wrong(&r, AT_FORMAT, "expected the end of the file");
    if (!r.s && o->type != AT_R_PAIRS) (void)wrong(&r, AT_FORMAT, "expected objects with names");
    at_free(r.seen);
    *out = r.s ? NULL : o;
    return r.s;
}

/* ---- what is in it ---- */

bool at_robject_is(const at_robject *text, const char *name) {
    return text && text->type == AT_R_TEXT && text->n == (int64_t)strlen(name) &&
           !memcmp(text->data, name, (size_t)text->n);
}

const at_robject *at_robject_get(const at_robject *o, const char *name) {
    if (!o || o->type != AT_R_PAIRS) return NULL;
    for (int64_t i = 0; i < o->n; i++)
        if (at_robject_is(o->tag[i], name)) return o->item[i];
    return NULL;
}

int32_t at_robject_int(const at_robject *o, int64_t i) {
    return (int32_t)(uint32_t)big_endian(o->data + 4 * i, 4);
}

double at_robject_number(const at_robject *o, int64_t i) {
    double x = (double)NAN;
    if (o->type == AT_R_RANGE) return o->first + (double)i * o->step;
    if (o->type != AT_R_REALS) {
        const int32_t v = at_robject_int(o, i);
        return v == INT32_MIN ? x : (double)v;
    }
    const uint64_t bits = big_endian(o->data + 8 * i, 8);
    memcpy(&x, &bits, sizeof x);
    return isfinite(x) ? x : (double)NAN;
}
