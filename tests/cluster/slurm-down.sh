#!/bin/bash
# Ends what slurm-up.sh started, jobs first, and takes its state and configuration away. With --purge what it installed, too:
# while Slurm's commands are there and no controller answers, every start of Snakemake waits for it.
set -uo pipefail
. "$(dirname "$0")/daemons.sh"
state=${SLURM_ROOT:-/tmp/slurm-local}

if command -v scancel >/dev/null && timeout 5 scontrol ping 2>/dev/null | grep -q UP; then
    timeout 20 scancel --user="$(id -un)" 2>/dev/null
    for _ in $(seq 40); do [ -z "$(timeout 5 squeue -h 2>/dev/null)" ] && break; sleep 0.5; done
fi
stop "$state/slurmd-n1.pid" slurmd
stop "$state/slurmd-n2.pid" slurmd
stop "$state/slurmctld.pid" slurmctld
stop "$state/slurmdbd.pid" slurmdbd
stop "$state/mariadb.pid" mariadbd
stop "$state/munge/pid" munged
rm -rf "$state" /etc/slurm/{slurm,slurmdbd,gres,cgroup}.conf /dev/fakegpu[0-2]
# /etc/hosts may be a mount, so it is written in place.
if hosts=$(grep -v '^127\.0\.0\.1 n1 n2$' /etc/hosts); then echo "$hosts" > /etc/hosts; fi
for hierarchy in freezer memory cpuset cpuacct; do
    for group in /sys/fs/cgroup/$hierarchy/slurm_n[12]; do
        [ -d "$group" ] && find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    done
done
if [ "${1:-}" = --purge ] && [ -s "$state.packages" ]; then
    # shellcheck disable=SC2046 # a word for each package
    DEBIAN_FRONTEND=noninteractive apt-get purge -y -qq $(cat "$state.packages") >/dev/null </dev/null
    rm -rf /etc/slurm "$state.packages"
fi
exit 0
