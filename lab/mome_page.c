/* mome_page.c - the report of the lab of the Mixture of Modular Experts: tables, charts, heat maps. */
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include "lab/mome_claims.h"
#include "lab/mome_text.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = AT_CELL };

static double mean_of(const mome *m, const char *group, const char *key) {
    double sum = 0;
    for (int k = 0; k < m->scale->seeds; k++) sum += mome_number(m, group, k, key);
    return sum / (double)m->scale->seeds;
}

static const char *loss_of(const mome *m, const char *group, char out[SHOWN]) {
    double x[MOME_SEEDS_MAX];
    for (int k = 0; k < m->scale->seeds; k++) x[k] = mome_number(m, group, k, "test_loss");
    return at_page_spread(out, x, m->scale->seeds, 4);
}

static void part(mome *m, const char *name, const char *heading, const char *text) {
    at_page_section(m->l, heading, text);
    at_page_claims_of(m->l, name);
}

/* ---- a: losses and alpha ---- */

static void arm_row(mome *m, const mome_arm *a) {
    double norm[MOME_SEEDS_MAX], jump[MOME_SEEDS_MAX], text[MOME_SEEDS_MAX];
    double lo = (double)INFINITY, hi = -(double)INFINITY;
    char loss[SHOWN], sd[3][SHOWN], alpha[SHOWN] = "-";
    const int64_t n = m->scale->seeds;
    for (int k = 0; k < n; k++) {
        const mome_curve *v = mome_curve_at(m, a->group, k);
        norm[k] = v->norm_sd;
        jump[k] = v->loss_sd;
        text[k] = v->text_sd;
        lo = fmin(lo, v->alpha_lo);
        hi = fmax(hi, v->alpha_hi);
    }
    if (a->distill) (void)snprintf(alpha, sizeof alpha, "%.3f to %.3f", lo, hi);
    at_page_row(m->l, "%s|%s|%.1f|%s|%s|%s|%s", a->title, loss_of(m, a->group, loss),
                exp(mean_of(m, a->group, "test_loss")), at_page_spread(sd[0], norm, n, 3),
                at_page_spread(sd[1], jump, n, 3), at_page_spread(sd[2], text, n, 3), alpha);
}

static void metrics_of(mome *m, const char *group, const char *title, const char *y) {
    at_page_metrics(m->l, at_lab_trial(m->l, group, 1), title, "step", y);
}

/* With how many seeds two groups of runs ended with the same parameters, bit for bit. */
static at_status same_bits(mome *m, const char *a, const char *b, int *n) {
    at_status s = AT_OK;
    *n = 0;
    for (int k = 0; k < m->scale->seeds && s == AT_OK; k++) {
        char hash[2][AT_SHA256_TEXT];
        for (int i = 0; i < 2 && s == AT_OK; i++) {
            const at_trial *t = at_lab_trial(m->l, i ? b : a, k + 1);
            char *path = at_lab_path(m->l, t, "model/model.safetensors");
            s = path ? at_sha256_file(m->l->c, path, hash[i]) : AT_OOM;
            at_free(path);
        }
        *n += s == AT_OK && !strcmp(hash[0], hash[1]);
    }
    return s;
}

static at_status losses(mome *m) {
    char text[256];
    int same;
    const at_status s = same_bits(m, "soft-ce", MOME_COMBINED, &same);
    if (s != AT_OK) return s;
    part(m, "a", "Two losses, one student", mome_text_losses);
    (void)snprintf(
        text, sizeof text,
        "Soft cross entropy differs from forward KL by the teacher's entropy, which no "
        "gradient sees. Their students ended with the same parameters, bit for bit, with "
        "%d of %lld seeds.",
        same, (long long)m->scale->seeds);
    at_page_section(m->l, NULL, text);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l,
                  "Students of all languages, as many tokens each: mean \xc2\xb1 standard "
                  "deviation over seeds",
                  "student|test loss|perplexity|spread of the gradient's norm|jumps of the logged "
                  "loss|jumps of the loss in the text|alpha");
    for (const mome_arm *a = mome_arms; a->group; a++)
        if (strcmp(a->group, MOME_COMPUTE) != 0) arm_row(m, a);
    at_page_chart(m->l, "Alpha, the share of the text in the loss (seed 1)", "step", "alpha");
    metrics_of(m, "adaptive", "the paper's adaptive rule", "alpha");
    metrics_of(m, "slopes", "smoothed slopes", "alpha");
    metrics_of(m, "anneal", "along a line", "alpha");
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, "Norm of the gradient (seed 1)", "step", "norm before clipping");
    metrics_of(m, MOME_COMBINED, "combined", "grad_norm");
    at_page_smooth(m->l);
    metrics_of(m, "alternating", "in turns", "grad_norm");
    at_page_smooth(m->l);
    metrics_of(m, "adaptive", "adaptive alpha", "grad_norm");
    at_page_smooth(m->l);
    return AT_OK;
}

