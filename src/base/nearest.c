/* nearest.c - the restricted Damerau-Levenshtein distance, three rows at a time. */
#include "base/nearest.h"
#include <stddef.h>
#include <string.h>

enum { LONGEST = 64, FAR = 1000 };

static int least(int a, int b, int c) {
    const int ab = a < b ? a : b;
    return ab < c ? ab : c;
}

int at_edit_distance(const char *a, const char *b) {
    const size_t n = strlen(a), m = strlen(b);
    if (n > LONGEST || m > LONGEST) return FAR;
    int rows[3][LONGEST + 1], *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++) above[j] = (int)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= m; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            const int swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            if (swapped && before[j - 2] + 1 < row[j]) row[j] = before[j - 2] + 1;
        }
        int *oldest = before;
        before = above;
        above = row;
        row = oldest;
    }
    return above[m];
}

const char *at_nearest(const char *word, const char *const *known, int64_t n) {
    const char *best = NULL;
    int least_far = (int)(strlen(word) < LONGEST ? (strlen(word) + 2) / 3 : 0) + 1;
    for (int64_t i = 0; i < n; i++) {
        const int d = at_edit_distance(word, known[i]);
        if (d < least_far) {
            least_far = d;
            best = known[i];
        }
    }
    return best;
}
