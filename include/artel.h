/*
 * artel.h - the whole public interface.
 *
 * Train, distil, compose, measure and run modular language models.
 *
 * Errors   Functions that can fail return artel_status; 0 is success.  The sentence of the last
 *          failure is artel_error(a): what, where, what was expected and what was found.
 *          The library never prints, never exits and never aborts on data.
 * Threads  One thread per context at a time.  Two contexts share nothing, and what they compute at the
 *          same time has the bits that each gives alone.  Each computes with as many threads as it was
 *          opened with, its caller among them: contexts that work side by side are best given a share
 *          of the cores each.  Callbacks run on the thread of the call, in the middle of it: of its
 *          context they may use artel_interrupt, of others everything.
 *          A tokenizer or a model is constant once it is open: several contexts may use it at the
 *          same time, and it may outlive the one that opened it.  A session belongs to its context.
 * Memory   artel_*_open makes (NULL when it fails), artel_*_close frees and accepts NULL.  Sessions are
 *          closed before their model and their context.  Strings and arrays passed in are borrowed for
 *          the call.  Strings returned through char ** are freed with artel_free.
 * Results  A function that reports does so as JSON objects, one call of the artel_emit callback
 *          each; a program prints them as lines or draws a table from them.
 */
#ifndef ARTEL_H
#define ARTEL_H
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#define ARTEL_API __attribute__((visibility("default")))
#else
#define ARTEL_API
#endif

/* ---- context ------------------------------------------------------------------------------ */

typedef struct artel artel;

typedef enum artel_status {
    ARTEL_OK = 0,
    ARTEL_OOM = -1,         /* out of memory                                    */
    ARTEL_SHAPE = -2,       /* shapes do not agree                              */
    ARTEL_ARG = -3,         /* bad argument                                     */
    ARTEL_IO = -4,          /* the system refused a read or a write             */
    ARTEL_FORMAT = -5,      /* a file is not what it should be                  */
    ARTEL_UNSUPPORTED = -6, /* understood, but not possible here                */
    ARTEL_CONFIG = -7,      /* a recipe or configuration does not make sense    */
    ARTEL_MISMATCH = -8,    /* parts that do not belong together                */
    ARTEL_NUMERIC = -9,     /* a loss became NaN, infinite or exploded          */
    ARTEL_INTERRUPTED = -10 /* artel_interrupt was called; work so far is saved */
} artel_status;

typedef enum artel_log_level { ARTEL_INFO, ARTEL_WARN, ARTEL_PROGRESS } artel_log_level;
/** One line without newline; ARTEL_PROGRESS lines may replace each other. */
typedef void (*artel_log)(void *user, artel_log_level level, const char *line);
/** One JSON object (borrowed, no newline). */
typedef void (*artel_emit)(void *user, const char *json);

/** threads 0: the cores this process may use.  NULL only when out of memory. */
ARTEL_API artel *artel_open(int threads, artel_log log, void *user);
/** With the last context that is closed the library's threads end. */
ARTEL_API void artel_close(artel *a);
ARTEL_API const char *artel_error(const artel *a);
ARTEL_API const char *artel_status_text(artel_status s);
/**
 * Asks the running call, or else the next one that can stop, to save and stop.  May be called at any
 * time while the context is open: in a signal handler, in another thread, in a callback.
 *
 * A request ends one call: the one that returns ARTEL_INTERRUPTED.  Later calls run as if there had been
 * no request; several requests before that return count as one.  A request that no call has seen,
 * because none was running or the running one had finished its work, is not lost: the next call that
 * can stop returns ARTEL_INTERRUPTED.  A program that wants to stop one call and no later one calls
 * artel_interrupt_clear before the next call, which drops a request that came too late.
 *
 * Functions that cannot stop (artel_*_open, artel_inspect, artel_plan, artel_report and those that only
 * return a value) leave the request pending.
 */
ARTEL_API void artel_interrupt(artel *a);
/** Drops a pending request. */
ARTEL_API void artel_interrupt_clear(artel *a);
ARTEL_API void artel_free(void *p);
/** {"version":..,"commit":..,"arithmetic":..,"cpu":..,"threads":..} From the heap.  Results under
    the same name of the arithmetic have the same bits on every machine. */
ARTEL_API char *artel_about(artel *a);
/** Text that is safe to print on a terminal: control characters but newline and tab, and bytes that
    are no UTF-8, are written as "\x1b".  out: at most `room` bytes with the NUL (4 * bytes + 1 are
    enough). Returns the bytes before the NUL.  Needed for generated text and documents;
    artel_error, the log and the JSON of artel_emit are safe already. */
ARTEL_API size_t artel_printable(const char *text, size_t bytes, char *out, size_t room);
/** For a mistyped name: the most similar of n known ones, or NULL when none is similar. */
ARTEL_API const char *artel_nearest(const char *word, const char *const *known, int n);

/** Bytes of text as they come. */
typedef void (*artel_text)(void *user, const char *bytes, size_t n);

/* ---- recipes ------------------------------------------------------------------------------ */

/** Where a recipe comes from: a YAML or JSON file, assignments "a.b=value" on top. */
typedef struct artel_recipe {
    const char *path;        /* NULL: an empty recipe                            */
    const char *const *set;  /* n_set assignments, later ones win                */
    const char *const *from; /* n_set origins ("option --set"), or NULL         */
    int n_set;
} artel_recipe;

/* ---- tokenizer ---------------------------------------------------------------------------- */

/** A byte-level or SentencePiece-style BPE tokenizer.json. */
typedef struct artel_tokenizer artel_tokenizer;

/** path: a tokenizer.json, or a folder that holds one (a model, a data set). */
ARTEL_API artel_status artel_tokenizer_open(artel *a, const char *path, artel_tokenizer **out);
ARTEL_API void artel_tokenizer_close(artel_tokenizer *t);
/** Highest id + 1. */
ARTEL_API int64_t artel_tokenizer_size(const artel_tokenizer *t);
/** Hex SHA-256 of what decides ids; the same for every layout of the file. */
ARTEL_API const char *artel_tokenizer_hash(const artel_tokenizer *t);

/** Ids of any bytes, *n of them, freed with artel_free.  specials not 0: special tokens
    ("<|endoftext|>") in the text become their ids; 0: they are text.  The ids are those of the
    `tokenizers` package with add_special_tokens off; bytes that are not UTF-8 become a token
    each. */
ARTEL_API artel_status artel_tokenizer_encode(artel *a, const artel_tokenizer *t, const char *text,
                                              size_t bytes, int specials, int32_t **ids,
                                              int64_t *n);
/** The bytes of ids, NUL-terminated, freed with artel_free.  ARTEL_FORMAT: an unknown id. */
ARTEL_API artel_status artel_tokenizer_decode(artel *a, const artel_tokenizer *t,
                                              const int32_t *ids, int64_t n, char **text,
                                              size_t *bytes);

