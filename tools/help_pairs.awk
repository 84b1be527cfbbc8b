# help_pairs.awk - paragraphs of LibreOffice's help with their translations, which have the same ids.
#
#     cd PAGES && LC_ALL=C awk -v other=FOLDER -f help_pairs.awk PAGE...
#
# Prints "text TAB translation" for each paragraph and heading that the page of the same name in `other` has,
# too, in other words.  Headings of one word are left.

function plain(s) {
    gsub(/<[^>]*>/, "", s)
    gsub(/&nbsp;|\302\240|[ \t\r\n]+/, " ", s)
    gsub(/ +/, " ", s)
    gsub(/^ | $/, "", s)
    gsub(/&lt;/, "<", s)
    gsub(/&gt;/, ">", s)
    gsub(/&quot;/, "\"", s)
    gsub(/&#39;|&apos;/, "'", s)
    gsub(/&amp;/, "\\&", s)
    return s
}
# A line of a page: what ends with it is kept in text[id].
function take(line, text) {
    if (id == "" && match(line, /<(p|h[1-6]) id="[^"]*"/)) {
        id = substr(line, RSTART, RLENGTH)
        sub(/^[^"]*"/, "", id)
        sub(/"$/, "", id)
        line = substr(line, RSTART)
        held = ""
    }
    if (id == "") return ""
    held = held " " line
    if (line !~ /<\/(p|h[1-6])>/) return ""
    sub(/<\/(p|h[1-6])>.*/, "", held)
    text[id] = plain(held)
    line = id
    id = ""
    return line
}
FNR == 1 {
    page = FILENAME
    sub(/^\.\//, "", page)
    split("", theirs)
    split("", ours)
    id = ""
    while ((getline line < (other "/" page)) > 0) take(line, theirs)
    close(other "/" page)
    id = ""
}
{
    key = take($0, ours)
    if (key == "" || !(key in theirs)) next
    if (ours[key] !~ / / || theirs[key] == "" || ours[key] == theirs[key]) next
    print ours[key] "\t" theirs[key]
}
