"""The sections of a configuration. Each one is written to a file, so that a change reruns only its readers."""

from melanoma.config.base import Plain
from melanoma.config.data import Source
from melanoma.config.facts import pieces, section_read, training_recipe
from melanoma.config.study import FusionSettings, Study
from melanoma.snakefile.trainings import Trainings

# Options of evaluate that evaluate.py does not read, and those of the bootstrap.
READ_ELSEWHERE = ("max_test_configurations", "robustness")
BOOTSTRAP = ("replicates", "confidence_level", "seed")
# Characters. A command line may have 128 kB.
LARGEST_PIECE = 64_000


def sections(study: Study, sources: list[Source], trainings: Trainings) -> dict[str, Plain]:
    """Return each section's values by its name; `sources` are those that the catalog reads."""
    evaluate, fuse = study.evaluate.dump(), study.fuse
    fusions = {
        name: FusionSettings(**fusion.as_read().dump(), folds=fuse.folds, seed=fuse.seed)
        for name, fusion in study.all_fusions.items()
    }
    networks = {name: recipe for name, recipe in study.models.items() if recipe.is_trained}
    read = [source.model_dump(exclude={"generate"}) for source in sources]
    return {
        "catalog": {**study.data.model_dump(mode="json", exclude={"sources"}), "sources": read},
        "images": section_read(study, "images"),
        "split": section_read(study, "split"),
        "fuse": fuse.dump(),
        "evaluate": {key: value for key, value in evaluate.items() if key not in READ_ELSEWHERE},
        **{name: {key: evaluate[key] for key in BOOTSTRAP} for name in ("shortcuts", "robustness")},
        **study_sections(study),
        **{f"fusion-{name}": fusion.dump() for name, fusion in fusions.items()},
        **{f"tta-{name}": recipe.tta.as_read().dump() for name, recipe in networks.items()},
        **{f"embedding-{name}": training_recipe(network) for name, network in trainings.frozen_networks.items()},
        **{f"tune-{name}": tune.dump() for name in trainings.trials if (tune := trainings.recipes[name].tune)},
    }


def study_sections(study: Study) -> dict[str, Plain]:
    """Return the whole configuration in sections that fit a command line: study, study-1, and so on."""
    parts = enumerate(pieces(study, LARGEST_PIECE))
    return {f"study-{number}" if number else "study": part for number, part in parts}
