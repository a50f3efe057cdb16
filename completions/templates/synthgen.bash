@HEADER@
_synthgen_classes() {
    sh -c @CLASSES@ sh "${@//[\"\']/}" 2>/dev/null
}

_synthgen() {
    local path=synthgen word words= files= runs= classes= value=
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$path $word" in
        @PATHS@) path="$path $word" ;;
        esac
    done
    case "$path $prev" in
@VALUES@
    esac
    if [[ -z $value && $cur == -* ]]; then
        case "$path" in
@OPTIONS@
        esac
    elif [[ -z $value ]]; then
        case "$path" in
@REST@
        esac
    fi
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$(printf %q "$word")") # recall< would else be a redirection
    done < <(compgen -W "$words" -- "${cur//\\/}")
    if [[ -n $runs ]]; then
        for word in runs/*/checkpoints; do
            word=${word#runs/} word=${word%/checkpoints}
            [[ $word != '*' && $word == "$cur"* ]] && COMPREPLY+=("$word")
        done
    fi
    if [[ -n $classes ]]; then
        while IFS= read -r word; do
            [[ $word == "${cur//\/}"* ]] && COMPREPLY+=("$(printf %q "$word")")
        done < <(_synthgen_classes "${COMP_WORDS[@]:1:COMP_CWORD-1}")
    fi
    if [[ -n $files ]]; then
        compopt -o filenames 2>/dev/null
        while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
    fi
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace 2>/dev/null
    return 0
}
complete -F _synthgen synthgen
