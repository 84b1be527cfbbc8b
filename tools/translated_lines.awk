# translated_lines.awk - pages of a translation without the lines that nobody translated.
#
#     awk -v original=FOLDER -v out=FOLDER -f tools/translated_lines.awk PAGE...
#
# A line of text that the page of the same name in `original` has as well is left; lines that begin with markup stay.

FNR == 1 {
    if (page != "") close(out "/" page)
    n = split(FILENAME, part, "/")
    page = part[n]
    split("", same)
    while ((getline line < (original "/" page)) > 0) same[line] = 1
    close(original "/" page)
}
length($0) < 60 || /^[ \t]*</ || !($0 in same) { print > (out "/" page) }
