"""Train: a job for each network, fold and seed; then the refit, for as many epochs as the folds selected.

The refit trains on all training images. A job that was killed continues from its last checkpoint, in the folder
`resume`. That folder is no output, because Snakemake would delete it. Under a scheduler, a job stops before its time
limit, and the profile's retry continues it.
"""

TRAINING = f"{RESULTS}/train/{{training}}/{{run}}"
TRAIN_AFTER = [SPLIT["leakage"], MODEL_JOBS.pretrained]
TRAIN_INPUT = from_split("train") | {"images": MODEL_JOBS.images}


rule train_fold:
    input:
        *TRAIN_AFTER,
        **TRAIN_INPUT,
        recipe=lambda wildcards: recipe_file(wildcards.training),
    output:
        weights=f"{TRAINING}/weights.safetensors",
        history=f"{TRAINING}/history.csv",
    log:
        f"{LOGS}/train/{{training}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{training}}/{{run}}.tsv"
    wildcard_constraints:
        run="fold-[0-9]+(-seed-[0-9]+)?",
    priority: 1  # The longest jobs start first. Other jobs run beside them.
    conda:
        ENVIRONMENT
    threads: MODEL_JOBS.threads
    resources:
        **MODEL_JOBS.resources(),
    params:
        **code("train"),
        launch=MODEL_JOBS.launch,
        devices=MODEL_JOBS.devices,
        checkpoints=MODEL_JOBS.checkpoints,
        compiled=MODEL_JOBS.compiled,
        fold=lambda wildcards: f"--fold {wildcards.run.split('-')[1]}",
        seed=lambda wildcards: seed_option(wildcards.run),
        weights=lambda wildcards, output: f"--weights {output.weights}",
        folder=subpath(output.history, parent=True),
        curves=f"{LOGS}/tensorboard/{{training}}/{{run}}",
    shell:
        "{params.launch} {params.script:q} {params.inputs} {params.fold} {params.seed} {params.devices}"
        " {params.checkpoints} {params.compiled} --threads {threads} --limit {resources.runtime} --resume {params.folder}/resume"
        " --tensorboard {params.curves} {params.weights} --history {output.history} --log {log}"


use rule train_fold as train_refit with:
    input:
        *TRAIN_AFTER,
        **TRAIN_INPUT,
        recipe=lambda wildcards: recipe_file(wildcards.training),
        epochs_from=lambda wildcards: expand(
            f"{RESULTS}/train/{wildcards.training}/{{run}}/history.csv",
            run=TRAININGS.folds_of_refit(wildcards.run),
        ),
    wildcard_constraints:
        run="refit(-seed-[0-9]+)?",
    params:
        fold="",
