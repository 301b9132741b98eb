"""What jobs ask for, what starts them, and the options of their commands."""

import pytest
from snakemake.iocontainers import InputFiles, OutputFiles, Wildcards

from melanoma.config.recipe import Recipe
from melanoma.snakefile.jobs import ModelJobs, growing, input_options, launcher, model_resources, named, one_of

WILDCARDS = Wildcards()


def recipe(network: str = "baseline_cnn", **resources: int) -> Recipe:
    asked = {"mem_mb": 8000, "runtime": 60, "threads": 4} | resources
    return Recipe(network=network, resources=asked, checkpoint_batches=500, checkpoint_minutes=10.0)


def test_memory_and_time_grow_with_each_attempt_up_to_four_times():
    asked = growing(mem_mb=2000, runtime=10)
    assert [asked["mem_mb"](WILDCARDS, attempt) for attempt in (1, 2, 4, 5)] == [2000, 4000, 8000, 8000]
    assert asked["runtime"](WILDCARDS, 3) == 30


def test_a_job_on_one_node_asks_for_its_gpus_and_nothing_of_mpi():
    assert model_resources(recipe(gpus=2)) == {"mem_mb": 8000, "runtime": 60, "gpu": 2, "nodes": 1}


@pytest.mark.parametrize(("gpus", "extra"), [(2, {"slurm_extra": "--gpus-per-node=2"}), (0, {})])
def test_a_job_on_several_nodes_is_started_by_srun_with_the_gpus_of_each_node(gpus, extra):
    asked = model_resources(recipe(gpus=gpus, nodes=3))
    assert asked["gpu"] == 3 * gpus
    assert {name: asked[name] for name in asked if name not in ("mem_mb", "runtime", "gpu", "nodes")} == {
        "mpi": "srun",
        "tasks": 3,
        "tasks_per_gpu": 0,
        **extra,
    }


def test_python_starts_one_process_and_torchrun_one_for_each_of_several_gpus():
    assert launcher(recipe(gpus=1), "scripts") == "python"
    assert launcher(recipe(gpus=2), "scripts") == "torchrun --standalone --nproc-per-node=2 --"
    command = "python 'my scripts/across_nodes.py' --nodes 2 --gpus 4 --threads 4"
    assert launcher(recipe(gpus=4, nodes=2), "my scripts") == command


def test_a_network_job_takes_everything_from_its_recipe():
    jobs = ModelJobs(lambda wildcards: recipe(gpus=1), "scripts", "images.h5", "compiled")
    assert jobs.resources()["gpu"](WILDCARDS) == 1
    assert jobs.resources()["mpi"](WILDCARDS) is None
    assert jobs.threads(WILDCARDS) == 4
    assert jobs.launch(WILDCARDS, OutputFiles()) == "python"
    assert jobs.devices(WILDCARDS, OutputFiles()) == "--gpus 1 --nodes 1"
    assert jobs.checkpoints(WILDCARDS, OutputFiles()) == "--checkpoint-batches 500 --checkpoint-minutes 10.0"
    assert jobs.pretrained(WILDCARDS) == []


@pytest.mark.parametrize(("network", "images"), [("baseline_cnn", "images.h5"), ("metadata_mlp", [])])
def test_only_a_network_that_reads_images_is_given_the_store(network, images):
    jobs = ModelJobs(lambda wildcards: recipe(network), "scripts", "images.h5", "compiled")
    assert jobs.images(WILDCARDS) == images


def test_only_a_network_that_is_compiled_is_given_the_folder_for_it():
    models = [recipe().model_copy(update={"compile": compiles}) for compiles in (False, True)]
    jobs = [ModelJobs(lambda wildcards, model=model: model, "scripts", "images.h5", "compiled") for model in models]
    assert [job.compiled(WILDCARDS, OutputFiles()) for job in jobs] == ["", "--compiled compiled"]


def test_each_input_with_a_name_is_an_option_unless_it_is_empty():
    files = {"image_store": "a.h5", "models": InputFiles(["b", "c d"]), "quality": InputFiles()}
    options = "--image-store a.h5 --models b 'c d'"
    assert input_options(WILDCARDS, InputFiles(fromdict=files), OutputFiles()) == options
    assert input_options(WILDCARDS, InputFiles(["a"]), OutputFiles()) == ""


def test_files_are_given_by_name():
    assert named({"cnn:fold-0": "a.pt", "cnn:fold-1": "b.pt"}) == ["cnn:fold-0=a.pt", "cnn:fold-1=b.pt"]


def test_a_wildcard_is_one_of_the_names_as_they_are_written():
    assert one_of({"a.b-1": 0, "c": 0}) == r"a\.b\-1|c"
    assert one_of([]) == "none"


def test_the_fit_of_a_linear_probe_asks_for_no_gpu_and_its_network_does():
    probe = recipe("linear_probe", gpus=1)
    assert model_resources(probe)["gpu"] == 0
    assert model_resources(probe.frozen_network)["gpu"] == 1
