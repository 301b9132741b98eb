"""The parts of a configuration that a stage reads, each written to a file: a change reruns only what reads it."""

from collections.abc import Mapping
from typing import Any

from melanoma.config.study import all_fusions, fusion_read, is_trained, pieces, recipe_read, section_read
from melanoma.snakefile.trainings import Trainings

# A command line carries 128 kB.
LARGEST_PIECE = 64_000


def sections(
    config: Mapping[str, Any], sources: list[dict[str, Any]], trainings: Trainings
) -> dict[str, dict[str, Any]]:
    """Return each section's values by its name. `config` is complete; `sources` are those that the catalog reads."""
    evaluate, fuse = config["evaluate"], config["fuse"]
    fits = {key: fuse[key] for key in ("folds", "seed")}
    return {
        "catalog": {"on_bad_row": config["data"]["on_bad_row"], "sources": sources},
        "images": section_read(config, "images"),
        "split": section_read(config, "split"),
        "fuse": fuse,
        "evaluate": {key: value for key, value in evaluate.items() if key != "max_test_configurations"},
        "shortcuts": {key: evaluate[key] for key in ("replicates", "confidence_level", "seed")},
        **study_sections(config),
        **{f"fusion-{name}": fusion_read(fusion) | fits for name, fusion in all_fusions(config).items()},
        **{
            f"tta-{name}": recipe_read(recipe)["tta"] for name, recipe in trainings.models.items() if is_trained(recipe)
        },
        **{f"tune-{name}": trainings.recipes[name]["tune"] for name in trainings.trials},
    }


def study_sections(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all of the configuration in sections that a command line can carry: study, study-1, and so on."""
    parts = enumerate(pieces(dict(config), LARGEST_PIECE))
    return {f"study-{number}" if number else "study": part for number, part in parts}
