"""Train: one job per network and fold, then a refit on all of train for the number of epochs that the folds chose.

A killed job goes on from its last checkpoint, in the folder `resume`, which is no output: Snakemake would delete it. Under
a scheduler a job stops itself before its time is over, and the profile's retry goes on. With seeds, each is a job.
"""

TRAINING = f"{RESULTS}/train/{{training}}/{{run}}"


TRAIN_INPUT = dict(
    **from_split("train", "leakage"),
    images=NETWORK_JOBS.images,
    pretrained=NETWORK_JOBS.pretrained,
)


rule train_fold:
    input:
        **TRAIN_INPUT,
        recipe=lambda wildcards: recipe_file(wildcards.training),
    output:
        weights=f"{TRAINING}/weights.pt",
        history=f"{TRAINING}/history.csv",
    log:
        f"{LOGS}/train/{{training}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{training}}/{{run}}.tsv"
    wildcard_constraints:
        run="fold-[0-9]+(-seed-[0-9]+)?",
    conda:
        ENVIRONMENT
    threads: NETWORK_JOBS.threads
    resources:
        **NETWORK_JOBS.resources(),
    params:
        **code("train"),
        launch=NETWORK_JOBS.launch,
        devices=NETWORK_JOBS.devices,
        checkpoints=NETWORK_JOBS.checkpoints,
        images=option("images"),
        rows=lambda wildcards: f"--fold {wildcards.run.split('-')[1]}",
        seed=lambda wildcards: seed_option(wildcards.run),
        weights=lambda wildcards, output: f"--weights {output.weights}",
        folder=subpath(output.history, parent=True),
        curves=f"{LOGS}/tensorboard/{{training}}/{{run}}",
    shell:
        "{params.launch} {params.script:q} --recipe {input.recipe} --train {input.train}"
        " {params.images} {params.rows} {params.seed} {params.devices} {params.checkpoints}"
        " --threads {threads} --limit {resources.runtime} --resume {params.folder}/resume"
        " --tensorboard {params.curves} {params.weights} --history {output.history} --log {log}"


use rule train_fold as train_refit with:
    input:
        **TRAIN_INPUT,
        recipe=lambda wildcards: recipe_file(wildcards.training),
        folds=lambda wildcards: expand(
            f"{RESULTS}/train/{wildcards.training}/{{run}}/history.csv",
            run=TRAININGS.folds_of_refit(wildcards.run),
        ),
    wildcard_constraints:
        run="refit(-seed-[0-9]+)?",
    params:
        rows=lambda wildcards, input: f"--epochs-from {input.folds}",
