"""Predict: each model on its out-of-fold and its test images, without their labels."""

PREDICTED = {
    kind: "|".join(names) or "none"
    for kind, names in {
        "tabular": TABULAR,
        "network": NETWORKS,
        "external": EXTERNAL,
    }.items()
}
FUSED = {member for fusion in FUSIONS.values() for member in fusion.members}


rule predict:
    input:
        weights=lambda wildcards: [
            trained(wildcards.model, run, "weights.pt")
            for run in runs(wildcards.model)
        ],
        tta=settings("tta-{model}"),
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        images=store,
    output:
        runs=directory(f"{RESULTS}/predict/{{model}}"),
        predictions=f"{RESULTS}/predict/{{model}}.parquet",
        model=f"{RESULTS}/predict/{{model}}.json",
    log:
        f"{LOGS}/predict/{{model}}.log",
    benchmark:
        f"{LOGS}/predict/{{model}}.tsv"
    wildcard_constraints:
        model=PREDICTED["network"],
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        **code("predict"),
        launch=launcher,
        devices=devices,
        weights=lambda wildcards: [
            f"{run}={trained(wildcards.model, run, 'weights.pt')}"
            for run in runs(wildcards.model)
        ],
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        test=study.predict.test,
        resume=f"{RESULTS}/predict/{{model}}.resume",
    shell:
        "{params.launch} {params.script:q} --weights {params.weights} --tta {input.tta} --train {input.train} --test {input.test}"
        " --test-by {params.test} {params.images} {params.devices} --threads {threads} --resume {params.resume}"
        " --runs {output.runs} --output {output.predictions} --model {output.model} --log {log}"


rule predict_tabular:
    input:
        recipe=recipe,
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        test=f"{RESULTS}/split/test.parquet",
    output:
        predictions=f"{RESULTS}/predict/{{model}}.parquet",
        model=f"{RESULTS}/train/{{model}}/model.json",
    log:
        f"{LOGS}/predict_tabular/{{model}}.log",
    benchmark:
        f"{LOGS}/predict_tabular/{{model}}.tsv"
    wildcard_constraints:
        model=PREDICTED["tabular"],
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        mem_mb=asked("mem_mb"),
        runtime=asked("runtime"),
        gpu=asked("gpus"),
    params:
        **code("predict_tabular"),
        folds=list(study.split.run_folds),
        test=study.predict.test,
    shell:
        "python {params.script:q} --recipe {input.recipe} --train {input.train} --test {input.test}"
        " --folds {params.folds} --test-by {params.test} --threads {threads} --output {output.predictions}"
        " --model {output.model} --log {log}"


rule import_predictions:
    input:
        file=lambda wildcards: MODELS[wildcards.model].file,
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
    output:
        f"{RESULTS}/predict/{{model}}.parquet",
    log:
        f"{LOGS}/import_predictions/{{model}}.log",
    benchmark:
        f"{LOGS}/import_predictions/{{model}}.tsv"
    wildcard_constraints:
        model=PREDICTED["external"],
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("import_predictions"),
        folds=list(study.split.run_folds),
        fused=lambda wildcards: "--fused" if wildcards.model in FUSED else "",
    shell:
        "python {params.script:q} --file {input.file:q} --train {input.train} --test {input.test} --folds {params.folds}"
        " {params.fused} --output {output} --log {log}"
