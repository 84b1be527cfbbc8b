# description_text.awk - what Debian says of its packages, as text.
#
#     awk -v out=FOLDER -f tools/description_text.awk NAMES DESCRIPTIONS
#
# NAMES lists the packages that are wanted, DESCRIPTIONS is a Translation-xx file.  Writes FOLDER/<stem>.txt with the
# descriptions of at most 8 packages of one stem (libreoffice-writer has the stem libreoffice): what is nearly the same
# text shares a file, so that it also shares a split of the data set.  Lists and paragraphs not translated are left.

function stem(name) {
    sub(/^lib/, "", name)
    match(name, /^[a-z0-9][a-z0-9]?[a-z]*/)
    return RLENGTH > 0 ? substr(name, 1, RLENGTH) : name
}
function flush_paragraph() {
    if (paragraph != "" && paragraph !~ /<trans>/) text = text paragraph "\n\n"
    paragraph = ""
}
function flush_package() {
    flush_paragraph()
    if (length(text) >= 200 && count[where] < 8) {
        count[where]++
        file = out "/" where ".txt"
        printf "%s", text >> file
        close(file)
    }
    text = ""
}
NR == FNR { wanted[$1] = 1; next }
/^Package: / { use = ($2 in wanted) && !($2 in seen); seen[$2] = 1; where = stem($2); next }
!use { next }
/^$/ { flush_package(); use = 0; next }
/^ \.$/ { flush_paragraph(); next }
/^  / || /^ [-*+o] / { next }
/^ / { paragraph = paragraph (paragraph == "" ? "" : " ") substr($0, 2) }
END { if (use) flush_package() }
