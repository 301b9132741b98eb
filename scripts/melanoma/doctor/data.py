"""The files that a study reads: which are missing, which of them are downloaded, and whether their servers answer."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from melanoma.config.data import Download
from melanoma.config.study import Study
from melanoma.doctor.findings import Finding, fault, note, ok, warning
from melanoma.snakefile import sources
from melanoma.snakefile.study_files import nearest_path

SUBJECT = "data"
SECONDS = 5.0
# The size of a download in bytes, None if the server does not say it, or why there is no download.
Reply = int | str | None


def study_files(study: Study) -> dict[str, str]:
    """Return what each file and folder is that the study reads, by its path."""
    read = [source for source in study.data.sources if not source.generate]
    files = dict.fromkeys(sources.tables(read), "a table of the study")
    for source in read:
        folders = [source.images] if isinstance(source.images, str) else source.images or []
        files |= dict.fromkeys(folders, f"images of the source {source.name}")
    for name, recipe in study.models.items():
        path, kind = (recipe.file, "predictions") if recipe.is_external else (recipe.weights_file, "pretrained weights")
        files |= {path: f"{kind} of {name}"} if path else {}
    split = study.split
    given = {"saved": split.file, "predefined": split.predefined and split.predefined.table}.get(split.method)
    listed = (given, split.duplicates, split.near_duplicates.same, split.near_duplicates.different)
    return files | {path: "a table of the split" for path in listed if path}


def missing_downloads(study: Study) -> dict[str, Download]:
    """Return the downloads that the study needs and that are not there, by their paths."""
    files = study_files(study)
    return {path: download for path, download in sources.downloads(study).items() if path in files}


def check_data(study: Study) -> list[Finding]:
    """Look for each file that the study reads."""
    files, downloads = study_files(study), missing_downloads(study)
    missing = [path for path in files if not Path(path).exists() and path not in downloads]
    findings = [_missing(path, files[path]) for path in missing]
    if downloads:
        findings.append(note(SUBJECT, f"missing, and downloaded by the run: {', '.join(downloads)}"))
    there = len(files) - len(missing) - len(downloads)
    return [*findings, *([ok(SUBJECT, f"{there} of the study's files and folders are there")] if there else [])]


def ask_servers(downloads: Mapping[str, Download]) -> dict[str, Reply]:
    """Ask the server of each download for its size, all at the same time, by its path."""
    with ThreadPoolExecutor(max(len(downloads), 1)) as pool:
        return dict(zip(downloads, pool.map(_ask, downloads.values()), strict=True))


def check_servers(downloads: Mapping[str, Download], replies: Mapping[str, Reply]) -> Iterator[Finding]:
    """Warn of each server that did not answer, or that lacks a file."""
    failed: dict[str, list[str]] = {}
    for path, download in downloads.items():
        reply = replies.get(path, f"no answer within {SECONDS:g} s")
        if isinstance(reply, str):
            failed.setdefault(f"{urlsplit(download.url).netloc}: {reply}", []).append(path)
    for reason, paths in failed.items():
        cure = (
            f"if this machine has no network, download {', '.join(paths)} elsewhere and copy it here; or correct the"
            " address under `fetch`"
        )
        yield warning("downloads", reason, cure)


def _missing(path: str, kind: str) -> Finding:
    broken = ", a link to a file that does not exist" if os.path.lexists(path) else nearest_path(Path(path))
    cure = "put it there, correct the path in the study, or name an address for it under `fetch`"
    if kind.startswith("pretrained"):
        cure += "; or set backbone.pretrained to false"
    return fault(SUBJECT, f"{path} ({kind}) does not exist{broken}", cure)


def _ask(download: Download) -> Reply:
    request = urllib.request.Request(download.url, method="HEAD", headers={"User-Agent": "melanoma-workflow"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            length = answer.headers.get("Content-Length")
            return int(length) if length else download.bytes
    except urllib.error.HTTPError as error:
        # Some servers send files, but do not answer this kind of question.
        return download.bytes if error.code in (403, 405) else f"the server answers {error.code} {error.reason}"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"no answer ({getattr(error, 'reason', error)})"
