/* fluency.c - words of texts, counted. */
#include "infer/fluency.h"
#include "base/ints.h"
#include "base/text.h"

/* ---- words -------------------------------------------------------------------------------- */

/* Adds what ids stand for; a token that ends a text has no letters. */
static void text_of(const at_tokenizer *t, const int32_t *ids, int64_t n, at_text *out) {
    for (int64_t i = 0; i < n; i++) {
        size_t bytes = 0;
        const char *piece = at_tokenizer_bytes(t, ids[i], &bytes);
        if (ids[i] == at_tokenizer_eot(t))
            at_text_add(out, "\n");
        else if (piece)
            at_text_bytes(out, piece, bytes);
    }
}

static bool letter(char b) {
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (unsigned char)b >= 0x80;
}

/* The next word from *at on, made lower case where it stands; false: there is none. */
static bool next_word(at_text *t, size_t *at, char **word, size_t *bytes) {
    size_t begin = *at;
    while (begin < t->n && !letter(t->s[begin])) begin++;
    for (*at = begin; *at < t->n && letter(t->s[*at]); ++*at)
        if (t->s[*at] >= 'A' && t->s[*at] <= 'Z') t->s[*at] = (char)(t->s[*at] - 'A' + 'a');
    *bytes = *at - begin;
    *word = *bytes ? t->s + begin : NULL;
    return *bytes > 0;
}

at_status at_fluency_words(at_ctx *c, const at_tokenizer *t, const at_shard *s, at_words *out) {
    at_status st = AT_OK;
    at_ids ids = {0};
    for (int64_t d = 0; d < s->n_docs && st == AT_OK; d++) {
        const int64_t n = (int64_t)(s->start[d + 1] - s->start[d]);
        at_text text;
        at_text_init(&text, c, 0);
        if (!at_reserve(c, &ids.id, &ids.cap, n, sizeof *ids.id)) st = AT_OOM;
        if (st == AT_OK) at_shard_read(s, (int64_t)s->start[d], n, ids.id);
        if (st == AT_OK) text_of(t, ids.id, n, &text);
        if (st == AT_OK) st = text.failed;
        char *word;
        size_t bytes, at = 0;
        while (st == AT_OK && next_word(&text, &at, &word, &bytes))
            if (at_words_add(c, out, word, bytes, 0, NULL) < 0) st = c->status;
        at_text_close(&text);
    }
    at_ids_free(&ids);
    return st;
}

/* ---- a text ------------------------------------------------------------------------------- */

enum { RUN = 4 };

/* Words are numbered as they come, so that a run is known by four numbers. */
typedef struct {
    at_words word, run;
    int64_t last[RUN], n;
} memory;

static at_status count(at_ctx *c, memory *m, const at_words *known, const char *word, size_t bytes,
                       at_fluency *out) {
    const int64_t id = at_words_add(c, &m->word, word, bytes, 0, NULL);
    bool fresh;
    if (id < 0) return c->status;
    out->words++;
    out->known += at_words_find(known, word, bytes) >= 0;
    for (int i = 0; i + 1 < RUN; i++) m->last[i] = m->last[i + 1];
    m->last[RUN - 1] = id;
    if (++m->n < RUN) return AT_OK;
    if (at_words_add(c, &m->run, (const char *)m->last, sizeof m->last, 0, &fresh) < 0)
        return c->status;
    out->runs++;
    out->repeated += !fresh;
    return AT_OK;
}

static at_status judge(at_ctx *c, const at_router *r, const int32_t *ids, int64_t n,
                       at_fluency *out) {
    int best;
    if (!r || !n) return AT_OK;
    const at_status s = at_router_predict(c, r, ids, n, NULL, &best, NULL);
    if (s != AT_OK) return s;
    out->judged++;
    out->verdict[best]++;
    return AT_OK;
}

at_status at_fluency_add(at_ctx *c, const at_tokenizer *t, const at_words *known,
                         const at_router *r, const int32_t *ids, int64_t n, int64_t prompt,
                         bool ended, at_fluency *out) {
    memory m = {0};
    at_text text;
    at_text_init(&text, c, 0);
    text_of(t, ids, prompt, &text);
    const size_t before = text.n;
    text_of(t, ids + prompt, n - prompt, &text);
    at_status s = text.failed;
    char *word;
    size_t bytes, at = 0;
    while (s == AT_OK && next_word(&text, &at, &word, &bytes)) {
        if (word < text.s + before || (at == text.n && !ended)) continue;
        s = count(c, &m, known, word, bytes, out);
    }
    if (s == AT_OK) s = judge(c, r, ids + prompt, n - prompt, out);
    out->texts++;
    out->ended += ended;
    out->tokens += n - prompt;
    at_text_close(&text);
    at_words_close(&m.word);
    at_words_close(&m.run);
    return s;
}

/* ---- prompts ------------------------------------------------------------------------------- */

/* Tokens of a document without the one that ends it. */
static int64_t length_of(const at_shard *s, int64_t d, int32_t end) {
    const int64_t n = (int64_t)(s->start[d + 1] - s->start[d]);
    int32_t last = -1;
    if (n > 0) at_shard_read(s, (int64_t)s->start[d + 1] - 1, 1, &last);
    return n > 0 && last == end ? n - 1 : n;
}

at_status at_prompts_open(at_ctx *c, const at_shard *s, int32_t end, int64_t prompt, int64_t n,
                          at_prompts *out) {
    int64_t usable = 0, seen = 0;
    *out = (at_prompts){0};
    for (int64_t d = 0; d < s->n_docs; d++) usable += length_of(s, d, end) > prompt;
    n = at_min(n, usable);
    out->at = at_calloc(c, (size_t)n + 1, sizeof *out->at);
    out->tokens = at_calloc(c, (size_t)n + 1, sizeof *out->tokens);
    if (!out->at || !out->tokens) return AT_OOM;
    for (int64_t d = 0; d < s->n_docs && out->n < n; d++) {
        const int64_t tokens = length_of(s, d, end);
        if (tokens <= prompt) continue;
        if (seen++ != out->n * usable / n) continue;
        out->at[out->n] = (int64_t)s->start[d];
        out->tokens[out->n++] = tokens;
    }
    return AT_OK;
}

void at_prompts_close(at_prompts *p) {
    at_free(p->at);
    at_free(p->tokens);
    *p = (at_prompts){0};
}