typedef struct artel_tokenizer_training {
    int64_t vocab;            /* tokens in all: 256 bytes, specials, characters, merges   */
    int64_t min_count;        /* rarer pairs are not merged; 0: 2                         */
    int64_t max_piece;        /* longer words are cut before counting, in bytes; 0: 64    */
    const char *const *input; /* n_input text files or folders of them             */
    int n_input;
    const char *output; /* the tokenizer.json to write                             */
    const char *kind;   /* "bytes" or NULL: byte-level; "sentencepiece"            */
    /* sentencepiece alone, whose tokens have at most max_piece characters: */
    int across_words;  /* merges stop at the ends of lines, not of words                  */
    int split_digits;  /* digits are not merged                                           */
    int single_spaces; /* spaces are not merged with each other                           */
    double coverage;   /* percent of the characters that get a token; the others are made of
                          their bytes; 0: 99.95                                           */
    int64_t sample;    /* across words: bytes of different lines to learn from; 0: 64 MiB */
} artel_tokenizer_training;
/** Learns a BPE; the result depends on the text alone, not on its order.  Emits {"tokenizer","vocab",
    "merges","files","bytes","kind","characters" (that have a token, beyond the bytes),"hash"}. */
ARTEL_API artel_status artel_tokenizer_train(artel *a, const artel_tokenizer_training *o,
                                             artel_emit emit, void *user);
/** What a tokenizer makes of text files, or of folders with all files below them, domains for
    instance.  Emits {"file","bytes","characters","tokens","bytes_per_token","characters_per_token",
    "vocab","distinct","used" (the share of the vocabulary that occurs),"partial" (the share of
    tokens that are not whole characters),"files","decoded_bytes","exact" (whether decoding gives back
    every byte)} for each, and of several one more, "file":"all". */
ARTEL_API artel_status artel_tokenizer_stats(artel *a, const artel_tokenizer *t,
                                             const char *const *file, int n, artel_emit emit,
                                             void *user);
/** The tokens that occur most in each file or folder, at most `top`: {"file","token","text" (what it
    decodes to, U+FFFD for bytes that are no character),"hex" (its bytes),"count","share"}. */
ARTEL_API artel_status artel_tokenizer_top(artel *a, const artel_tokenizer *t,
                                           const char *const *file, int n, int64_t top,
                                           artel_emit emit, void *user);

/* ---- data --------------------------------------------------------------------------------- */

/** What artel_data_build is to do.  Start from artel_data_defaults. */
typedef struct artel_data {
    /* "NAME=PATH" or "NAME=KIND:PATH", KIND one of text, jsonl, html, source; without it the ends
       of file names decide.  A name that comes again adds to its domain. */
    const char *const *domain;
    int n_domain;
    const char *const *licence; /* "NAME=SPDX", for the manifest; otherwise what a file LICENCE or
                                   COPYING in the folder says, when it is one line */
    int n_licence;
    /* "NAME=PATH": out-of-domain sets.  All of their text is held out, to be tested on as split "ood";
       none of it is in training text, nor nearly, with near_dup. */
    const char *const *ood;
    int n_ood;
    const char *out;        /* folder to make; a data set there and nothing else is replaced */
    const char *tokenizer;  /* a tokenizer.json or a folder with one, or NULL:          */
    int64_t vocab;          /* train one of so many tokens                              */
    double split[3];        /* shares of train, validation, test                        */
    const char *unit;       /* what is balanced: "tokens", "bytes", "chars", "docs", "words" */
    double max_diff;        /* percent the largest domain may be above the smallest     */
    const char *share;      /* "en=70,fr=10": sizes relative to each other, of all domains; NULL:
                               the same for all.  max_diff is then of sizes over shares */
    const char *aligned;    /* "en,fr,de", "all": of these domains only documents that all of them
                               have, by path without the domain's name or by "id"; NULL: none */
    int no_balance;         /* keep everything                                          */
    int64_t limit;          /* units of training text a domain at most; 0: no limit     */
    int64_t seed;           /* of the order documents are taken in                      */
    int64_t min_chars;      /* shorter paragraphs of prose are dropped; 0 keeps all     */
    double min_letters;     /* share of letters and blanks a paragraph of prose has     */
    double near_dup;        /* likeness, 0.5 to 1, from which paragraphs are too near to stay, in a
                               split and across splits; 0: off                          */
    int language_filter;    /* 1: drop paragraphs in the language of another domain     */
    const char *text_field; /* of JSON lines                                            */
    int strict;             /* text not UTF-8: 1 an error, 0 left out and counted       */
    const char *tokenizer_kind; /* of the one trained: "bytes" or NULL, "sentencepiece" */
} artel_data;

ARTEL_API void artel_data_defaults(artel_data *o);
/**
 * Text files, folders, JSON lines (plain, .gz, .zst), web pages and program sources -> a balanced,
 * deduplicated, split, tokenised data set.  Same sources, options and seed: the same bytes.
 * Emits an object a domain {"domain","licence","documents","bytes","characters","words","tokens","split_by"
 * ("file", or "stretch" where files were too few),"splits","read","files_left_out",
 * "paragraphs_dropped","overlap_with_training":{"validation","test"} (share of their stretches of
 * 48 bytes that are in the training text of any domain)}, one with "ood":true for each
 * out-of-domain set, which has a test split alone, then {"data","vocab","tokenizer","unit",
 * "max_diff_percent","reached_percent","reached_percent_by_unit","seconds"} and, with near_dup,
 * "near_duplicates":{"paragraphs","compared","dropped":{"train","validation","test"},..}.
 * Fails leaving nothing behind: ARTEL_ARG wrong options or a folder that is no data set in the way,
 * ARTEL_IO missing files or a full disk, ARTEL_FORMAT bad text, a domain left empty or max_diff out of reach,
 * ARTEL_INTERRUPTED.
 */
ARTEL_API artel_status artel_data_build(artel *a, const artel_data *o, artel_emit emit, void *user);
/** Documents first .. first+count-1 of a split ("train", "validation", "test", "ood") of a domain (NULL:
    each), decoded: {"domain","split","document","tokens","text"}. */
ARTEL_API artel_status artel_data_show(artel *a, const char *path, const char *domain,
                                       const char *split, int64_t first, int64_t count,
                                       artel_emit emit, void *user);

/** What artel_data_cluster is to do.  Start from artel_cluster_defaults. */
typedef struct artel_cluster {
    const char *const
        *source; /* "PATH", or "NAME=PATH" where it is known what it is, as in data    */
    int n_source;
    int64_t k;         /* clusters, 2 to 64                                        */
    const char *out;   /* folder to make; clusters there and nothing else are replaced */
    int64_t seed;      /* of the beginnings                                        */
    int64_t min_chars; /* as in artel_data                                         */
    double min_letters;
    const char *text_field;
} artel_cluster;

