"""The classifications of a study: the inputs, options and resources of their jobs, checked before any job runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path

from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_json
from melanoma.config.classification import Classification
from melanoma.config.study import Study
from melanoma.snakefile.study_files import nearest_path

OPTIONS = ("format", "threshold", "prevalence", "error_rate")


@dataclass(frozen=True)
class Classifications:
    """The classifications by name. `own_bundle` is the bundle that the study packs, None if it trains nothing."""

    by_name: dict[str, Classification]
    own_bundle: str | None

    @classmethod
    def from_study(cls, study: Study, own_bundle: str) -> "Classifications":
        """Return the classifications of a study. Raises InputError that lists all missing files and thresholds."""
        found = cls(study.classify, own_bundle if study.models else None)
        errors = [f"classify.{name}.{error}" for name in study.classify for error in found._errors(name)]
        if errors:
            raise InputError(f"These classifications cannot run:\n{listing(errors, limit=30)}")
        return found

    def bundle(self, name: str) -> str:
        """Return what a job waits for: the study's own bundle, or bundle.json, which has the digests of all files."""
        folder = normpath(self.by_name[name].bundle)
        return folder if folder == self.own_bundle else f"{folder}/bundle.json"

    def images(self, name: str) -> list[str]:
        """Return the images and folders of images."""
        images = self.by_name[name].images
        return [images] if isinstance(images, str) else list(images)

    def table(self, name: str) -> list[str]:
        """Return the table, if there is one."""
        table = self.by_name[name].table
        return [] if table is None else [table]

    def options(self, name: str) -> list[str]:
        """Return the options of classify.py that decide the answers, but for the images and the table."""
        given = self.by_name[name]
        values = {option: getattr(given, option) for option in OPTIONS}
        words = [f"--{option.replace('_', '-')}={value}" for option, value in values.items() if value is not None]
        return [f"--bundle={normpath(given.bundle)}", *words, *(["--explain"] if given.explain else [])]

    def resources(self, name: str) -> dict[str, int]:
        """Return memory in MB, run time in minutes, GPUs, nodes and threads."""
        asked = self.by_name[name].resources
        return {
            "mem_mb": asked.mem_mb,
            "runtime": asked.runtime,
            "gpu": asked.gpus,
            "nodes": asked.nodes,
            "threads": asked.threads,
        }

    def _errors(self, name: str) -> Iterator[str]:
        given, bundle = self.by_name[name], Path(self.bundle(name))
        named = [("images", path) for path in self.images(name)] + [("table", path) for path in self.table(name)]
        for key, path in named:
            if not path or not Path(path).exists():
                yield f"{key}: {path}: no such file or folder{nearest_path(Path(path))}"
            elif key == "table" and Path(path).is_dir():
                yield f"table: {path}: a folder; give the file of a table"
        if str(bundle) == self.own_bundle:
            return
        if not bundle.is_file():
            yield f"bundle: {bundle}: no such file; give a folder that scripts/bundle.py wrote"
        elif given.threshold not in (known := read_json(bundle).get("thresholds", {})):
            yield f"threshold: {bundle} has no {given.threshold}; it has {', '.join(known) or 'none'}"
