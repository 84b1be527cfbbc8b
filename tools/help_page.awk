# help_page.awk - the text of pages of LibreOffice's help, without menus, and without what nobody translated.
#
#     cd PAGES && awk -v out=FOLDER [-v original=FOLDER] -f help_page.awk PAGE...
#
# Writes FOLDER/PAGE, a web page.  A paragraph that the page of the same name in `original` has as well is left.  The folders
# must exist.

function plain(line) {
    gsub(/<[^>]*>/, "", line)
    gsub(/^[ \t]+|[ \t\r]+$/, "", line)
    return line
}
# As many elements are closed in the line as are opened.
function whole(line,    closed, alone) {
    closed = gsub(/<\//, "", line)
    alone = gsub(/<(br|img|meta|input|hr)[ \/>]/, "", line)
    return gsub(/<[a-z]/, "", line) == closed
}
function close_page() {
    if (page == "") return
    print "</body></html>" > (out "/" page)
    close(out "/" page)
}

FNR == 1 {
    close_page()
    page = FILENAME
    sub(/^\.\//, "", page)
    inside = 0
    split("", same)
    if (original != "") {
        while ((getline line < (original "/" page)) > 0) same[plain(line)] = 1
        close(original "/" page)
    }
    print "<html><body>" > (out "/" page)
}
/<div id="DisplayArea"/ { inside = 1 }
/<div id="(SearchFrame|DonationFrame)"|<footer/ { inside = 0 }
inside {
    text = plain($0)
    if (length(text) >= 20 && (text in same) && whole($0)) next
    print > (out "/" page)
}
END { close_page() }