ARTEL_API void artel_cluster_defaults(artel_cluster *o);
/**
 * Domains discovered in text without labels: documents in k groups of about equal number, by
 * balanced spherical k-means over TF-IDF of their words.  Makes c0.jsonl, c1.jsonl, ..., each a
 * source of a data set, and clusters.json.  Emits of each cluster {"cluster","file","documents",
 * "bytes","words":[..],"labels":{name: documents}}, then {"out","format","version","k","seed",
 * "documents","rounds","likeness","purity","nmi","seconds"}; labels, purity and nmi (normalised mutual
 * information) where sources have names.  The same for every number of threads.
 */
ARTEL_API artel_status artel_data_cluster(artel *a, const artel_cluster *o, artel_emit emit,
                                          void *user);

/* ---- training ----------------------------------------------------------------------------- */

typedef enum artel_task { ARTEL_TRAIN, ARTEL_DISTILL, ARTEL_COMPOSE } artel_task;

/** The effective recipe as YAML with where each value came from, after all checks; artel_free. */
ARTEL_API artel_status artel_recipe_print(artel *a, const artel_recipe *r, artel_task task,
                                          char **yaml);
/**
 * Train a model (ARTEL_TRAIN) or distil a teacher into one (ARTEL_DISTILL) in the folder `run`:
 * recipe.yaml, metrics.jsonl, checkpoints/, model/, report.html.
 * resume: continue bit for bit from the newest checkpoint.  After artel_interrupt everything is
 * saved and the status is ARTEL_INTERRUPTED; ARTEL_NUMERIC when the loss was NaN or jumped, or a
 * parameter is not finite; ARTEL_IO when another process is training in the folder; ARTEL_MISMATCH
 * when a resume would go on with another recipe, data set or arithmetic.
 * Emits {"run","model","steps","tokens","parameters","loss","val_loss","seconds"}.  A
 * run on a table has "rows_read" in place of "tokens", and then emits its result.json, as artel_eval does.
 */
ARTEL_API artel_status artel_train(artel *a, const artel_recipe *r, artel_task task,
                                   const char *run, int resume, artel_emit emit, void *user);
/**
 * What a training recipe would cost, without running it.  Emits one object: parameters (total,
 * active), memory, disk, flops, seconds (estimated from a measured peak), and "doubts", a list of
 * settings that look wrong.  Of a task on rows the file is read, and "rows", "rows_per_step", "data_rows", "inputs",
 * "outputs", "flops_per_row" stand for what is said of tokens.
 */
ARTEL_API artel_status artel_plan(artel *a, const artel_recipe *r, artel_task task, artel_emit emit,
                                  void *user);

/* ---- models ------------------------------------------------------------------------------- */

/**
 * A model folder, plain or composed, opened once and asked often.  Its parameters lie in the mapped
 * files.  In what follows V is its vocabulary.
 *
 * artel_model_open: ARTEL_IO no such folder; ARTEL_FORMAT a file is damaged or not what it should be;
 * ARTEL_MISMATCH weights, tokenizer, experts or router do not belong together; ARTEL_NUMERIC a parameter
 * is infinite or NaN (files above 1 GiB are not read for this until all of them are needed).
 */
typedef struct artel_model artel_model;
ARTEL_API artel_status artel_model_open(artel *a, const char *path, artel_model **out);
ARTEL_API void artel_model_close(artel_model *m);
/** V: token ids are 0 to V - 1.  Of a composed model the smallest of its experts'. */
ARTEL_API int64_t artel_model_vocab(const artel_model *m);
/** Most tokens of a sequence; of a composed model the shortest of its experts'. */
ARTEL_API int64_t artel_model_context(const artel_model *m);
/** Number of experts of a composed model; 1 for a plain one. */
ARTEL_API int artel_model_experts(const artel_model *m);
/** Name of expert i, which lives as long as the model; NULL for a plain model or when i is out of range. */
ARTEL_API const char *artel_model_expert(const artel_model *m, int i);
/** Its tokenizer, which lives as long as the model and is not to be closed; NULL when it has none. */
ARTEL_API const artel_tokenizer *artel_model_tokenizer(const artel_model *m);
/** The id of the token that ends a text; -1 when it has none. */
ARTEL_API int32_t artel_model_end(const artel_model *m);

/** Logits [n, V] of a sequence of n ids into memory of the caller, row i those of what follows id i.  A
    composed model answers by the expert that its router chooses for the whole sequence.  ARTEL_ARG: n is
    not in 1 to the context, or an id is outside the vocabulary. */
ARTEL_API artel_status artel_model_logits(artel *a, const artel_model *m, const int32_t *ids,
                                          int64_t n, float *logits);

/** Experts and a router into one model folder: recipe {mode: ple, router: DIR, experts: [{name,
    model}]}, whole models, or those of that name in a composed folder, of which no two have one name; or {mode: jeet or moe-ce, router: DIR, model:
    DIR}, the trunks of a model, moe-ce with a common one.  Every expert must be a class of the router,
    which is trained with the same tokenizer.  Or {mode: btx, experts: [{name, model}], ...}: dense models
    branched from one seed become one mixture, measured on data and trained in the folder "OUT.run", which the
    same call continues after ARTEL_INTERRUPTED (docs/compose.md); a recipe of mergekit-moe
    means the same.  Or {mode: ensemble, k, router, experts}, of which artel_eval measures what k say together.  `out` must not exist.  Emits one object
    an expert, as in artel.json; then, where there is data, one for each model that was measured:
    {"report","name","loss":{domain: nats},"mean","tokens"}. */
ARTEL_API artel_status artel_compose(artel *a, const artel_recipe *r, const char *out,
                                     artel_emit emit, void *user);

/** Adds a trunk to a model of trunks, composed or of a run, or a whole model to composed whole models: recipe
    as for artel_train, without `model`, with a section `extend: {name, from, router}`.  Everything that was there is frozen.  Trains in the folder
    `run`, which a further call with the same arguments continues after ARTEL_INTERRUPTED; composes all
    experts with a router for all domains in `out`, which must not exist; and compares, bit for bit: the
    digest of all old tensors, and the logits of every old expert, in every way in which it can be asked,
    on validation text of every domain.  ARTEL_MISMATCH, and no `out`, where any of it differs.  `model`
    is not changed.  Emits {"model","run","added","kind" ("trunk", "expert"),"parameters","certificate":"bit-identical","digest",
    "tensors","ways_to_answer","windows","compared_tokens"}.
    Where `model` is a mixture, the module is slots more in its banks: section `extend: {name, attention,
    feed_forward, init, router_decay, free, review, review_share, documents}` (docs/modules.md).  Digests of base and
    other modules, and logits with the new module excluded, are compared bit for bit; losses of each domain
    are measured.  Emits what certificate.json has, and {"model","run"}.
    require [n_require], may be NULL: "bit-identical", which always is, or "DOMAIN:+X%": the loss of a domain grows
    by at most that, by the upper end of its 95 % interval (mixtures only).  ARTEL_MISMATCH, and no `out`: it does
    not hold. */
