#!/bin/bash
# A real Grid Engine on this machine, as root and without systemd: one host of $SGE_SLOTS slots with Hoffman2's complexes
# (h_data, h_rt, gpu, A100, cuda, highp) and its parallel environment `shared`, two GPUs that are numbers only. A second
# call starts what is not running. Debian's packages are installed where they are missing. State is in $SGE_STATE.
set -euo pipefail
. "$(dirname "$0")/daemons.sh"
state=${SGE_STATE:-/tmp/sge-local}
slots=${SGE_SLOTS:-8}
host=$(hostname -s)
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445
export DEBIAN_FRONTEND=noninteractive
common=$SGE_ROOT/$SGE_CELL/common
# Jobs inherit the daemon's environment: a bare one, else a job passes only because of what this shell happens to have.
bare=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 SGE_ROOT=$SGE_ROOT
    SGE_CELL=$SGE_CELL SGE_QMASTER_PORT=$SGE_QMASTER_PORT SGE_EXECD_PORT=$SGE_EXECD_PORT)

if [ ! -x /usr/lib/gridengine/sge_qmaster ] || [ ! -x /usr/lib/gridengine/sge_execd ] || ! command -v qsub >/dev/null; then
    # 101 forbids the packages to start a service of their own, "false" to make a cell of their own; msmtp-mta is the
    # smallest of the mail agents that they ask for.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
    apt-get update -qq
    echo "gridengine-master shared/gridengineconfig boolean false" | debconf-set-selections
    apt-get install -y -qq --no-install-recommends gridengine-master gridengine-exec gridengine-client msmtp-mta \
        >/dev/null </dev/null
fi

make_cell() { # the cell's files and database
    mkdir -p "$state"/{qmaster/job_scripts,execd,db,conf} "$common"
    cat > "$common/bootstrap" <<CONF
Version: 6.2
admin_user              sgeadmin
default_domain          none
ignore_fqdn             true
spooling_method         berkeleydb
spooling_lib            libspoolb
spooling_params         $state/db
binary_path             /usr/sbin
qmaster_spool_dir       $state/qmaster
security_mode           none
listener_threads        2
worker_threads          2
scheduler_threads       1
CONF
    echo "$host" > "$common/act_qmaster"
    # 127.0.0.1 goes by what /etc/hosts lists first: one name for all of them.
    aliases=$(awk '$1 ~ /^127\./ {for (i = 2; i <= NF; i++) print $i}' /etc/hosts | grep -vx "$host" | sort -u | tr '\n' ' ')
    echo "$host $aliases" > "$common/host_aliases"
    chown -R sgeadmin:sgeadmin "$state" "$common"
    sed -e "s|^execd_spool_dir.*|execd_spool_dir $state/execd|" \
        -e 's|^min_uid.*|min_uid 0|' -e 's|^min_gid.*|min_gid 0|' \
        -e 's|^shell_start_mode.*|shell_start_mode unix_behavior|' -e 's|^mailer.*|mailer /bin/true|' \
        -e 's|^load_report_time.*|load_report_time 00:00:05|' -e 's|^finished_jobs.*|finished_jobs 0|' \
        -e 's|^max_unheard.*|max_unheard 00:00:30|' \
        -e 's|^execd_params.*|execd_params ENABLE_ADDGRP_KILL=TRUE NOTIFY_KILL=USR1 NOTIFY_SUSP=USR2|' \
        -e 's|^reporting_params.*|reporting_params accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00|' \
        /usr/share/gridengine/default-configuration > "$state/conf/configuration"
    chmod 755 "$state" "$state/conf"
    chmod 644 "$state/conf/configuration"
    spool() {
        setpriv --reuid=sgeadmin --regid=sgeadmin --clear-groups env SGE_ROOT=$SGE_ROOT SGE_CELL=$SGE_CELL \
            "/usr/lib/gridengine/$1" "${@:2}" >> "$state/init.log" 2>&1
    }
    spool spoolinit berkeleydb libspoolb "$state/db" init
    spool spooldefaults configuration "$state/conf/configuration"
    spool spooldefaults complexes /usr/share/gridengine/util/resources/centry
    spool spooldefaults usersets /usr/share/gridengine/util/resources/usersets
    spool spooldefaults managers sgeadmin root
    spool spooldefaults adminhosts "$host"
}

