"""Evaluate: every model and fusion on the test images; once nothing was found to leak."""

JUDGED = [*MODELS, *FUSIONS]


rule audit_models:
    input:
        code=code("audit"),
        settings=settings("split"),
        leakage=f"{RESULTS}/split/leakage.json",
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        weights=[f"{RESULTS}/train/{model}/{run}/weights.pt" for model in NETWORKS for run in RUNS],
        encoders=[f"{RESULTS}/train/{model}/encoders.json" for model in TABULAR],
        predictions=[predictions(model) for model in MODELS],
    output:
        f"{RESULTS}/evaluate/leakage.json",
    log:
        f"{LOGS}/audit_models.log",
    benchmark:
        f"{LOGS}/audit_models.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        weights=[f"{model}:{run}={RESULTS}/train/{model}/{run}/weights.pt" for model in NETWORKS for run in RUNS],
        encoders=[f"{model}={RESULTS}/train/{model}/encoders.json" for model in TABULAR],
        predictions=[f"{model}={predictions(model)}" for model in MODELS],
    shell:
        "python {input.code[0]} --settings {input.settings} --leakage {input.leakage} --train {input.train}"
        " --test {input.test} --test-labels {input.labels} --weights {params.weights} --encoders {params.encoders}"
        " --predictions {params.predictions} --output {output} --log {log}"


rule evaluate_models:
    input:
        code=code("evaluate"),
        settings=settings("evaluate"),
        predictions=[predictions(name) for name in JUDGED],
        train=f"{RESULTS}/split/train.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
    output:
        metrics=report(
            f"{RESULTS}/evaluate/metrics.json",
            caption="../report/metrics.rst",
            category="Evaluation",
            labels={"what": "all figures with intervals"},
        ),
        comparisons=f"{RESULTS}/evaluate/comparisons.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
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
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    params:
        predictions=[f"{name}={predictions(name)}" for name in JUDGED],
    shell:
        "python {input.code[0]} --predictions {params.predictions} --labels {input.labels} --train {input.train}"
        " --settings {input.settings} --output {output.metrics}"
        " --comparisons {output.comparisons} --calibration {output.calibration} --curves {output.curves}"
        " --summary {output.summary} --log {log}"


rule audit_shortcuts:
    input:
        code=code("shortcuts"),
        settings=settings("evaluate"),
        predictions=[predictions(name) for name in JUDGED],
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
    output:
        f"{RESULTS}/evaluate/shortcuts.json",
    log:
        f"{LOGS}/audit_shortcuts.log",
    benchmark:
        f"{LOGS}/audit_shortcuts.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
    params:
        predictions=[f"{name}={predictions(name)}" for name in JUDGED],
        folds=config["split"]["run_folds"],
        test=config["predict"]["test"],
    shell:
        "python {input.code[0]} --settings {input.settings} --predictions {params.predictions} --folds {params.folds}"
        " --test-by {params.test} --train {input.train} --test {input.test} --labels {input.labels} --output {output}"
        " --log {log}"
