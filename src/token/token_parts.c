/* token_parts.c - the parts of tokenizer.json around the model.  A part that is not supported is
   refused by name: a tokenizer that encodes almost the same is worse than none. */
#include "token/token_bytes.h"
#include "token/token_impl.h"
#include <string.h>

static const char *type_of(const cJSON *part) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(part, "type");
    return cJSON_IsString(v) ? v->valuestring : "(no type)";
}

static bool flag(const cJSON *part, const char *key, bool otherwise) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(part, key);
    return cJSON_IsBool(v) ? cJSON_IsTrue(v) : otherwise;
}

static const char *string(const cJSON *part, const char *key, const char *otherwise) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(part, key);
    return cJSON_IsString(v) ? v->valuestring : otherwise;
}

static at_status refuse(at_ctx *c, const char *name, const char *what, const cJSON *part) {
    return at_error(c, AT_UNSUPPORTED, "%s: %s `%.60s` is not supported", name, what,
                    type_of(part));
}

typedef at_status (*reader)(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t);

/* Calls f for a part, or for each part of a Sequence. */
static at_status each(at_ctx *c, const char *name, const cJSON *root, const char *key,
                      const char *list, reader f, at_tokenizer *t) {
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(root, key);
    if (!part || cJSON_IsNull(part)) return AT_OK;
    if (!cJSON_IsObject(part))
        return at_error(c, AT_FORMAT, "%s: field \"%s\": expected an object or null", name, key);
    if (strcmp(type_of(part), "Sequence") != 0) return f(c, name, part, t);
    const cJSON *items, *item;
    if (at_json_array(c, name, part, list, &items)) return c->status;
    cJSON_ArrayForEach(item, items) {
        const at_status st = f(c, name, item, t);
        if (st) return st;
    }
    return AT_OK;
}

/* ---- normalizer ---- */

/* {"String": s}: s.  Anything else is NULL. */
static const char *literal_pattern(const cJSON *part) {
    return string(cJSON_GetObjectItemCaseSensitive(part, "pattern"), "String", NULL);
}

static at_status normalizer(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t) {
    static const struct {
        const char *type;
        at_edit_kind kind;
    } form[] = {
        {"NFC", AT_EDIT_NFC}, {"NFD", AT_EDIT_NFD}, {"NFKC", AT_EDIT_NFKC}, {"NFKD", AT_EDIT_NFKD}};
    const char *type = type_of(part);
    for (size_t i = 0; i < sizeof form / sizeof *form; i++)
        if (!strcmp(type, form[i].type))
            return at_edits_add(c, &t->normalizer, form[i].kind, NULL, NULL);
    if (!strcmp(type, "Prepend")) {
        t->prepends = true;
        return at_edits_add(c, &t->normalizer, AT_EDIT_PREPEND, NULL, string(part, "prepend", ""));
    }
    const char *from = literal_pattern(part);
    if (!strcmp(type, "Replace") && from && !strcmp(from, AT_MARK) &&
        !strcmp(string(part, "content", ""), AT_MARK)) { /* as token_write.c writes it */
        t->keep_mark = true;
        return AT_OK;
    }
    if (!strcmp(type, "Replace") && from && *from)
        return at_edits_add(c, &t->normalizer, AT_EDIT_REPLACE, from, string(part, "content", ""));
    return refuse(c, name, "normalizer", part);
}

/* ---- pre_tokenizer ---- */

static at_status add_stage(at_ctx *c, const char *name, const char *pattern, bool literal,
                           at_tokenizer *t) {
    if (t->stages == AT_STAGES_MAX)
        return at_error(c, AT_UNSUPPORTED, "%s: more than %d patterns in pre_tokenizer", name,
                        AT_STAGES_MAX);
    const at_status st = at_split_open(c, name, pattern, literal, &t->stage[t->stages]);
    if (!st) t->stages++;
    return st;
}

/* Whether the normalizer replaces every s.  (Gemma splits at spaces that it has replaced
   before.) */
static bool replaced(const at_tokenizer *t, const char *s) {
    for (int64_t i = 0; i < t->normalizer.n; i++) {
        const at_edit *e = &t->normalizer.item[i];
        if (e->kind == AT_EDIT_REPLACE && !strcmp(e->from, s) && !strstr(e->to, s)) return true;
    }
    return false;
}

static at_status split(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t) {
    const char *behavior = string(part, "behavior", "");
    const char *literal = literal_pattern(part);
    const char *regex = string(cJSON_GetObjectItemCaseSensitive(part, "pattern"), "Regex", NULL);
    if (!literal && !regex)
        return at_error(c, AT_FORMAT, "%s: pre_tokenizer Split has no pattern", name);
    if (literal && replaced(t, literal)) return AT_OK;
    const bool invert = flag(part, "invert", false);
    if (strcmp(behavior, invert ? "Removed" : "Isolated") != 0)
        return at_error(c, AT_UNSUPPORTED,
                        "%s: pre_tokenizer Split with behavior `%.40s`%s is not supported", name,
                        behavior, invert ? ", inverted," : "");
    return add_stage(c, name, literal ? literal : regex, literal != NULL, t);
}

