"""Measures the start of each rule's jobs (imports and command line) beside their work, in CPU seconds.

python benchmarks/starts.py --study demo --checkouts before=../before after=. --output benchmarks/results/starts.md

Each checkout must hold the finished study. The start of a script is measured in fresh processes that stop where its
work would begin; the CPU seconds of its jobs are those of Snakemake's benchmark files.
"""

import argparse
import csv
import re
import resource
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from measurement import conditions, markdown, publish

from melanoma.common.cli import run
from melanoma.predictions.table import named_paths

RULE = re.compile(r"^ *(?:use rule (\w+) as|rule) (\w+)(?: with)?:\n((?:(?!^ *(?:use )?rule ).*\n)+)", re.MULTILINE)
COLUMNS = ["rule", "jobs", "start of one, CPU s", "all starts, CPU s", "work, CPU s", "starts, share"]


def describe(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("--study", required=True, help="a finished study, by its name")
    parser.add_argument("--checkouts", nargs="+", required=True, metavar="NAME=FOLDER", help="where it is finished")
    parser.add_argument("--turns", type=int, default=3, help="starts of each script, the least counts")
    parser.add_argument("--output", type=Path, required=True)


def main(args: argparse.Namespace) -> None:
    """Measure each checkout and write a table for each."""
    how = f"least of {args.turns} starts; a job's CPU seconds as Snakemake samples them, too few for jobs of a second"
    parts = [f"# Starts of the study {args.study}\n", conditions(how)]
    for name, folder in named_paths(args.checkouts).items():
        parts += [f"## {name}\n", table(folder, args.study, args.turns)]
    publish(args.output, *parts)


def table(checkout: Path, study: str, turns: int) -> str:
    """Return the rules of a checkout, those with the dearest starts first, and a last row with their sums."""
    scripts = scripts_of(checkout / "rules")
    starts = {script: start_of(checkout / "scripts" / f"{script}.py", turns) for script, _ in set(scripts.values())}
    measured = []
    for rule, seconds in jobs_of(checkout / "logs" / study, checkout / "rules").items():
        script, processes = scripts[rule]
        one = starts[script]
        begun = one * processes * len(seconds)
        measured.append((rule, len(seconds), one, begun, max(sum(seconds) - begun, 0.0)))
    measured.sort(key=lambda row: -row[3])
    jobs, begun, work = (sum(row[column] for row in measured) for column in (1, 3, 4))
    return markdown(COLUMNS, [_cells(*row) for row in [*measured, ("all", jobs, begun / jobs, begun, work)]])


def scripts_of(rules: Path) -> dict[str, tuple[str, int]]:
    """Return the script of each rule in a folder of rules, and how many processes of it a job starts in turn."""
    found = {}
    for rule, body in bodies_of(rules).items():
        named = re.search(r"\b(?:code|code_and_log|script)\(\"(\w+)\"", body)
        if named:
            found[rule] = (named[1], 1 + body.count("&& "))
    return found


def bodies_of(rules: Path) -> dict[str, str]:
    """Return the text of each rule in a folder of rules; one that uses another has the other's text after its own."""
    written = [rule for file in sorted(rules.glob("*.smk")) for rule in RULE.findall(file.read_text())]
    own = {rule: body for _, rule, body in written}
    return {rule: body + own.get(used, "") for used, rule, body in written}


def jobs_of(logs: Path, rules: Path) -> dict[str, list[float]]:
    """Return the CPU seconds of each job of each rule, from the benchmark files that the rules name."""
    seconds = defaultdict(list)
    for rule, body in bodies_of(rules).items():
        named = re.search(r"benchmark:\s+f\"\{LOGS\}/(.+?)\.tsv\"", body)
        if named is None:
            continue
        pattern = re.sub(r"\{\{\w+\}\}", "*", named[1])
        constraint = re.search(r"wildcard_constraints:\s+run=\"(.+?)\"", body) if "{{run}}" in named[1] else None
        for path in sorted(logs.glob(f"{pattern}.tsv")):
            if constraint is None or re.fullmatch(constraint[1], path.stem):
                with path.open() as lines:
                    *_, job = csv.DictReader(lines, delimiter="\t")
                seconds[rule].append(float(job["cpu_time"]) if job["cpu_time"] not in ("NA", "-") else 0.0)
    return seconds


def start_of(script: Path, turns: int) -> float:
    """Return the CPU seconds of a script's start: of its imports and its command line."""
    return min(_cpu_seconds([sys.executable, str(script), "--help"]) for _ in range(turns))


def _cpu_seconds(command: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _cells(rule: str, jobs: int, one: float, begun: float, work: float) -> list[str]:
    return [rule, str(jobs), f"{one:.2f}", f"{begun:.1f}", f"{work:.1f}", f"{begun / (begun + work):.0%}"]


if __name__ == "__main__":
    run(describe, main, __doc__)
