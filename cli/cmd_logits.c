/* cmd_logits.c - artel logits MODEL --ids FILE -o OUT. */
#include "artel.h"
#include "opt.h"
#include "ui.h"
#include "verbs.h"
#include "who_args.h"

int cmd_logits(int argc, char **argv) {
    ui u = {0};
    const char *ids = NULL, *out = NULL;
    who_args args = {0};
    artel_who who;
    const opt table[] = {
        {"ids", 0, OPT_STRING, &ids, OPT_REQUIRED, "FILE[:NAME]",
         "integer tensor [B,T] in a safetensors file (name: input_ids); attention_mask beside it "
         "marks padding",
         0, 0},
        {"output", 'o', OPT_STRING, &out, OPT_REQUIRED, "FILE",
         "gets `logits`, F32 [B,T,V], and `aux_loss` of routers", 0, 0},
        WHO_OPTIONS(&args),
        UI_OPTIONS(&u),
        {0},
    };
    const opt_verb verb = {"logits",
                           "MODEL",
                           1,
                           1,
                           "Raw logits of given token ids, for checking a conversion; needs no "
                           "tokenizer.",
                           table};
    int rc = opt_parse(&verb, &argc, argv);
    if (rc < 0 && !who_ready(&args, &who)) rc = ui_fail("logits", "out of memory");
    if (rc < 0 && !ui_open(&u, "logits")) rc = 1;
    if (rc < 0) rc = ui_close(&u, artel_logits(u.a, argv[0], &who, ids, out));
    who_free(&args);
    return rc;
}