static at_status metaspace(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t) {
    const char *mark = string(part, "replacement", AT_MARK);
    const char *scheme =
        string(part, "prepend_scheme", flag(part, "add_prefix_space", true) ? "always" : "never");
    if (!*mark || at_edits_add(c, &t->marks, AT_EDIT_REPLACE, " ", mark)) return c->status;
    const bool first = !strcmp(scheme, "first");
    if (first || !strcmp(scheme, "always")) {
        const at_edit_kind kind = first ? AT_EDIT_PREPEND_FIRST : AT_EDIT_PREPEND_UNLESS;
        if (at_edits_add(c, &t->marks, kind, NULL, mark)) return c->status;
    } else if (strcmp(scheme, "never") != 0) {
        return at_error(c, AT_UNSUPPORTED, "%s: prepend_scheme `%.40s` is not supported", name,
                        scheme);
    }
    if (!flag(part, "split", true)) return AT_OK;
    if (strcmp(mark, AT_MARK) != 0)
        return at_error(c, AT_UNSUPPORTED, "%s: Metaspace splitting at `%.8s` is not supported",
                        name, mark);
    return add_stage(c, name, AT_MARK "[^" AT_MARK "]*", false, t);
}

static at_status pre_tokenizer(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t) {
    const char *type = type_of(part);
    if (t->bytelevel) /* later parts would see the alphabet of bytes in place of the text */
        return at_error(c, AT_UNSUPPORTED,
                        "%s: pre_tokenizer `%.60s` behind ByteLevel is not supported", name, type);
    if (!strcmp(type, "Split")) return split(c, name, part, t);
    if (!strcmp(type, "Digits"))
        return add_stage(c, name, flag(part, "individual_digits", false) ? "\\p{N}" : "\\p{N}+",
                         false, t);
    if (!strcmp(type, "Metaspace") && !t->stages && !t->marks.n) return metaspace(c, name, part, t);
    if (strcmp(type, "ByteLevel") != 0 || t->marks.n) return refuse(c, name, "pre_tokenizer", part);
    t->bytelevel = true;
    if (flag(part, "add_prefix_space", true)) {
        if (t->stages)
            return at_error(c, AT_UNSUPPORTED,
                            "%s: add_prefix_space behind another pre_tokenizer is not supported",
                            name);
        if (at_edits_add(c, &t->marks, AT_EDIT_PREPEND_UNLESS, NULL, " ")) return c->status;
    }
    return flag(part, "use_regex", true) ? add_stage(c, name, at_gpt2_pattern, false, t) : AT_OK;
}

/* ---- decoder ---- */

static at_status decoder(at_ctx *c, const char *name, const cJSON *part, at_tokenizer *t) {
    const char *type = type_of(part), *from = literal_pattern(part);
    if (t->bytelevel)
        return strcmp(type, "ByteLevel") != 0 ? refuse(c, name, "decoder", part) : AT_OK;
    if (!strcmp(type, "ByteFallback") || !strcmp(type, "Fuse")) return AT_OK;
    if (!strcmp(type, "Replace") && from && *from)
        return at_edits_add(c, &t->shown, AT_EDIT_REPLACE, from, string(part, "content", ""));
    if (!strcmp(type, "Metaspace")) {
        const char *scheme = string(part, "prepend_scheme",
                                    flag(part, "add_prefix_space", true) ? "always" : "never");
        t->strip_start = strcmp(scheme, "never") != 0;
        return at_edits_add(c, &t->shown, AT_EDIT_REPLACE, string(part, "replacement", AT_MARK),
                            " ");
    }
    int64_t start, stop;
    if (!strcmp(type, "Strip") && !strcmp(string(part, "content", ""), " ") &&
        !at_json_int(c, name, part, "start", 0, 1, &start) &&
        !at_json_int(c, name, part, "stop", 0, 0, &stop)) {
        t->strip_start = start == 1;
        return AT_OK;
    }
    return refuse(c, name, "decoder", part);
}

at_status at_token_read_parts(at_ctx *c, const char *name, const cJSON *root, at_tokenizer *t) {
    at_status st = each(c, name, root, "normalizer", "normalizers", normalizer, t);
    if (!st) st = each(c, name, root, "pre_tokenizer", "pretokenizers", pre_tokenizer, t);
    if (!st) st = each(c, name, root, "decoder", "decoders", decoder, t);
    if (st) return st;
    if (!t->bytelevel && !t->shown.n)
        return at_error(c, AT_UNSUPPORTED,
                        "%s: neither byte-level (pre_tokenizer ByteLevel) nor SentencePiece style "
                        "(a decoder that turns a mark into spaces)",
                        name);
    return AT_OK;
}

