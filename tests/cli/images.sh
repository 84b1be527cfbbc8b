#!/bin/sh
# Images through the program: a folder of pictures to a measured model and its answers, IDX to the same model, and what
# is refused.
. tests/cli/lib.sh
cd "$work" || exit 1

# white above, white at the left, the latter larger, in colour, and as JPEG
up=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mP4DwUMeBhEAAC54h/hLKFfjQAAAABJRU5ErkJggg==
left=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAAEElEQVR42mP4DwQMIEAZAwC7xB/h8DmDUAAAAABJRU5ErkJggg==
large=iVBORw0KGgoAAAANSUhEUgAAAAwAAAAMCAAAAABzHgM7AAAAEElEQVR42mP4DwYMEDC4OACzHke59y3S9AAAAABJRU5ErkJggg==
red=iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAEklEQVR42mP4r8EARyhgaEkAAGZJJOH06vPBAAAAAElFTkSuQmCC
jpeg=/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAxNDQ0Hyc5PTgyPC4zNDL/wAALCAAIAAgBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAAAf/EABgQAAIDAAAAAAAAAAAAAAAAAAAIRoTD/9oACAEBAAA/ABmotbxP/9k=
mkdir -p pictures/above pictures/beside odd
for i in 0 1 2 3 4 5 6 7 8 9; do
    echo $up | base64 -d >pictures/above/$i.png
    echo $left | base64 -d >pictures/beside/$i.png
done
echo $jpeg | base64 -d >pictures/beside/j.jpg
echo $large | base64 -d >odd/large.png
echo $red | base64 -d >odd/red.png

small="--set model.stem_channels=4 --set model.hidden_size=8 --set table.epochs=30 --set train.batch=4 --set train.lr=1e-2 --threads 1"
# shellcheck disable=SC2086 # options
run 0 "$ARTEL" train pictures -o run -q $small --set losses.mutual_distillation=0.1
prints "\`label\` of 4 rows held back: 100.00 % right"
run 0 "$ARTEL" inspect run/model
prints "conv_moe"
check "sizes are those of the pictures" grep -q '"image_height":	*8' run/model/config.json
check "all pixels are one column" grep -q '"name":	*"image"' run/model/config.json
run 0 "$ARTEL" eval run/model --data pictures --json
prints '"rows":4,'
run 0 "$ARTEL" probe run/model --data pictures
prints "recall of the gate"
run 0 "$ARTEL" predict run/model pictures/beside
check "a header with files" grep -qx 'file,label,p(above),p(beside)' .out
check "a line a picture" test "$(wc -l <.out)" -eq 12
check "files by name, with their class" grep -q '^pictures/beside/j.jpg,beside,0' .out
run 0 "$ARTEL" predict run/model pictures/above/3.png
check "one picture" test "$(sed 1d .out | cut -d, -f1-2)" = pictures/above/3.png,above
run 0 "$ARTEL" predict run/model odd/red.png
check "a colour picture, as grey" test "$(wc -l <.out)" -eq 2
run 1 "$ARTEL" predict run/model odd/large.png
says "images of 12 x 12 pixels of 1 values, the model reads 8 x 8 of 1"
run 0 "$ARTEL" train pictures --print-config
prints "arch: conv_moe"
run 0 "$ARTEL" train pictures -o plain -q --threads 1 --set model.arch=mlp_moe --set table.epochs=5
prints "\`label\` of 4 rows held back"

# other sizes, colours
mkdir -p mixed
cp -r pictures/above pictures/beside mixed
cp odd/*.png mixed/beside
run 1 "$ARTEL" train mixed -o no
says "mixed/above/0.png is 8 x 8 pixels, mixed/beside/large.png is 12 x 12 (height x width): table.image_size says"
# shellcheck disable=SC2086 # options
run 0 "$ARTEL" train mixed -o resized -q $small --set table.image_size=10x9
check "as it is said" grep -q '"image_width":	*9' resized/model/config.json
check "in colour" grep -q '"image_channels":	*3' resized/model/config.json
run 0 "$ARTEL" predict resized/model odd
check "which the model remembers" test "$(wc -l <.out)" -eq 3
for bad in 10 10x 0x8 8x9000 8x8x8 axb; do
    run 1 "$ARTEL" train mixed -o no --set table.image_size=$bad
    says "\`table.image_size\`: expected HEIGHTxWIDTH"
done

# IDX: the same pictures
{
    printf '\000\000\010\003\000\000\000\050\000\000\000\010\000\000\000\010'
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        for byte in 377 377 377 377 000 000 000 000; do printf "\\$byte\\$byte\\$byte\\$byte\\$byte\\$byte\\$byte\\$byte"; done
        for row in 1 2 3 4 5 6 7 8; do printf '\377\377\377\377\000\000\000\000'; done
    done
} >t-images-idx3-ubyte
{
    printf '\000\000\010\001\000\000\000\050'
    i=0
    while [ $i -lt 20 ]; do
        i=$((i + 1))
        printf '\001\002'
    done
} >t-labels-idx1-ubyte
# shellcheck disable=SC2086 # options
run 0 "$ARTEL" train t-images-idx3-ubyte -o idx -q $small --set model.arch=conv_moe --set model.expert=conv --set model.norm=batch
prints "\`label\` of 8 rows held back: 100.00 % right"
run 1 "$ARTEL" train t-images-idx3-ubyte -o no --set table.image_size=8x8
says "table.image_size: t-images-idx3-ubyte is no picture and no folder of pictures"
run 1 "$ARTEL" train t-images-idx3-ubyte -o no --set table.scale=quantile
says "images are divided by 255"
run 1 "$ARTEL" train t-images-idx3-ubyte -o no --set model.arch=conv_moe --set model.image_height=9
says "reads 72 numbers"
run 1 "$ARTEL" predict idx/model odd/large.png
says "images of 12 x 12"

# what is refused
printf 'a,b\n1,x\n2,y\n3,x\n4,y\n' >t.csv
run 1 "$ARTEL" train t.csv -o no --set model.arch=conv_moe
says "\`model.image_height\`: conv_moe reads images, and the data has none"
head -c 40 pictures/above/1.png >pictures/above/1.tmp && mv pictures/above/1.tmp pictures/above/1.png
run 1 "$ARTEL" train pictures -o no
says "pictures/above/1.png: the PNG file is cut short, after 40 bytes"
run 1 "$ARTEL" eval run/model --data pictures
says "pictures/above/1.png: the PNG file is cut short"
rm pictures/above/1.png
run 2 "$ARTEL" eval run/model --data pictures --split train
says "is not the file that the model learnt from"
echo notes >pictures/above/notes.txt
run 0 "$ARTEL" eval run/model --data pictures
says "pictures: 1 file is left out, pictures/above/notes.txt first"
run 1 "$ARTEL" train run/checkpoints -o no
says "expected PNG or JPEG files, in a folder for each class"
run 2 "$ARTEL" train pictures -o no --set table.frame=x
says "pictures: a data frame \`x\` of R is asked for, and this is a folder"
run 1 "$ARTEL" train odd -o no --set table.image_size=8x8
says "column \`image\` has images, and there are no labels"
run 1 "$ARTEL" predict run/model t.csv
says "no column \`image\`, which the model reads"
check "nothing is left behind" test ! -e no
done_testing
