/*
 * kernel_by_type.h - calls the function for B in float or the one for B in BF16.  Included by the
 * kernel sources, which have compiled the functions that read B for both types.
 */

static void tile_rows_any(int m, const at_rows_tile *t) {
    if (t->b16)
        tile_rows16(m, t);
    else
        tile_rows(m, t);
}

static void few_rows(int m, bool tb, const at_few_tile *t) {
    if (t->b16)
        (tb ? few_transposed16 : few_plain16)(m, t);
    else
        (tb ? few_transposed : few_plain)(m, t);
}
