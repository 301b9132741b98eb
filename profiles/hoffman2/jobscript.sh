#!/bin/bash
# properties = {properties}
# The status script reads this: the accounting of a big cluster is slow and late. A job that is killed writes nothing.
trap 'echo $? > ".snakemake/sge_status/$JOB_ID"' EXIT
# Grid Engine signals the whole process group: untrapped, SIGUSR1 (s_rt, -notify) ends this shell and Snakemake itself.
trap '' USR1 USR2 XCPU
[ -r /u/local/Modules/default/init/modules.sh ] && . /u/local/Modules/default/init/modules.sh
{exec_job}
