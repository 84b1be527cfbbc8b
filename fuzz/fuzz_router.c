/* fuzz_router.c - any bytes as a router; what is accepted answers, explains, and is written and read again. */
#include "route/router.h"
#include <math.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { IDS = 12, TOP = 5 };

static void use(at_ctx *c, const at_router *r) {
    int32_t id[IDS];
    for (int i = 0; i < IDS; i++) id[i] = (int32_t)((int64_t)i * i % r->vocab);
    double *p = at_malloc(c, (size_t)r->n_classes * sizeof *p);
    int best = -1;
    int64_t known = -1, n = 0;
    if (!p) return;
    if (at_router_predict(c, r, id, IDS, p, &best, &known)) abort();
    if (best < 0 || best >= r->n_classes || known < 0 || known > IDS) abort();
    at_router_temper(r, p);
    at_router_reason why[TOP];
    if (at_router_explain(c, r, id, IDS, best, TOP, why, &n) || n > TOP) abort();
    for (int64_t i = 0; i < n; i++)
        if (why[i].first < 0 || why[i].tokens < 1 || why[i].first + why[i].tokens > IDS) abort();
    at_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    at_ctx c;
    at_ctx_init(&c, 1);
    at_router *r;
    if (at_router_parse(&c, "fuzz", data, size, &r)) {
        if (r || !*c.message) abort();
        return 0;
    }
    use(&c, r);
    at_router_close(r);
    return 0;
}
