"""Fuse: late fusions of models, fitted on out-of-fold predictions; and the selected model, chosen on them."""


rule fuse:
    input:
        settings=lambda wildcards: settings(f"fusion-{wildcards.fusion}"),
        members=lambda wildcards: [
            predictions(name) for name in FUSIONS[wildcards.fusion].members
        ],
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
    output:
        predictions=f"{RESULTS}/fuse/{{fusion}}.parquet",
        weights=f"{RESULTS}/fuse/{{fusion}}.json",
    log:
        f"{LOGS}/fuse/{{fusion}}.log",
    benchmark:
        f"{LOGS}/fuse/{{fusion}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("fuse"),
        members=lambda wildcards: [
            f"{name}={predictions(name)}" for name in FUSIONS[wildcards.fusion].members
        ],
    shell:
        "python {params.script:q} --settings {input.settings} --members {params.members} --train {input.train}"
        " --test {input.test} --output {output.predictions} --weights {output.weights} --log {log}"


rule select_model:
    input:
        settings=settings("fuse"),
        predictions=[predictions(name) for name in [*MODELS, *FUSIONS]],
        train=f"{RESULTS}/split/train.parquet",
    output:
        f"{RESULTS}/fuse/selected_model.json",
    log:
        f"{LOGS}/select_model.log",
    benchmark:
        f"{LOGS}/select_model.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("select_model"),
        models=[f"{name}={predictions(name)}" for name in MODELS],
        fusions=[f"{name}={predictions(name)}" for name in FUSIONS],
    shell:
        "python {params.script:q} --settings {input.settings} --models {params.models} --fusions {params.fusions}"
        " --train {input.train} --output {output} --log {log}"
