# description_pairs.awk - paragraphs of package descriptions with their translations, of two files of description_lines.awk.
#
#     LC_ALL=C awk -f description_pairs.awk ENGLISH.jsonl TRANSLATION.jsonl
#
# Prints {"source":..., "target":...} for each paragraph of a description that has as many in both languages.

function field(line, name) {
    sub("^.*\"" name "\":\"", "", line)
    sub(name == "id" ? "\".*$" : "\"}$", "", line)
    return line
}
NR == FNR { english[field($0, "id")] = field($0, "text"); next }
{
    id = field($0, "id")
    if (!(id in english)) next
    n = split(english[id], a, /\\n\\n/)
    if (split(field($0, "text"), b, /\\n\\n/) != n) next
    for (i = 1; i <= n; i++)
        if (a[i] != b[i]) printf "{\"source\":\"%s\",\"target\":\"%s\"}\n", a[i], b[i]
}
