#!/bin/bash
# Ends what sge-up.sh started, jobs first, and takes its state away. With --purge the packages, too.
set -uo pipefail
. "$(dirname "$0")/daemons.sh"
state=${SGE_STATE:-/tmp/sge-local}
export SGE_ROOT=/var/lib/gridengine SGE_CELL=default SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445

if runs "$state/qmaster.pid" sge_qmaster; then
    timeout 20 qdel -u '*' >/dev/null 2>&1
    for _ in $(seq 40); do [ -z "$(timeout 5 qstat -u '*' 2>/dev/null)" ] && break; sleep 0.5; done
fi
stop "$state/execd.pid" sge_execd
stop "$state/qmaster.pid" sge_qmaster
rm -rf "$state" /var/lib/gridengine/default/common/{act_qmaster,host_aliases,accounting,bootstrap}
if [ "${1:-}" = --purge ]; then
    DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq gridengine-master gridengine-exec gridengine-client \
        gridengine-common msmtp-mta >/dev/null </dev/null
fi
exit 0