/* ---- b: the teacher ---- */

static void teacher(mome *m) {
    const char *const group[3] = {MOME_COMBINED, MOME_ALONE, MOME_COMPUTE};
    const char *const title[3] = {"with the teacher", "text alone, as many tokens",
                                  "text alone, as many operations"};
    part(m, "b", "What a teacher is worth", mome_text_teacher);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, NULL,
                  "student|tokens (thousand)|operations of its training (10^12), the teacher's "
                  "reading among them|test loss|perplexity");
    for (int i = 0; i < 3; i++) {
        char loss[SHOWN];
        const at_trial *t = at_lab_trial(m->l, group[i], 1);
        at_page_row(m->l, "%s|%.0f|%.2f|%s|%.1f", title[i], 1e-3 * t->tokens, 1e-12 * t->flops,
                    loss_of(m, group[i], loss), exp(mean_of(m, group[i], "test_loss")));
    }
    const at_trial *t = at_lab_trial(m->l, MOME_TEACHER, 1);
    double loss = (double)NAN;
    if (t->result) loss = mome_number(m, MOME_TEACHER, 0, "test_loss");
    at_page_row(m->l, "the teacher itself|%.0f|%.2f|%.4f|%.1f", 1e-3 * t->tokens, 1e-12 * t->flops,
                loss, exp(loss));
    at_page_chart(m->l, "Validation loss (seed 1)", "step", "nats a token");
    for (int i = 0; i < 3; i++) metrics_of(m, group[i], title[i], "val_loss");
}

/* ---- c: compositions ---- */

/* A row of the table: its losses, in all and by language (NULL: not known). */
typedef struct {
    const char *title;
    double parameters, active;
    double (*loss)(const mome *m, int k);
    double (*by)(const mome *m, int k, int d);
} composition;

static void composition_row(mome *m, const composition *c) {
    double loss[MOME_SEEDS_MAX];
    char text[SHOWN], cells[32 * MOME_DOMAINS_MAX] = "";
    const int64_t n = m->scale->seeds;
    for (int k = 0; k < n; k++) loss[k] = c->loss(m, k);
    for (int d = 0; d < m->domains; d++) {
        double sum = 0;
        const size_t at = strlen(cells);
        for (int k = 0; k < n && c->by; k++) sum += c->by(m, k, d);
        if (c->by)
            (void)snprintf(cells + at, sizeof cells - at, "|%.4f", sum / (double)n);
        else
            (void)snprintf(cells + at, sizeof cells - at, "|-");
    }
    at_page_row(m->l, "%s|%.0f|%.0f|%s|%.1f%s", c->title, 1e-3 * c->parameters, 1e-3 * c->active,
                at_page_spread(text, loss, n, 4), exp(at_stat_mean(loss, n)), cells);
}

static double routed(const mome *m, int k) { return m->routed[k]; }
static double oracle(const mome *m, int k) { return m->oracle[k]; }
static double by_modules(const mome *m, int k, int d) {
    return m->matrix[MOME_MODULES][0][k].r[m->domains - 1][d];
}
static double by_right_module(const mome *m, int k, int d) {
    char group[64];
    mome_stage(group, MOME_SEQUENTIAL, d, 0);
    return mome_domain_loss(m, group, k, d);
}
#define OF(name, group)                                                                        \
    static double name(const mome *m, int k) { return mome_number(m, group, k, "test_loss"); } \
    static double by_##name(const mome *m, int k, int d) {                                     \
        return mome_domain_loss(m, group, k, d);                                               \
    }
