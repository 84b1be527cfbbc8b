# join_wide.awk - Chinese and Japanese text without the spaces that come of joined lines.
#
#     LC_ALL=C awk -f tools/join_wide.awk
#
# A space between two characters of these scripts (three bytes in UTF-8, from U+3000 on) is left.

{
    line = $0
    joined = ""
    while (match(line, /[\343-\351\357][\200-\277][\200-\277] +[\343-\351\357][\200-\277][\200-\277]/)) {
        joined = joined substr(line, 1, RSTART + 2)
        line = substr(line, RSTART + RLENGTH - 3)
    }
    print joined line
}
