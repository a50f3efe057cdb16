# Prints the classes of the first argument that is a model, one a line: completions/generate.py puts this into the
# scripts of all three shells. A header is JSON on one line: lists of names are found in it without a parser, and names
# that JSON writes with escapes (quotes, letters beyond ASCII) are left out.
names() { # $1: what stands before the list
    LC_ALL=C grep -a -o "$1: [[]\"[^]]*\"]" | head -n 1 | sed -e 's/^.*[[]"//' -e 's/"]$//' |
        awk '{ gsub(/", "/, "\n"); print }' | grep -v '[\]'
}
for word do
    case $word in '' | -*) continue ;; esac
    for place in "$word" "runs/$word"; do
        file=
        case $place in *.safetensors) file=$place ;; esac
        for one in "$place"/model.safetensors "$place"/checkpoints/step-*.safetensors; do
            if [ -f "$one" ]; then file=$one; fi
        done
        [ -f "$file" ] || continue
        length=$(od -An -tu4 -N4 "$file" | tr -d ' ')
        [ "${length:-0}" -lt 16000000 ] || exit
        header=$(head -c "$((length + 8))" "$file" | tail -c "+9" | LC_ALL=C sed 's/[\]"/"/g')
        found=$(printf '%s\n' "$header" | names '"class_names"')
        if [ -z "$found" ]; then # series: the levels of the column that data.label names
            label=$(printf '%s\n' "$header" | LC_ALL=C grep -a -o '"label": "[^"]*"' | head -n 1)
            label=${label#\"label\": }
            found=$(printf '%s\n' "$header" | names "\"name\": $label, [^[]*\"levels\"")
        fi
        [ -z "$found" ] || printf '%s\n' "$found"
        exit
    done
    case $word in # models that come with the package
    BUNDLED) ;;
    esac
done