OF(student, MOME_COMBINED)
OF(wide, MOME_WIDE)
OF(jeet, MOME_JEET)
OF(common, MOME_COMMON)
OF(dropped, MOME_DROPPED)
#undef OF
static double common_own(const mome *m, int k) {
    return mome_number(m, MOME_COMMON, k, "test_loss_own");
}
static double common_only(const mome *m, int k) {
    return mome_number(m, MOME_COMMON, k, "test_loss_common");
}
static double dropped_own(const mome *m, int k) {
    return mome_number(m, MOME_DROPPED, k, "test_loss_own");
}

static void names_of(const mome *m, const char *name[MOME_DOMAINS_MAX]) {
    for (int d = 0; d < m->domains; d++) name[d] = mome_domain(m, d);
}

/* Every expert on every language: mean over seeds. */
static void experts(mome *m) {
    double loss[MOME_DOMAINS_MAX * MOME_DOMAINS_MAX] = {0};
    const char *name[MOME_DOMAINS_MAX];
    for (int e = 0; e < m->domains; e++) {
        char group[64];
        mome_stage(group, MOME_SEQUENTIAL, e, 0);
        for (int d = 0; d < m->domains; d++)
            for (int k = 0; k < m->scale->seeds; k++)
                loss[e * m->domains + d] +=
                    mome_domain_loss(m, group, k, d) / (double)m->scale->seeds;
    }
    names_of(m, name);
    at_page_section(m->l, NULL, NULL);
    at_page_heat(m->l, "Loss of each expert (row) in each language (column), nats a token",
                 m->domains, name, m->domains, name, loss);
}

static void compositions(mome *m) {
    const double size = mean_of(m, MOME_COMBINED, "parameters");
    const double one = mean_of(m, MOME_COMBINED, "active");
    const double trunks = mean_of(m, MOME_JEET, "parameters");
    const double active = mean_of(m, MOME_JEET, "active");
    const double all = mean_of(m, MOME_COMMON, "parameters");
    const double both = mean_of(m, MOME_COMMON, "active");
    const composition row[] = {
        {"PLE: a student a language, routed by 32 tokens", m->domains * size, one, routed,
         by_modules},
        {"PLE, the language being known", m->domains * size, one, oracle, by_right_module},
        {"JEET: trunks over one embedding", trunks, active, jeet, by_jeet},
        {"MoE-CE: with a common trunk", all, both, common, by_common},
        {"MoE-CE, read without the common trunk", all, active, common_own, NULL},
        {"MoE-CE, read by the common trunk alone", all, active, common_only, NULL},
        {"MoE-CE, the common trunk left out in 3 steps of 10", all, both, dropped, by_dropped},
        {"the same, read without the common trunk", all, active, dropped_own, NULL},
        {"one student of all languages", size, one, student, by_student},
        {"one as large as all modules", mean_of(m, MOME_WIDE, "parameters"),
         mean_of(m, MOME_WIDE, "active"), wide, by_wide},
    };
    char columns[400] = "composition|parameters (thousand)|active for a token (thousand)|test "
                        "loss|perplexity";
    for (int d = 0; d < m->domains; d++) {
        const size_t n = strlen(columns);
        (void)snprintf(columns + n, sizeof columns - n, "|%.30s", mome_domain(m, d));
    }
    part(m, "c", "Modules against whole models", mome_text_compositions);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, NULL, columns);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) composition_row(m, &row[i]);
    experts(m);
}

/* ---- d: routers ---- */

static void routers(mome *m) {
    char columns[200] = "classifier";
    for (int i = 0; i < MOME_LENGTHS; i++) {
        const size_t n = strlen(columns);
        (void)snprintf(columns + n, sizeof columns - n, "|%d tokens", mome_lengths[i]);
    }
    part(m, "d", "The router", mome_text_router);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, "Weighted F1 on the test split, by the length of the text that is read",
                  columns);
    for (int c = 0; c < MOME_CLASSIFIERS; c++) {
        char cells[(SHOWN + 1) * MOME_LENGTHS] = "";
        for (int i = 0; i < MOME_LENGTHS; i++) {
            double x[MOME_SEEDS_MAX];
            char text[SHOWN];
            const size_t n = strlen(cells);
            for (int k = 0; k < m->scale->seeds; k++) x[k] = m->router[k].f1[c][i];
            (void)snprintf(cells + n, sizeof cells - n, "|%s",
                           at_page_spread(text, x, m->scale->seeds, 4));
        }
        at_page_row(m->l, "%s%s%s", at_classifiers[c]->help,
                    c && c == mome_best_rival(m) ? " (the best rival)" : "", cells);
    }
}

