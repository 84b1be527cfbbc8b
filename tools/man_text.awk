# man_text.awk - the prose of manual pages: paragraphs of running text, without headings, tags, tables and examples.
#
#     awk -v out=FOLDER -f tools/man_text.awk PAGE...      writes FOLDER/<name of the page>.txt
#
# Reads the macros of man(7); pages in mdoc(7) are left.

function plain(s) {
    gsub(/\\f(\[[A-Za-z]*\]|\([A-Z][A-Z]|[A-Z0-9])/, "", s) # fonts
    gsub(/\\s[-+]?[0-9]/, "", s)                     # sizes
    gsub(/\\m\[[A-Za-z]*\]|\\[kh]'[^']*'/, "", s)
    gsub(/\\\(aq|\\\[aq\]|\\\(cq|\\\[cq\]|\\\(oq|\\\[oq\]/, "'", s)
    gsub(/\\\(dq|\\\[dq\]|\\\(lq|\\\[lq\]|\\\(rq|\\\[rq\]/, "\"", s)
    gsub(/\\\(Fo|\\\[Fo\]/, "\302\253", s)
    gsub(/\\\(Fc|\\\[Fc\]/, "\302\273", s)
    gsub(/\\\(Bq|\\\[Bq\]/, "\342\200\236", s)
    gsub(/\\\(em|\\\[em\]/, "\342\200\224", s)
    gsub(/\\\(en|\\\[en\]|\\\(hy|\\\[hy\]|\\\(mi|\\\[mi\]|\\-/, "-", s)
    gsub(/\\\(ti|\\\[ti\]/, "~", s)
    gsub(/\\\(ha|\\\[ha\]/, "^", s)
    gsub(/\\\(rs|\\\[rs\]|\\e/, "\001", s) # a backslash of the text: the last to become one
    gsub(/\\~|\\ |\\0/, " ", s)
    gsub(/\\[&|^\/,%:cud]/, "", s)
    gsub(/\\\*?\([!-~][!-~]|\\\*?\[[^]]*\]|\\\*[!-~]/, "", s)
    gsub(/\001/, "\\", s)
    return s
}
# The arguments of a macro, in quotes where they hold blanks, joined by `between`.
function join(s, between,    t, word) {
    t = ""
    while (s != "") {
        sub(/^[ \t]+/, "", s)
        if (substr(s, 1, 1) == "\"") {
            s = substr(s, 2)
            match(s, /"|$/)
        } else if (!match(s, /[ \t]/)) {
            RSTART = length(s) + 1
        }
        word = substr(s, 1, RSTART - 1)
        s = substr(s, RSTART + 1)
        t = t (t == "" ? "" : between) word
    }
    return t
}
function flush_paragraph() {
    gsub(/[ \t]+/, " ", paragraph)
    sub(/^ /, "", paragraph)
    sub(/ $/, "", paragraph)
    if (paragraph != "" && !other) {
        print paragraph "\n" > file
        written = 1
    }
    paragraph = ""
}
function add(s) {
    if (tag) tag = 0
    else if (!aside && !heading) paragraph = paragraph " " plain(s)
    heading = 0
}
function close_page() {
    flush_paragraph()
    if (written) close(file)
    written = 0
}

FNR == 1 {
    close_page()
    aside = tag = other = heading = 0
    n = split(FILENAME, part, "/")
    file = out "/" part[n] ".txt"
}
/^[.']\\"/ || /^\.?$/ { next }
/^\.Dd/ { other = 1 }
/^\. *(nf|EX|TS|PS|EQ|de)/ { flush_paragraph(); aside = 1; next }
/^\. *(fi|EE|TE|PE|EN)/ || /^\.\.$/ { aside = 0; next }
/^\. *(SH|SS)/ { flush_paragraph(); tag = 0; heading = ($0 ~ /^\. *S[HS] *$/); next }
/^\. *(TP|TQ)/ { flush_paragraph(); tag = 1; next }
/^\. *(PP|P|LP|IP|HP|RS|RE|sp|br|TH|UR|UE|MT|ME)/ { flush_paragraph(); tag = 0; next }
/^\. *[BIR] / || /^\. *S[MB] / { sub(/^\. *[A-Z]+/, ""); add(join($0, " ")); next }
/^\. *[BIR][BIR] / { sub(/^\. *[A-Z]+/, ""); add(join($0, "")); next }
/^[.']/ { next }
{ add($0) }
END { close_page() }
