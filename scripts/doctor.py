"""Check this machine before a study: environment, file system, data, disk, GPU and scheduler, each fault with its cure.

python scripts/doctor.py --configfile studies/isic2020.yaml --profile slurm

It exits with 1 if there is a fault. Run it in the folder in which the study will run.
"""

import argparse
import sys
from pathlib import Path

from melanoma.common.cli import log, run
from melanoma.common.provenance import ROOT
from melanoma.doctor.environment import can_go_on, check_environment
from melanoma.doctor.findings import faults, page


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    add = parser.add_argument
    demo = [ROOT / "config.yaml"]
    add("--configfile", type=Path, nargs="+", default=demo, metavar="FILE", help="the study, as given to snakemake")
    add("--profile", metavar="NAME", help="the profile, as given to snakemake; its scheduler is asked")
    add("--gpus", type=int, metavar="N", help="test so many GPUs here; by default those of the study, if any")


def main(args: argparse.Namespace) -> None:
    """Print the page, and exit with 1 if there is a fault."""
    findings = check_environment(ROOT / "envs" / "requirements.lock")
    title = "This machine"
    if can_go_on(findings):
        from melanoma.doctor.examination import examine
        from melanoma.doctor.profile import read_profile
        from melanoma.snakefile.study_files import read_study

        study = read_study(args.configfile)
        profile = read_profile(args.profile) if args.profile else None
        findings += examine(study, profile, args.gpus)
        title += f" for the study {study.study}" + (f", profile {args.profile}" if profile else "")
    print(page(title, findings), end="")
    if seen := faults(findings):
        log.error("this machine is not ready: %s", "; ".join(seen))
        sys.exit(1)


if __name__ == "__main__":
    run(describe, main, __doc__)
