# Completion of ralph's command line for fish. What there is to complete is asked of ralph itself, so that this fits every
# version.
function __ralph_help
    set -l path
    for word in (commandline -opc)[2..-1]
        if ralph $path --help 2>/dev/null | sed -n '/^Subcommands:$/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p' | grep -q -x -F -e "$word"
            set path $path $word
        end
    end
    ralph $path --help 2>/dev/null
end

function __ralph_complete
    set -l before (commandline -opc)[-1]
    set -l help (__ralph_help)
    # What may follow an option: "--priority LEVEL:{critical,high,medium,low}".
    set -l values (string replace -r -f "^  $before [A-Z]*:\{(.*)\}.*" '$1' -- $help)
    if test -n "$values"
        string split , -- $values
    else if contains -- $before --repo --dir
        __fish_complete_directories (commandline -ct)
    else
        printf '%s\n' $help | sed -n -E '/^Subcommands:$/,/^$/s/^  ([a-z][a-z-]*) +(.*)/\1\t\2/p'
        printf '%s\n' $help | sed -n -E 's/^  (-[a-zA-Z],)?(--[a-z-]+).*/\2/p'
        if string match -q -r '^  TASK' -- $help
            ralph ids 2>/dev/null
        end
    end
end

complete -c ralph -f -a '(__ralph_complete)'
