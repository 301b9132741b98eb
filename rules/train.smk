"""Train: one job per network and fold, then a refit on all of train for the number of epochs that the folds chose.

A killed job goes on from its last checkpoint, in the folder `resume`, which is no output: Snakemake would delete it. Under
a scheduler a job stops itself before its time is over, and the profile's retry goes on. With seeds, each is a job.
"""


rule train_fold:
    input:
        code=code("train"),
        recipe=recipe,
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
    output:
        weights=f"{RESULTS}/train/{{model}}/{{run}}/weights.pt",
        history=f"{RESULTS}/train/{{model}}/{{run}}/history.csv",
    log:
        f"{LOGS}/train/{{model}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{model}}/{{run}}.tsv"
    wildcard_constraints:
        run="fold-[0-9]+(-seed-[0-9]+)?",
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        launch=launcher,
        fold=lambda wildcards: wildcards.run.split("-")[1],
        seed=seed_option,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        resume=f"{RESULTS}/train/{{model}}/{{run}}/resume",
        curves=f"{LOGS}/tensorboard/{{model}}/{{run}}",
    shell:
        "{params.launch} {input.code[0]} --recipe {input.recipe} --train {input.train} {params.images} --fold {params.fold} {params.seed}"
        " --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --weights {output.weights} --history {output.history} --log {log}"


rule train_refit:
    input:
        code=code("train"),
        recipe=recipe,
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
        folds=folds_of,
    output:
        weights=f"{RESULTS}/train/{{model}}/{{run}}/weights.pt",
        history=f"{RESULTS}/train/{{model}}/{{run}}/history.csv",
    log:
        f"{LOGS}/train/{{model}}/{{run}}.log",
    benchmark:
        f"{LOGS}/train/{{model}}/{{run}}.tsv"
    wildcard_constraints:
        run="refit(-seed-[0-9]+)?",
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        launch=launcher,
        seed=seed_option,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        resume=f"{RESULTS}/train/{{model}}/{{run}}/resume",
        curves=f"{LOGS}/tensorboard/{{model}}/{{run}}",
    shell:
        "{params.launch} {input.code[0]} --recipe {input.recipe} --train {input.train} {params.images}"
        " --epochs-from {input.folds} {params.seed} --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --weights {output.weights} --history {output.history} --log {log}"
