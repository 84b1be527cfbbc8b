/* pairs.c - see pairs.h. */
#include "data/pairs.h"
#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- lines ---- */

static bool white(char b) { return b == ' ' || b == '\t' || b == '\n' || b == '\r' || b == '\f'; }

at_status at_pair_text(at_ctx *c, const char *text, size_t bytes, at_bytes *out) {
    const char *end = text + bytes;
    at_status s = AT_OK;
    for (bool any = false; s == AT_OK;) {
        while (text < end && white(*text)) text++;
        const char *from = text;
        while (text < end && !white(*text)) text++;
        if (from == text) break;
        if (any) s = at_bytes_add(c, out, " ", 1);
        if (s == AT_OK) s = at_bytes_add(c, out, from, (size_t)(text - from));
        any = true;
    }
    return s;
}

void at_pair_line_free(at_pair_line *p) {
    at_bytes_free(&p->source);
    at_bytes_free(&p->target);
    at_bytes_free(&p->id);
}

static at_status parse_json(at_ctx *c, const char *where, const char *line, size_t bytes,
                            at_pair_line *out) {
    static const char *const field[] = {"source", "target"};
    at_bytes *to[] = {&out->source, &out->target};
    const char *text;
    char number[40];
    cJSON *o = at_json_parse(c, where, line, bytes);
    if (!o) return c->status;
    at_status s = AT_OK;
    for (int i = 0; i < 2 && s == AT_OK; i++) {
        s = at_json_string(c, where, o, field[i], &text);
        const int64_t bad = s == AT_OK ? at_utf8_error(text, strlen(text)) : -1; /* "\ud800" */
        if (bad >= 0)
            s = at_error(c, AT_FORMAT, "%s: field \"%s\": not UTF-8 text: byte %lld", where,
                         field[i], (long long)bad);
        if (s == AT_OK) s = at_pair_text(c, text, strlen(text), to[i]);
    }
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(o, "id");
    if (cJSON_IsNumber(id)) (void)snprintf(number, sizeof number, "%.17g", id->valuedouble);
    const char *key = cJSON_IsNumber(id) ? number : cJSON_GetStringValue(id);
    if (s == AT_OK && id && !key)
        s = at_error(c, AT_FORMAT, "%s: field \"id\": expected a string or a number", where);
    if (s == AT_OK && key) s = at_bytes_add(c, &out->id, key, strlen(key));
    cJSON_Delete(o);
    return s;
}

static at_status parse_cells(at_ctx *c, const char *where, const char *line, size_t bytes,
                             at_pair_line *out) {
    at_bytes *to[] = {&out->source, &out->target, &out->id};
    const char *end = line + bytes;
    int cells = 1;
    for (const char *p = line; p < end; p++) cells += *p == '\t';
    if (cells < 2 || cells > 3)
        return at_error(c, AT_FORMAT,
                        "%s: expected a text, a tab, its translation, and perhaps a tab and an id; "
                        "or a JSON object with \"source\" and \"target\"; found %d cell%s",
                        where, cells, cells == 1 ? "" : "s");
    at_status s = AT_OK;
    for (int i = 0; i < cells && s == AT_OK; i++) {
        const char *stop = memchr(line, '\t', (size_t)(end - line));
        if (!stop) stop = end;
        s = at_pair_text(c, line, (size_t)(stop - line), to[i]);
        line = stop + 1;
    }
    return s;
}

at_status at_pair_parse(at_ctx *c, const char *where, const char *line, size_t bytes,
                        at_pair_line *out) {
    const char *begin = line;
    out->source.n = out->target.n = out->id.n = 0;
    while (begin < line + bytes && white(*begin)) begin++;
    const bool json = begin < line + bytes && *begin == '{' && !memchr(line, '\t', bytes);
    const at_status s =
        json ? parse_json(c, where, line, bytes, out) : parse_cells(c, where, line, bytes, out);
    if (s != AT_OK) return s;
    const at_bytes *text[] = {&out->source, &out->target};
    for (int i = 0; i < 2; i++)
        if (text[i]->n > 0 && memchr(text[i]->p, AT_PAIR_MARK, (size_t)text[i]->n))
            return at_error(c, AT_FORMAT, "%s: the %s holds the control character U+001E", where,
                            i ? "translation" : "text");
    return AT_OK;
}

size_t at_pair_first(const char *text, size_t bytes) {
    const char *mark = bytes ? memchr(text, AT_PAIR_MARK, bytes) : NULL;
    return mark ? (size_t)(mark - text) : bytes;
}

