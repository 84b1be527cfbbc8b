/* token_write.c - tokenizer.json in a canonical form: equal vocabularies give equal bytes. */
#include "base/text.h"
#include "token/token_bytes.h"
#include "token/token_train.h"

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

/* The spelling of bytes as a JSON string.  No character of the alphabet is a control. */
static void put_spelling(at_text *t, const at_words *w, int32_t id) {
    const char *s = at_words_text(w, id - 1);
    at_text_bytes(t, "\"", 1);
    for (uint32_t i = 0; i < w->item[id - 1].bytes; i++) {
        char out[5];
        size_t n = at_utf8_put(out + 1, at_alphabet_char((unsigned char)s[i]));
        const bool escape = out[1] == '"' || out[1] == '\\';
        out[0] = '\\';
        at_text_bytes(t, escape ? out : out + 1, escape ? n + 1 : n);
    }
    at_text_bytes(t, "\"", 1);
}

static const char head[] =
    "{\n"
    "  \"version\": \"1.0\",\n"
    "  \"truncation\": null,\n"
    "  \"padding\": null,\n"
    "  \"added_tokens\": [\n"
    "    {\"id\": 0, \"content\": \"" AT_TRAIN_SPECIAL "\", \"single_word\": false, "
    "\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": true}\n"
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

char *at_train_json(at_ctx *c, const at_words *spelling, const at_ids *merges) {
    at_text t;
    at_text_init(&t, c, 0);
    at_text_add(&t, head);
    for (int32_t id = 1; id <= spelling->n; id++) {
        at_text_add(&t, ",\n      ");
        put_spelling(&t, spelling, id);
        at_textf(&t, ": %d", (int)id);
    }
    at_text_add(&t, "\n    },\n    \"merges\": [");
    for (int64_t i = 0; i + 1 < merges->n; i += 2) {
        at_text_add(&t, i ? ",\n      [" : "\n      [");
        put_spelling(&t, spelling, merges->id[i]);
        at_text_add(&t, ", ");
        put_spelling(&t, spelling, merges->id[i + 1]);
        at_text_add(&t, "]");
    }
    at_text_add(&t, merges->n ? "\n    ]\n  }\n}\n" : "]\n  }\n}\n");
    return at_text_take(&t);
}
