/*
 * kernel_by_type.h - the choice between B in float and B in BF16, for sources that have compiled what
 * reads B for both.  Not a header to be included elsewhere.
 */

static void tile_rows_any(int m, const at_rows_tile *t) {
    if (t->b16)
        tile_rows16(m, t);
    else
        tile_rows(m, t);
}

static void few_rows(int m, bool turn, const at_few_tile *t) {
    if (t->b16)
        (turn ? few_transposed16 : few_plain16)(m, t);
    else
        (turn ? few_transposed : few_plain)(m, t);
}
