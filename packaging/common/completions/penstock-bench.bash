# bash completion of penstock-bench. Printed from its tables by `make docs`; do not edit.

_penstock_bench() {
    local offer= verb=${COMP_WORDS[1]}

    COMPREPLY=()
    if (($COMP_CWORD == 1)); then
        offer='load sink --help'
    elif (($COMP_CWORD == 2)); then
        case $verb in
        load) offer='stream pingpong open crr hello tls idle mice pulsar-lookup pulsar-produce pulsar-consume pulsar-reconnect kafka-metadata kafka-topics kafka-produce kafka-fetch kafka-idle' ;;
        sink) offer='echo discard marked source hello mice pulsar kafka' ;;
        esac
    else
    case ${COMP_WORDS[COMP_CWORD-1]} in
    --hgrm|--cafile) COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")); compopt -o filenames; return ;;
    --schedule) offer='uniform poisson' ;;
    --to|-T|--listen|-l|--connections|-c|--bytes|-b|--seconds|-t|--warm-up|-w|--cpu-of|-p|--rate|-r|--schedule|--spin-us|--sni|--alpn|--cipher|--topic|--topics|--namespace|--partitions|--payload|--delay-us|--window|--fill|--publish-to|--max-bytes|--advertise) return ;;
    *) case "$verb ${COMP_WORDS[2]}" in
    'load stream') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --down --tls --sni --alpn --cipher --cafile --insecure' ;;
    'load pingpong') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --tls --sni --alpn --cipher --cafile --insecure' ;;
    'load open') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us' ;;
    'load crr') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm' ;;
    'load hello') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --sni --alpn' ;;
    'load tls') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --sni --alpn --cipher --resume --cafile --insecure' ;;
    'load idle') offer='--help --to --connections --bytes --seconds --cpu-of --tls --sni --alpn --cipher --cafile --insecure' ;;
    'load mice') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us' ;;
    'load pulsar-lookup') offer='--help --to --connections --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --namespace --window' ;;
    'load pulsar-produce') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --namespace --payload --window --stay' ;;
    'load pulsar-consume') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --namespace --payload --stay --fill --publish-to' ;;
    'load pulsar-reconnect') offer='--help --to --connections --seconds --warm-up --cpu-of --hgrm --topic --topics --namespace --stay' ;;
    'load kafka-metadata') offer='--help --to --connections --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --window' ;;
    'load kafka-topics') offer='--help --to --connections --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --window' ;;
    'load kafka-produce') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --payload --window --stay' ;;
    'load kafka-fetch') offer='--help --to --connections --bytes --seconds --warm-up --cpu-of --hgrm --rate --schedule --spin-us --topic --topics --payload --stay --fill --max-bytes' ;;
    'load kafka-idle') offer='--help --to --connections --seconds --cpu-of --tls --sni --alpn --cipher --cafile --insecure' ;;
    'sink echo') offer='--help --listen --delay-us' ;;
    'sink discard') offer='--help --listen' ;;
    'sink marked') offer='--help --listen' ;;
    'sink source') offer='--help --listen' ;;
    'sink hello') offer='--help --listen --delay-us' ;;
    'sink mice') offer='--help --listen' ;;
    'sink pulsar') offer='--help --listen --delay-us --advertise --through-service' ;;
    'sink kafka') offer='--help --listen --partitions --delay-us --advertise' ;;
    esac ;;
    esac
    fi
    COMPREPLY=($(compgen -W "$offer" -- "${COMP_WORDS[COMP_CWORD]}"))
}

complete -F _penstock_bench penstock-bench