/* ---- added tokens ---- */

at_status at_token_set(at_ctx *c, const char *name, at_tokenizer *t, int64_t id, const char *text,
                       size_t bytes) {
    if (bytes > AT_TOKEN_BYTES_MAX)
        return at_error(c, AT_FORMAT, "%s: token %lld has %zu bytes", name, (long long)id, bytes);
    if (!at_reserve(c, &t->blob, &t->blob_cap, t->blob_n + (int64_t)bytes + 1, 1)) return c->status;
    if (bytes) memcpy(t->blob + t->blob_n, text, bytes);
    t->blob[t->blob_n + (int64_t)bytes] = 0;
    t->token[id].start = (uint64_t)t->blob_n;
    t->token[id].bytes = (int32_t)bytes;
    t->blob_n += (int64_t)bytes + 1;
    return AT_OK;
}

/* Sets the text that an added token decodes to; its id must not be another token's. */
static at_status set_added(at_ctx *c, const char *name, at_tokenizer *t, at_editor *m,
                           const at_added *a) {
    const char *text = a->content;
    size_t bytes = a->bytes;
    at_token *token = &t->token[a->id];
    at_status st = AT_OK;
    if (!t->bytelevel) st = at_edits_apply(c, &t->shown, m, AT_PLACE_FIRST, &text, &bytes);
    if (st) return st;
    if (token->bytes >= 0) {
        const char *there = t->blob + token->start;
        const size_t n = (size_t)token->bytes;
        bool same = n == bytes && !memcmp(there, text, bytes);
        char *raw = at_malloc(c, bytes);
        if (!raw) return c->status;
        if (!same && t->bytelevel && at_alphabet_bytes(text, bytes, raw, &bytes))
            same = n == bytes && !memcmp(there, raw, bytes);
        at_free(raw);
        bytes = t->bytelevel ? a->bytes : bytes;
        if (!same)
            return at_error(c, AT_FORMAT, "%s: added token `%.40s` has id %d, which is `%.40s`",
                            name, a->content, (int)a->id, there);
    }
    st = at_token_set(c, name, t, a->id, text, bytes);
    token->added = true;
    token->special = a->special;
    token->raw = !a->normalized;
    return st;
}

static at_status added_token(at_ctx *c, const char *name, const cJSON *o, at_tokenizer *t,
                             at_editor *m) {
    int64_t id;
    const char *content;
    if (at_json_int(c, name, o, "id", 0, t->size - 1, &id) ||
        at_json_string(c, name, o, "content", &content))
        return c->status;
    if (!*content) return AT_OK; /* the tokenizers package ignores it, too */
    if (!at_reserve(c, &t->added, &t->added_cap, t->n_added + 1, sizeof *t->added))
        return c->status;
    at_added a = {
        .id = (int32_t)id,
        .special = flag(o, "special", false),
        .lstrip = flag(o, "lstrip", false),
        .rstrip = flag(o, "rstrip", false),
        .single_word = flag(o, "single_word", false),
        .normalized = flag(o, "normalized", !flag(o, "special", false)),
        .bytes = strlen(content),
        .content = at_strdup(c, content),
    };
    if (!a.content) return c->status;
    t->added[t->n_added++] = a;
    return set_added(c, name, t, m, &a);
}

/* A token with "normalized" is normalised itself and searched for in the normalised text. */
static at_status file_added(at_ctx *c, at_tokenizer *t, at_editor *m, int32_t i) {
    const at_added *a = &t->added[i];
    const char *text = a->content;
    size_t bytes = a->bytes;
    if (!a->normalized) return at_finder_add(c, &t->raw, text, bytes, i);
    const at_status st = at_edits_apply(c, &t->normalizer, m, AT_PLACE_FIRST, &text, &bytes);
    return st || !bytes ? st : at_finder_add(c, &t->normalized, text, bytes, i);
}

at_status at_token_read_added(at_ctx *c, const char *name, const cJSON *root, at_tokenizer *t) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "added_tokens"), *item;
    if (list && !cJSON_IsNull(list) && !cJSON_IsArray(list))
        return at_error(c, AT_FORMAT, "%s: field \"added_tokens\": expected an array", name);
    at_status st = AT_OK;
    at_editor m = {0};
    cJSON_ArrayForEach(item, list) {
        st = added_token(c, name, item, t, &m);
        if (st) break;
    }
    for (int64_t i = 0; i < t->n_added && !st; i++) st = file_added(c, t, &m, (int32_t)i);
    at_editor_close(&m);
    if (!st) st = at_finder_build(c, &t->raw, t->added);
    if (!st) st = at_finder_build(c, &t->normalized, t->added);
    return st;
}
