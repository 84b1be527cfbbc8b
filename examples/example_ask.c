/*
 * example_ask.c - a model that is opened once and asked often.
 *
 *     cc example_ask.c $(pkg-config --cflags --libs artel) -o example_ask
 *     ./example_ask model < prompts.txt
 *
 * Continues every line of the input.  A composed model says which of its experts answers.  Ctrl-C ends
 * an answer; the second one in a row ends the program.
 */
#include <artel.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static artel *context;

static void on_signal(int number) {
    artel_interrupt(context);
    (void)signal(number, SIG_DFL);
}

static void put_text(void *user, const char *bytes, size_t n) {
    (void)user;
    (void)fwrite(bytes, 1, n, stdout);
    (void)fflush(stdout);
}

/* Which expert, why, how fast: a JSON object each. */
static void put_report(void *user, const char *json) {
    (void)user;
    fprintf(stderr, "%s\n", json);
}

int main(int argc, char **argv) {
    char line[4096];
    artel_model *model = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: example_ask MODEL < PROMPTS\n");
        return 2;
    }
    if (!(context = artel_open(0, NULL, NULL))) return 1;
    artel_status s = artel_model_open(context, argv[1], &model);
    while (s == ARTEL_OK && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        const artel_generate_options o = {
            .prompt = line, .n = 40, .sampling = {.temperature = 0.7, .top_k = 40, .seed = 1}};
        artel_interrupt_clear(
            context); /* one that came after the last answer is not meant for this */
        (void)signal(SIGINT, on_signal);
        printf("%s", line);
        s = artel_model_generate(context, model, &o, put_text, put_report, NULL);
        printf("\n");
        if (s == ARTEL_INTERRUPTED) s = ARTEL_OK; /* that answer alone */
    }
    if (s != ARTEL_OK) fprintf(stderr, "example_ask: %s\n", artel_error(context));
    artel_model_close(model);
    artel_close(context);
    return s == ARTEL_OK ? 0 : 1;
}
