"""Train: one job per network and fold, then a refit on all of train for the number of epochs that the folds chose.

A killed job goes on from its last checkpoint, in the folder `resume`, which is no output: Snakemake would delete it. Under
a scheduler a job stops itself before its time is over, and the profile's retry goes on. With seeds, each is a job.
"""


rule train_fold:
    input:
        recipe=lambda wildcards: recipe_file(wildcards.training),
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
    output:
        weights=f"{RESULTS}/train/{{training}}/{{run}}/weights.pt",
        history=f"{RESULTS}/train/{{training}}/{{run}}/history.csv",
    log:
        f"{LOGS}/train/{{training}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{training}}/{{run}}.tsv"
    wildcard_constraints:
        run="fold-[0-9]+(-seed-[0-9]+)?",
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        **code("train"),
        launch=launcher,
        devices=devices,
        checkpoints=checkpoints,
        fold=lambda wildcards: wildcards.run.split("-")[1],
        seed=seed_option,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        resume=f"{RESULTS}/train/{{training}}/{{run}}/resume",
        curves=f"{LOGS}/tensorboard/{{training}}/{{run}}",
    shell:
        "{params.launch} {params.script:q} --recipe {input.recipe} --train {input.train} {params.images} --fold {params.fold} {params.seed} {params.devices} {params.checkpoints}"
        " --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --weights {output.weights} --history {output.history} --log {log}"


rule train_refit:
    input:
        recipe=lambda wildcards: recipe_file(wildcards.training),
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
        folds=folds_of,
    output:
        weights=f"{RESULTS}/train/{{training}}/{{run}}/weights.pt",
        history=f"{RESULTS}/train/{{training}}/{{run}}/history.csv",
    log:
        f"{LOGS}/train/{{training}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{training}}/{{run}}.tsv"
    wildcard_constraints:
        run="refit(-seed-[0-9]+)?",
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        **code("train"),
        launch=launcher,
        devices=devices,
        checkpoints=checkpoints,
        seed=seed_option,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        resume=f"{RESULTS}/train/{{training}}/{{run}}/resume",
        curves=f"{LOGS}/tensorboard/{{training}}/{{run}}",
    shell:
        "{params.launch} {params.script:q} --recipe {input.recipe} --train {input.train} {params.images}"
        " --epochs-from {input.folds} {params.seed} {params.devices} {params.checkpoints}"
        " --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --weights {output.weights} --history {output.history} --log {log}"
