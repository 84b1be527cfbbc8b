/* cmd_inspect.c - artel inspect PATH. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <string.h>

static void draw_value(const cJSON *v, int depth);

/* Whether a value is printed on one line: a plain one, or a short array of plain ones. */
static bool plain(const cJSON *v) {
    const cJSON *i = NULL;
    cJSON_ArrayForEach(i, v) if (cJSON_IsObject(i) || cJSON_IsArray(i)) return false;
    return cJSON_IsArray(v);
}

static void draw_plain(const cJSON *v) {
    if (cJSON_IsString(v)) {
        printf("%s", v->valuestring);
    } else if (cJSON_IsNumber(v)) {
        printf("%.12g", v->valuedouble);
    } else if (plain(v)) {
        const cJSON *i = NULL;
        printf("[");
        cJSON_ArrayForEach(i, v) {
            draw_plain(i);
            if (i->next) printf(", ");
        }
        printf("]");
    } else {
        printf("%s", cJSON_IsNull(v) ? "none" : cJSON_IsTrue(v) ? "yes" : "no");
    }
}

static void draw_value(const cJSON *v, int depth) {
    const cJSON *i = NULL;
    cJSON_ArrayForEach(i, v) {
        printf("%*s%s%s", 2 * depth, "", i->string ? i->string : "-", i->string ? ":" : "");
        if (cJSON_IsObject(i) || (cJSON_IsArray(i) && !plain(i))) {
            printf("\n");
            draw_value(i, depth + 1);
        } else {
            printf(" ");
            draw_plain(i);
            printf("\n");
        }
    }
}

static void draw_tensor(const cJSON *o, const cJSON *name) {
    char shape[256] = "";
    size_t n = 0;
    const cJSON *d = NULL;
    cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(o, "shape")) {
        if (n < sizeof shape - 32)
            n += (size_t)snprintf(shape + n, sizeof shape - n, "%s%.0f", n ? " x " : "",
                                  d->valuedouble);
    }
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(o, "dtype");
    const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(o, "bytes");
    printf("  %-40s %-8s %-20s %s\n", name->valuestring, dtype ? dtype->valuestring : "", shape,
           ui_bytes(bytes ? bytes->valuedouble : 0));
}

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(o, "tensor");
    if (cJSON_IsString(name))
        draw_tensor(o, name);
    else
        draw_value(o, 0);
    cJSON_Delete(o);
}

static void draw_digest(void *user, const char *json) {
    cJSON *o = cJSON_Parse(json);
    const cJSON *d = cJSON_GetObjectItemCaseSensitive(o, "digest");
    printf("%s  %s\n", cJSON_IsString(d) ? d->valuestring : "", (const char *)user);
    cJSON_Delete(o);
}

int cmd_inspect(int argc, char **argv) {
    ui u = {0};
    bool digest = false;
    const opt table[] = {{"digest", 0, OPT_FLAG, &digest, NULL, NULL,
                          "the canonical digest of its parameters alone, as sha256sum prints", 0,
                          0},
                         UI_OPTIONS(&u),
                         {0}};
    const opt_verb verb = {"inspect",
                           "PATH",
                           1,
                           1,
                           "Tells what a model, data set, run or tensor file holds, after checking "
                           "that it is whole.",
                           table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (!ui_open(&u, "inspect")) return 1;
    if (digest)
        return ui_close(&u, artel_digest(u.a, argv[0], u.json ? ui_json : draw_digest, argv[0]));
    return ui_close(&u, artel_inspect(u.a, argv[0], u.json ? ui_json : draw, &u));
}