ARTEL_API artel_status artel_extend(artel *a, const char *model, const artel_recipe *r,
                                    const char *out, const char *run, const char *const *require,
                                    int n_require, artel_emit emit, void *user);

/* ---- modules of a mixture ---- */

/** The modules of a mixture, or the experts of a composed model, as artel.json has them: an object each. */
ARTEL_API artel_status artel_module_list(artel *a, const char *model, artel_emit emit, void *user);
/** The passport of one, all of it; model: a folder, or a module's file with name NULL. */
ARTEL_API artel_status artel_module_show(artel *a, const char *model, const char *name,
                                         artel_emit emit, void *user);
/** A module as a file by itself.  Emits {"module","file"}. */
ARTEL_API artel_status artel_module_export(artel *a, const char *model, const char *name,
                                           const char *out, artel_emit emit, void *user);
/** `model` with the module of a file, in the new folder `out`.  as: its name there, or NULL.  ARTEL_MISMATCH: it
    was trained on another base, or with another tokenizer; ARTEL_FORMAT: the file is damaged.  Emits {"model",
    "what","module","id","digest","base"}. */
ARTEL_API artel_status artel_module_add(artel *a, const char *model, const char *file,
                                        const char *as, const char *out, artel_emit emit,
                                        void *user);
/** `model` without a module, in the new folder `out`.  Emits the same, and {"exact": whether what is left is, bit
    for bit, the model that never saw the module's data,"reason": why not,"compared_logits","chain": the digests
    compared}.  certify:
    ARTEL_MISMATCH, and no `out`, unless it is. */
ARTEL_API artel_status artel_module_drop(artel *a, const char *model, const char *name, int certify,
                                         const char *out, artel_emit emit, void *user);
/** `model` with the modules of `other` that it does not have; both grew from one base.  Emits {"model","added"}. */
ARTEL_API artel_status artel_module_merge(artel *a, const char *model, const char *other,
                                          const char *out, artel_emit emit, void *user);

/** Makes a module again from its passport and compares: all of it, or what its first `steps` show (0: all).  model: a
    module's file with name NULL, or a folder and the name of a module in it; data: the data set it was trained on;
    base: a mixture with its base and the modules that were there, NULL: `model`; run: a folder to work in, which is removed in the end, and
    kept by Ctrl-C for the same call.  Emits {"module","file","verified","whole","steps","of","digest","reason": why not,"chain": the
    digests compared}.  ARTEL_MISMATCH: it is not verified, and the message says what was expected and found. */
ARTEL_API artel_status artel_module_verify(artel *a, const char *model, const char *name,
                                           const char *data, const char *base, const char *run,
                                           int64_t steps, artel_emit emit, void *user);

/** Which experts answer, of a composed model or of one whose trunks share an embedding.  All zero: the one
    whom the router chooses, with the common trunk where there is one. */
typedef struct artel_who {
    const char *const
        *experts; /* the router chooses among these; n_experts 0: all; one: that one  */
    int n_experts;
    const char *const
        *exclude; /* and not among these                                              */
    int n_exclude;
    const char *const
        *average; /* these answer together, whatever the router says: the mean of their
                                   last hidden states, or what the model has learned in its place.
                                   "all": all of them.  ARTEL_ARG unless they are trunks            */
    int n_average;
    const char
        *common; /* a common trunk is "on" (NULL), "off": left out, or "only": answers alone */
    /* Of a mixture that was extended: its base and these modules alone, n_modules 0: all; without those of
       `exclude`; and of what is left those all of whose data have a licence that one of the globs matches,
       n_licences 0: all.  "none" of modules: the base alone.  Of other models modules are experts, and there
       are no licences. */
    const char *const *modules;
    int n_modules;
    const char *const *licences;
    int n_licences;
} artel_who;

typedef struct artel_eval_options {
    const char *split; /* "train", "validation", "test" or "ood"; NULL: test            */
    int64_t context;   /* tokens of a window; 0: the model's context, at most 1024      */
    int64_t windows;   /* most windows a domain, evenly spread; 0: all                  */
    int64_t route_on;  /* the first so many tokens of each window are read, by the router of a
                          composed model too, and not scored.  0: 32 (at most half a window) for a
                          composed model, none for a plain one.  Below 0: none; a composed model is
                          then routed by the very tokens that it scores, which flatters it. To
                          compare models give all of them the same                      */
    int usage;         /* also how often each expert is used                            */
    double abstain;    /* of a composed model: windows whose expert the router gives less than
                          this probability are not answered and not scored              */
    artel_who who;     /* answers                                                       */
    int own;           /* each domain is answered by the expert of its name, whatever the router
                          says; not with experts of `who`                               */
} artel_eval_options;
/** Loss a domain, then over all: {"domain","tokens" (scored),"route_on" (tokens of a window that
    are not),"loss" (nats a token),"ppl","bits_per_byte" (null without a tokenizer),"usage":{expert:
    share},"abstained": with abstain, the share of the windows that were not answered; loss is null
    where all were}; usage: the share of the answered windows that each expert of a composed model
    answered.  With
    usage, a mixture emits after each of these a line a router: {"domain","layer","kind"
    ("attention", "feed_forward"),"experts", "routed_tokens","share":[of the
    choices],"probability":[mean],"load_entropy" (of share, 1: even), "load_perplexity","dead"
    (share below 1 % of an even one),"unused","mutual_information" (between token and expert,
    nats)}. */
ARTEL_API artel_status artel_model_eval(artel *a, const artel_model *m, const char *data,
                                        const artel_eval_options *o, artel_emit emit, void *user);
/** The same of a model folder.
 *
 * Of a model of tables (docs/tables.md) data is a file of rows, and one object is emitted: {"label","baseline",
 * "rows","accuracy","interval","macro_f1","log_loss","ece","unknown_class","classes","confusion",
 * "calibration"}, or of numbers {"label","rows","rmse","mae","r2"}.  Of the file that it learnt from, the
 * rows of a split are measured; of any other file all, and split is to be NULL.  Rows without a label are
 * left out. */
ARTEL_API artel_status artel_eval(artel *a, const char *model, const char *data,
                                  const artel_eval_options *o, artel_emit emit, void *user);

/** How much a text has in common with a reference, line by line, over the whole of both: BLEU and chrF
    as sacreBLEU computes them by default.  text, reference: files of as many lines (ARTEL_MISMATCH:
    they have not).  Emits {"lines","bleu","brevity_penalty","precisions":[of 1 to 4 words, percent],
    "words","reference_words","chrf"}. */
