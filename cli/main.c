/* main.c - artel <verb> ...: finds the verb, leaves everything else to it. */
#include "artel.h"
#include "bench/bench.h"
#include "opt.h"
#include "ui.h"
#include "verbs.h"
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const opt_sub verbs[] = {
#define X(name, about) {#name, about, cmd_##name},
    VERBS(X)
#undef X
        {NULL, NULL, NULL}};

static const char *text(const cJSON *o, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsString(v) ? v->valuestring : "unknown";
}

static void draw_version(void *user, const char *json) {
    (void)user;
    cJSON *o = cJSON_Parse(json);
    const cJSON *v = NULL;
    printf("artel %s (%s)\n", text(o, "version"), text(o, "commit"));
    cJSON_ArrayForEach(v, o) {
        if (!strcmp(v->string, "version") || !strcmp(v->string, "commit")) continue;
        if (cJSON_IsString(v)) printf("  %-10s %s\n", v->string, v->valuestring);
        if (cJSON_IsNumber(v)) printf("  %-10s %g\n", v->string, v->valuedouble);
        if (cJSON_IsBool(v)) printf("  %-10s %s\n", v->string, cJSON_IsTrue(v) ? "yes" : "no");
    }
    cJSON_Delete(o);
}

/* artel --version [--json] */
static int version(int argc, char **argv) {
    const bool json = argc > 2 && !strcmp(argv[2], "--json");
    if (argc > 2 && !json) return ui_usage("--version", "unexpected `%s`", argv[2]);
    artel *a = artel_open(0, NULL, NULL);
    int rc = 0;
    if (!a || at_json_version(a, json ? ui_json : draw_version, NULL) != ARTEL_OK)
        rc = ui_fail("--version", "%s", a ? artel_error(a) : "out of memory");
    artel_close(a);
    return rc;
}

/* Results that could not be written are a failure, whatever exit code the verb returned. */
static int flushed(int rc) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return rc;
    fprintf(stderr, "artel: cannot write to stdout: %s\n", strerror(errno));
    return rc ? rc : 1;
}

/* Exits without running the destructors of libraries.  OpenBLAS starts threads when it is loaded;
   one that gets no memory retries for ever, and its destructor waits for that thread.  (In a build
   with sanitizers the leak checker is a destructor, too, and is wanted.) */
static int finish(int rc) {
#ifdef AT_SANITIZED
    return flushed(rc);
#else
    _Exit(flushed(rc));
#endif
}

int main(int argc, char **argv) {
    if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V")))
        return finish(version(argc, argv));
    return finish(opt_dispatch("artel", verbs, argc, argv));
}
