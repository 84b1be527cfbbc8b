#!/bin/sh
# Tables that Debian's packages ship, to learn from: unpacked, not installed.
#
#     tools/tables.sh [-o DIR] [NAME...]     all of them, or those named; DIR by default: ~/.cache/artel/tables
#     tools/tables.sh --list                 what there is
#
# makes DIR/NAME.csv, .rda, .arff, .fann or NAME-images-idx3.gz, and DIR/tables.tsv, a line for each table of DIR with a
# header and tabs between: name, file and test (paths within DIR; - where the rows are not parted), label (its column),
# ignore (columns that are not to be read, - or a,b), rows (with those of test), features (columns that are read), classes
# (0: the label is a number), package, version.  Downloads stay in DIR.cache, and a second call makes only what is missing.
# apt checks every package by its signed lists.  Needs apt-get, dpkg, xz and bzip2 (of dpkg-dev), no root.
set -eu
program=tables
tools=$(cd "$(dirname "$0")" && pwd)
. "$tools/corpus_fetch.sh"

# name, package, how it is unpacked, label, ignored, rows, features, classes, and the files
catalogue() {
    cat <<'LIST'
digits        python3-sklearn       copy   c65      -         1797  64  10 usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz
iris          python3-sklearn       counts c5       -          150   4   3 usr/lib/python3/dist-packages/sklearn/datasets/data/iris.csv
wine          python3-sklearn       counts c14      -          178  13   3 usr/lib/python3/dist-packages/sklearn/datasets/data/wine_data.csv
wdbc          python3-sklearn       counts c31      -          569  30   2 usr/lib/python3/dist-packages/sklearn/datasets/data/breast_cancer.csv
letter        r-cran-mlbench        rda    lettr    -        20000  16  26 usr/lib/R/site-library/mlbench/data/LetterRecognition.rda
satellite     r-cran-mlbench        rda    classes  -         6435  36   6 usr/lib/R/site-library/mlbench/data/Satellite.rda
vowel         r-cran-mlbench        rda    Class    -          990  10  11 usr/lib/R/site-library/mlbench/data/Vowel.rda
dna           r-cran-mlbench        rda    Class    -         3186 180   3 usr/lib/R/site-library/mlbench/data/DNA.rda
shuttle       r-cran-mlbench        rda    Class    -        58000   9   7 usr/lib/R/site-library/mlbench/data/Shuttle.rda
vehicle       r-cran-mlbench        rda    Class    -          846  18   4 usr/lib/R/site-library/mlbench/data/Vehicle.rda
soybean       r-cran-mlbench        rda    Class    -          683  35  19 usr/lib/R/site-library/mlbench/data/Soybean.rda
glass         r-cran-mlbench        rda    Type     -          214   9   6 usr/lib/R/site-library/mlbench/data/Glass.rda
zoo           r-cran-mlbench        rda    type     -          101  16   7 usr/lib/R/site-library/mlbench/data/Zoo.rda
sonar         r-cran-mlbench        rda    Class    -          208  60   2 usr/lib/R/site-library/mlbench/data/Sonar.rda
ionosphere    r-cran-mlbench        rda    Class    -          351  34   2 usr/lib/R/site-library/mlbench/data/Ionosphere.rda
pima          r-cran-mlbench        rda    diabetes -          768   8   2 usr/lib/R/site-library/mlbench/data/PimaIndiansDiabetes2.rda
breast        r-cran-mlbench        rda    Class    Id         699   9   2 usr/lib/R/site-library/mlbench/data/BreastCancer.rda
votes         r-cran-mlbench        rda    Class    -          435  16   2 usr/lib/R/site-library/mlbench/data/HouseVotes84.rda
boston        r-cran-mlbench        rda    medv     -          506  13   0 usr/lib/R/site-library/mlbench/data/BostonHousing.rda
spam          r-cran-kernlab        rda    type     -         4601  57   2 usr/lib/R/site-library/kernlab/data/spam.rda
musk          r-cran-kernlab        rda    Class    -          476 166   2 usr/lib/R/site-library/kernlab/data/musk.rda
insurance     r-cran-kernlab        rda    CARAVAN  -         9822  85   2 usr/lib/R/site-library/kernlab/data/ticdata.rda
cells         r-cran-caret          rda    Class    Cell,Case 2019  58   2 usr/lib/R/site-library/caret/data/segmentationData.RData
segment       weka                  arff   class    -         2310  19   7 usr/share/doc/weka/examples/segment-challenge.arff usr/share/doc/weka/examples/segment-test.arff
credit        weka                  arff   class    -         1000  20   2 usr/share/doc/weka/examples/credit-g.arff
gene          libfann-doc           fann   class    -         3175 120   3 usr/share/doc/libfann-dev/examples/datasets/gene
mushroom      libfann-doc           fann   class    -         8124 125   2 usr/share/doc/libfann-dev/examples/datasets/mushroom
thyroid       libfann-doc           fann   class    -         7200  21   3 usr/share/doc/libfann-dev/examples/datasets/thyroid
abalone       libfann-doc           fann   out1     -         4177  10   0 usr/share/doc/libfann-dev/examples/datasets/abelone
bank32fm      libfann-doc           fann   out1     -         4096  32   0 usr/share/doc/libfann-dev/examples/datasets/bank32fm
kin32fm       libfann-doc           fann   out1     -         4096  32   0 usr/share/doc/libfann-dev/examples/datasets/kin32fm
census-house  libfann-doc           fann   out1     -        22784  16   0 usr/share/doc/libfann-dev/examples/datasets/census-house
fashion-mnist dataset-fashion-mnist idx    label    -        70000 784  10 usr/share/datasets/fashion-mnist
LIST
}