ARTEL_API artel_status artel_score(artel *a, const char *text, const char *reference,
                                   artel_emit emit, void *user);

typedef struct artel_doctor_options {
    const char *data;  /* data set folder; NULL: token ids at random, drawn by seed     */
    const char *split; /* "train", "validation" or "test"; NULL: test                   */
    int64_t context;   /* tokens of a window; 0: 256                                    */
    int64_t windows;   /* most windows a domain, evenly spread; 0: all                  */
    uint64_t seed;
} artel_doctor_options;
/** What is silently wrong with a mixture (docs/doctor.md).  Emits an object a finding, {"finding","severity"
    ("error","warning"),"where","measured","value","advice"}, at last {"model","tensors","routers","tokens",
    "text" (data, "random", "none"),"errors","warnings"}.  ARTEL_MISMATCH: there are findings. */
ARTEL_API artel_status artel_doctor(artel *a, const char *model, const artel_doctor_options *o,
                                    artel_emit emit, void *user);

typedef struct artel_translate_options {
    const char
        *direction; /* a domain of the pairs it learnt; NULL: the only one, or of a data set all */
    int64_t tokens; /* most of a translation; 0: twice those of the text, and 16 more */
    const char *split; /* of artel_translate_eval: "train", "validation", "test"; NULL: test */
    int64_t pairs;     /* of artel_translate_eval: most of a direction, evenly spread; 0: all */
} artel_translate_options;
/** The translation of each line of a file (.gz and .zst, too) by a model that was trained with
    `task: translate`, greedily: the most probable token comes next.  White space becomes single blanks.
    A line each to `text`, in order, as they come; text NULL: emits {"line","source","translation","ended" (by
    the model itself)}.  ARTEL_UNSUPPORTED: the model does not translate; ARTEL_ARG: another direction, or a
    line that is longer than the model's context. */
ARTEL_API artel_status artel_translate(artel *a, const char *model, const char *file,
                                       const artel_translate_options *o, artel_text text,
                                       artel_emit emit, void *user);
/** How good it is on a data set of pairs, an object a direction: {"direction","split","pairs","too_long" (for
    the model's context, left out),"tokens" (of translations),"loss" (nats for each of them),"bleu","chrf" (of
    greedy translations, as artel_score),"copy_bleu","copy_chrf" (of the texts left as they are),"ended"
    (share that the model ended itself),"seconds"}. */
ARTEL_API artel_status artel_translate_eval(artel *a, const char *model, const char *data,
                                            const artel_translate_options *o, artel_emit emit,
                                            void *user);

typedef struct artel_atlas_options {
    const char *split; /* "train", "validation" or "test"; NULL: test              */
    int64_t context;   /* tokens of a window; 0: the model's context, at most 1024 */
    int64_t windows;   /* most windows a domain, evenly spread; 0: all             */
    int64_t tokens;    /* told of each expert, at most 32; 0: 8                    */
    const char *page;  /* a self-contained HTML page to write; NULL: none          */
} artel_atlas_options;
/** Who is used where: the experts of a mixture by domain, by token, and together.  ARTEL_ARG: the
    model has no routers.  Emits an object a router, {"layer","kind","experts","chosen" (for a
    token), "information" (between expert and domain, each domain with equal weight, nats: 0 when all
    domains use the experts alike), "information_limit" (ln of the domains), "unused":[experts that
    no token chose], "by_expert":[{"expert","home" (the domain that uses it most, or null), "part"
    (of its use that is its home's; 1 / domains when all use it alike), "use":[{"domain","choices"
    (a count),"share" (of the domain's choices),"half_width" (of the 95 % interval of the share, from
    how much windows differ; null for one window)}],"tokens":[those that choose it most beyond what
    is usual]}]}, then {"page","read":[{"domain","windows","tokens"}]}. */
ARTEL_API artel_status artel_atlas(artel *a, const char *model, const char *data,
                                   const artel_atlas_options *o, artel_emit emit, void *user);

typedef struct artel_prune_options {
    const char *const *keep; /* domains that the model is to be good at; none: all */
    int64_t n_keep;
    /* Who goes first: "use" (NULL), "reap", "norm", "loss" or "random".  Of a frontier several, with
       commas; NULL: all. */
    const char *score;
    /* "remove" (NULL): rows of routers go, too; "forbid": they stay in the softmax. */
    const char *how;
    int renormalise; /* gates of what is left are divided by their sum */
    /* One of these is above 0, or none: then what is never chosen goes, or as much as
       max_loss_increase allows. */
    double threshold;           /* scores below it go                                      */
    double experts;             /* so many of each layer stay                              */
    double share;               /* this share of all stays                                 */
    double budget;              /* bytes of model.safetensors, at most                     */
    double max_loss_increase;   /* 0.01: 1 % on each kept domain, with its interval; 0: any */
    const char *const *require; /* "bit-identical", "fr:+1%" */
    int64_t n_require;
    const char *calibrate; /* split that scores come from; NULL: validation */
    const char *split;     /* split of the losses; NULL: test               */
    int64_t context;       /* tokens of a window and of a document; 0: 256  */
    int64_t windows;       /* most of a domain for the scores; 0: all       */
    int64_t documents;     /* most of a domain for the losses; 0: all       */
    uint64_t seed;
} artel_prune_options;
/** A mixture without the experts that some domains can do without: `out` appears whole, with
    certificate.json, or not at all.  ARTEL_ARG: a limit that cannot be kept, an unknown domain;
    ARTEL_UNSUPPORTED: no mixture that can be pruned; ARTEL_MISMATCH: what was required does not hold.
    Emits one object, the certificate and "model": {"model","certificate" ("bit-identical": every answer on
    the text of the kept domains that was read is the same to the bit; or "measured"),"from","how",
    "renormalised","score","limit","value","experts_before","experts_after","parameters_before",
    "parameters_after","bytes_before","bytes_after","calibrated_on","measured_on","domains":[{"domain","kept",
    "documents","tokens","loss_before","loss_after","increase","increase_low","increase_high" (nats a token and
    its interval of 95 %, by the bootstrap over documents),"relative","relative_high","logits_compared",
    "logits_that_differ"}],"banks":[{"layer","kind","experts_before","experts_after","gone":[numbers in the old
    model],"use_of_gone" (share of the choices that fell on them)}]}. */
ARTEL_API artel_status artel_prune(artel *a, const char *model, const char *data,
                                   const artel_prune_options *o, const char *out, artel_emit emit,
                                   void *user);
/** Loss of each domain against what is left, for each score, at all, 1/2, 1/4 and 1/8 of the experts where so
    few leave each layer what a token uses.  page: an HTML file with the plot, or NULL.  Emits an object for each
    score, share and domain: {"score","share","experts","parameters","bytes","domain","kept","loss","increase",
    "increase_low","increase_high"}. */