char *at_pair_tag(at_ctx *c, const char *domain) {
    const size_t n = strlen(domain);
    char *tag = at_malloc(c, n + 2);
    if (!tag) return NULL;
    memcpy(tag, domain, n);
    memcpy(tag + n, " ", 2);
    return tag;
}

/* ---- documents ---- */

void at_bitext_close(at_bitext *p) {
    at_free(p->pair);
    *p = (at_bitext){0};
}

void at_pair_read(const at_bitext *p, const at_pair *one, int32_t *id) {
    at_shard_read(&p->set->domain[one->domain].shard[p->split], one->start, one->all, id);
}

/* Tokens up to the first that ends a text; 0: the document is no pair. */
static int64_t source_of(const int32_t *id, int64_t n) {
    const int32_t end = n > 0 ? id[n - 1] : 0;
    for (int64_t i = 0; i + 1 < n; i++) {
        if (id[i] != end) continue;
        return i + 2 < n && i > 0 ? i + 1 : 0;
    }
    return 0;
}

at_status at_bitext_add(at_ctx *c, const at_dataset *set, at_split split, int domain, int64_t most,
                        at_bitext *out) {
    const at_domain *d = &set->domain[domain];
    const at_shard *s = &d->shard[split];
    if (!d->pairs)
        return at_error(c, AT_MISMATCH,
                        "%s: domain \"%s\" is plain text: translation needs pairs, which `artel "
                        "data build -d %s=pairs:FILE` makes",
                        set->path, d->name, d->name);
    out->set = set;
    out->split = split;
    int32_t *id = NULL;
    int64_t cap = 0;
    at_status status = AT_OK;
    for (int64_t i = 0; i < s->n_docs && status == AT_OK; i++) {
        const int64_t start = (int64_t)s->start[i], n = (int64_t)s->start[i + 1] - start;
        if (!at_reserve(c, &id, &cap, n, sizeof *id) ||
            !at_reserve(c, &out->pair, &out->cap, out->n + 1, sizeof *out->pair)) {
            status = c->status;
            break;
        }
        at_shard_read(s, start, n, id);
        const int64_t source = n < INT32_MAX ? source_of(id, n) : 0;
        if (!source)
            status = at_error(c, AT_FORMAT,
                              "%s: domain \"%s\", %s, document %lld: expected a text, a token that "
                              "ends it, its translation and this token again",
                              set->path, d->name, at_split_name[split], (long long)i);
        if (n > out->longest) out->longest = n;
        out->left += most > 0 && n > most;
        if (status != AT_OK || (most > 0 && n > most)) continue;
        out->pair[out->n++] = (at_pair){domain, i, start, (int32_t)source, (int32_t)n};
        out->tokens += n;
    }
    at_free(id);
    return status;
}

/* ---- batches ---- */

int64_t at_bitext_width(const at_bitext *p, const int64_t *which, int64_t B) {
    int64_t widest = 0;
    for (int64_t b = 0; b < B; b++)
        if (p->pair[which[b]].all > widest) widest = p->pair[which[b]].all;
    return widest - 1;
}

void at_bitext_batch(const at_bitext *p, const int64_t *which, int64_t B, int64_t T, int32_t *input,
                     int32_t *target, int32_t *end) {
    for (int64_t b = 0; b < B; b++, input += T, target += T) {
        const at_pair *one = &p->pair[which[b]];
        const at_shard *s = &p->set->domain[one->domain].shard[p->split];
        end[b] = one->all - 1;
        at_shard_read(s, one->start, end[b], input);
        at_shard_read(s, one->start + 1, end[b], target);
        for (int64_t t = 0; t < one->source - 1; t++) target[t] = -1;
        for (int64_t t = end[b]; t < T; t++) {
            input[t] = input[one->source - 1];
            target[t] = -1;
        }
    }
}

typedef struct place {
    int64_t length, number;
} place;

static int by_length(const void *a, const void *b) {
    const place *x = a, *y = b;
    if (x->length != y->length) return x->length < y->length ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

at_status at_bitext_sort(at_ctx *c, const at_bitext *p, int64_t *which, int64_t n) {
    place *all = at_malloc(c, (size_t)n * sizeof *all);
    if (!all) return c->status;
    for (int64_t i = 0; i < n; i++) all[i] = (place){p->pair[which[i]].all, which[i]};
    if (n > 1) qsort(all, (size_t)n, sizeof *all, by_length);
    for (int64_t i = 0; i < n; i++) which[i] = all[i].number;
    at_free(all);
    return AT_OK;
}
