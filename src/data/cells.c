/* cells.c - one cell after the other. */
#include "data/cells.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool blank(char x) { return x == ' ' || x == '\t'; }

static void skip_blanks(at_cells *r) {
    while (r->at < r->end && blank(*r->at) && *r->at != r->mark) r->at++;
}

static bool at_break(const at_cells *r) {
    return r->at < r->end &&
           (*r->at == '\n' || (*r->at == '\r' && r->at + 1 < r->end && r->at[1] == '\n'));
}

static void pass_break(at_cells *r) {
    r->at += *r->at == '\r' ? 2 : 1;
    r->line++;
}

/* To the first cell of the next row; false: there is none. */
static bool row(at_cells *r) {
    while (r->at < r->end) {
        const char *begin = r->at;
        skip_blanks(r);
        if (at_break(r)) {
            pass_break(r);
        } else if (r->arff && r->at < r->end && *r->at == '%') {
            while (r->at < r->end && !at_break(r)) r->at++;
        } else if (r->at < r->end) {
            r->at = begin;
            return true;
        }
    }
    return false;
}

static at_status quoted(at_ctx *c, at_cells *r, at_cell *out) {
    const char quote = *r->at++;
    at_status s = AT_OK;
    r->plain.n = 0;
    while (!s) {
        if (r->at == r->end)
            return at_error(c, AT_FORMAT, "%s:%lld: the quote that opens cell %lld is never closed",
                            r->name, (long long)out->line, (long long)r->column);
        char x = *r->at++;
        if (x == quote && (r->at == r->end || *r->at != quote || r->arff)) break;
        if (x == quote) r->at++;
        if (r->arff && x == '\\' && r->at < r->end) x = *r->at++;
        r->line += x == '\n';
        s = at_bytes_char(c, &r->plain, x);
    }
    if (!s) s = at_bytes_char(c, &r->plain, 0);
    out->text = r->plain.p;
    out->bytes = s ? 0 : (size_t)r->plain.n - 1;
    out->quoted = true;
    return s;
}

static void plain(at_cells *r, at_cell *out) {
    const char *begin = r->at, *end;
    while (r->at < r->end && *r->at != r->mark && !at_break(r)) r->at++;
    end = r->at;
    if (r->at == r->end && end > begin && end[-1] == '\r') end--;
    while (end > begin && blank(end[-1])) end--;
    out->text = begin;
    out->bytes = (size_t)(end - begin);
}

at_status at_cells_next(at_ctx *c, at_cells *r, at_cell *out) {
    at_status s = AT_OK;
    *out = (at_cell){0};
    if (!r->inside) {
        if (!row(r)) return AT_OK;
        r->column = 0;
    }
    r->column++;
    skip_blanks(r);
    out->line = r->line;
    if (r->at < r->end && (*r->at == '"' || (r->arff && *r->at == '\'')))
        s = quoted(c, r, out);
    else
        plain(r, out);
    if (s) return s;
    skip_blanks(r);
    r->inside = r->at < r->end && *r->at == r->mark;
    out->last = !r->inside;
    if (r->inside) {
        r->at++;
    } else if (at_break(r)) {
        pass_break(r);
    } else if (r->at < r->end && *r->at == '\r' && r->at + 1 == r->end) {
        r->at++;
    } else if (r->at < r->end) {
        char found[5] = "";
        const size_t n = at_utf8_cut(r->at, (size_t)(r->end - r->at), 4);
        memcpy(found, r->at, n ? n : 1);
        return at_error(c, AT_FORMAT,
                        "%s:%lld: cell %lld: after the quote that ends it expected `%c` or the end "
                        "of the line, "
                        "found `%s`; a quote inside of a cell is written twice",
                        r->name, (long long)r->line, (long long)r->column, r->mark, found);
    }
    return AT_OK;
}

void at_cells_close(at_cells *r) { at_bytes_free(&r->plain); }

/* ---- what a cell says ---- */

static const char *digits(const char *p, const char *end, bool *any) {
    for (; p < end && *p >= '0' && *p <= '9'; p++) *any = true;
    return p;
}

bool at_cell_number(const char *text, size_t bytes, double *out) {
    const char *p = text, *end = text + bytes;
    bool some = false, exponent = true;
    char copy[64];
    if (!bytes || bytes >= sizeof copy) return false;
    if (*p == '+' || *p == '-') p++;
    p = digits(p, end, &some);
    if (p < end && *p == '.') p = digits(p + 1, end, &some);
    if (some && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-')) p++;
        exponent = false;
        p = digits(p, end, &exponent);
    }
    if (!some || !exponent || p != end) return false;
    memcpy(copy, text, bytes);
    copy[bytes] = 0;
    *out = strtod(copy, NULL);
    return *out - *out == 0; /* not beyond the largest number */
}

bool at_cell_missing(const char *text, size_t bytes) {
    static const char *const known[] = {"", "?", "na", "n/a", "nan", "null"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strlen(known[i]) != bytes) continue;
        size_t k = 0;
        while (k < bytes && (text[k] | (text[k] >= 'A' && text[k] <= 'Z' ? 32 : 0)) == known[i][k])
            k++;
        if (k == bytes) return true;
    }
    return false;
}
