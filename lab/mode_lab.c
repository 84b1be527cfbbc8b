/* mode_lab.c - experts that teach each other: where it helps, where not, and against what. */
#include "lab/mode_lab.h"

static const char *const claims[] = {
    "mutual distillation among experts is better than the plain mixture, on tables and on text",
    "each expert is better on its own domain, and the gate picks the right one more often; less is "
    "lost where an expert is missing",
    "a moderate alpha is best",
    "the fewer the rows, and the more the experts, the larger the gain",
    "it is better than what costs as much and is tuned as long: a label loss of each expert, one "
    "perceptron, weight decay, dropout, load balancing",
    "experts stay different where the task is made of domains",
    NULL};

static const mode_scale scales[AT_LAB_SCALES] = {
    [AT_LAB_QUICK] = {.seeds = 10,
                      .tuning = 2,
                      .grid = 7,
                      .curve_seeds = 8,
                      .curve_budget = 6,
                      .curve_step = 2,
                      .dose_seeds = 8,
                      .made_rows = 2000,
                      .text_seeds = 3,
                      .image_seeds = 8,
                      .text_steps = 150,
                      .use = MODE_IN_QUICK},
    [AT_LAB_FULL] = {.seeds = 20,
                     .tuning = 5,
                     .grid = 7,
                     .curve_seeds = 20,
                     .curve_budget = 6,
                     .curve_step = 1,
                     .dose_seeds = 20,
                     .made_rows = 4000,
                     .text_seeds = 5,
                     .image_seeds = 10,
                     .text_steps = 2000,
                     .use = MODE_IN_FULL},
    [AT_LAB_TINY] = {.seeds = 3,
                     .tuning = 1,
                     .grid = 2,
                     .curve_seeds = 2,
                     .curve_budget = 2,
                     .curve_step = 7,
                     .dose_seeds = 2,
                     .made_rows = 200,
                     .text_seeds = 2,
                     .image_seeds = 2,
                     .text_steps = 3,
                     .use = 0},
};

static at_status run(at_lab_session *l) {
    mode m = {.l = l, .scale = &scales[l->o->scale], .made = -1};
    at_status s = at_rows_open(l, &m.rows);
    if (s == AT_OK) s = mode_read(&m);
    if (s == AT_OK && !m.alone) s = mode_make(&m);
    if (s == AT_OK) s = mode_train(&m);
    if (s == AT_OK && !m.alone) s = mode_text(&m);
    if (s == AT_OK) s = mode_claims(&m);
    if (s == AT_OK) s = mode_effects(&m);
    if (s == AT_OK) s = mode_page(&m);
    at_rows_close(m.rows);
    return s;
}

const at_lab at_lab_mode = {
    .name = "mode",
    .source = "Xie et al. 2024, arXiv 2402.00893",
    .title = "Mixture of Distilled Experts: experts that teach each other",
    .claims = claims,
    .run = run,
    .open = mode_open_data,
};
