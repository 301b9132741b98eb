# Sourced by the others: what a PID file's daemon is doing, and its end.

name() { tr '\0' ' ' 2>/dev/null < "/proc/$1/cmdline"; } 2>/dev/null # PID: its command, nothing once it has ended

runs() { # PID_FILE PROGRAM: neither a zombie nor another program that has the number now
    [ -s "$1" ] && name "$(cat "$1")" | grep -q "$2"
}

answers() { # PORT: waits until something on this machine listens there
    for _ in $(seq 150); do (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null && return; sleep 0.2; done
    echo "nothing answers on port $1" >&2
    return 1
}

stop() { # PID_FILE PROGRAM
    local pid
    if runs "$1" "$2"; then
        pid=$(cat "$1")
        kill "$pid" 2>/dev/null
        for _ in $(seq 75); do [ -n "$(name "$pid")" ] || break; sleep 0.2; done
        [ -z "$(name "$pid")" ] || kill -9 "$pid" 2>/dev/null
    fi
    rm -f "$1"
}
