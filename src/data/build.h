/*
 * build.h - from raw text to a data set folder.
 *
 *   read       every source once: filter, deduplicate, stage the clean text (stage.h)
 *   split      by the hash of a document's key (balance.h)
 *   tokenizer  loaded, or trained on the same amount of training text from every domain
 *   encode     the staged text, in parallel
 *   balance    choose the documents (balance.h), cut the last of them to the token (settle.h)
 *   write      shards, tokenizer.json, manifest.json
 *
 * The data set is made in a temporary folder (base/partial.h); an interrupt or an error leaves
 * nothing behind.  Disk: the clean text and 4 bytes a token, beside the result.  Memory: 23 to 46
 * bytes for each distinct paragraph, 80 bytes for each document, the paths of the files, and what
 * the tokenizer needs, but not the text.  The same sources, options and seed give the same bytes,
 * for every number of threads.
 */
#ifndef AT_BUILD_H
#define AT_BUILD_H
#include "base/json.h"
#include "data/balance.h"
#include "data/near.h"
#include "token/tokenizer.h"

typedef struct at_build_source {
    char *domain, *path;
    at_source_kind kind;
} at_build_source;

typedef struct at_build_licence {
    char *domain, *spdx;
} at_build_licence;

/** Relative size of a domain. */
typedef struct at_build_share {
    char *domain;
    double weight;
} at_build_share;

typedef struct at_build {
    const at_build_source *source; /* the same domain may come several times */
    int64_t n_sources;
    const at_build_licence *licence;
    int64_t n_licences;
    const at_build_share *share; /* of every domain; none: all have the same */
    int64_t n_shares;
    const at_build_source *ood; /* out-of-domain sets: all of them is held out, to be tested on */
    int64_t n_ood;
    const char *out;
    const char *tokenizer; /* a tokenizer.json or its folder, or NULL: train one */
    int64_t vocab;         /* ... of so many tokens                              */
    at_bpe_kind kind;      /* ... and of this kind                               */
    int64_t sample;        /* bytes of text a domain to train it on, at most     */
    at_balance balance;
    at_filter filter;
    const char *aligned;  /* "en,fr": domains of translations (align.h), "all", or NULL: none */
    double near_dup;      /* likeness of paragraphs that are too near (near.h); 0: off */
    bool language_filter; /* language.h */
    at_read_options reading;
    uint64_t seed;
} at_build;

/** The i-th of all sources, out-of-domain sets last. */
static inline const at_build_source *at_build_source_at(const at_build *b, int64_t i) {
    return i < b->n_sources ? &b->source[i] : &b->ood[i - b->n_sources];
}

/** Default values for everything but sources, out and tokenizer. */
at_build at_build_defaults(void);
/** *manifest: the content of manifest.json; cJSON_Delete it. */
at_status at_build_run(at_ctx *c, const at_build *b, cJSON **manifest);

/* ---- shared by the files of the build ---- */

typedef struct at_builder {
    const at_build *b;
    at_balance balance;          /* b->balance with the weights */
    char *out, *dir, *stage_dir; /* the target; temporary folder; one in it for the staged text */
    at_source *source;           /* [n_sources], out-of-domain sets last */
    int64_t n_sources;
    at_stage *stage;      /* [n_all], in order of first mention */
    int n_domains, n_all; /* the rest are out-of-domain sets */
    at_dedup seen;
    at_tokenizer *tokenizer;
    int32_t eot;
    at_shard (*written)[AT_SPLITS]; /* [n_all]: counts of the shards */
    int64_t (*words)[AT_SPLITS];    /* ... and words of their text      */
    at_near near;                   /* what at_near_drop did */
    double (*overlap)[AT_SPLITS];   /* [n_all]: overlap.h */
    bool *aligned;                  /* [n_domains], or NULL: none */
    double *weight;                 /* [n_domains], or NULL: all the same */
} at_builder;

/** Load or train the tokenizer, save it into dir: encode.c. */
at_status at_build_tokenizer(at_ctx *c, at_builder *k);
/** Ids of every staged document: encode.c. */
at_status at_build_encode(at_ctx *c, at_builder *k);
/** Name of a shard: <domain>.<split>.bin, or <name>.ood.bin. */
void at_build_shard_name(const at_builder *k, int domain, at_split split, char *out, size_t room);
/** Shards of the documents taken: encode.c. */
at_status at_build_write(at_ctx *c, at_builder *k);
/** manifest.json in dir: manifest.c. */
at_status at_build_manifest(at_ctx *c, const at_builder *k, cJSON **manifest);

#endif
