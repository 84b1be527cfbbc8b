/* lab_json.h - what `artel lab` tries and finds, as JSON objects. */
#ifndef AT_LAB_JSON_H
#define AT_LAB_JSON_H
#include "artel.h"

/** {"lab","title","source","claims":[..]} for each lab there is. */
artel_status at_json_labs(artel *a, artel_emit emit, void *user);

typedef struct at_json_lab_options {
    const char *out; /* folder of the lab's runs, results and report          */
    const char
        *data; /* a data set folder, the demo's where it is NULL; of `mode` see docs/lab.md */
    const char *label; /* of `mode`: the column of a table, or NULL             */
    const char *trees; /* of `mode`: a file of bench/peers/trees.py, or NULL    */
    const char *text;  /* of `mode`: a data set folder, or NULL                 */
    const char *scale; /* "quick" (half an hour on two cores), "full" (hours), "tiny" (a test) */
} at_json_lab_options;
/**
 * Tries a paper's claims on real data: trains what they compare, measures, concludes.  Writes
 * results.jsonl (a line a run), claims.jsonl, report.html and runs/NAME/ in `out`; what is finished
 * there is not done again, so after ARTEL_INTERRUPTED the same call goes on.  Runs of another program
 * are done again, speeds of another processor measured again.
 * Emits {"claim","holds","effect","ci":[lo,hi],"p","p_holm" (corrected for the number of claims),
 * "n","unit","bound" ("at_least": effect is a lower limit),..} a claim, then {"lab","scale","runs",
 * "seconds","report","warnings":[..],..}.  A claim that does not hold is a result, not a failure.
 */
artel_status at_json_lab(artel *a, const char *name, const at_json_lab_options *o, artel_emit emit,
                         void *user);

#endif
