/* token_load.c - tokenizer.json into tables.  The order matters: the parts around the model
   determine how spellings are read, and merges and added tokens refer to the vocabulary. */
#include "base/file.h"
#include "base/sha256.h"
#include "token/token_bytes.h"
#include "token/token_impl.h"
#include <stdio.h>
#include <string.h>

enum { FILE_MAX = 512 << 20 };

/* ---- vocabulary ---- */

/* The byte b of a token spelled <0xB>, or -1. */
static int byte_token(const char *s) {
    unsigned b = 0;
    if (strlen(s) != 6 || strncmp(s, "<0x", 3) != 0 || s[5] != '>') return -1;
    for (int i = 3; i < 5; i++) {
        const char *digits = "0123456789ABCDEF", *at = strchr(digits, s[i]);
        if (!at) return -1;
        b = b * 16 + (unsigned)(at - digits);
    }
    return (int)b;
}

typedef struct loader {
    at_ctx *c;
    const char *name;
    at_tokenizer *t;
    const cJSON *root, *model, *vocab;
    char *text;     /* two spellings, as bytes */
    size_t longest; /* spelling, in bytes      */
    at_editor editor;
    at_sha256 sha;
} loader;

static at_status read_word(loader *l, const cJSON *item) {
    at_ctx *c = l->c;
    at_tokenizer *t = l->t;
    const char *word = item->string;
    const int32_t id = (int32_t)item->valuedouble; /* checked by measure */
    size_t n = strlen(word);
    if (t->token[id].bytes >= 0)
        return at_error(c, AT_FORMAT, "%s: vocabulary: `%.40s` has id %d, which is taken", l->name,
                        word, (int)id);
    bool mapped = true;
    if (t->bytelevel && (mapped = at_alphabet_bytes(word, n, l->text, &n))) word = l->text;
    bool fresh = true;
    if (mapped && at_words_add(c, &t->vocab, word, n, id, &fresh) < 0) return c->status;
    if (!fresh)
        return at_error(c, AT_FORMAT, "%s: vocabulary: `%.40s` is there twice", l->name,
                        item->string);
    if ((int64_t)n > t->longest) t->longest = (int64_t)n;
    if (!t->bytelevel) {
        const int b = t->byte_fallback ? byte_token(word) : -1;
        if (b >= 0) {
            t->byte_id[b] = id;
            const char byte = (char)b;
            return at_token_set(c, l->name, t, id, &byte, 1);
        }
        const at_status st = at_edits_apply(c, &t->shown, &l->editor, AT_PLACE_FIRST, &word, &n);
        if (st) return st;
    } else if (mapped && n == 1) {
        t->byte_id[(unsigned char)word[0]] = id;
    }
    return at_token_set(c, l->name, t, id, word, n);
}

/* Finds the highest id, the size of the table, and the longest spelling, that of the buffer. */
static at_status measure(loader *l) {
    int64_t top = -1, id;
    const cJSON *item;
    cJSON_ArrayForEach(item, l->vocab) {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0) ||
            item->valuedouble >= AT_TOKEN_IDS_MAX ||
            (double)(int64_t)item->valuedouble != item->valuedouble)
            return at_error(l->c, AT_FORMAT, "%s: vocabulary: `%.40s`: expected an id in [0, %d)",
                            l->name, item->string, AT_TOKEN_IDS_MAX);
        id = (int64_t)item->valuedouble;
        if (id > top) top = id;
        if (strlen(item->string) > l->longest) l->longest = strlen(item->string);
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(l->root, "added_tokens")) {
        if (at_json_int(l->c, l->name, item, "id", 0, AT_TOKEN_IDS_MAX - 1, &id))
            return l->c->status;
        if (id > top) top = id;
    }
    at_tokenizer *t = l->t;
    t->size = top + 1;
    t->token = at_malloc(l->c, (size_t)t->size * sizeof *t->token);
    l->text = at_malloc(l->c, 2 * l->longest + 1);
    if (!t->token || !l->text) return l->c->status;
    for (int64_t i = 0; i < t->size; i++) t->token[i] = (at_token){.bytes = -1};
    return AT_OK;
}

static at_status read_vocab(loader *l) {
    at_status st = measure(l);
    const cJSON *item;
    for (int i = 0; i < 256; i++) l->t->byte_id[i] = -1;
    if (st) return st;
    cJSON_ArrayForEach(item, l->vocab) {
        st = read_word(l, item);
        if (st) return st;
    }
    return AT_OK;
}

