/*
 * example_compose.c - experts behind a router become one model, which is asked at once.
 *
 *     cc example_compose.c $(pkg-config --cflags --libs artel) -o example_compose
 *     ./example_compose experts.yaml model "Good morning" "Bonjour"
 *
 * with a recipe that names a router (artel_router_train makes one from a data set) and the experts:
 *
 *     {mode: ple, router: router, experts: [{name: en, model: en/model}, {name: fr, model: fr/model}]}
 *
 * Tells of each text which expert it belongs to, and how that one goes on, token by token.
 */
#include <artel.h>
#include <stdio.h>
#include <string.h>

enum { NEW_TOKENS = 20 };

static void print(void *user, const char *json) {
    (void)user;
    puts(json);
}

/* Reads the text, then draws a token and reads it, over and over. */
static artel_status answer(artel *a, const artel_model *m, const char *text) {
    const artel_tokenizer *t = artel_model_tokenizer(m);
    const artel_sampling how = {
        .temperature = 0.7, .top_p = 0.95, .repeat_penalty = 1.2, .seed = 1};
    artel_session *session = NULL;
    int32_t *ids = NULL, id = 0;
    int64_t n = 0;
    artel_status s = artel_session_open(a, m, NULL, &session);
    if (s == ARTEL_OK) s = artel_tokenizer_encode(a, t, text, strlen(text), 0, &ids, &n);
    if (s == ARTEL_OK) s = artel_session_feed(session, ids, n);
    if (s == ARTEL_OK) printf("%s: %s", artel_session_expert(session), text);
    for (int i = 0; i < NEW_TOKENS && s == ARTEL_OK; i++) {
        char *piece = NULL;
        size_t bytes = 0;
        s = artel_session_sample(session, &how, &id);
        if (s != ARTEL_OK || id == artel_model_end(m)) break;
        s = artel_tokenizer_decode(a, t, &id, 1, &piece, &bytes);
        if (s == ARTEL_OK) printf("%s", piece);
        artel_free(piece);
        if (s == ARTEL_OK) s = artel_session_feed(session, &id, 1);
    }
    printf("\n");
    artel_free(ids);
    artel_session_close(session);
    return s;
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: example_compose RECIPE MODEL [TEXT...]\n");
        return 2;
    }
    const artel_recipe recipe = {.path = argv[1]};
    artel_model *model = NULL;
    artel *a = artel_open(0, NULL, NULL);
    if (!a) return 1;
    artel_status s = artel_compose(a, &recipe, argv[2], print, NULL);
    if (s == ARTEL_OK) s = artel_model_open(a, argv[2], &model);
    for (int i = 3; i < argc && s == ARTEL_OK; i++) s = answer(a, model, argv[i]);
    if (s != ARTEL_OK) fprintf(stderr, "example_compose: %s\n", artel_error(a));
    artel_model_close(model);
    artel_close(a);
    return s == ARTEL_OK ? 0 : 1;
}
