# bash completion of penstock. Printed from its tables by `make docs`; do not edit.

_penstock() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}
    local command=${COMP_WORDS[1]} flags=
    local commands='run proxy check doctor import show version help'
    local paths='certificates.refresh= certificates.warn_before= certificates.warn_every= egress.allow.hosts= egress.allow.networks= egress.allow.ports= limits.connections= limits.per_ip= limits.unrouted= limits.lookups= limits.first_frame= limits.pipes= limits.handshakes= limits.tls_memory= limits.max_frame= timeouts.hello= timeouts.handshake= timeouts.connect= timeouts.frame= timeouts.half_close= timeouts.idle= timeouts.drain= drain.lame_duck= drain.spread= process.workers= process.cpus= process.busy_poll= admin.listen= web.listen= web.status_file= web.metrics= web.cluster_name= log.level= log.format= log.access= state_dir='

    COMPREPLY=()
    [[ $before == = ]] && before=${COMP_WORDS[COMP_CWORD-2]}
    [[ $word == = ]] && word=
    if ((COMP_CWORD == 1)) && [[ $word != -* ]]; then
        COMPREPLY=($(compgen -W "$commands" -- "$word"))
        return
    fi
    case $before in
    --config|-c) COMPREPLY=($(compgen -f -- "$word")); compopt -o filenames; return ;;
    --zookeeper-servers|-zk) return ;;
    --global-zookeeper-servers|-gzk) return ;;
    --configuration-store-servers|-cs) return ;;
    --metadata-store|-md) return ;;
    --configuration-metadata-store|-cms) return ;;
    --bind) return ;;
    --web) return ;;
    --admin) return ;;
    --ignore) return ;;
    --workers) return ;;
    --cpus) return ;;
    --set) COMPREPLY=($(compgen -W "$paths" -- "$word")); compopt -o nospace; return ;;
    esac
    case $command in
    help) flags=$commands ;;
    run) flags='--config -c --help -h' ;;
    proxy) flags='--config -c --zookeeper-servers -zk --global-zookeeper-servers -gzk --configuration-store-servers -cs --metadata-store -md --configuration-metadata-store -cms --bind --web --admin --ignore --workers --cpus --set --dump --help -h' ;;
    check) flags='--config -c --dump --quiet -q --help -h' ;;
    doctor) flags='--config -c --json --sysctl --help -h' ;;
    import) flags='--help -h' ;;
    show) flags='--config -c --admin --json --help -h' ;;
    version) flags='--help -h' ;;
    -*) flags='--config -c --help -h --version' ;;
    esac
    if [[ $command == import && $word != -* ]]; then
        COMPREPLY=($(compgen -f -- "$word"))
        compopt -o filenames
        return
    fi
    [[ $command == show && $word != -* ]] && flags=brokers
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
}
complete -F _penstock penstock
