# fluency.awk - do generated texts loop, and are they made of words?
#
#     find TEXT -type f -exec cat {} + | LC_ALL=C awk -f tools/fluency.awk - group=NAME SAMPLE... group=NAME SAMPLE...
#
# prints a line a group: its name, and in percent the share of runs of four words that occurred before in the same sample
# and the share of words that TEXT does not have.  Words are runs of letters; all that is not ASCII counts as letters.

function words_of(line) {
    gsub(/[^A-Za-z\200-\377]+/, " ", line)
    return split(tolower(line), word, " ")
}
function report() {
    if (last != "") printf "%s %.1f %.1f\n", last, runs ? 100 * again / runs : 0, words ? 100 * unknown / words : 0
    words = unknown = runs = again = 0
}
group == "" {
    n = words_of($0)
    for (i = 1; i <= n; i++) known[word[i]] = 1
    next
}
FNR == 1 { split("", seen); so_far = 0 }
group != last { report(); last = group }
{
    n = words_of($0)
    for (i = 1; i <= n; i++) {
        words++
        if (!(word[i] in known)) unknown++
        a = b; b = c; c = d; d = word[i]
        if (++so_far < 4) continue
        run = a " " b " " c " " d
        runs++
        if (run in seen) again++
        seen[run] = 1
    }
}
END { report() }
