/*
 * example_train.c - trains a model from a recipe.
 *
 *     cc example_train.c $(pkg-config --cflags --libs artel) -o example_train
 *     ./example_train recipe.yaml run train.steps=200 train.lr=1e-3
 *
 * The folder `run` gets checkpoints, a log, the model and a page to look at.  Ctrl-C saves; the same
 * command goes on from there, to the bits that an undisturbed run would have had.
 */
#include <artel.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static artel *context;

static void on_signal(int number) {
    (void)number;
    artel_interrupt(context);
}

static void log_line(void *user, artel_log_level level, const char *line) {
    (void)user;
    fprintf(stderr, "%s%s\n", level == ARTEL_WARN ? "warning: " : "", line);
}

static void print(void *user, const char *json) {
    (void)user;
    puts(json);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: example_train RECIPE RUN [KEY=VALUE...]\n");
        return 2;
    }
    const artel_recipe recipe = {
        .path = argv[1], .set = (const char *const *)argv + 3, .n_set = argc - 3};
    char saved[4096];
    (void)snprintf(saved, sizeof saved, "%s/checkpoints", argv[2]);
    const int resume = access(saved, F_OK) == 0;
    context = artel_open(0, log_line, NULL);
    if (!context) return 1;
    (void)signal(SIGINT, on_signal);

    /* What it would cost comes first; a wrong key is told here as well. */
    artel_status s = artel_plan(context, &recipe, ARTEL_TRAIN, print, NULL);
    if (s == ARTEL_OK) s = artel_train(context, &recipe, ARTEL_TRAIN, argv[2], resume, print, NULL);
    if (s != ARTEL_OK) fprintf(stderr, "example_train: %s\n", artel_error(context));
    artel_close(context);
    return s == ARTEL_OK ? 0 : s == ARTEL_INTERRUPTED ? 130 : 1;
}
