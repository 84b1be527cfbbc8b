# description_lines.awk - what Debian says of its packages, as JSON lines.
#
#     awk -f tools/description_lines.awk DESCRIPTIONS
#
# Reads a Translation-xx file and prints {"id":..., "text":...} for each description.  The id is the MD5 of the English
# text, the same in all languages, so that translations find each other.  Lists and paragraphs not translated are left.

function escaped(s,    t, ch) {
    t = ""
    while (match(s, /["\\\001-\037]/)) {
        ch = substr(s, RSTART, 1)
        t = t substr(s, 1, RSTART - 1) (ch == "\"" ? "\\\"" : ch == "\\" ? "\\\\" : " ")
        s = substr(s, RSTART + 1)
    }
    return t s
}
function flush_paragraph() {
    if (paragraph != "" && paragraph !~ /<trans>/) text = text (text == "" ? "" : "\\n\\n") escaped(paragraph)
    paragraph = ""
}
function flush_package() {
    flush_paragraph()
    if (text != "" && id != "" && !(id in seen)) {
        seen[id] = 1
        printf "{\"id\":\"%s\",\"text\":\"%s\"}\n", id, text
    }
    text = id = ""
}
/^Description-md5: / { id = $2; next }
/^$/ { flush_package(); next }
/^ \.$/ { flush_paragraph(); next }
/^  / || /^ [-*+o] / { next }
/^ / { paragraph = paragraph (paragraph == "" ? "" : " ") substr($0, 2) }
END { flush_package() }
