# Completion of ralph's command line for bash. What there is to complete is asked of ralph itself, so that this fits every
# version.
_ralph() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} help commands values i
    local -a path=()
    help=$("${COMP_WORDS[0]}" --help 2>/dev/null) || return
    for ((i = 1; i < COMP_CWORD; i++)); do
        commands=$(_ralph_commands <<<"$help")
        if [[ $'\n'$commands$'\n' == *$'\n'"${COMP_WORDS[i]}"$'\n'* ]]; then
            path+=("${COMP_WORDS[i]}")
            help=$("${COMP_WORDS[0]}" "${path[@]}" --help 2>/dev/null) || return
        fi
    done
    case $before in
        --repo | --dir)
            compopt -o filenames
            mapfile -t COMPREPLY < <(compgen -d -- "$word")
            return
            ;;
        --*)
            # What may follow an option: "--priority LEVEL:{critical,high,medium,low}".
            values=$(sed -n "s/^  $before [A-Z]*:{\(.*\)}.*/\1/p" <<<"$help")
            if [[ -n $values ]]; then
                mapfile -t COMPREPLY < <(compgen -W "${values//,/ }" -- "$word")
                return
            fi
            ;;
    esac
    if [[ $word == -* ]]; then
        values=$(grep -o -E '^  (-[a-zA-Z],)?--[a-z-]+' <<<"$help" | grep -o -E -e '--[a-z-]+')
    else
        values=$(_ralph_commands <<<"$help")
        if grep -q '^  TASK' <<<"$help"; then
            values+=" $("${COMP_WORDS[0]}" ids 2>/dev/null)"
        fi
    fi
    mapfile -t COMPREPLY < <(compgen -W "$values" -- "$word")
}
_ralph_commands() {
    sed -n '/^Subcommands:$/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'
}
complete -F _ralph ralph
