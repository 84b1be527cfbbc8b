/* cmd_generate.c - artel generate MODEL -p TEXT. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include "who_args.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static printable generated;

static void put_text(void *user, const char *bytes, size_t n) {
    (void)user;
    printable_bytes(&generated, bytes, n);
    (void)fflush(stdout);
}

/* "expert fr (97.1 %): ` les` ` des` ..." */
static void draw_route(const cJSON *o, const cJSON *expert) {
    fprintf(stderr, "expert %s (%.1f %%)", expert->valuestring, 100 * row_number(o, "probability"));
    const cJSON *w = NULL;
    const char *sep = ": ";
    cJSON_ArrayForEach(w, cJSON_GetObjectItemCaseSensitive(o, "why")) {
        const cJSON *t = cJSON_GetObjectItemCaseSensitive(w, "token");
        fprintf(stderr, "%s`%s` %+.2f", sep, cJSON_IsString(t) ? t->valuestring : "",
                row_number(w, "contribution"));
        sep = ", ";
    }
    fprintf(stderr, "\n");
}

static void emit(void *user, const char *json) {
    const ui *u = user;
    if (u->quiet) return;
    cJSON *o = printable_row(json, stderr);
    const cJSON *expert = cJSON_GetObjectItemCaseSensitive(o, "expert");
    if (cJSON_IsString(expert)) {
        draw_route(o, expert);
    } else {
        fprintf(stderr, "\n%.0f prompt tokens in %.3f s, %.0f new tokens at %.1f tokens/s\n",
                row_number(o, "prompt_tokens"), row_number(o, "prompt_seconds"),
                row_number(o, "new_tokens"), row_number(o, "tokens_per_second"));
    }
    cJSON_Delete(o);
}

/* "1,2 3" into numbers; false after a message about what is no number. */
static bool read_ids(const char *text, int32_t **ids, int64_t *n, int *rc) {
    *ids = malloc((strlen(text) / 2 + 1) * sizeof **ids);
    if (!*ids) *rc = ui_fail("generate", "out of memory");
    for (const char *p = text; *ids && *(p += strspn(p, ", ")); (*n)++) {
        char *end;
        const long id = strtol(p, &end, 10);
        if (end == p || id < 0 || id > INT32_MAX || !strchr(", ", *end)) {
            *rc = ui_usage("generate", "--ids: expected token ids as in 1,2,3, found `%s`", p);
            return false;
        }
        (*ids)[*n] = (int32_t)id;
        p = end;
    }
    return *ids != NULL;
}

int cmd_generate(int argc, char **argv) {
    ui u = {0};
    bool greedy = false;
    char *ids = NULL;
    int32_t *id = NULL;
    who_args who = {0};
    artel_generate_options o = {0};
    const opt table[] = {
        {"prompt", 'p', OPT_STRING, &o.prompt, "", "TEXT", "what the text begins with", 0, 0},
        {"ids", 0, OPT_STRING, &ids, "", "1,2,3",
         "the prompt as token ids; the text is printed as ids, too", 0, 0},
        {"tokens", 'n', OPT_INT, &o.n, "100", "N", "most new tokens", 0, 1e9},
        {"temperature", 0, OPT_REAL, &o.sampling.temperature, "0.8", "T",
         "0: always the most probable", 0, 100},
        {"top-k", 0, OPT_INT, &o.sampling.top_k, "40", "K", "only the K most probable; 0: all", 0,
         1e9},
        {"top-p", 0, OPT_REAL, &o.sampling.top_p, "1", "P", "only the most probable that reach P",
         0, 1},
        {"repeat-penalty", 0, OPT_REAL, &o.sampling.repeat_penalty, "1", "R",
         "a token among the last 64 becomes R times less likely; 1: off", 1, 1e6},
        {"greedy", 0, OPT_FLAG, &greedy, NULL, NULL, "the same as --temperature 0", 0, 0},
        WHO_OPTIONS(&who),
        {"abstain", 0, OPT_REAL, &o.abstain, "0", "P",
         "nobody answers where the router is less sure than this", 0, 1},
        {"fallback", 0, OPT_STRING, &o.fallback, NULL, "A", "but this expert, with --abstain", 0,
         0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "generate",
        "MODEL",
        1,
        1,
        "Continues a text.  The text goes to stdout; which expert answered, why, "
        "and the speed to stderr.  With --ids no tokenizer is needed.\nOn a terminal, control "
        "characters in "
        "the text are shown as \\x1b; into a file or a pipe they go as they are.",
        table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !who_ready(&who, &o.who)) rc = ui_fail("generate", "out of memory");
    if (rc < 0 && *ids && *o.prompt) rc = ui_usage("generate", "either --prompt or --ids");
    if (rc < 0 && o.fallback && !(o.abstain > 0))
        rc = ui_usage("generate", "--fallback is of use with --abstain alone");
    if (rc < 0 && *ids && read_ids(ids, &id, &o.n_ids, &rc)) o.ids = id;
    if (rc < 0 && !ui_open(&u, "generate")) rc = 1;
    if (rc < 0) {
        if (greedy) o.sampling.temperature = 0;
        o.sampling.seed = u.seed < 0 ? 0 : (uint64_t)u.seed;
        const artel_status st =
            artel_generate(u.a, argv[0], &o, u.json ? NULL : put_text, u.json ? ui_json : emit, &u);
        if (!u.json) printable_end(&generated);
        if (!u.json && st == ARTEL_OK) printf("\n");
        rc = ui_close(&u, st);
    }
    who_free(&who);
    free(id);
    return rc;
}
