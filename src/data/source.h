/*
 * source.h - documents from files and folders of text, JSONL, web pages and program sources.
 *
 *   kind    files                                      one document is
 *   text    .txt .md .rst .text, also .gz .zst         a file, or a stretch of a long file: blank-line
 *                                                      separated paragraphs up to 4 KiB (lines up
 *                                                      to 8 KiB when there is no blank line)
 *   jsonl   .jsonl .ndjson .json, also .gz .zst        a line: an object with a string "text"
 *   html    .html .htm .xhtml                          a file
 *   source  .py .c .rs and other program sources       a file, as it stands
 *   pairs   any file, when asked for; also .gz .zst    a line: a text and its translation (pairs.h)
 *
 * A file named directly is read whatever its name; in a folder, files of other kinds are counted
 * and skipped.  Hidden files and the folder's licence (licence.h) are skipped.  All text is UTF-8.
 *
 * Stretches of one file belong together: they go into one split (balance.h).
 *
 * The key of a document is the same for its translations: its path below the source without the
 * parts that name the domain (en, en-US), plus the number of a stretch or the "id" of a JSON line.
 */
#ifndef AT_SOURCE_H
#define AT_SOURCE_H
#include "base/file.h"
#include "data/licence.h"
#include "data/utf8.h"

typedef enum at_source_kind {
    AT_KIND_AUTO,
    AT_KIND_TEXT,
    AT_KIND_JSONL,
    AT_KIND_HTML,
    AT_KIND_SOURCE,
    AT_KIND_PAIRS
} at_source_kind;
/** "auto", "text", "jsonl", "html", "source", "pairs". */
const char *at_source_kind_name(at_source_kind k);
/** The kind of that name; false when there is none. */
bool at_source_kind_parse(const char *name, size_t bytes, at_source_kind *out);
/** By the extension of a file's name; AT_KIND_AUTO when it is not known. */
at_source_kind at_source_kind_of_path(const char *path);

typedef struct at_read_options {
    const char *text_field; /* of JSON lines; NULL: "text"                          */
    bool strict;      /* text that is not UTF-8 is an error; otherwise it is skipped and counted */
    int64_t max_file; /* larger web pages and sources are skipped, bytes         */
    int64_t max_line; /* sources with a longer line are skipped (generated code) */
    int64_t min_source; /* smaller sources are skipped, bytes                      */
    /* called now and then with the bytes of the file read so far; may be NULL */
    void (*tick)(at_ctx *c, void *user, int64_t bytes);
    void *tick_user;
} at_read_options;

/** What was read, and what was skipped for which reason; the manifest shows it. */
typedef struct at_skipped {
    int64_t files, bytes; /* read                                                */
    int64_t documents;    /* handed out                                          */
    int64_t other_kind, not_utf8, empty, too_large, too_small, long_lines;
} at_skipped;

typedef struct at_document {
    const char *key;
    const char *file; /* the same for all stretches of a file; NULL: the document is a whole file */
    const char *text; /* paragraphs, each ended by `separator` but the last    */
    int64_t bytes;
    const char *separator; /* "\n", "\n\n", or NULL: the text is one piece          */
    bool html;             /* from a web page: paragraphs may be menus and captions  */
    bool pair;             /* a text, AT_PAIR_MARK, its translation: one piece (pairs.h) */
    const char *where;     /* for messages: path, or path:line                       */
} at_document;
/** Receives a document; it is borrowed for the call. */
typedef at_status (*at_document_fn)(at_ctx *c, void *user, const at_document *d);

typedef struct at_source {
    char *path, *domain;
    at_source_kind kind; /* asked for                    */
    bool folder;
    at_list files;      /* relative paths, or one empty string for a file named directly */
    int64_t bytes;      /* of all the files             */
    at_licence licence; /* in the folder             */
    char sha256[65];    /* over names and contents, filled by reading */
} at_source;

/** Lists the files.  AT_IO: no such path; AT_ARG: a pipe, which cannot be read twice. */
at_status at_source_open(at_ctx *c, const char *path, const char *domain, at_source_kind kind,
                         at_source *out);
/** Read file number i of the source, handing out its documents in order. */
at_status at_source_file(at_ctx *c, const at_source *s, int64_t i, const at_read_options *r,
                         at_document_fn fn, void *user, at_skipped *left);
/** Bytes of file i; 0 when they are not known. */
int64_t at_source_size(const at_source *s, int64_t i);
/** One digest of all the files: their names and contents. */
at_status at_source_digest(at_ctx *c, const at_source *s, char text[65]);
void at_source_close(at_source *s);

#endif
