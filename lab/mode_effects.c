/* mode_effects.c - every table and arm by itself. */
#include "base/file.h"
#include "lab/mode_lab.h"
#include <math.h>

/* A comparison on all tables: with one gate, of arm a and arm b. */
typedef struct {
    mode_gate gate;
    mode_arm a, b;
    at_estimate e[MODE_SETS_MAX];
    double holm[MODE_SETS_MAX];
} comparison;

static at_status estimate(mode *m, comparison *v) {
    double x[MODE_SEEDS_MAX], p[MODE_SETS_MAX];
    at_status s = AT_OK;
    for (int i = 0; i < m->n && s == AT_OK; i++) {
        const mode_cell c = mode_cell_of(i, v->gate);
        for (int k = 0; k < m->scale->seeds; k++)
            x[k] = mode_accuracy(m, &c, v->a, k) - mode_accuracy(m, &c, v->b, k);
        s = mode_estimate(m->l->c, x, m->scale->seeds, &v->e[i]);
        p[i] = v->e[i].p;
    }
    at_stat_holm(p, m->n, v->holm);
    return s;
}

static void put_line(const mode *m, const comparison *v, int i, at_json *j) {
    const mode_cell c = mode_cell_of(i, v->gate);
    const at_estimate *e = &v->e[i];
    double x[2][MODE_SEEDS_MAX];
    for (int k = 0; k < m->scale->seeds; k++) {
        x[0][k] = mode_accuracy(m, &c, v->a, k);
        x[1][k] = mode_accuracy(m, &c, v->b, k);
    }
    at_json_put_string(j, "table", at_rows_table(m->rows, i)->name);
    at_json_put_string(j, "gate", mode_gate_name[v->gate]);
    at_json_put_string(j, "arm", mode_arms[v->a].name);
    at_json_put_number(j, "value", mode_chosen(m, &c, v->a));
    at_json_put_string(j, "than", mode_arms[v->b].name);
    at_json_put_number(j, "than_value", mode_chosen(m, &c, v->b));
    at_json_put_number(j, "accuracy", at_stat_mean(x[0], m->scale->seeds));
    at_json_put_number(j, "than_accuracy", at_stat_mean(x[1], m->scale->seeds));
    at_json_put_number(j, "parameters", mode_number(m, &c, v->a, 0, "parameters"));
    at_json_put_number(j, "than_parameters", mode_number(m, &c, v->b, 0, "parameters"));
    at_json_put_number(j, "effect", e->mean);
    at_json_put_number(j, "sd", e->sd);
    at_json_put_numbers(j, "ci", (const double[]){e->lo, e->hi}, 2);
    at_json_put_number(j, "p", e->p);
    at_json_put_number(j, "p_holm", v->holm[i]);
    at_json_put_number(j, "n", (double)e->n);
}

static at_status add(mode *m, cJSON *list, mode_gate gate, mode_arm a, mode_arm b) {
    comparison v = {.gate = gate, .a = a, .b = b};
    at_status s = estimate(m, &v);
    for (int i = 0; i < m->n && s == AT_OK; i++) {
        at_json j;
        at_json_open(&j, m->l->c);
        put_line(m, &v, i, &j);
        cJSON *o = at_json_value(&j, "effect");
        if (o) at_json_append(list, o);
        s = o ? AT_OK : m->l->c->status;
    }
    return s;
}

at_status mode_effects(mode *m) {
    at_ctx *c = m->l->c;
    cJSON *list = at_json_list(c);
    char *path = at_join(c, m->l->o->out, "effects.jsonl");
    at_status s = list && path ? AT_OK : AT_OOM;
    for (int g = 0; g < 3 && s == AT_OK; g++)
        s = add(m, list, mode_main_gates[g], MODE_MUTUAL, MODE_PLAIN);
    for (int a = MODE_KL; a < MODE_ARMS && s == AT_OK; a++) {
        s = add(m, list, MODE_SPARSE, (mode_arm)a, MODE_PLAIN);
        if (s == AT_OK) s = add(m, list, MODE_SPARSE, MODE_MUTUAL, (mode_arm)a);
    }
    if (s == AT_OK) s = at_json_write_lines(c, path, list);
    cJSON_Delete(list);
    at_free(path);
    return s;
}
