# tools/tables.sh on packages made here: what it lays down, what it says, what it refuses.
. tests/cli/lib.sh

run 0 sh tools/tables.sh --list
prints "letter          20000 rows   16 features  26 classes"
prints "boston            506 rows   13 features  a number"
run 2 sh tools/tables.sh lettr
says "there is no table \`lettr\`: tools/tables.sh --list"
run 2 sh tools/tables.sh -o
says "-o: a folder is missing"
run 2 sh tools/tables.sh --everything
says "unknown option \`--everything\`"

for tool in apt-get dpkg-deb sha256sum xz; do
    command -v $tool >/dev/null || { echo "no $tool: packages are not unpacked"; done_testing; exit; }
done

# package NAME: of the files laid before
package() {
    name=$1
    mkdir -p "$work/p/DEBIAN" "$work/t.cache"
    printf 'Package: %s\nVersion: 1.2\nArchitecture: all\nMaintainer: nobody\nDescription: tables\n' "$name" \
        >"$work/p/DEBIAN/control"
    dpkg-deb --root-owner-group --build "$work/p" "$work/t.cache/$name.deb" >/dev/null && rm -rf "$work/p"
}
lay() { # PATH: standard input as a file of the package that is made next
    mkdir -p "$work/p/$(dirname "$1")"
    cat >"$work/p/$1"
}
python=usr/lib/python3/dist-packages/sklearn/datasets/data
printf '3,4,a,b\n1,2,3,4,0\n2,2,3,4,1\n3,2,3,4,0\n' | lay $python/iris.csv
package python3-sklearn
xz -c fuzz/corpus/fuzz_table/one.rds | lay usr/lib/R/site-library/mlbench/data/Vowel.rda
package r-cran-mlbench
for part in train test; do printf '2 1 1\n1\n0\n2\n0\n' | lay usr/share/doc/libfann-dev/examples/datasets/bank32fm.$part; done
package libfann-doc
for part in challenge test; do
    printf '%s\n' '@relation r' '@attribute u numeric' '@attribute class {a,b}' '@data' "1,a % $part" '2,b' |
        lay usr/share/doc/weka/examples/segment-$part.arff
done
package weka
for set in train t10k; do
    echo "$set" | lay usr/share/datasets/fashion-mnist/$set-images-idx3-ubyte.gz
    echo "$set" | lay usr/share/datasets/fashion-mnist/$set-labels-idx1-ubyte.gz
done
package dataset-fashion-mnist

run 0 sh tools/tables.sh -o "$work/t" iris vowel bank32fm segment fashion-mnist
prints "tables: vowel: "
prints "/t/vowel.rda, label Class"
check "no line of counts" test "$(cat "$work/t/iris.csv")" = "1,2,3,4,0
2,2,3,4,1
3,2,3,4,0"
check "unpacked" cmp -s "$work/t/vowel.rda" fuzz/corpus/fuzz_table/one.rds
check "two files of FANN in one" test "$(head -1 "$work/t/bank32fm.fann") $(wc -l <"$work/t/bank32fm.fann")" = "4 1 1 9"
check "one header of ARFF" test "$(grep -c @ "$work/t/segment.arff") $(grep -c , "$work/t/segment.arff")" = "4 5"
check "labels beside images" grep -q t10k "$work/t/fashion-mnist-test-labels-idx1.gz"
printf 'name\tfile\ttest\tlabel\tignore\trows\tfeatures\tclasses\tpackage\tversion\n' >"$work/wanted"
printf 'iris\tiris.csv\t-\tc5\t-\t150\t4\t3\tpython3-sklearn\t1.2\n' >>"$work/wanted"
check "a list of them" test "$(head -2 "$work/t/tables.tsv")" = "$(cat "$work/wanted")"
check "six lines" test "$(wc -l <"$work/t/tables.tsv")" -eq 6
check "test rows apart" grep -q 'fashion-mnist-images-idx3.gz	fashion-mnist-test-images-idx3.gz	label' "$work/t/tables.tsv"
run 0 "$ARTEL" train "$work/t/vowel.rda" --label class --set table.epochs=1 -o "$work/run" -q
run 0 "$ARTEL" eval "$work/run/model" --data "$work/t/vowel.rda"

# what is there is left alone; what a package does not have is said
touch -d 2001-01-01 "$work/t/iris.csv"
run 1 sh tools/tables.sh -o "$work/t" iris wine
prints "tables: left out: python3-sklearn of this Debian has no table wine"
says "not made: wine"
check "iris is as it was" test ! "$work/t/iris.csv" -nt "$work/wanted"
check "nothing half done" test ! -e "$work/t/.part"
done_testing
