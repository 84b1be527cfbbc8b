/* source.c - which files a source has and of which kind they are; reading them is in reader.c. */
#include "data/source.h"
#include "base/sha256.h"
#include "data/reader.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

static const char *const kinds[] = {"auto", "text", "jsonl", "html", "source", "pairs"};

const char *at_source_kind_name(at_source_kind k) { return kinds[k]; }

bool at_source_kind_parse(const char *name, size_t bytes, at_source_kind *out) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strlen(kinds[i]) == bytes && memcmp(kinds[i], name, bytes) == 0) {
            *out = (at_source_kind)i;
            return true;
        }
    return false;
}

static const struct {
    const char *ends;
    at_source_kind kind;
    bool packed; /* may be followed by .gz or .zst */
} endings[] = {
    {".txt", AT_KIND_TEXT, true},      {".text", AT_KIND_TEXT, true},
    {".md", AT_KIND_TEXT, true},       {".rst", AT_KIND_TEXT, true},
    {".jsonl", AT_KIND_JSONL, true},   {".ndjson", AT_KIND_JSONL, true},
    {".json", AT_KIND_JSONL, true},    {".html", AT_KIND_HTML, false},
    {".htm", AT_KIND_HTML, false},     {".xhtml", AT_KIND_HTML, false},
    {".py", AT_KIND_SOURCE, false},    {".c", AT_KIND_SOURCE, false},
    {".h", AT_KIND_SOURCE, false},     {".cc", AT_KIND_SOURCE, false},
    {".cpp", AT_KIND_SOURCE, false},   {".hpp", AT_KIND_SOURCE, false},
    {".rs", AT_KIND_SOURCE, false},    {".go", AT_KIND_SOURCE, false},
    {".java", AT_KIND_SOURCE, false},  {".js", AT_KIND_SOURCE, false},
    {".ts", AT_KIND_SOURCE, false},    {".rb", AT_KIND_SOURCE, false},
    {".pl", AT_KIND_SOURCE, false},    {".pm", AT_KIND_SOURCE, false},
    {".sh", AT_KIND_SOURCE, false},    {".lua", AT_KIND_SOURCE, false},
    {".php", AT_KIND_SOURCE, false},   {".cs", AT_KIND_SOURCE, false},
    {".kt", AT_KIND_SOURCE, false},    {".swift", AT_KIND_SOURCE, false},
    {".scala", AT_KIND_SOURCE, false}, {".hs", AT_KIND_SOURCE, false},
    {".ml", AT_KIND_SOURCE, false},    {".jl", AT_KIND_SOURCE, false},
    {".r", AT_KIND_SOURCE, false},     {".sql", AT_KIND_SOURCE, false},
    {".f90", AT_KIND_SOURCE, false},   {".tcl", AT_KIND_SOURCE, false},
    {".el", AT_KIND_SOURCE, false},
};

static bool ends_with(const char *s, size_t n, const char *end) {
    const size_t m = strlen(end);
    return n > m && strncasecmp(s + n - m, end, m) == 0;
}

at_source_kind at_source_kind_of_path(const char *path) {
    size_t n = strlen(path);
    bool packed = false;
    if (ends_with(path, n, ".gz") || ends_with(path, n, ".zst")) {
        packed = true;
        n -= ends_with(path, n, ".gz") ? 3 : 4;
    }
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
        if (ends_with(path, n, endings[i].ends) && (endings[i].packed || !packed))
            return endings[i].kind;
    return AT_KIND_AUTO;
}

static bool hidden(const char *rel) {
    if (rel[0] == '.') return true;
    return strstr(rel, "/.") != NULL;
}

