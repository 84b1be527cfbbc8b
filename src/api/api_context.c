/* api_context.c - opening, closing, last error. */
#include "api/api.h"
#include "artel_version.h"
#include "base/arithmetic.h"
#include "base/cpu.h"
#include "base/escape.h"
#include "base/nearest.h"
#include "base/par.h"
#include "base/text.h"
#include <stdlib.h>
#include <string.h>

static void forward(void *user, at_log_level level, const char *line) {
    const artel *a = user;
    a->log(a->log_user, (artel_log_level)level, line);
}

static atomic_int opened; /* contexts */

artel *artel_open(int threads, artel_log log, void *user) {
    artel *a = calloc(1, sizeof *a);
    if (!a) return NULL;
    (void)atomic_fetch_add(&opened, 1);
    at_ctx_init(&a->ctx, threads);
    a->log = log;
    a->log_user = user;
    if (log) a->ctx.log = forward;
    a->ctx.log_user = a;
    a->ctx.interrupt = &a->stop;
    return a;
}
_Static_assert((int)ARTEL_INFO == (int)AT_LOG_INFO && (int)ARTEL_PROGRESS == (int)AT_LOG_PROGRESS &&
                   (int)ARTEL_INTERRUPTED == (int)AT_INTERRUPTED,
               "public and internal enumerations agree");

void artel_close(artel *a) {
    if (!a) return;
    at_compute_close(&a->cp);
    free(a);
    if (atomic_fetch_sub(&opened, 1) == 1) at_par_stop();
}

const char *artel_error(const artel *a) { return a->ctx.message; }
const char *artel_status_text(artel_status s) { return at_status_text((at_status)s); }
void artel_free(void *p) { at_free(p); }

/* Lock-free, so that a handler of signals and other threads may store it. */
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "an int can be stored in a handler of signals");
void artel_interrupt(artel *a) { atomic_store(&a->stop, 1); }
void artel_interrupt_clear(artel *a) { atomic_store(&a->stop, 0); }

at_status at_compute_of(artel *a, at_compute **out) {
    *out = &a->cp;
    if (a->cp.scratch) return AT_OK;
    return at_compute_open(&a->cp, &a->ctx);
}

artel_status at_answer(artel *a, at_status s) {
    if (s == AT_INTERRUPTED) artel_interrupt_clear(a);
    return (artel_status)s;
}

/* UTF-8, and every control character as an escape: cJSON leaves those from 7F to 9F as they are. */
static void put_json(at_text *line, const char *text) {
    for (const char *p = text; *p; p = text) {
        while (*p && *p != 0x7F && !(*p == '\xC2' && (unsigned char)p[1] < 0xA0)) p++;
        at_text_utf8(line, text, (size_t)(p - text));
        text = p;
        if (*p == 0x7F)
            at_textf(line, "\\u007f");
        else if (*p && (unsigned char)p[1] >= 0x80)
            at_textf(line, "\\u00%02x", (unsigned)(unsigned char)p[1]);
        else if (*p)
            at_text_utf8(line, p, 1); /* a lone C2 */
        if (*p) text = p + (*p != 0x7F && (unsigned char)p[1] >= 0x80 ? 2 : 1);
    }
}

artel_status at_emit(artel *a, artel_emit emit, void *user, at_json *j) {
    at_status s = at_json_finish(j);
    at_text line;
    at_text_init(&line, &a->ctx, 0);
    if (s == AT_OK) put_json(&line, j->text.s);
    if (s == AT_OK) s = line.failed;
    if (s == AT_OK && emit) emit(user, line.s);
    at_text_close(&line);
    at_json_close(j);
    return (artel_status)s;
}

char *artel_about(artel *a) {
    at_json j;
    at_json_open(&j, &a->ctx);
    at_json_put_string(&j, "version", ARTEL_VERSION_TEXT);
    at_json_put_string(&j, "commit", ARTEL_COMMIT_TEXT);
    at_json_put_string(&j, "arithmetic", AT_ARITHMETIC);
    at_json_put_string(&j, "cpu", at_cpu_name(a->ctx.cpu));
    at_json_put_number(&j, "threads", a->ctx.threads);
    return at_json_take(&j);
}

size_t artel_printable(const char *text, size_t bytes, char *out, size_t room) {
    return at_printable(text, bytes, out, room);
}

const char *artel_nearest(const char *word, const char *const *known, int n) {
    return at_nearest(word, known, n);
}