/* ---- merges ---- */

static void hash_number(at_sha256 *sha, int64_t v) {
    unsigned char b[8];
    for (int i = 0; i < 8; i++) b[i] = (unsigned char)((uint64_t)v >> 8 * i);
    at_sha256_update(sha, b, sizeof b);
}

static void hash_text(at_sha256 *sha, const char *s, size_t n) {
    hash_number(sha, (int64_t)n);
    at_sha256_update(sha, s, n);
}

/* Id of a spelling; its bytes are written to l->text + *at, and *at moves on. */
static at_status part(loader *l, int64_t rank, const char *s, size_t n, size_t *at, int32_t *id) {
    char *to = l->text + *at;
    int64_t k = -1;
    size_t bytes = n;
    if (n <= l->longest) { /* a longer one is not in the vocabulary, and does not fit */
        const bool ok = !l->t->bytelevel || at_alphabet_bytes(s, n, to, &bytes);
        if (!l->t->bytelevel) memcpy(to, s, n);
        if (ok) k = at_words_find(&l->t->vocab, to, bytes);
    }
    if (k < 0)
        return at_error(l->c, AT_FORMAT, "%s: merge %lld: `%.*s` is not in the vocabulary", l->name,
                        (long long)rank, n < 40 ? (int)n : 40, s);
    *id = l->t->vocab.item[k].value;
    *at += bytes;
    return AT_OK;
}

static at_status read_merge(loader *l, const cJSON *item, int64_t rank) {
    const char *left = NULL, *right = NULL;
    size_t n_left = 0;
    if (cJSON_IsString(item)) { /* "a b" */
        left = item->valuestring;
        const char *space = strchr(left, ' ');
        if (space && !strchr(space + 1, ' ')) {
            n_left = (size_t)(space - left);
            right = space + 1;
        }
    } else if (cJSON_IsArray(item) && cJSON_GetArraySize(item) == 2) {
        left = cJSON_GetStringValue(item->child);
        right = cJSON_GetStringValue(item->child->next);
        n_left = left ? strlen(left) : 0;
    }
    if (!left || !right || !n_left || !*right)
        return at_error(l->c, AT_FORMAT, "%s: merge %lld: expected \"a b\" or [\"a\", \"b\"]",
                        l->name, (long long)rank);
    int32_t a, b;
    size_t n = 0;
    if (part(l, rank, left, n_left, &n, &a) || part(l, rank, right, strlen(right), &n, &b))
        return l->c->status;
    const int64_t made = at_words_find(&l->t->vocab, l->text, n);
    if (made < 0)
        return at_error(l->c, AT_FORMAT, "%s: merge %lld: `%.40s` and `%.40s` make no known token",
                        l->name, (long long)rank, left, right);
    at_pair *p = at_pairs_add(l->c, &l->t->merges, at_pair_key(a, b));
    if (!p) return l->c->status;
    p->rank = (int32_t)rank; /* of a pair given twice the later one counts */
    p->id = l->t->vocab.item[made].value;
    hash_number(&l->sha, a);
    hash_number(&l->sha, b);
    return AT_OK;
}

static at_status read_merges(loader *l) {
    const cJSON *list, *item;
    if (at_json_array(l->c, l->name, l->model, "merges", &list)) return l->c->status;
    int64_t rank = 0;
    cJSON_ArrayForEach(item, list) {
        const at_status st = read_merge(l, item, rank++);
        if (st) return st;
    }
    hash_number(&l->sha, rank);
    return AT_OK;
}

/* ---- model ---- */

static bool is_true(const cJSON *o, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(o, key));
}