make_queue() { # complexes, host, parallel environment, scheduler and queue
    # name shortcut type relation requestable consumable default urgency
    qconf -sc | grep -vE '^(#|h_data |gpu |A100 |cuda |highp |urgent )' > "$state/conf/complex"
    cat >> "$state/conf/complex" <<CONF
h_data  h_data  MEMORY <=    YES YES 2G    0
gpu     gpu     BOOL   ==    YES NO  FALSE 0
A100    A100    BOOL   ==    YES NO  FALSE 0
cuda    cuda    INT    <=    YES JOB 0     0
highp   highp   BOOL   ==    YES NO  FALSE 0
urgent  urgent  BOOL   ==    FORCED NO FALSE 0
CONF
    qconf -Mc "$state/conf/complex" >/dev/null
    cat > "$state/conf/host" <<CONF
hostname              $host
load_scaling          NONE
complex_values        slots=$slots,h_data=64G,gpu=TRUE,A100=TRUE,cuda=2,highp=TRUE
user_lists            NONE
xuser_lists           NONE
projects              NONE
xprojects             NONE
usage_scaling         NONE
report_variables      NONE
CONF
    qconf -Ae "$state/conf/host" >/dev/null
    printf 'group_name @allhosts\nhostlist %s\n' "$host" > "$state/conf/hosts"
    qconf -Ahgrp "$state/conf/hosts" >/dev/null
    cat > "$state/conf/shared" <<CONF
pe_name            shared
slots              9999
user_lists         NONE
xuser_lists        NONE
start_proc_args    NONE
stop_proc_args     NONE
allocation_rule    \$pe_slots
control_slaves     TRUE
job_is_first_task  TRUE
urgency_slots      min
accounting_summary TRUE
qsort_args         NONE
CONF
    qconf -Ap "$state/conf/shared" >/dev/null
    # Every second instead of every 15.
    qconf -ssconf | sed -e 's/^schedule_interval.*/schedule_interval 0:0:1/' \
        -e 's/^flush_submit_sec.*/flush_submit_sec 1/' -e 's/^flush_finish_sec.*/flush_finish_sec 1/' \
        -e 's/^load_formula.*/load_formula slots/' -e 's/^job_load_adjustments.*/job_load_adjustments NONE/' \
        -e 's/^load_adjustment_decay_time.*/load_adjustment_decay_time 0:0:0/' > "$state/conf/scheduler"
    qconf -Msconf "$state/conf/scheduler" >/dev/null
    # From the master's own template, so that every attribute is there.
    EDITOR=true qconf -sq 2>/dev/null | sed -e 's/^qname.*/qname gpu.q/' -e 's/^hostlist.*/hostlist @allhosts/' \
        -e "s/^slots.*/slots $slots/" -e 's/^pe_list.*/pe_list shared/' -e 's|^shell .*|shell /bin/bash|' \
        -e 's|^shell_start_mode.*|shell_start_mode unix_behavior|' -e 's/^load_thresholds.*/load_thresholds NONE/' \
        -e 's/^notify.*/notify 00:00:10/' -e 's/^rerun.*/rerun FALSE/' \
        -e 's/^min_cpu_interval.*/min_cpu_interval 00:00:05/' > "$state/conf/queue"
    qconf -Aq "$state/conf/queue" >/dev/null
    # A job of urgent.q suspends those of gpu.q; only who asks for it gets there.
    sed -e 's/^qname.*/qname urgent.q/' -e 's/^subordinate_list.*/subordinate_list gpu.q=1/' \
        -e 's/^pe_list.*/pe_list NONE/' -e 's/^complex_values.*/complex_values urgent=TRUE/' "$state/conf/queue" > "$state/conf/urgent"
    qconf -Aq "$state/conf/urgent" >/dev/null
}

if ! runs "$state/qmaster.pid" sge_qmaster; then
    "$(dirname "$0")/sge-down.sh" # what an earlier cell may have left
    make_cell
    "${bare[@]}" SGE_QMASTER_PIDFILE="$state/qmaster.pid" sge_qmaster
fi
for _ in $(seq 100); do qconf -sh >/dev/null 2>&1 && break; sleep 0.2; done
qconf -ss 2>/dev/null | grep -qx "$host" || qconf -as "$host" >/dev/null
qconf -sq gpu.q >/dev/null 2>&1 || make_queue
runs "$state/execd.pid" sge_execd || "${bare[@]}" SGE_EXECD_PIDFILE="$state/execd.pid" sge_execd

for _ in $(seq 120); do
    # The queue takes jobs when it has a load and no letter in its state.
    if qstat -f -q gpu.q | awk -v queue="gpu.q@$host" '$1 == queue {up = ($6 == "" && $4 != "-NA-")} END {exit !up}'; then
        echo "Grid Engine is up"
        exit 0
    fi
    sleep 0.5
done
echo "Grid Engine did not come up" >&2
tail -n 20 "$state"/qmaster/messages "$state"/execd/*/messages >&2
exit 1
