#!/bin/bash
# properties = {properties}
# Grid Engine signals the whole process group: untrapped, SIGUSR1 (s_rt, -notify) ends this shell and Snakemake itself.
trap '' USR1 USR2 XCPU
[ -r /u/local/Modules/default/init/modules.sh ] && . /u/local/Modules/default/init/modules.sh
{exec_job}
