/* diagnosis.h - findings about a model, see doctor.h. */
#ifndef AT_DIAGNOSIS_H
#define AT_DIAGNOSIS_H
#include "arch/usage.h"

typedef enum at_severity { AT_SEVERITY_WARNING, AT_SEVERITY_ERROR } at_severity;

typedef struct at_finding {
    const char *kind, *advice;
    at_severity severity;
    char where[200], measured[300];
    double value; /* of what was measured */
} at_finding;

typedef struct at_diagnosis {
    at_finding *item;
    int64_t n, cap;
    int64_t tensors, banks; /* that were looked at; with more than one slot */
    int64_t tokens; /* that were read; 0: none, since values are not finite or none can be read */
} at_diagnosis;

void at_diagnosis_close(at_diagnosis *d);

/** One more finding. */
at_status at_doctor_find(at_ctx *c, at_diagnosis *d, const char *kind, const char *where,
                         double value, const char *fmt, ...) __attribute__((format(printf, 6, 7)));
/** "layer 2, feed_forward" */
void at_doctor_place(at_router_id id, char place[64]);

#endif
