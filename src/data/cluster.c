/* cluster.c - see cluster.h. */
#include "data/cluster.h"
#include "base/file.h"
#include "base/maths.h"
#include "data/kmeans.h"
#include "data/tfidf.h"
#include <stdio.h>
#include <string.h>

enum { SAMPLE = 16384, LABELS = AT_CLUSTERS_MAX, MARKS = 12 };

typedef struct clusters {
    const at_cluster *o;
    char *out, *dir, *stage_dir;
    at_stage stage;
    at_dedup seen;
    const char *label[LABELS]; /* names of the sources */
    int n_labels;
    int *label_of;      /* [n_sources], -1: none */
    int64_t *label_end; /* [n_sources]: documents of the sources up to here */
    at_tfidf words;
    at_kmeans model;
    at_out *file;               /* [k] */
    int64_t *documents, *bytes; /* [k] */
    int64_t (*labels)[LABELS];  /* [k] */
    at_bytes text;
} clusters;

static at_status stop_asked(at_ctx *c) {
    return at_interrupted(c) ? at_error(c, AT_INTERRUPTED, "data cluster: interrupted") : AT_OK;
}

/* ---- reading ---- */

static at_status stage_document(at_ctx *c, void *user, const at_document *d) {
    clusters *x = user;
    return at_stage_add(c, &x->stage, d, &x->o->filter, &x->seen);
}

static at_status read_all(at_ctx *c, clusters *x) {
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < x->o->n_sources; i++) {
        const at_build_source *from = &x->o->source[i];
        at_source source;
        s = at_source_open(c, from->path, from->domain ? from->domain : "", from->kind, &source);
        if (s) return s;
        for (int64_t f = 0; !s && f < source.files.n; f++) {
            s = at_source_file(c, &source, f, &x->o->reading, stage_document, x, &x->stage.left);
            if (!s) s = stop_asked(c);
        }
        at_source_close(&source);
        x->label_end[i] = x->stage.n;
    }
    if (!s && x->stage.n < x->o->k)
        s = at_error(c, AT_FORMAT,
                     "expected at least a document for each of %d clusters, found %lld", x->o->k,
                     (long long)x->stage.n);
    return s;
}

/* ---- grouping ---- */

static at_status see_words(at_ctx *c, clusters *x) {
    at_status s = AT_OK;
    for (int64_t i = 0; !s && i < x->stage.n; i++) {
        s = stop_asked(c);
        if (!s) s = at_stage_text(c, &x->stage, &x->stage.doc[i], &x->text);
        if (!s) at_tfidf_see(&x->words, x->text.p, (size_t)x->text.n);
    }
    return s;
}

static at_status group(at_ctx *c, clusters *x) {
    const int64_t all = x->stage.n, n = all < SAMPLE ? all : SAMPLE;
    at_sparse *v = at_calloc(c, (size_t)n, sizeof *v);
    int32_t *index = at_malloc(c, (size_t)n * AT_TFIDF_KEPT * sizeof *index);
    double *value = at_malloc(c, (size_t)n * AT_TFIDF_KEPT * sizeof *value);
    int *where = at_malloc(c, (size_t)n * sizeof *where);
    at_status s = v && index && value && where ? AT_OK : c->status;
    for (int64_t i = 0; !s && i < n; i++) {
        const at_staged *d = &x->stage.doc[i * all / n];
        int32_t *to = index + i * AT_TFIDF_KEPT;
        double *as = value + i * AT_TFIDF_KEPT;
        s = at_stage_text(c, &x->stage, d, &x->text);
        if (!s)
            v[i] =
                (at_sparse){to, as, at_tfidf_of(&x->words, x->text.p, (size_t)x->text.n, to, as)};
    }
    if (!s) s = at_kmeans_fit(c, v, n, AT_TFIDF, x->o->k, x->o->seed, &x->model, where);
    at_free(v);
    at_free(index);
    at_free(value);
    at_free(where);
    return s;
}

/* ---- writing ---- */

static at_status write_document(at_ctx *c, clusters *x, const at_staged *d, int label, int to) {
    at_json j;
    char id[32];
    (void)snprintf(id, sizeof id, "%016llx", (unsigned long long)d->key);
    x->text.p[x->text.n] = 0;
    at_json_open(&j, c);
    at_json_put_string(&j, "id", id);
    if (label >= 0) at_json_put_string(&j, "label", x->label[label]);
    at_json_put_string(&j, "text", x->text.p);
    at_status s = at_json_finish(&j);
    if (!s) s = at_out_write(c, &x->file[to], j.text.s, strlen(j.text.s));
    if (!s) s = at_out_write(c, &x->file[to], "\n", 1);
    at_json_close(&j);
    return s;
}

static void file_name(int cluster, char name[32]) {
    (void)snprintf(name, 32, "c%d.jsonl", cluster);
}

