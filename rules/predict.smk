"""Predict: each model on its out-of-fold and its test images, without their labels."""

FUSED = {member for fusion in FUSIONS.values() for member in fusion.members}
OPTIONS = {"folds": list(study.split.run_folds), "test": study.predict.test}
TABULAR_JOB = {
    name: NETWORK_JOBS.resources()[name] for name in ("mem_mb", "runtime", "gpu")
}


rule predict:
    input:
        **from_split("train", "test"),
        weights=lambda wildcards: trained(wildcards.model, "weights.pt").values(),
        tta=settings("tta-{model}"),
        images=NETWORK_JOBS.images,
    output:
        runs=directory(f"{RESULTS}/predict/{{model}}"),
        predictions=f"{RESULTS}/predict/{{model}}.parquet",
        model=f"{RESULTS}/predict/{{model}}.json",
    log:
        f"{LOGS}/predict/{{model}}.log",
    benchmark:
        f"{LOGS}/predict/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(NETWORKS),
    conda:
        ENVIRONMENT
    threads: NETWORK_JOBS.threads
    resources:
        **NETWORK_JOBS.resources(),
    params:
        **code("predict"),
        launch=NETWORK_JOBS.launch,
        devices=NETWORK_JOBS.devices,
        weights=lambda wildcards: named(trained(wildcards.model, "weights.pt")),
        images=option("images"),
        test=OPTIONS["test"],
        resume=f"{RESULTS}/predict/{{model}}.resume",
    shell:
        "{params.launch} {params.script:q} --weights {params.weights} --tta {input.tta}"
        " --train {input.train} --test {input.test} --test-by {params.test} {params.images}"
        " {params.devices} --threads {threads} --resume {params.resume} --runs {output.runs}"
        " --output {output.predictions} --model {output.model} --log {log}"


rule predict_tabular:
    input:
        **from_split("train", "leakage", "test"),
        recipe=lambda wildcards: recipe_file(TRAININGS.names[wildcards.model]),
    output:
        predictions=f"{RESULTS}/predict/{{model}}.parquet",
        model=f"{RESULTS}/train/{{model}}/model.json",
    log:
        f"{LOGS}/predict_tabular/{{model}}.log",
    benchmark:
        f"{LOGS}/predict_tabular/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(TABULAR),
    conda:
        ENVIRONMENT
    threads: NETWORK_JOBS.threads
    resources:
        **TABULAR_JOB,
    params:
        **code("predict_tabular"),
        **OPTIONS,
    shell:
        "python {params.script:q} --recipe {input.recipe} --train {input.train}"
        " --test {input.test} --folds {params.folds} --test-by {params.test} --threads {threads}"
        " --output {output.predictions} --model {output.model} --log {log}"


rule import_predictions:
    input:
        **from_split("train", "test"),
        file=lambda wildcards: MODELS[wildcards.model].file,
    output:
        f"{RESULTS}/predict/{{model}}.parquet",
    log:
        f"{LOGS}/import_predictions/{{model}}.log",
    benchmark:
        f"{LOGS}/import_predictions/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(EXTERNAL),
    conda:
        ENVIRONMENT
    params:
        **code("import_predictions"),
        folds=OPTIONS["folds"],
        fused=lambda wildcards: "--fused" if wildcards.model in FUSED else "",
    shell:
        "python {params.script:q} --file {input.file:q} --train {input.train} --test {input.test}"
        " --folds {params.folds} {params.fused} --output {output} --log {log}"
