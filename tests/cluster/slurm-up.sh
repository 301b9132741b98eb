#!/bin/bash
# A real Slurm on this machine, as root and without systemd: two nodes, partitions cpu, gpu, urgent and spare (whose jobs
# `urgent` preempts: those of spare are cancelled, those of cpu requeued), three GPUs that are device files only, and
# accounting, which knows the account `lab` and refuses others. A second call starts what is not running. Debian's
# packages are installed where they are missing. State is in $SLURM_ROOT.
set -euo pipefail
. "$(dirname "$0")/daemons.sh"
state=${SLURM_ROOT:-/tmp/slurm-local}
host=$(hostname -s)
export DEBIAN_FRONTEND=noninteractive
trap 'echo "slurm-up.sh: line $LINENO failed" >&2; tail -n 8 "$state"/log/*.log >&2 2>/dev/null || true' ERR

missing=()
for pair in slurmctld:slurmctld slurmd:slurmd slurmdbd:slurmdbd sbatch:slurm-client munged:munge \
    mariadbd:mariadb-server-core my_print_defaults:mariadb-client-core; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
    # 101 forbids the packages to start a service of their own.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null </dev/null
    echo "${missing[@]}" >> "$state.packages"
fi

mkdir -p "$state"/{controller,n1,n2,log,munge} /etc/slurm /run/munge
chmod 755 "$state" "$state/log"
[ -s "$state/munge/key" ] || dd if=/dev/urandom of="$state/munge/key" bs=1024 count=1 status=none
chmod 700 "$state/munge"
chmod 600 "$state/munge/key"
for number in 0 1 2; do [ -e /dev/fakegpu$number ] || mknod -m 666 /dev/fakegpu$number c 1 3; done
grep -q '^127\.0\.0\.1 n1 n2$' /etc/hosts || echo "127.0.0.1 n1 n2" >> /etc/hosts

# With cgroups only slurmstepd's child gets signals, as on most clusters; without them every process of the step does.
tracking=proctrack/linuxproc
if mkdir /sys/fs/cgroup/freezer/slurm-probe 2>/dev/null; then
    rmdir /sys/fs/cgroup/freezer/slurm-probe
    tracking=proctrack/cgroup
fi
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=local
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# Also how long a requeued job waits before it may start again: 120 s by default.
AuthInfo=cred_expire=10
SlurmctldPort=16817
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/%n
SlurmctldPidFile=$state/slurmctld.pid
SlurmdPidFile=$state/slurmd-%n.pid
SlurmctldLogFile=$state/log/slurmctld.log
SlurmdLogFile=$state/log/slurmd-%n.log
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=$tracking
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
# A node that is set down by hand stays down.
ReturnToService=1
SchedulerParameters=bf_interval=2,sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
KillWait=5
OverTimeLimit=0
MinJobAge=300
SlurmdTimeout=60
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=16819
AccountingStorageEnforce=associations
AccountingStoreFlags=job_comment
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=1
JobAcctGatherParams=OverMemoryKill,UsePss
# The nodes are what is written here, whatever the machine has.
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname=$host NodeAddr=127.0.0.1 Port=16821 CPUs=4 RealMemory=16000 Gres=gpu:a100:2
NodeName=n2 NodeHostname=$host NodeAddr=127.0.0.1 Port=16822 CPUs=4 RealMemory=16000 Gres=gpu:a100:1
PartitionName=cpu Nodes=n1,n2 Default=YES MaxTime=1440 DefaultTime=10 PriorityTier=1
PartitionName=gpu Nodes=n1,n2 MaxTime=1440 DefaultTime=10 PriorityTier=1
PartitionName=spare Nodes=n1,n2 MaxTime=1440 DefaultTime=10 PriorityTier=1 PreemptMode=CANCEL
PartitionName=urgent Nodes=n1,n2 MaxTime=1440 DefaultTime=10 PriorityTier=10
CONF
(umask 077; cat > /etc/slurm/slurmdbd.conf) <<CONF
AuthType=auth/munge
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=16819
SlurmUser=root
LogFile=$state/log/slurmdbd.log
PidFile=$state/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=16306
StorageUser=slurm
StoragePass=slurm
StorageLoc=accounting
CommitDelay=1
CONF
cat > /etc/slurm/gres.conf <<CONF
NodeName=n1 Name=gpu Type=a100 File=/dev/fakegpu[0-1]
NodeName=n2 Name=gpu Type=a100 File=/dev/fakegpu2
CONF
# "autodetect" is fatal where both versions of cgroups are mounted, and version 2 needs systemd.
cat > /etc/slurm/cgroup.conf <<CONF
CgroupPlugin=cgroup/v1
CgroupAutomount=no
ConstrainCores=no
ConstrainRAMSpace=no
ConstrainDevices=no
CONF

runs "$state/munge/pid" munged || munged --force --key-file="$state/munge/key" --pid-file="$state/munge/pid" \
    --log-file="$state/munge/log" --seed-file="$state/munge/seed" --num-threads=2
if [ ! -d "$state/database/mysql" ]; then
    mariadb-install-db --no-defaults --user=root --datadir="$state/database" --auth-root-authentication-method=socket \
        --skip-test-db --skip-name-resolve > "$state/log/mariadb-install.log" 2>&1
    mariadbd --no-defaults --user=root --datadir="$state/database" --bootstrap >> "$state/log/mariadb-install.log" 2>&1 <<SQL
CREATE DATABASE accounting;
FLUSH PRIVILEGES;
CREATE USER 'slurm'@'127.0.0.1' IDENTIFIED BY 'slurm';
GRANT ALL ON accounting.* TO 'slurm'@'127.0.0.1';
SQL
fi
if ! runs "$state/mariadb.pid" mariadbd; then
    nohup mariadbd --no-defaults --user=root --datadir="$state/database" --socket="$state/mariadb.socket" \
        --pid-file="$state/mariadb.pid" --port=16306 --bind-address=127.0.0.1 --skip-name-resolve \
        --innodb-flush-log-at-trx-commit=2 --innodb-buffer-pool-size=64M > "$state/log/mariadb.log" 2>&1 </dev/null &
fi
answers 16306
runs "$state/slurmdbd.pid" slurmdbd || slurmdbd
answers 16819
# The cluster and its account, before the controller asks for them.
if ! sacctmgr -nP show assoc user=root format=account | grep -qx lab; then
    sacctmgr -iQ add cluster local >/dev/null
    sacctmgr -iQ add account lab cluster=local >/dev/null
    sacctmgr -iQ add user root account=lab cluster=local defaultaccount=lab >/dev/null
fi
# -c forgets jobs that an earlier controller, if it was killed, left running: they would hold the nodes for ever.
runs "$state/slurmctld.pid" slurmctld || slurmctld -c
for _ in $(seq 100); do scontrol ping 2>/dev/null | grep -q UP && break; sleep 0.1; done
for node in n1 n2; do runs "$state/slurmd-$node.pid" slurmd || slurmd -N $node; done

end=$((SECONDS + 90))
while [ $SECONDS -lt $end ]; do
    if timeout 20 srun -Q -p cpu -N2 -n2 --mem=10 -t 1 -I5 true 2>/dev/null; then
        echo "Slurm is up, with $tracking"
        exit 0
    fi
    sleep 0.5
done
echo "Slurm did not come up" >&2
tail -n 20 "$state"/log/*.log >&2
exit 1