static at_status read_options(loader *l) {
    const cJSON *m = l->model, *type = cJSON_GetObjectItemCaseSensitive(m, "type");
    if (cJSON_IsString(type) && strcmp(type->valuestring, "BPE") != 0)
        return at_error(l->c, AT_UNSUPPORTED, "%s: model `%.40s` is not supported, BPE is", l->name,
                        type->valuestring);
    const char *keys[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    for (int i = 0; i < 2; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(m, keys[i]);
        if (cJSON_IsString(v) && *v->valuestring)
            return at_error(l->c, AT_UNSUPPORTED, "%s: model option %s is not supported", l->name,
                            keys[i]);
    }
    const cJSON *dropout = cJSON_GetObjectItemCaseSensitive(m, "dropout");
    if (cJSON_IsNumber(dropout) && dropout->valuedouble > 0)
        return at_error(l->c, AT_UNSUPPORTED, "%s: merge dropout is not supported", l->name);
    l->t->byte_fallback = is_true(m, "byte_fallback");
    l->t->fuse_unk = is_true(m, "fuse_unk");
    l->t->ignore_merges = is_true(m, "ignore_merges");
    return at_json_object(l->c, l->name, m, "vocab", &l->vocab);
}

static at_status read_unknown(loader *l) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(l->model, "unk_token");
    l->t->unk = -1;
    if (!cJSON_IsString(v) || !*v->valuestring) return AT_OK;
    const cJSON *id = cJSON_GetObjectItemCaseSensitive(l->vocab, v->valuestring);
    if (!id)
        return at_error(l->c, AT_FORMAT, "%s: unk_token `%.40s` is not in the vocabulary", l->name,
                        v->valuestring);
    l->t->unk = (int32_t)id->valuedouble;
    return AT_OK;
}

/* Finds out where text may be cut, if unknown characters, tokens of bytes and ignore_merges do not
   make ids depend on more than the neighbours. */
static at_status find_seams(loader *l) {
    at_tokenizer *t = l->t;
    bool all = true;
    for (int b = 0; b < 256; b++) all = all && t->byte_id[b] >= 0;
    t->keep_mark = t->keep_mark && all && !t->bytelevel;
    if (t->bytelevel || !t->byte_fallback || !all || t->ignore_merges) return AT_OK;
    for (uint64_t i = 0; t->merges.slot && i <= t->merges.mask; i++) {
        const uint64_t key = t->merges.slot[i].key;
        for (int b = 0; b < 256 && key != AT_PAIR_NONE; b++)
            if (t->byte_id[b] == (int32_t)(key >> 32) || t->byte_id[b] == (int32_t)(uint32_t)key)
                return AT_OK;
    }
    for (int64_t i = 0; i < t->vocab.n; i++)
        if (at_seams_add(l->c, &t->seams, at_words_text(&t->vocab, i), t->vocab.item[i].bytes))
            return l->c->status;
    t->seams.known = true;
    return AT_OK;
}

/* Collects the pieces that encode to one token: they make up most of a text and need no merging. */
static at_status find_whole(loader *l) {
    at_tokenizer *t = l->t;
    at_encoder e = {0};
    at_ids ids = {0};
    at_status st = AT_OK;
    for (int64_t i = 0; i < t->vocab.n && !st; i++) {
        const at_word w = t->vocab.item[i];
        const char *s = at_words_text(&t->vocab, i);
        if (!w.bytes) continue;
        if (!t->ignore_merges) {
            ids.n = 0;
            st = at_token_piece(l->c, t, &e, s, w.bytes, false, &ids);
            if (st == AT_UNSUPPORTED) { /* it has a byte without a token: not such a piece */
                at_error_clear(l->c);
                st = AT_OK;
                continue;
            }
            if (st || ids.n != 1 || ids.id[0] != w.value) continue;
        }
        if (at_words_add(l->c, &t->whole, s, w.bytes, w.value, NULL) < 0) st = l->c->status;
    }
    at_encoder_close(&e);
    at_ids_free(&ids);
    return st;
}

static void hash_edits(at_sha256 *sha, const at_edits *e) {
    hash_number(sha, e->n);
    for (int64_t i = 0; i < e->n; i++) {
        const char *from = e->item[i].from ? e->item[i].from : "";
        const char *to = e->item[i].to ? e->item[i].to : "";
        hash_number(sha, (int64_t)e->item[i].kind);
        hash_text(sha, from, strlen(from));
        hash_text(sha, to, strlen(to));
    }
}

/* The merges have been hashed already.  The layout of the file (order of keys, spaces) does not
   count. */
