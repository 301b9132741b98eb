"""Evaluate: every model and fusion on the test images; the first stage that opens their labels."""

JUDGED = [*MODELS, *FUSIONS]


rule evaluate_models:
    input:
        code=code("evaluate"),
        settings=settings("evaluate"),
        predictions=[predictions(name) for name in JUDGED],
        train=f"{RESULTS}/split/train.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
    output:
        metrics=report(
            f"{RESULTS}/evaluate/metrics.json",
            caption="../report/metrics.rst",
            category="Evaluation",
            labels={"what": "all figures with intervals"},
        ),
        summary=f"{RESULTS}/evaluate/summary.txt",
        curves=f"{RESULTS}/evaluate/curves.json",
    log:
        f"{LOGS}/evaluate_models.log",
    benchmark:
        f"{LOGS}/evaluate_models.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
        gpu=0,
    params:
        predictions=[f"{name}={predictions(name)}" for name in JUDGED],
    shell:
        "python {input.code[0]} --predictions {params.predictions} --labels {input.labels} --train {input.train}"
        " --settings {input.settings} --output {output.metrics} --summary {output.summary} --curves {output.curves}"
        " --log {log}"
