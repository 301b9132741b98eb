"""Train: one job per network and fold, then a refit on all of train for the number of epochs that the folds chose.

A killed job goes on from its last checkpoint, in the folder `resume`, which is no output: Snakemake would delete it. Under
a scheduler a job stops itself before its time is over, and the profile's retry goes on.
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
        weights=f"{RESULTS}/train/{{model}}/fold-{{fold}}/weights.pt",
        history=f"{RESULTS}/train/{{model}}/fold-{{fold}}/history.csv",
    log:
        f"{LOGS}/train/{{model}}/fold-{{fold}}.log",
    benchmark:
        f"{LOGS}/train/{{model}}/fold-{{fold}}.tsv"
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        launch=launcher,
        images=lambda wildcards, input: f"--images {input.images}" if input.images else "",
        resume=f"{RESULTS}/train/{{model}}/fold-{{fold}}/resume",
        curves=f"{LOGS}/tensorboard/{{model}}/fold-{{fold}}",
    shell:
        "{params.launch} {input.code[0]} --recipe {input.recipe} --train {input.train} {params.images} --fold {wildcards.fold}"
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
        folds=expand(f"{RESULTS}/train/{{{{model}}}}/{{run}}/history.csv", run=FOLD_RUNS),
    output:
        weights=f"{RESULTS}/train/{{model}}/refit/weights.pt",
        history=f"{RESULTS}/train/{{model}}/refit/history.csv",
    log:
        f"{LOGS}/train/{{model}}/refit.log",
    benchmark:
        f"{LOGS}/train/{{model}}/refit.tsv"
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        launch=launcher,
        images=lambda wildcards, input: f"--images {input.images}" if input.images else "",
        resume=f"{RESULTS}/train/{{model}}/refit/resume",
        curves=f"{LOGS}/tensorboard/{{model}}/refit",
    shell:
        "{params.launch} {input.code[0]} --recipe {input.recipe} --train {input.train} {params.images}"
        " --epochs-from {input.folds} --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --weights {output.weights} --history {output.history} --log {log}"
