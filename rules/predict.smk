"""Predict: each model predicts its out-of-fold images and the test images, without their labels."""

FUSED = {member for fusion in FUSIONS.values() for member in fusion.members}
OPTIONS = {"folds": list(study.split.run_folds), "test": study.predict.test}


rule predict:
    input:
        lambda wildcards: trained(wildcards.model, "weights.safetensors").values(),
        **from_split("train", "test"),
        tta=settings("tta-{model}"),
        images=MODEL_JOBS.images,
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
    threads: MODEL_JOBS.threads
    resources:
        **MODEL_JOBS.resources(),
    params:
        **code("predict"),
        launch=MODEL_JOBS.launch,
        devices=MODEL_JOBS.devices,
        weights=lambda wildcards: named(trained(wildcards.model, "weights.safetensors")),
        resume=f"{RESULTS}/predict/{{model}}.resume",
        model_file=lambda wildcards, output: f"--model {output.model}",
    shell:
        "{params.launch} {params.script:q} {params.inputs} --weights {params.weights}"
        " {params.devices} --threads {threads} --resume {params.resume} --runs {output.runs}"
        " --output {output.predictions} {params.model_file} --log {log}"


rule predict_corrupted:
    input:
        lambda wildcards: predicting_runs(wildcards.model).values(),
        **from_split("test"),
        tta=settings("tta-{model}"),
        images=STORE,
    output:
        f"{RESULTS}/robustness/{{model}}.parquet",
    log:
        f"{LOGS}/predict_corrupted/{{model}}.log",
    benchmark:
        f"{LOGS}/predict_corrupted/{{model}}.tsv"
    wildcard_constraints:
        model=one_of(SEEING),
    conda:
        ENVIRONMENT
    threads: MODEL_JOBS.threads
    resources:
        **MODEL_JOBS.resources(),
    params:
        **code("predict_corrupted"),
        launch=MODEL_JOBS.launch,
        devices=MODEL_JOBS.devices,
        weights=lambda wildcards: named(predicting_runs(wildcards.model)),
        severities=list(study.evaluate.robustness),
        resume=f"{RESULTS}/robustness/{{model}}.resume",
    shell:
        "{params.launch} {params.script:q} {params.inputs} --weights {params.weights} --severities {params.severities}"
        " {params.devices} --threads {threads} --resume {params.resume} --output {output} --log {log}"


rule predict_tabular:
    input:
        SPLIT["leakage"],
        **from_split("train", "test"),
        recipe=lambda wildcards: recipe_file(TRAININGS.names[wildcards.model]),
        embeddings=lambda wildcards: expand(EMBEDDINGS, embedding=PROBES.get(wildcards.model, [])),
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
    threads: MODEL_JOBS.threads
    resources:
        **MODEL_JOBS.resources(),
    params:
        **code("predict_tabular"),
        **OPTIONS,
    shell:
        "python {params.script:q} {params.inputs} --folds {params.folds} --test-by {params.test}"
        " --threads {threads} --output {output.predictions} --model {output.model} --log {log}"


rule import_predictions:
    input:
        **from_split("train", "test"),
        file=lambda wildcards: MODELS[wildcards.external].file,
    output:
        f"{RESULTS}/predict/{{external}}.parquet",
    log:
        f"{LOGS}/import_predictions/{{external}}.log",
    benchmark:
        f"{LOGS}/import_predictions/{{external}}.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("import_predictions"),
        folds=OPTIONS["folds"],
        fused=lambda wildcards: "--fused" if wildcards.external in FUSED else "",
    shell:
        "python {params.script:q} {params.inputs} --folds {params.folds} {params.fused} --output {output} --log {log}"