static at_status write_all(at_ctx *c, clusters *x) {
    int32_t index[AT_TFIDF_KEPT];
    double value[AT_TFIDF_KEPT];
    at_status s = AT_OK;
    int64_t from = 0;
    for (int64_t i = 0; !s && i < x->stage.n; i++) {
        const at_staged *d = &x->stage.doc[i];
        while (i >= x->label_end[from]) from++;
        const int label = x->label_of[from];
        s = stop_asked(c);
        if (!s) s = at_stage_text(c, &x->stage, d, &x->text);
        if (s) break;
        const at_sparse v = {index, value,
                             at_tfidf_of(&x->words, x->text.p, (size_t)x->text.n, index, value)};
        const int to = at_kmeans_assign(&x->model, &v);
        x->documents[to]++;
        x->bytes[to] += d->bytes;
        if (label >= 0) x->labels[to][label]++;
        s = write_document(c, x, d, label, to);
    }
    for (int k = 0; !s && k < x->o->k; k++) s = at_out_commit(c, &x->file[k]);
    return s;
}

/* ---- what came of it ---- */

/* -p ln p, 0 for none */
static double surprise(double part, double all) {
    return part > 0 ? -part / all * at_ln(part / all) : 0;
}

/* Purity, and mutual information over the mean entropy; both 1 where groups are the labels. */
static void compare(const clusters *x, double *purity, double *nmi) {
    double all = 0, right = 0, both = 0, groups = 0, labels = 0;
    for (int k = 0; k < x->o->k; k++) all += (double)x->documents[k];
    for (int k = 0; k < x->o->k; k++) {
        int64_t most = 0;
        for (int l = 0; l < x->n_labels; l++) {
            if (x->labels[k][l] > most) most = x->labels[k][l];
            both += surprise((double)x->labels[k][l], all);
        }
        right += (double)most;
        groups += surprise((double)x->documents[k], all);
    }
    for (int l = 0; l < x->n_labels; l++) {
        int64_t n = 0;
        for (int k = 0; k < x->o->k; k++) n += x->labels[k][l];
        labels += surprise((double)n, all);
    }
    *purity = right / all;
    *nmi = groups + labels > 0 ? 2 * (groups + labels - both) / (groups + labels) : 1;
}

/* The words whose weight in the group is most above that in the others. */
static void put_marks(const clusters *x, int group, at_json *j) {
    const at_kmeans *m = &x->model;
    bool used[AT_TFIDF] = {false};
    at_json_begin_list(j, "words");
    for (int n = 0; n < MARKS; n++) {
        int64_t best = -1;
        double most = 0;
        for (int64_t i = 0; i < AT_TFIDF; i++) {
            const double *mean = m->mean + i * m->k;
            double others = 0;
            for (int k = 0; k < m->k; k++) others += k == group ? 0 : mean[k];
            const double more = mean[group] - (m->k > 1 ? others / (m->k - 1) : 0);
            if (used[i] || more <= most) continue;
            best = i;
            most = more;
        }
        if (best < 0) break;
        used[best] = true;
        at_json_put_string(j, NULL, x->words.word[best]);
    }
    at_json_end(j);
}

static at_status write_result(at_ctx *c, clusters *x, cJSON **result) {
    at_json j;
    at_json_open_file(&j, c);
    at_json_put_string(&j, "format", "artel-clusters");
    at_json_put_number(&j, "version", 1);
    at_json_put_number(&j, "k", x->o->k);
    at_json_put_number(&j, "seed", (double)x->o->seed);
    at_json_put_number(&j, "documents", (double)x->stage.n);
    at_json_put_number(&j, "rounds", x->model.rounds);
    at_json_put_number(&j, "likeness", x->model.likeness);
    if (x->n_labels) {
        double purity, nmi;
        compare(x, &purity, &nmi);
        at_json_put_number(&j, "purity", purity);
        at_json_put_number(&j, "nmi", nmi);
    }
    at_json_begin_list(&j, "clusters");
    for (int k = 0; k < x->o->k; k++) {
        char name[32];
        file_name(k, name);
        at_json_begin_object(&j, NULL);
        at_json_put_string(&j, "file", name);
        at_json_put_number(&j, "documents", (double)x->documents[k]);
        at_json_put_number(&j, "bytes", (double)x->bytes[k]);
        put_marks(x, k, &j);
        if (x->n_labels) at_json_begin_object(&j, "labels");
        for (int l = 0; l < x->n_labels; l++)
            at_json_put_number(&j, x->label[l], (double)x->labels[k][l]);
        if (x->n_labels) at_json_end(&j);
        at_json_end(&j);
    }
    at_json_end(&j);
    char *path = at_join(c, x->dir, "clusters.json");
    at_status s = path ? at_json_save(&j, path) : c->status;
    at_json_close(&j);
    if (!s && !(*result = at_json_read(c, path))) s = c->status;
    at_free(path);
    return s;
}

/* ---- all of it ---- */

