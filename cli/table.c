/* table.c - see table.h. */
#include "table.h"
#include "ui.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double row_number_or(const cJSON *o, const char *key, double otherwise) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(o, key);
    return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}
double row_number(const cJSON *o, const char *key) { return row_number_or(o, key, 0); }

const char *row_text(const cJSON *o, const char *key) {
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(o, key));
    return s ? s : "";
}

void table_head(const column *c) {
    int carried = 0;
    for (const column *k = c; k->key; k++) {
        const int more = carried + (k->unit ? (int)strlen(k->unit) : 0);
        const int width = k->width < 0 ? k->width - more : k->width + more;
        carried = k->heading ? 0 : abs(width) + 1;
        if (k->heading) printf("%*s%s", width, k->heading, k[1].key ? " " : "\n");
    }
}

static void draw_cell(const column *c, const cJSON *o, const char *key) {
    const double v = row_number(o, key) * (c->scale != 0 ? c->scale : 1);
    const int longest = c->digits > 0 ? c->digits : -1;
    switch (c->kind) {
    case CELL_NUMBER: printf("%*.*f%s", c->width, c->digits, v, c->unit ? c->unit : ""); break;
    case CELL_TEXT: printf("%*.*s", c->width, longest, row_text(o, key)); break;
    case CELL_BYTES: printf("%*s", c->width, ui_bytes(v)); break;
    case CELL_COUNT: printf("%*s", c->width, ui_count(v)); break;
    }
}

void table_row(const column *c, const cJSON *row) {
    for (; c->key; c++) {
        const cJSON *o = row;
        const char *key = c->key;
        for (const char *dot; (dot = strchr(key, '.')); key = dot + 1) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.*s", (int)(dot - key), key);
            o = cJSON_GetObjectItemCaseSensitive(o, name);
        }
        draw_cell(c, o, key);
        printf(c[1].key ? " " : "\n");
    }
}

void table_draw(const column *c, const cJSON *list) {
    const cJSON *row = NULL;
    table_head(c);
    cJSON_ArrayForEach(row, list) table_row(c, row);
}
