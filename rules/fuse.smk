"""Fuse: late fusions of models, fitted on out-of-fold predictions."""


rule fuse_models:
    input:
        code=code("fuse"),
        settings=lambda wildcards: settings(f"fusion-{wildcards.fusion}"),
        members=lambda wildcards: [predictions(name) for name in FUSIONS[wildcards.fusion]["members"]],
        train=f"{RESULTS}/split/train.parquet",
    output:
        predictions=f"{RESULTS}/fuse/{{fusion}}.parquet",
        weights=f"{RESULTS}/fuse/{{fusion}}.json",
    log:
        f"{LOGS}/fuse_models/{{fusion}}.log",
    benchmark:
        f"{LOGS}/fuse_models/{{fusion}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        members=lambda wildcards: [f"{name}={predictions(name)}" for name in FUSIONS[wildcards.fusion]["members"]],
    shell:
        "python {input.code[0]} --settings {input.settings} --members {params.members} --train {input.train}"
        " --output {output.predictions} --weights {output.weights} --log {log}"
