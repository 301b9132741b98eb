"""Classify: a bundle answers for new images, as scripts/classify.py does.

A study of classifications alone has no other rule.
"""

CLASSIFICATIONS = Classifications.from_study(study, f"{RESULTS}/bundle")
ANSWERS = expand(f"{RESULTS}/classify/{{name}}.{{kind}}", name=study.classify, kind=["csv", "html"])


rule classify:
    input:
        bundle=lambda wildcards: CLASSIFICATIONS.bundle(wildcards.classification),
        images=lambda wildcards: CLASSIFICATIONS.images(wildcards.classification),
        table=lambda wildcards: CLASSIFICATIONS.table(wildcards.classification),
    output:
        table=f"{RESULTS}/classify/{{classification}}.csv",
        page=f"{RESULTS}/classify/{{classification}}.html",
    log:
        f"{LOGS}/classify/{{classification}}.log",
    benchmark:
        f"{LOGS}/classify/{{classification}}.tsv"
    wildcard_constraints:
        classification=one_of(study.classify),
    conda:
        ENVIRONMENT
    threads: lambda wildcards: CLASSIFICATIONS.resources(wildcards.classification)["threads"]
    resources:
        **{
            name: lambda wildcards, name=name: CLASSIFICATIONS.resources(wildcards.classification)[name]
            for name in ("mem_mb", "runtime", "gpu", "nodes")
        },
    params:
        **code("classify"),
        options=lambda wildcards: CLASSIFICATIONS.options(wildcards.classification),
        # These two take `output`, so that Snakemake does not compare them: it compares the inputs themselves, and the
        # number of GPUs decides no result.
        table=lambda wildcards, input, output: [f"--table={table}" for table in input.table],
        gpus=lambda wildcards, output: CLASSIFICATIONS.by_name[wildcards.classification].resources.gpus,
    shell:
        "python {params.script:q} {params.options:q} {params.table:q} --gpus {params.gpus} --threads {threads}"
        " --output {output.table} --html {output.page} --log {log} -- {input.images:q}"