out=""
names=""
wrong() {
    say "$*" >&2
    say "usage: tools/tables.sh [-o DIR] [NAME...] | --list" >&2
    exit 2
}
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
    --list)
        catalogue | awk '{ printf "%-14s %6d rows %4d features  %s\n", $1, $6, $7, $8 ? $8 " classes" : "a number" }'
        exit 0
        ;;
    -o)
        [ $# -ge 2 ] && [ -n "$2" ] || wrong "-o: a folder is missing"
        out=$2
        shift
        ;;
    -*) wrong "unknown option \`$1\`" ;;
    *)
        catalogue | grep -q "^$1 " || wrong "there is no table \`$1\`: tools/tables.sh --list"
        names="$names $1"
        ;;
    esac
    shift
done
out=${out:-${XDG_CACHE_HOME:-$HOME/.cache}/artel/tables}
names=${names:-$(catalogue | cut -d ' ' -f 1)}
cache=$out.cache
mkdir -p "$out" "$cache" || fail "cannot make $out and $cache"
out=$(cd "$out" && pwd)
cache=$(cd "$cache" && pwd)

field() { catalogue | awk -v name="$1" -v field="$2" '$1 == name { print $field }'; }
# The file of a table, and of its test rows.
file_of() {
    case $(field "$1" 3) in
    copy) echo "$1.csv.gz" ;;
    counts) echo "$1.csv" ;;
    idx) echo "$1-images-idx3.gz" ;;
    *) echo "$1.$(field "$1" 3)" ;;
    esac
}
test_of() { if [ "$(field "$1" 3)" = idx ]; then echo "$1-test-images-idx3.gz"; else echo -; fi; }

# ---- a table from unpacked packages, into a file of its own ---------------------------------------------------------

plain() {
    case $(head -c 3 "$1" | od -An -tx1) in
    " fd 37 7a") xz -dc "$1" ;;
    " 42 5a 68") bzip2 -dc "$1" ;;
    " 1f 8b 08") gzip -dc "$1" ;;
    *) cat "$1" ;;
    esac
}
# Rows of two files of a kind under the header of the first.
join_fann() {
    awk 'FNR == 1 { rows += $1; rest = $2 " " $3; next } { line[++n] = $0 }
        END { print rows, rest; for (i = 1; i <= n; i++) print line[i] }' "$1.train" "$1.test"
}
join_arff() { awk 'FNR == NR { print; next } data; tolower($1) == "@data" { data = 1 }' "$@"; }
unpack() { # NAME FILE...
    name=$1
    how=$(field "$name" 3)
    shift
    part=$out/.part
    rm -f "$part"
    case $how in
    copy) cp "$1" "$part" ;;
    counts) tail -n +2 "$1" >"$part" ;;
    rda) plain "$1" >"$part" ;;
    arff) join_arff "$@" >"$part" ;;
    fann) join_fann "$1" >"$part" ;;
    idx)
        for set in train t10k; do
            to=$name$([ $set = train ] || echo -test)
            for kind in labels-idx1 images-idx3; do
                cp "$1/$set-$kind-ubyte.gz" "$part" && mv "$part" "$out/$to-$kind.gz" || return 1
            done
        done
        return
        ;;
    esac || return 1
    mv "$part" "$out/$(file_of "$name")"
}

# ---- what is missing ------------------------------------------------------------------------------------------------

todo=""
packages=""
for name in $names; do
    file=$(test_of "$name")
    if [ -f "$out/$(file_of "$name")" ] && { [ "$file" = - ] || [ -f "$out/$file" ]; }; then continue; fi
    todo="$todo $name"
    p=$(field "$name" 2)
    case " $packages " in *" $p "*) ;; *) packages="$packages $p" ;; esac
done
if [ -n "$todo" ]; then
    need_tools "these tables come from Debian packages.
tables: elsewhere, give \`artel train\` a CSV of your own"
    # shellcheck disable=SC2086
    fetch $packages
    for p in $packages; do
        is_whole "$p" || continue
        rm -rf "$cache/x"
        mkdir "$cache/x"
        dpkg-deb -x "$cache/$p.deb" "$cache/x" || fail "cannot unpack $cache/$p.deb"
        for name in $todo; do
            [ "$(field "$name" 2)" = "$p" ] || continue
            # shellcheck disable=SC2046
            (cd "$cache/x" && unpack "$name" $(catalogue | awk -v name="$name" '$1 == name { $1 = $2 = $3 = $4 = $5 = $6 = $7 = $8 = ""; print }')) ||
                say "left out: $p of this Debian has no table $name"
        done
    done
    rm -rf "$cache/x" "$cache/partial" "$out/.part"
fi

# ---- the list of all that lie there ---------------------------------------------------------------------------------

{
    printf 'name\tfile\ttest\tlabel\tignore\trows\tfeatures\tclasses\tpackage\tversion\n'
    catalogue | while read -r name package how label ignore rows features classes files; do
        [ -f "$out/$(file_of "$name")" ] || continue
        version=$(dpkg-deb -f "$cache/$package.deb" Version 2>/dev/null || echo -)
        printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$(file_of "$name")" "$(test_of "$name")" "$label" \
            "$ignore" "$rows" "$features" "$classes" "$package" "$version"
    done
} >"$out/.tsv"
mv "$out/.tsv" "$out/tables.tsv"
missing=""
for name in $names; do
    if [ -f "$out/$(file_of "$name")" ]; then
        say "$name: $out/$(file_of "$name"), label $(field "$name" 4)"
    else
        missing="$missing $name"
    fi
done
[ -z "$missing" ] || fail "not made:$missing"