/* Whether the folder holds clusters, by its clusters.json; a damaged one counts as none. */
static bool is_ours(at_ctx *c, const clusters *x) {
    at_error_clear(c);
    char *path = at_join(c, x->out, "clusters.json");
    cJSON *r = path && at_exists(path) ? at_json_read(c, path) : NULL;
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(r, "format"));
    const bool ours = format && strcmp(format, "artel-clusters") == 0;
    cJSON_Delete(r);
    at_free(path);
    if (c->status != AT_OOM) at_error_clear(c);
    return ours;
}

static at_status replaceable(at_ctx *c, const clusters *x) {
    char names[AT_CLUSTERS_MAX + 1][32];
    const char *name[AT_CLUSTERS_MAX + 1] = {"clusters.json"};
    const bool ours = is_ours(c, x);
    if (c->status) return c->status;
    for (int k = 0; k < AT_CLUSTERS_MAX; k++) {
        file_name(k, names[k]);
        name[k + 1] = names[k];
    }
    return at_check_replaceable(c, x->out, "clusters", name, ours ? AT_CLUSTERS_MAX + 1 : 0);
}

/* Names of sources as numbers. */
static at_status labels_open(at_ctx *c, clusters *x) {
    x->label_end = at_calloc(c, (size_t)x->o->n_sources, sizeof *x->label_end);
    x->label_of = at_calloc(c, (size_t)x->o->n_sources, sizeof *x->label_of);
    if (!x->label_end || !x->label_of) return c->status;
    for (int64_t i = 0; i < x->o->n_sources; i++) {
        const char *name = x->o->source[i].domain;
        int l = 0;
        x->label_of[i] = -1;
        if (!name) continue;
        while (l < x->n_labels && strcmp(x->label[l], name) != 0) l++;
        if (l == LABELS) return at_error(c, AT_ARG, "expected at most %d names", LABELS);
        if (l == x->n_labels) x->label[x->n_labels++] = name;
        x->label_of[i] = l;
    }
    return AT_OK;
}

static at_status clusters_open(at_ctx *c, clusters *x) {
    const int k = x->o->k;
    if (x->o->n_sources < 1) return at_error(c, AT_ARG, "expected a file or folder of text");
    if (k < 2 || k > AT_CLUSTERS_MAX)
        return at_error(c, AT_ARG, "k: expected 2 to %d clusters, found %d", AT_CLUSTERS_MAX, k);
    if (!x->o->out || !*x->o->out) return at_error(c, AT_ARG, "no output folder");
    if (!(x->out = at_path_trim(c, x->o->out))) return c->status;
    at_status s = at_check_out_dir(c, x->out);
    if (!s) s = replaceable(c, x);
    if (!s) s = labels_open(c, x);
    if (!s) s = at_tfidf_open(c, &x->words);
    if (!s) s = at_partial_dir(c, x->out, &x->dir);
    if (s) return s;
    x->file = at_calloc(c, (size_t)k, sizeof *x->file);
    x->documents = at_calloc(c, (size_t)k, sizeof *x->documents);
    x->bytes = at_calloc(c, (size_t)k, sizeof *x->bytes);
    x->labels = at_calloc(c, (size_t)k, sizeof *x->labels);
    x->stage_dir = at_join(c, x->dir, "stage");
    if (!x->file || !x->documents || !x->bytes || !x->labels || !x->stage_dir) return c->status;
    s = at_make_dir(c, x->stage_dir);
    if (!s) s = at_stage_open(c, &x->stage, x->stage_dir, "text");
    for (int i = 0; !s && i < k; i++) {
        char name[32];
        file_name(i, name);
        char *path = at_join(c, x->dir, name);
        s = path ? at_out_open(c, path, &x->file[i]) : c->status;
        at_free(path);
    }
    return s;
}

static void clusters_close(at_ctx *c, clusters *x) {
    for (int i = 0; x->file && i < x->o->k; i++) at_out_close(&x->file[i]);
    at_free(x->file);
    at_free(x->documents);
    at_free(x->bytes);
    at_free(x->labels);
    at_free(x->label_end);
    at_free(x->label_of);
    at_stage_close(&x->stage);
    at_dedup_free(&x->seen);
    at_tfidf_close(&x->words);
    at_kmeans_free(&x->model);
    at_bytes_free(&x->text);
    at_partial_drop(c, x->dir);
    at_free(x->stage_dir);
    at_free(x->out);
}

at_status at_cluster_run(at_ctx *c, const at_cluster *o, cJSON **result) {
    clusters x = {.o = o};
    *result = NULL;
    at_status s = clusters_open(c, &x);
    if (!s) s = read_all(c, &x);
    at_dedup_free(&x.seen);
    if (!s) s = see_words(c, &x);
    if (!s) s = group(c, &x);
    if (!s) s = write_all(c, &x);
    if (!s) s = write_result(c, &x, result);
    if (!s) s = at_remove_tree(c, x.stage_dir);
    if (!s) s = replaceable(c, &x);
    if (!s) s = at_replace_dir(c, x.dir, x.out);
    clusters_close(c, &x);
    if (s) {
        cJSON_Delete(*result);
        *result = NULL;
    }
    return s;
}