/* ---- e: forgetting ---- */

typedef at_forget_matrix matrices[MOME_SEEDS_MAX];

static void forget_row(mome *m, const char *title, matrices *x, int n_orders) {
    double mean[MOME_SEEDS_MAX] = {0}, worst[MOME_SEEDS_MAX] = {0};
    double backward[MOME_SEEDS_MAX] = {0}, end[MOME_SEEDS_MAX] = {0};
    char text[4][SHOWN];
    const int64_t n = m->scale->seeds;
    for (int k = 0; k < n; k++)
        for (int o = 0; o < n_orders; o++) {
            const at_forget f = at_forget_of(&x[o][k]);
            mean[k] += f.mean / n_orders;
            worst[k] = fmax(worst[k], f.worst);
            backward[k] += f.backward / n_orders;
            end[k] += f.end / n_orders;
        }
    at_page_row(m->l, "%s|%s|%s|%s|%s", title, at_page_spread(text[0], mean, n, 3),
                at_page_spread(text[1], worst, n, 3),
                x[0][0].learnt[0] < 0 ? "-" : at_page_spread(text[2], backward, n, 3),
                at_page_spread(text[3], end, n, 3));
}

/* Mean over seeds. */
static void forget_map(mome *m, const char *title, matrices *x, const char *const *row) {
    double r[MOME_DOMAINS_MAX * MOME_DOMAINS_MAX] = {0};
    const char *name[MOME_DOMAINS_MAX];
    for (int i = 0; i < m->domains; i++)
        for (int j = 0; j < m->domains; j++)
            for (int k = 0; k < m->scale->seeds; k++)
                r[i * m->domains + j] += (*x)[k].r[i][j] / (double)m->scale->seeds;
    names_of(m, name);
    at_page_section(m->l, NULL, NULL);
    at_page_heat(m->l, title, m->domains, row, m->domains, name, r);
}

static void order_maps(mome *m, int first) {
    static const char *const mode[MOME_MODES] = {"one student, one language after the other",
                                                 "the same with 5 % of replay",
                                                 "modules, one after the other, behind a router"};
    char after[MOME_DOMAINS_MAX][48], title[160];
    const char *row[MOME_DOMAINS_MAX];
    for (int i = 0; i < m->domains; i++) {
        (void)snprintf(after[i], sizeof after[i], "after %.20s",
                       mome_domain(m, mome_language(m, first, i)));
        row[i] = after[i];
    }
    for (int k = 0; k < MOME_MODES; k++) {
        (void)snprintf(title, sizeof title, "Order %d, beginning with %.30s: %s", first + 1,
                       mome_domain(m, first), mode[k]);
        forget_map(m, title, &m->matrix[k][first], row);
    }
}

static void session_maps(mome *m) {
    char part_of[MOME_DOMAINS_MAX][32];
    const char *row[MOME_DOMAINS_MAX];
    for (int i = 0; i < m->domains; i++) {
        (void)snprintf(part_of[i], sizeof part_of[i], "%d/%d of it", i + 1, m->domains);
        row[i] = part_of[i];
    }
    forget_map(m, "One balanced session (validation split)", &m->balanced[0], row);
    forget_map(m, "One imbalanced session; its frequent language changes with the seed",
               &m->balanced[1], row);
}