ARTEL_API artel_status artel_prune_frontier(artel *a, const char *model, const char *data,
                                            const artel_prune_options *o, const char *page,
                                            artel_emit emit, void *user);

/** What a model of tables reads of the rows of a file that has the label, as CSV: "part", which is "train",
    "validation" or "test" in the file that the model learnt from and otherwise nothing, the label, and a column
    for each of its inputs.  Errors as of artel_predict. */
ARTEL_API artel_status artel_table_inputs(artel *a, const char *model, const char *file,
                                          artel_text text, void *user);
/** What a model of tables says of the rows of a file, whether they have labels or not, as CSV: a header, then a
    line a row, handed to `text` line by line.  Of classes the most probable one and the probability of each,
    "p(CLASS)"; of numbers the number.  ARTEL_UNSUPPORTED: it is no model of tables; ARTEL_MISMATCH: a column
    that it reads is missing, or not numbers. */
ARTEL_API artel_status artel_predict(artel *a, const char *model, const char *file, artel_text text,
                                     void *user);

typedef struct artel_probe_options {
    const char *split;    /* as in artel_eval; NULL: test                                     */
    const char *baseline; /* another model of the same rows, whose domains are taken as well  */
    int64_t context;      /* of a language model: tokens of a window; 0: 128                  */
    int64_t windows;      /* most windows a domain, evenly spread; 0: 16                      */
} artel_probe_options;
/** What the experts of a classifier of tables know: {"label","rows","mixture" (accuracy),
    "experts","own_domain" (share of the rows that the expert with the largest gate gets right by itself),
    "mean_own_domain" (over experts),"small_domains" (experts with fewer than 10 rows, left out of means over
    experts), "all_rows" (mean over experts, all rows),"other_domains","recall" (the expert of the domain is
    right where some expert is),"none_right","gate_wrong" (some expert is right, not that of the domain),
    "disagreement","spread" (of outputs about their mean, as a share of their
    squares),"gate_entropy" (1: even gates),"largest_domain","loss" (of the mixture, nats),"without" and
    "without_loss" (the same of a mixture without an expert, mean over experts), "worst_without",
    "worst_without_loss","note","by_expert":[{"rows","share","own_domain", "all_rows","without",
    "without_loss"}]}.  If data is the file that the model learnt from also "refit" (as own_domain, of a fresh
    head on the expert's last hidden layer, fitted to the training rows of its domain), "mean_refit","no_head"
    (experts without such rows), and of an expert "train_rows","refit" (null: no rows).  With a baseline
    "common_domains" (as own_domain, on the baseline's domains, experts matched by the rows they share),
    "mean_common_domain", "baseline_own_domain","shared_domain" (share of the rows that are in matched domains
    of both), and of an expert "baseline_expert","common_rows","common_domain".  data as in artel_eval.
    ARTEL_MISMATCH: a baseline of other rows, or with another number of experts.
 *
 * Of a language model with mixtures data is a data set: {"tokens" (predicted),"context","loss" (nats a token),
 * "recall": null (no expert of such a layer predicts by itself),"domains":[{"domain","tokens","loss"}],
 * "banks":[{"layer","kind","experts","experts_a_token","gate_entropy" (1: even),"load_entropy",
 * "largest_domain" (share of the tokens for which an expert is the most probable one),"spread" (as above, among
 * the experts of a token; null: each has one),"without_loss","worst_without_loss" (of the model without an
 * expert: mean, and of the one that is missed most),"by_expert":[{"share" (of choices),"domain","domain_loss"
 * (null: no tokens),"without_loss"}]}]}.  The model is read as often as it has experts, once more, and no
 * baseline is taken. */
ARTEL_API artel_status artel_probe(artel *a, const char *model, const char *data,
                                   const artel_probe_options *o, artel_emit emit, void *user);

/** Logits F32 [B,T,V] of an integer tensor [B,T] into a safetensors file under "logits"; of a model
    with routers also their auxiliary loss over all tokens, unweighted, a scalar "aux_loss".  Where
    the file has a tensor "attention_mask" [B,T] of 0 and 1, tokens under 0 are padding, before or
    after their sequence: no other logit and no loss depends on them, and their own logits are 0.
    ids: "FILE.safetensors" (tensor input_ids) or "FILE.safetensors:NAME".  who: may be NULL. */
ARTEL_API artel_status artel_logits(artel *a, const char *model, const artel_who *who,
                                    const char *ids, const char *out);

typedef struct artel_capture_options {
    const char *const *domains; /* [n_domains]; 0: all of the data set                      */
    int64_t n_domains;
    const char *split;          /* NULL: train                                              */
    int64_t top_k;              /* most probable tokens kept of each row; 0: all             */
    int64_t context;            /* of a window; 0: 256, or the most that the teacher takes   */
    int bits;                   /* of a stored number: 16 or 32; 0: 16                        */
    const double *temperatures; /* [n_temperatures], ascending, at most 8; 0: 1 and 2         */
    int64_t n_temperatures;
} artel_capture_options;
/** What the plain model `teacher` says of each token of a data set, into the folder `out`, for recipes with
    `distill.teacher: OUT`.  The text is read in windows of `context` tokens, one after the other.  After
    artel_interrupt, or when the process was killed, the same call goes on with what is there.
    ARTEL_MISMATCH: other tokenizers, or out holds another capture; ARTEL_IO: the disk has not the room;
    ARTEL_ARG: out holds something else.  Emits {"logits","teacher","data","split","tokens","found" (of
    these, by an earlier call),"context","top_k","bits","temperatures","left" (at each the mean
    probability of what is not kept),"bytes","bytes_per_token","seconds"}. */
ARTEL_API artel_status artel_capture(artel *a, const char *teacher, const char *data,
                                     const char *out, const artel_capture_options *o,
                                     artel_emit emit, void *user);

typedef struct artel_convert_options {
    const char *to;   /* "hf": as the programs of its authors read it, every tensor under its name,
                         buffers included; "artel": its parameters alone, by their full names     */
    const char *type; /* of the parameters: "f32" or "bf16"; NULL: as they are                    */
    uint64_t seed;    /* of the ids whose logits are compared                                     */
} artel_convert_options;
/** Writes the plain model folder `model` as the folder `out`, which must not exist: every tensor
    once, into one model.safetensors, without ever holding it in memory.  Then both answer some
    random ids; ARTEL_MISMATCH, and no folder, when their logits differ: by a bit, or where values
    were narrowed by more than a tenth of their size.  Emits
    {"source","target","to","type","files","tensors_read",
    "tensors_written","left_out","bytes","logits":{"ids","difference","largest","allowed"},"seconds"}. */
ARTEL_API artel_status artel_convert(artel *a, const char *model, const char *out,
                                     const artel_convert_options *o, artel_emit emit, void *user);

