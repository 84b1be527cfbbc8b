# artel router segment: Python with French comments, by a router that was made of the Python of this tree and of
# French put together from a list of words.
. tests/cli/lib.sh

mkdir -p "$work/text/fr" "$work/text/python"
awk -v dir="$work/text/fr" 'BEGIN {
    n = split("le la les un une des ce cette ces nous vous elle il on est sont fait font lit lire \303\251crit \303\251crire " \
        "compte compter chaque nom mots mot ligne lignes fichier fichiers dossier m\303\251moire machine r\303\251sultat " \
        "r\303\251sultats entr\303\251e sortie dans avec pour sans par sur sous et ou mais car donc puis plus moins tr\303\250s " \
        "trop grand grands petit petits premier dernier fr\303\251quents donn\303\251 donn\303\251e commande affiche ouvre " \
        "ferme parcourt certains tous toutes qui que dont module paquet seule valeur liste dictionnaire fonction renvoie", w, " ")
    seed = 7
    for (d = 0; d < 40; d++) {
        file = dir "/" d ".txt"
        for (p = 0; p < 6; p++) {
            line = ""
            for (i = 0; i < 40; i++) {
                seed = (seed * 1103515245 + 12345) % 2147483648
                line = line w[int(seed / 65536) % n + 1] (i % 11 == 10 ? ".\n" : " ")
            }
            print line ".\n" >file
        }
        close(file)
    }
}'
for file in tools/*.py bench/peers/*.py; do
    awk -v dir="$work/text/python" -v name="$(basename "$file" .py)" \
        '{ print >(dir "/" name "-" int(NR / 60) ".txt") }' "$file"
done
run 0 "$ARTEL" data build --domain fr="$work/text/fr" --domain python="$work/text/python" --vocab 700 \
    --split 0.9,0.05,0.05 -o "$work/data" --quiet
run 0 "$ARTEL" router train "$work/data" -o "$work/router" --windows 600 --quiet

cat >"$work/mixed.py" <<'END'
import os
import sys


def read_all(path, names):
    # On ouvre chaque fichier dans le dossier et on lit les lignes, car certains fichiers sont trop grands
    out = {}
    for name in names:
        with open(os.path.join(path, name)) as f:
            out[name] = [line.split() for line in f if len(line) > 1]
    return out


def main():
    # Pour chaque nom donné sur la ligne de commande, affiche les mots plus fréquents et le résultat
    for name, rows in read_all(sys.argv[1], sys.argv[2:]).items():
        print(name, len(rows), sum(len(r) for r in rows))
    return 0
END
run 0 "$ARTEL" router segment "$work/router" "$work/mixed.py"
cp "$work/.out" "$work/parts"
check "five parts, in turns" test "$(awk '{ printf "%s ", $3 }' "$work/parts")" = "python fr python fr python "
check "from the first byte to the last" awk -v n="$(wc -c <"$work/mixed.py")" \
    'NR == 1 && $1 != 0 || NR > 1 && $1 != last { exit 1 } { last = $2 } END { exit last != n }' "$work/parts"
# The comments are lines 6 and 15; a part may begin and end a few bytes from there.
near() { # near LINE PART
    from=$(head -n $(($1 - 1)) "$work/mixed.py" | wc -c)
    to=$(head -n "$1" "$work/mixed.py" | wc -c)
    awk -v part="$2" -v a="$from" -v b="$to" 'NR == part { exit !($1 > a - 12 && $1 < a + 12 && $2 > b - 12 && $2 < b + 12) }' \
        "$work/parts"
}
check "the first comment" near 6 2
check "the second comment" near 15 4
check "white space is shown" grep -q '"import os\\nimport sys' "$work/parts"

# Its options: a dear change is not made; standard input; JSON with the text of each part.
run 0 "$ARTEL" router segment "$work/router" "$work/mixed.py" --penalty 1e6
check "one part" test "$(wc -l <"$work/.out")" -eq 1
run 0 "$ARTEL" router segment "$work/router" "$work/mixed.py" --window 1
different() { ! cmp -s "$1" "$2"; }
check "in a window of its own a token weighs more" different "$work/.out" "$work/parts"
"$ARTEL" router segment "$work/router" <"$work/mixed.py" >"$work/piped"
check "the same from standard input" cmp -s "$work/piped" "$work/parts"
run 0 "$ARTEL" router segment "$work/router" "$work/mixed.py" --json
check "five lines" test "$(wc -l <"$work/.out")" -eq 5
prints '{"class":"python","begin":0,"end":'
prints '"text":"import os\nimport sys'
printf 'xyz' >"$work/odd"
run 0 "$ARTEL" router segment "$work/router" "$work/odd" --abstain 1 --json
prints '{"class":"unknown","best":"'
run 0 "$ARTEL" router segment "$work/router" "$work/mixed.py" --abstain 0.5
check "what is sure is said" test "$(grep -c unknown "$work/.out")" -eq 0
: >"$work/empty"
run 0 "$ARTEL" router segment "$work/router" "$work/empty"
silent
run 1 "$ARTEL" router segment "$work/router" "$work/nowhere"
says "nowhere: cannot be read"
run 1 "$ARTEL" router segment "$work/nowhere" "$work/empty"
says "nowhere"
run 2 "$ARTEL" router segment "$work/router" "$work/empty" --penalty 0
says "penalty"
done_testing