static void finish_hash(loader *l) {
    at_tokenizer *t = l->t;
    hash_number(&l->sha, t->bytelevel | t->byte_fallback << 1 | t->fuse_unk << 2 |
                             t->ignore_merges << 3 | t->strip_start << 4 | t->keep_mark << 5);
    hash_number(&l->sha, t->unk);
    hash_edits(&l->sha, &t->normalizer);
    hash_edits(&l->sha, &t->marks);
    hash_edits(&l->sha, &t->shown);
    for (int i = 0; i < t->stages; i++) {
        hash_number(&l->sha, t->stage[i].literal);
        hash_text(&l->sha, t->stage[i].pattern, strlen(t->stage[i].pattern));
    }
    hash_number(&l->sha, t->size);
    for (int64_t i = 0; i < t->size; i++)
        if (t->token[i].bytes >= 0) {
            hash_number(&l->sha, i);
            hash_text(&l->sha, t->blob + t->token[i].start, (size_t)t->token[i].bytes);
        }
    for (int64_t i = 0; i < t->n_added; i++) {
        const at_added *a = &t->added[i];
        hash_number(&l->sha, a->id);
        hash_number(&l->sha, a->special | a->lstrip << 1 | a->rstrip << 2 | a->single_word << 3 |
                                 a->normalized << 4);
    }
    unsigned char digest[AT_SHA256_BYTES];
    at_sha256_final(&l->sha, digest);
    at_sha256_hex(digest, t->hash);
}

static at_status read_root(loader *l) {
    at_ctx *c = l->c;
    if (!cJSON_IsObject(l->root))
        return at_error(c, AT_FORMAT, "%s: expected a tokenizer.json, found no object", l->name);
    at_sha256_init(&l->sha);
    at_status st = at_json_object(c, l->name, l->root, "model", &l->model);
    if (!st) st = read_options(l);
    if (!st) st = at_token_read_parts(c, l->name, l->root, l->t);
    if (!st) st = read_vocab(l);
    if (!st) st = read_unknown(l);
    if (!st) st = read_merges(l);
    if (!st) st = find_seams(l);
    if (!st) st = find_whole(l);
    if (!st) st = at_token_read_added(c, l->name, l->root, l->t);
    if (!st) finish_hash(l);
    return st;
}

/* A loaded tokenizer is saved byte for byte, including what is not used here (post_processor). */
static at_status keep_source(at_ctx *c, at_tokenizer *t, const char *json, size_t bytes) {
    t->source = at_malloc(c, bytes + 1);
    if (!t->source) return AT_OOM;
    memcpy(t->source, json, bytes);
    t->source[bytes] = 0;
    t->source_bytes = bytes;
    return AT_OK;
}

at_status at_tokenizer_parse(at_ctx *c, const char *name, const char *json, size_t bytes,
                             at_tokenizer **out) {
    *out = NULL;
    at_tokenizer *t = at_calloc(c, 1, sizeof *t);
    if (!t) return c->status;
    cJSON *root = at_json_parse(c, name, json, bytes);
    loader l = {.c = c, .name = name, .t = t, .root = root};
    at_status st = root ? read_root(&l) : c->status;
    if (!st) st = keep_source(c, t, json, bytes);
    if (!st)
        *out = t;
    else
        at_tokenizer_close(t);
    cJSON_Delete(root);
    at_free(l.text);
    at_editor_close(&l.editor);
    return st;
}

at_status at_tokenizer_load(at_ctx *c, const char *path, at_tokenizer **out) {
    *out = NULL;
    char *joined = NULL;
    if (at_is_dir(path)) {
        joined = at_join(c, path, "tokenizer.json");
        if (!joined) return c->status;
        path = joined;
    }
    size_t bytes;
    char *text = at_read_file(c, path, FILE_MAX, &bytes);
    const at_status st = text ? at_tokenizer_parse(c, path, text, bytes, out) : c->status;
    at_free(text);
    at_free(joined);
    return st;
}

void at_tokenizer_close(at_tokenizer *t) {
    if (!t) return;
    at_free(t->source);
    at_free(t->token);
    at_free(t->blob);
    at_words_close(&t->vocab);
    at_words_close(&t->whole);
    at_pairs_close(&t->merges);
    at_seams_close(&t->seams);
    at_edits_close(&t->normalizer);
    at_edits_close(&t->marks);
    at_edits_close(&t->shown);
    for (int i = 0; i < t->stages; i++) at_split_close(&t->stage[i]);
    for (int64_t i = 0; i < t->n_added; i++) at_free(t->added[i].content);
    at_free(t->added);
    at_finder_close(&t->raw);
    at_finder_close(&t->normalized);
    at_free(t);
}