/** How the next token is chosen.  All zero: the most probable one. */
typedef struct artel_sampling {
    double temperature;    /* the logits are divided by it; 0: the most probable token       */
    int64_t top_k;         /* only the k most probable; 0: all                               */
    double top_p;          /* only the most probable that together reach this; 0, 1: all     */
    double repeat_penalty; /* a token among the last 64, prompt included, becomes so many times
                              less likely before the other choices; 0, 1: off                */
    uint64_t seed;         /* of the draws: token i of a text is a function of seed, i, logits */
} artel_sampling;

typedef struct artel_generate_options {
    const char *prompt; /* NULL: an empty one                                               */
    const int32_t *ids; /* n_ids token ids in place of the prompt; NULL: a text             */
    int64_t n_ids;
    int64_t n; /* most new tokens                                                           */
    artel_sampling sampling;
    artel_who who;  /* answers                                                               */
    double abstain; /* of a composed model: where the router gives its choice less than this
                             probability, nobody answers (ARTEL_ARG) ...                     */
    const char *fallback; /* ... or this expert; NULL: none                                  */
} artel_generate_options;
/** Continues a prompt.  A text longer than the context goes on after its older half is forgotten.
    A prompt of ids needs no tokenizer.json; new tokens are then told as ids, in decimal, separated
    by spaces, and in the last object as "ids".
    Emits first, for a composed model, {"expert","probability","probabilities":{..},"why":
    [{"token","contribution"}]}, and at the end {"prompt_tokens","new_tokens","tokens_per_second",
    "ended"}.  Without `text` (NULL) the text is one more field of the last object, "text", with
    U+FFFD for bytes that are no UTF-8. */
ARTEL_API artel_status artel_model_generate(artel *a, const artel_model *m,
                                            const artel_generate_options *o, artel_text text,
                                            artel_emit emit, void *user);
/** The same of a model folder, which is opened and closed again. */
ARTEL_API artel_status artel_generate(artel *a, const char *model, const artel_generate_options *o,
                                      artel_text text, artel_emit emit, void *user);

typedef struct artel_fluency_options {
    const char *split;          /* whose documents give the prompts; NULL: test                */
    int64_t prompt;             /* tokens of a prompt, the beginning of a document; 0: 32      */
    int64_t n;                  /* most new tokens of a text; 0: 100                           */
    int64_t samples;            /* texts a domain and temperature; 0: 20.  Documents are taken
                                   evenly from the split, several times where there are fewer    */
    const double *temperatures; /* n_temperatures of them; NULL: 0.3, 0.8, 1                   */
    int n_temperatures;
    artel_sampling sampling; /* its temperature is not read; text i has seed + i               */
    const char *router;      /* whose verdict on the language of a text; NULL: the model's own,
                                none for a plain model                                          */
    artel_who who;           /* writes                                                          */
} artel_fluency_options;
/** How the texts read that a model writes: do they loop, are they made of words, in the right
    language?  Emits for each domain what follows the prompts in the documents themselves, with
    "temperature" null, and then a line a temperature: {"domain","temperature","texts",
    "prompt_tokens" (of each),"new_tokens" (of all),"ended" (texts that ended before the limit),"runs"
    (of four words),"repeated" (share of them that the same text had before),"words","known" (share of
    them that occur in the training text of the domain),"language" (share of the texts that the
    router takes for the domain's), "verdict":{class: share},"tokens_per_second"}; what there is
    nothing of is null, "verdict" is there with a router.  A word is a run of letters, case of ASCII
    aside, every byte beyond ASCII counts as a letter; one that the prompt began, or that the limit
    cut off, is left out.  Texts are those that artel_model_generate writes. */
ARTEL_API artel_status artel_model_fluency(artel *a, const artel_model *m, const char *data,
                                           const artel_fluency_options *o, artel_emit emit,
                                           void *user);
/** The same of a model folder. */
ARTEL_API artel_status artel_fluency(artel *a, const char *model, const char *data,
                                     const artel_fluency_options *o, artel_emit emit, void *user);

/* ---- sessions ----------------------------------------------------------------------------- */

/**
 * A text that is read and continued token by token: a chat, a choice among given answers, a way of
 * drawing of one's own.  What was read is kept (keys and values of its tokens), so that each token costs
 * what one token costs.
 *
 *     artel_session *s;
 *     artel_session_open(a, m, NULL, &s);
 *     artel_session_feed(s, ids, n);                     the prompt
 *     while (artel_session_sample(s, &how, &id) == ARTEL_OK && id != artel_model_end(m)) {
 *         ...                                            use id
 *         artel_session_feed(s, &id, 1);
 *     }
 *     artel_session_close(s);
 *
 * writes the text that artel_model_generate writes with the same sampling.
 */
typedef struct artel_session artel_session;

typedef struct artel_session_options {
    const char
        *expert;      /* of a composed model, the one who answers; NULL: whom the router chooses by
                           the first tokens fed                                              */
    int64_t capacity; /* most tokens; 0: the model's context.  Memory follows what is read     */
    artel_who who;    /* or, in place of `expert`, a choice of experts                         */
} artel_session_options;

/** o may be NULL for defaults.  ARTEL_ARG: no such expert, or a capacity beyond the context. */
ARTEL_API artel_status artel_session_open(artel *a, const artel_model *m,
                                          const artel_session_options *o, artel_session **out);
ARTEL_API void artel_session_close(artel_session *s);
/** Reads n more token ids.  ARTEL_ARG: n < 1, more than there is room for, or an id outside the
    vocabulary; ARTEL_INTERRUPTED before it reads; ARTEL_NUMERIC.  On a failure the session is as before. */
ARTEL_API artel_status artel_session_feed(artel_session *s, const int32_t *ids, int64_t n);
/** The logits [V] of what follows the tokens read; valid until s is used again.  ARTEL_ARG: nothing was
    read. */
ARTEL_API artel_status artel_session_logits(artel_session *s, const float **logits);
/** Chooses the token that follows, and does not read it.  ARTEL_ARG: nothing was read. */
ARTEL_API artel_status artel_session_sample(artel_session *s, const artel_sampling *how,
                                            int32_t *id);
/** Forgets all but the first n tokens, from where the text can go on in another way.  n = 0 also forgets
    the expert that the router had chosen. */
ARTEL_API void artel_session_rewind(artel_session *s, int64_t n);
/** Tokens read, and most that can be. */
ARTEL_API int64_t artel_session_length(const artel_session *s);
ARTEL_API int64_t artel_session_capacity(const artel_session *s);
/** Name of the expert who answers, which lives as long as the model; NULL for a plain model, or before
    the router has chosen. */
ARTEL_API const char *artel_session_expert(const artel_session *s);

/* ---- router ------------------------------------------------------------------------------- */

/* A router says which class (domain) a text belongs to: TF-IDF over token ids and a linear
   classifier.  ROUTER below is a folder that holds router.safetensors (a model is one),
   or that file itself. */