static bool regular(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

at_status at_source_open(at_ctx *c, const char *path, const char *domain, at_source_kind kind,
                         at_source *out) {
    *out = (at_source){.kind = kind, .folder = at_is_dir(path)};
    at_status s = AT_OK;
    if (!(out->path = at_strdup(c, path)) || !(out->domain = at_strdup(c, domain)))
        s = c->status;
    else if (!at_exists(path))
        s = at_error(c, AT_IO, "%s: no such file or folder (domain \"%s\")", path, domain);
    else if (!out->folder && !regular(path))
        s = at_error(c, AT_ARG, "%s: expected a file or a folder (a pipe cannot be read twice)",
                     path);
    else if (!out->folder)
        s = at_list_add(c, &out->files, "");
    else
        s = at_list_tree(c, path, &out->files);
    int64_t kept = 0;
    for (int64_t i = 0; i < out->files.n; i++) {
        char *rel = out->files.item[i];
        if (out->folder && (hidden(rel) || at_licence_is(rel)))
            at_free(rel);
        else
            out->files.item[kept++] = rel;
    }
    out->files.n = kept;
    for (int64_t i = 0; !s && i < kept; i++) out->bytes += at_source_size(out, i);
    if (!s) s = at_licence_find(c, path, &out->licence);
    if (s) at_source_close(out);
    return s;
}

void at_source_close(at_source *s) {
    at_free(s->path);
    at_free(s->domain);
    at_list_free(&s->files);
    at_licence_free(&s->licence);
    *s = (at_source){0};
}

static char *file_path(at_ctx *c, const at_source *s, int64_t i) {
    return s->folder ? at_join(c, s->path, s->files.item[i]) : at_strdup(c, s->path);
}

int64_t at_source_size(const at_source *s, int64_t i) {
    at_ctx quiet = {0};
    char *path = file_path(&quiet, s, i);
    struct stat st;
    const bool known = path && stat(path, &st) == 0;
    at_free(path);
    return known ? (int64_t)st.st_size : 0;
}

/* SHA-256 of one file; stops at an interrupt.  Read, not mapped, so that resident memory stays
   small. */
static at_status digest_file(at_ctx *c, const char *path, unsigned char digest[AT_SHA256_BYTES]) {
    FILE *f;
    const at_status opened = at_file_open(c, path, &f);
    if (opened) return opened;
    at_sha256 h;
    at_sha256_init(&h);
    char buffer[1 << 15];
    size_t n;
    errno = 0;
    while (!at_interrupted(c) && (n = fread(buffer, 1, sizeof buffer, f)) > 0)
        at_sha256_update(&h, buffer, n);
    at_sha256_final(&h, digest);
    const bool bad = ferror(f) != 0;
    const int why = errno;
    (void)fclose(f);
    return bad ? at_error(c, AT_IO, "%s: cannot read: %s", path, strerror(why)) : AT_OK;
}

at_status at_source_digest(at_ctx *c, const at_source *s, char text[65]) {
    at_sha256 all;
    at_sha256_init(&all);
    for (int64_t i = 0; i < s->files.n; i++) {
        unsigned char one[AT_SHA256_BYTES];
        char *path = file_path(c, s, i);
        const at_status status = path ? digest_file(c, path, one) : c->status;
        at_free(path);
        if (status) return status;
        if (at_interrupted(c)) return at_error(c, AT_INTERRUPTED, "%s: interrupted", s->path);
        at_sha256_update(&all, s->files.item[i], strlen(s->files.item[i]) + 1);
        at_sha256_update(&all, one, sizeof one);
    }
    unsigned char digest[AT_SHA256_BYTES];
    at_sha256_final(&all, digest);
    at_sha256_hex(digest, text);
    return AT_OK;
}

/* "en", "en-US" and "en_us" name the domain en. */
static bool names_domain(const char *part, size_t n, const char *domain) {
    const size_t m = strlen(domain);
    if (n < m || strncasecmp(part, domain, m) != 0) return false;
    return n == m || (n == m + 3 && (part[m] == '-' || part[m] == '_'));
}

/* Leaves out the parts of a path, between '/' and '.', that name the domain: en-US/a/b.html and
   a/b.en.html -> a/b.html */
static at_status key_of(at_ctx *c, const char *rel, const char *domain, at_bytes *key) {
    at_status s = AT_OK;
    char joint = 0;
    for (const char *p = rel; !s && *p;) {
        const size_t n = strcspn(p, "/.");
        if (!names_domain(p, n, domain)) {
            if (joint && key->n > 0) s = at_bytes_char(c, key, joint);
            if (!s) s = at_bytes_add(c, key, p, n);
            joint = p[n];
        } else if (p[n] == '/' && !joint) {
            joint = '/';
        }
        p += n + (p[n] != 0);
    }
    return s;
}

/* Whether a file in a folder is read.  When kind text was asked for, files of unknown kinds are. */
static bool belongs(at_source_kind asked, at_source_kind told) {
    if (asked == AT_KIND_AUTO) return told != AT_KIND_AUTO;
    return told == asked || (asked == AT_KIND_TEXT && told == AT_KIND_AUTO);
}

at_status at_source_file(at_ctx *c, const at_source *s, int64_t i, const at_read_options *r,
                         at_document_fn fn, void *user, at_skipped *left) {
    const char *rel = s->files.item[i];
    const char *base = strrchr(s->path, '/');
    const char *name = s->folder ? rel : base ? base + 1 : s->path;
    const at_source_kind told = at_source_kind_of_path(name);
    at_source_kind kind = s->kind;
    if (s->folder && !belongs(kind, told)) {
        left->other_kind++;
        return AT_OK;
    }
    if (!kind) kind = told ? told : AT_KIND_TEXT;
    at_bytes key = {0};
    char *path = file_path(c, s, i);
    at_status status = path ? key_of(c, name, s->domain, &key) : c->status;
    if (!status) status = at_bytes_char(c, &key, 0);
    if (!status) {
        left->files++;
        left->bytes += at_source_size(s, i);
        const at_reader reader = {
            .path = path, .key = key.p, .reading = r, .fn = fn, .user = user, .left = left};
        status = at_reader_run(c, kind, &reader);
    }
    at_bytes_free(&key);
    at_free(path);
    return status;
}
