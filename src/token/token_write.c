/* token_write.c - tokenizer.json in a canonical form: equal vocabularies give equal bytes. */
#include "base/text.h"
#include "token/token_bytes.h"
#include "token/token_train.h"

const char *const at_train_specials[AT_TRAIN_SP_SPECIALS] = {"<unk>", "<s>", "</s>"};

/* First the printable bytes, then the others: the order of the characters that stand for them. */
int at_train_byte(int i) {
    int seen = 0;
    for (uint32_t ch = 0; ch < 0x144; ch++)
        if (at_alphabet_byte(ch) >= 0 && seen++ == i) return at_alphabet_byte(ch);
    return -1;
}

void at_train_byte_ids(int32_t id[256]) {
    for (int i = 0; i < 256; i++) id[at_train_byte(i)] = i + 1;
}

/* A JSON string.  Every character but NUL may be in it. */
static void put_string(at_text *t, const char *s, size_t n) {
    at_text_bytes(t, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        const bool escape = s[i] == '"' || s[i] == '\\';
        if ((unsigned char)s[i] < ' ')
            at_textf(t, "\\u%04x", (unsigned)s[i]);
        else if (escape)
            at_textf(t, "\\%c", s[i]);
        else
            at_text_bytes(t, s + i, 1);
    }
    at_text_bytes(t, "\"", 1);
}

/* The spelling of a token: text, or bytes in the alphabet of printable characters. */
static void put_spelling(at_text *t, at_bpe_kind kind, const at_words *w, int64_t i) {
    const char *s = at_words_text(w, i);
    const uint32_t n = w->item[i].bytes;
    if (kind == AT_BPE_SENTENCEPIECE) {
        put_string(t, s, n);
        return;
    }
    at_text_bytes(t, "\"", 1);
    for (uint32_t k = 0; k < n; k++) {
        char out[5];
        const size_t step = at_utf8_put(out + 1, at_alphabet_char((unsigned char)s[k]));
        const bool escape = out[1] == '"' || out[1] == '\\';
        out[0] = '\\';
        at_text_bytes(t, escape ? out : out + 1, escape ? step + 1 : step);
    }
    at_text_bytes(t, "\"", 1);
}

#define FILE_BEGIN              \
    "{\n"                       \
    "  \"version\": \"1.0\",\n" \
    "  \"truncation\": null,\n" \
    "  \"padding\": null,\n"    \
    "  \"added_tokens\": [\n"
#define ADDED(id, content)                                                        \
    "    {\"id\": " id ", \"content\": \"" content "\", \"single_word\": false, " \
    "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}"

static const char byte_head[] = FILE_BEGIN ADDED(
    "0",
    AT_TRAIN_SPECIAL) "\n"
                      "  ],\n"
                      "  \"normalizer\": null,\n"
                      "  \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                      "\"trim_offsets\": true, \"use_regex\": true},\n"
                      "  \"post_processor\": null,\n"
                      "  \"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                      "\"trim_offsets\": true, \"use_regex\": true},\n"
                      "  \"model\": {\n"
                      "    \"type\": \"BPE\",\n"
                      "    \"dropout\": null,\n"
                      "    \"unk_token\": null,\n"
                      "    \"continuing_subword_prefix\": null,\n"
                      "    \"end_of_word_suffix\": null,\n"
                      "    \"fuse_unk\": false,\n"
                      "    \"byte_fallback\": false,\n"
                      "    \"ignore_merges\": false,\n"
                      "    \"vocab\": {\n"
                      "      \"" AT_TRAIN_SPECIAL "\": 0";

/* The first Replace changes nothing: it tells artel that U+2581 in a text is no space. */
static const char sp_head[] = FILE_BEGIN ADDED("0", "<unk>") ",\n" ADDED("1", "<s>") ",\n" ADDED(
    "2", "</s>") "\n"
                 "  ],\n"
                 "  \"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [\n"
                 "    {\"type\": \"Replace\", \"pattern\": {\"String\": \"\xE2\x96\x81"
                 "\"}, \"content\": \"\xE2\x96\x81"
                 "\"},\n"
                 "    {\"type\": \"Prepend\", \"prepend\": \"\xE2\x96\x81"
                 "\"},\n"
                 "    {\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": "
                 "\"\xE2\x96\x81"
                 "\"}\n"
                 "  ]},\n"
                 "  \"pre_tokenizer\": null,\n"
                 "  \"post_processor\": null,\n"
                 "  \"decoder\": {\"type\": \"Sequence\", \"decoders\": [\n"
                 "    {\"type\": \"Replace\", \"pattern\": {\"String\": \"\xE2\x96\x81"
                 "\"}, \"content\": \" \"},\n"
                 "    {\"type\": \"ByteFallback\"},\n"
                 "    {\"type\": \"Fuse\"},\n"
                 "    {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}\n"
                 "  ]},\n"
                 "  \"model\": {\n"
                 "    \"type\": \"BPE\",\n"
                 "    \"dropout\": null,\n"
                 "    \"unk_token\": \"<unk>\",\n"
                 "    \"continuing_subword_prefix\": null,\n"
                 "    \"end_of_word_suffix\": null,\n"
                 "    \"fuse_unk\": true,\n"
                 "    \"byte_fallback\": true,\n"
                 "    \"ignore_merges\": false,\n"
                 "    \"vocab\": {\n"
                 "      \"<unk>\": 0,\n"
                 "      \"<s>\": 1,\n"
                 "      \"</s>\": 2";

char *at_train_json(at_ctx *c, at_bpe_kind kind, const at_words *spelling, const at_ids *merges) {
    at_text t;
    at_text_init(&t, c, 0);
    const bool sp = kind == AT_BPE_SENTENCEPIECE;
    const int32_t first = sp ? AT_BPE_SP_FIRST : AT_TRAIN_FIRST;
    at_text_add(&t, sp ? sp_head : byte_head);
    for (int b = 0; b < 256 && sp; b++)
        at_textf(&t, ",\n      \"<0x%02X>\": %d", (unsigned)b, b + AT_TRAIN_SP_SPECIALS);
    for (int64_t i = 0; i < spelling->n; i++) {
        at_text_add(&t, ",\n      ");
        put_spelling(&t, kind, spelling, i);
        at_textf(&t, ": %lld", (long long)(i + first));
    }
    at_text_add(&t, "\n    },\n    \"merges\": [");
    for (int64_t i = 0; i + 1 < merges->n; i += 2) {
        at_text_add(&t, i ? ",\n      [" : "\n      [");
        put_spelling(&t, kind, spelling, merges->id[i] - first);
        at_text_add(&t, ", ");
        put_spelling(&t, kind, spelling, merges->id[i + 1] - first);
        at_text_add(&t, "]");
    }
    at_text_add(&t, merges->n ? "\n    ]\n  }\n}\n" : "]\n  }\n}\n");
    return at_text_take(&t);
}
