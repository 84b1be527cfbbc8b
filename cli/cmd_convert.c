/* cmd_convert.c - artel convert MODEL -o DIR --to hf|artel. */
#include "artel.h"
#include "opt.h"
#include "printable.h"
#include "table.h"
#include "ui.h"
#include "verbs.h"
#include <stdio.h>
#include <string.h>

static void draw(void *user, const char *json) {
    (void)user;
    cJSON *o = printable_row(json, stdout);
    const cJSON *target = cJSON_GetObjectItemCaseSensitive(o, "target");
    const cJSON *l = cJSON_GetObjectItemCaseSensitive(o, "logits");
    printf("%s: %.0f tensors of %.0f, %s, in %.1f s\n",
           cJSON_IsString(target) ? target->valuestring : "", row_number(o, "tensors_written"),
           row_number(o, "tensors_read"), ui_bytes(row_number(o, "bytes")),
           row_number(o, "seconds"));
    if (row_number(o, "left_out") > 0)
        printf("  %.0f tensors are no parameters and were left out\n", row_number(o, "left_out"));
    if (row_number(o, "files") > 1) printf("  %.0f files became one\n", row_number(o, "files"));
    if (row_number(l, "difference") > 0)
        printf("  logits of %.0f tokens differ by %.2g of their size (allowed: %.2g)\n",
               row_number(l, "ids"), row_number(l, "difference"), row_number(l, "allowed"));
    else
        printf("  logits of %.0f tokens agree to the last bit\n", row_number(l, "ids"));
    cJSON_Delete(o);
}

int cmd_convert(int argc, char **argv) {
    ui u = {0};
    const char *out = NULL, *type = NULL;
    artel_convert_options o = {0};
    const opt table[] = {
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "DIR", "the folder to make", 0, 0},
        {"to", 0, OPT_STRING, &o.to, OPT_REQUIRED, "hf|artel",
         "hf: every tensor as it is, for the programs of its authors; artel: the parameters alone",
         0, 0},
        {"dtype", 0, OPT_STRING, &type, "", "f32|bf16", "type of the parameters; default: theirs",
         0, 0},
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {
        "convert",
        "MODEL",
        1,
        1,
        "Writes a model folder in another shape, tensor by tensor, then compares "
        "the logits of both.\nWeights in several files become one.  Fails, "
        "leaving no folder, when logits differ.",
        table};
    const int rc = opt_parse(&verb, &argc, argv);
    if (rc >= 0) return rc;
    if (strcmp(o.to, "hf") != 0 && strcmp(o.to, "artel") != 0 && strcmp(o.to, "gguf") != 0)
        return ui_usage("convert", "--to: expected hf or artel, found `%s`", o.to);
    if (*type && strcmp(type, "f32") != 0 && strcmp(type, "bf16") != 0)
        return ui_usage("convert", "--dtype: expected f32 or bf16, found `%s`", type);
    if (!ui_open(&u, "convert")) return 1;
    o.type = *type ? type : NULL;
    o.seed = u.seed < 0 ? 0 : (uint64_t)u.seed;
    return ui_close(&u, artel_convert(u.a, argv[0], out, &o, u.json ? ui_json : draw, &u));
}
