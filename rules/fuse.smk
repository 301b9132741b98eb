"""Fuse: late fusions of models, and the selected model. Both are fitted on out-of-fold predictions."""


rule fuse:
    input:
        **from_split("train", "test"),
        settings=settings("fusion-{fusion}"),
        members=lambda wildcards: predictions(*FUSIONS[wildcards.fusion].members),
    output:
        predictions=f"{RESULTS}/fuse/{{fusion}}.parquet",
        weights=f"{RESULTS}/fuse/{{fusion}}.json",
    log:
        f"{LOGS}/fuse/{{fusion}}.log",
    benchmark:
        f"{LOGS}/fuse/{{fusion}}.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("fuse"),
    shell:
        "python {params.script:q} {params.inputs} --output {output.predictions} --weights {output.weights} --log {log}"


rule select_model:
    input:
        **from_split("train"),
        settings=settings("fuse"),
        models=predictions(*MODELS),
        fusions=predictions(*FUSIONS),
    output:
        f"{RESULTS}/fuse/selected_model.json",
    log:
        f"{LOGS}/select_model.log",
    benchmark:
        f"{LOGS}/select_model.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("select_model"),
        tuning_fold=f"--tuning-fold {study.split.run_folds[0]}" if TUNED and len(study.split.run_folds) > 1 else "",
    shell:
        "python {params.script:q} {params.inputs} {params.tuning_fold} --output {output} --log {log}"
