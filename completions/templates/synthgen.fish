@HEADER@
function __synthgen_runs
    for one in runs/*/checkpoints
        string replace -r '^runs/(.*)/checkpoints$' '$1' -- $one
    end
end

function __synthgen_classes
    sh -c @CLASSES@ sh (commandline -opc)[2..-1] 2>/dev/null
end

@LINES@
