/* clock_page.c - the report of the lab of small mixtures against time. */
#include "lab/clock_lab.h"
#include "lab/lab_page.h"
#include "lab/lab_table.h"
#include <stdio.h>

static void models(clock_study *m) {
    const int64_t n = m->scale->seeds;
    at_page_section(m->l, "Models",
                    "Mean \xc2\xb1 standard deviation over seeds. Speed is that of training, "
                    "measured in turns on "
                    "all threads; in the mixture's time: the loss that a model comes to if it is "
                    "trained for as many "
                    "seconds as the mixture.");
    at_page_table(
        m->l, NULL,
        "model|parameters (M)|active (M)|tokens/s|seconds|test loss, equal tokens|test loss in the "
        "mixture's time");
    for (int i = 0; i < CLOCK_MODELS; i++) {
        double loss[CLOCK_SEEDS_MAX], timed[CLOCK_SEEDS_MAX], speed[CLOCK_SEEDS_MAX],
            seconds[CLOCK_SEEDS_MAX];
        char group[64], a[AT_CELL], b[AT_CELL];
        bool outside;
        clock_group(i, CLOCK_WHOLE, group);
        for (int64_t k = 0; k < n; k++) {
            loss[k] = clock_loss(m, i, CLOCK_WHOLE, k);
            timed[k] = clock_loss_in_time(m, i, k, &outside);
            speed[k] = m->speed[k][i].train;
            seconds[k] = clock_seconds(m, i, CLOCK_WHOLE, k);
        }
        at_page_row(m->l, "%s|%.2f|%.2f|%.0f|%.0f|%s|%s", clock_title[i],
                    1e-6 * at_lab_number(m->l, group, 1, "parameters"),
                    1e-6 * at_lab_number(m->l, group, 1, "active"), at_stat_mean(speed, n),
                    at_stat_mean(seconds, n), at_page_spread(a, loss, n, 4),
                    at_page_spread(b, timed, n, 4));
    }
}

/* Every point is the end of a run with a schedule of its own. */
static void against(clock_study *m, const char *title, bool time) {
    at_page_section(m->l, NULL, NULL);
    at_page_chart(m->l, title, time ? "seconds of training" : "tokens", "test loss, nats a token");
    for (int i = 0; i < CLOCK_MODELS; i++) {
        at_page_points(m->l, clock_title[i]);
        for (int h = 0; h < CLOCK_HORIZONS; h++) {
            double x = 0, y = 0;
            const double n = (double)m->scale->seeds;
            char group[64];
            clock_group(i, h, group);
            for (int64_t k = 0; k < m->scale->seeds; k++) {
                x += (time ? clock_seconds(m, i, h, k)
                           : at_lab_number(m->l, group, k + 1, "tokens")) /
                     n;
                y += clock_loss(m, i, h, k) / n;
            }
            at_page_point(m->l, x, y);
        }
    }
    at_page_log_x(m->l);
}

static void tuning(clock_study *m) {
    at_page_section(m->l, "Learning rates",
                    "Validation loss of short runs with a seed of their own.");
    at_page_table(m->l, NULL, "model|learning rate|validation loss|chosen");
    for (int i = 0; i < CLOCK_MODELS; i++)
        for (int r = 0; r < CLOCK_RATES; r++)
            at_page_row(m->l, "%s|%g|%.4f|%s", clock_title[i], clock_rate(m, i, r),
                        clock_tune_loss(m, i, r), r == m->rate[i] ? "yes" : "");
}

void clock_page(clock_study *m) {
    at_page_section(
        m->l, NULL,
        "A mixture uses few of its parameters for a token, so it learns more for a product "
        "computed; but its "
        "products are smaller and more scattered. What is left of the gain when the clock counts?");
    at_page_figures(m->l);
    at_page_holding(m->l);
    at_page_warnings(m->l);
    at_page_claims(m->l);
    models(m);
    against(m, "Loss against seconds: each point is the end of a run", true);
    against(m, "Loss against tokens", false);
    tuning(m);
}