/** Zero means the default in brackets. */
typedef struct artel_router_options {
    double c;              /* inverse strength of the penalty (10 for the logistic ones, else 1) */
    int64_t windows;       /* training windows for each class and length (3000)          */
    uint64_t seed;         /* of their draw                                              */
    const int64_t *length; /* n_lengths window lengths to mix (8, 16, ... 512 tokens)    */
    int n_lengths;
    const char *classifier; /* "logistic" (the default), "softmax", "svm", "sgd-hinge",
                               "sgd-modified-huber", "sgd-log", "ridge", "bayes",
                               "complement-bayes", "centroid"                            */
    int tune;               /* choose C by the validation split                           */
    int ngrams;             /* also count sequences of up to so many tokens (1)           */
    int hash_bits;          /* sequences are hashed into 2^hash_bits features (18)        */
    int sublinear;          /* what occurs n times counts as 1 + ln n                     */
    int sklearn_ids;        /* leave out ids 0 to 9, as the token pattern of scikit-learn's
                               TfidfVectorizer does with ids in decimal                  */
} artel_router_options;

/** One class a domain, from the training split, and a temperature for its probabilities from the
    validation split (1 without one); makes the folder out_dir with router.safetensors
    and tokenizer.json (a router there and nothing else is replaced).  Emits
    {"router","classes","classifier","C","sequences","features","temperature","seconds","trials"
    (with tune: [{"C","f1"}])} and, when there is a validation split, the line of
    artel_router_eval. */
ARTEL_API artel_status artel_router_train(artel *a, const char *data_dir, const char *out_dir,
                                          const artel_router_options *o, artel_emit emit,
                                          void *user);
/** Zero means the default in brackets. */
typedef struct artel_router_lengths {
    int64_t length;         /* tokens of a sequence (128)                                 */
    const int64_t *lengths; /* n_lengths lengths of the rows of "per_length" (8, 16, ... 1024, as
                               long as the split has one such sequence)                   */
    int n_lengths;
    double abstain; /* below this probability of the class the router does not answer (0) */
    int speed;      /* also how many tokens a second are routed by one thread            */
} artel_router_lengths;

/** split: "train", "validation", "test" or "ood"; o: NULL for the defaults.  Where an out-of-domain set
    is of none of the router's classes, "ood" emits for each set {"ood","length","sequences",
    "confidence" (mean probability of the class chosen),"share":{class: share of the sequences}} and,
    with abstain, "abstain" and "coverage".  Otherwise this emits
    {"split","length","sequences","accuracy","precision","recall","f1","weighted_f1","temperature",
     "ece","ece_before","classes","confusion",
     "per_class":[{"class","precision","recall","f1","sequences"}],
     "per_length":[{"length","sequences","accuracy","f1","weighted_f1","ece","ece_before","short"}]}
    with means over classes ("weighted_f1": over sequences); rows of confusion are the truth.  "ece":
    the expected calibration error of the class's probability, in 15 bins of equal width;
    "ece_before": the same at temperature 1.  "short": domains whose split has fewer tokens than the
    length, so that theirs is one sequence of all; where every domain is, "sequences" is 0 and there
    are no figures.  With abstain all figures but ece are of sequences that were answered, and each
    object has "abstain" and "coverage", the share of them; the outer one also "risk":[{"threshold",
    "coverage","error"}], the share answered at some thresholds and how many of those are wrong.  With
    speed the outer one has "tokens_per_second". */
ARTEL_API artel_status artel_router_eval(artel *a, const char *router, const char *data_dir,
                                         const char *split, const artel_router_lengths *o,
                                         artel_emit emit, void *user);
/** Fits several classifiers (names; n_names 0: all there are) on the same windows and measures each on
    a split.  Of `o` the classifier is not used, and C only if not 0.  Emits for each
    {"classifier","about","C","fit_seconds","per_length"} as in artel_router_eval. */
ARTEL_API artel_status artel_router_compare(artel *a, const char *data_dir,
                                            const artel_router_options *o, const char *const *names,
                                            int n_names, const char *split,
                                            const artel_router_lengths *lengths, artel_emit emit,
                                            void *user);
/** Zero means the default in brackets. */
typedef struct artel_router_text {
    const char *tokenizer; /* a tokenizer.json or its folder (the one beside the router)          */
    int64_t top;           /* most reasons (none)                                                 */
    double abstain;        /* a probability below which the answer is "unknown" (0)               */
    int64_t window;        /* of artel_router_segment: tokens (16)                                */
    double penalty;        /* of artel_router_segment: nats a change of class must be worth (4)   */
} artel_router_text;
/** Emits {"class","probabilities":{class: p},"tokens","known","reasons":[{"token","id","count",
    "contribution"}]}: those with the largest say first; "token" may be several in a row, "id" is then that
    of a feature.  With abstain, "best" is the class that would have been the answer. */
ARTEL_API artel_status artel_router_explain(artel *a, const char *router, const char *text,
                                            size_t bytes, const artel_router_text *o,
                                            artel_emit emit, void *user);
/** Cuts a mixed text into parts of one class each.  Emits for each {"class","begin","end" (bytes of the
    text),"tokens","probability","text"}, and "best" with abstain.  ARTEL_UNSUPPORTED: the tokenizer changes
    the text, so that places in it cannot be told. */
ARTEL_API artel_status artel_router_segment(artel *a, const char *router, const char *text,
                                            size_t bytes, const artel_router_text *o,
                                            artel_emit emit, void *user);

/* ---- looking inside ----------------------------------------------------------------------- */

/** What a path holds, after checking it (every byte that has a hash, every parameter for NaN):
    {"kind":"tensors"|"model"|"dataset"|"run","path":..,...}, and for tensor files one
    {"tensor":..,"dtype":..,"shape":[..],"bytes":N} for each. */
ARTEL_API artel_status artel_inspect(artel *a, const char *path, artel_emit emit, void *user);
/** The canonical digest of parameters (docs/format.md): the same for the same values, in however
    many files and under either naming, as BF16 or widened.  path: a model folder, a checkpoint, a
    run or a tensor file.  Emits {"kind":"digest","path","digest":64 hexadecimal
    digits,"tensors","values"}. */
ARTEL_API artel_status artel_digest(artel *a, const char *path, artel_emit emit, void *user);

/* ---- reports ------------------------------------------------------------------------------ */

/** A self-contained HTML page from a JSON description (docs/report.md lists its fields).  Emits
    {"report": the page}. */
ARTEL_API artel_status artel_report(artel *a, const char *spec, const char *out_html,
                                    artel_emit emit, void *user);
/** run_dir/report.html from run_dir/metrics.jsonl and run_dir/recipe.yaml. */
ARTEL_API artel_status artel_report_run(artel *a, const char *run_dir, artel_emit emit, void *user);

#ifdef __cplusplus
}
#endif
#endif