static void forgetting(mome *m) {
    part(m, "e", "Forgetting", mome_text_forgetting);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, "Nats a token: mean \xc2\xb1 standard deviation over seeds",
                  "way of learning|forgotten, mean|forgotten, worst|backward transfer|loss at the "
                  "end");
    forget_row(m, "one language after the other", m->matrix[MOME_SEQUENTIAL], m->domains);
    forget_row(m, "with replay of 5 %", m->matrix[MOME_REPLAY], m->domains);
    forget_row(m, "modules behind a router", m->matrix[MOME_MODULES], m->domains);
    forget_row(m, "one balanced session (validation)", &m->balanced[0], 1);
    forget_row(m, "one imbalanced session (validation)", &m->balanced[1], 1);
    for (int first = 0; first < m->domains; first++) order_maps(m, first);
    session_maps(m);
}

/* ---- f: texts ---- */

static void texts(mome *m) {
    static const char *const title[MOME_WRITERS] = {
        "with the teacher", "text alone, as many tokens", "text alone, as many operations"};
    part(m, "f", "What the students write", mome_text_texts);
    at_page_section(m->l, NULL, NULL);
    at_page_table(m->l, NULL,
                  "texts of|invented words|repeated runs of four words|in the right language");
    for (int i = 0; i < MOME_WRITERS; i++) {
        double unknown[MOME_SEEDS_MAX], repeated[MOME_SEEDS_MAX], right[MOME_SEEDS_MAX];
        char cell[3][SHOWN];
        const int64_t n = m->scale->seeds;
        for (int k = 0; k < n; k++) {
            unknown[k] = m->fluency[i][k].unknown;
            repeated[k] = m->fluency[i][k].repeated;
            right[k] = m->fluency[i][k].right;
        }
        at_page_row(m->l, "%s|%s|%s|%s", title[i], at_page_spread(cell[0], unknown, n, 3),
                    at_page_spread(cell[1], repeated, n, 3), at_page_spread(cell[2], right, n, 3));
    }
    at_page_row(m->l, "the documents themselves|%.3f|%.3f|%.3f", m->documents.unknown,
                m->documents.repeated, m->documents.right);
}

/* ---- the page ---- */

static void summary(mome *m) {
    char value[SHOWN];
    at_page_section(m->l, NULL, mome_text_intro);
    at_page_figures(m->l);
    at_page_holding(m->l);
    double taught[MOME_SEEDS_MAX], forgot[MOME_SEEDS_MAX];
    for (int k = 0; k < m->scale->seeds; k++) {
        taught[k] = mome_number(m, MOME_ALONE, k, "test_loss") -
                    mome_number(m, MOME_COMBINED, k, "test_loss");
        forgot[k] = mome_forgotten(m, MOME_SEQUENTIAL, k);
    }
    (void)snprintf(value, sizeof value, "%.3f nats", at_stat_mean(taught, m->scale->seeds));
    at_page_figure(m->l, "what the teacher gains, tokens equal", value);
    (void)snprintf(value, sizeof value, "%.2f nats", at_stat_mean(forgot, m->scale->seeds));
    at_page_figure(m->l, "forgotten, one language after the other", value);
}

static void setup(mome *m) {
    const mome_scale *z = m->scale;
    char text[900];
    (void)snprintf(
        text, sizeof text,
        "Teacher: %d layers of width %d, %lld steps. Students: %d layers of width %d; the wide one "
        "%d of width %d. A step reads %lld sequences of %lld tokens. A student of one language "
        "makes %lld steps, one of all languages %lld. Learning rate %g (wide student %g, teacher "
        "%g), cosine, the same for every arm of a comparison. %lld seeds, each with initial values "
        "and batches of its own; the teacher is one for all. Losses are those of %lld windows of "
        "each language, evenly spread over the test split.",
        z->teacher.layers, z->teacher.width, (long long)z->teacher_steps, z->student.layers,
        z->student.width, z->wide.layers, z->wide.width, (long long)z->batch, (long long)z->context,
        (long long)z->stage_steps, (long long)m->together, z->lr, z->lr_wide, z->lr_teacher,
        (long long)z->seeds, (long long)z->windows);
    at_page_section(m->l, "Sizes", text);
}

at_status mome_page(mome *m) {
    summary(m);
    at_page_section(m->l, "How to read this page", mome_text_reading);
    at_page_warnings(m->l);
    const at_status s = losses(m);
    teacher(m);
    compositions(m);
    routers(m);
    forgetting(m);
    texts(m);
    setup(m);
    return s;
}
