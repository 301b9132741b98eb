"""Evaluate: every model and fusion on the test images; once nothing was found to leak.

Only rules of this file open test labels, and each time is a line of the test-set access log.
"""

EVALUATED = [*MODELS, *FUSIONS]


rule audit_models:
    input:
        settings=settings("split"),
        leakage=f"{RESULTS}/split/leakage.json",
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        weights=[
            trained(model, run, "weights.pt")
            for model in NETWORKS
            for run in runs(model)
        ],
        tabular=[f"{RESULTS}/train/{model}/model.json" for model in TABULAR],
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
        **code("audit_models"),
        weights=[
            f"{model}:{run}={trained(model, run, 'weights.pt')}"
            for model in NETWORKS
            for run in runs(model)
        ],
        tabular=[f"{model}={RESULTS}/train/{model}/model.json" for model in TABULAR],
        predictions=[f"{model}={predictions(model)}" for model in MODELS],
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --settings {input.settings} --leakage {input.leakage} --train {input.train}"
        " --test {input.test} --test-labels {input.labels} --weights {params.weights} --metadata-models {params.tabular}"
        " --predictions {params.predictions} {params.test_access_log} --output {output} --log {log}"


rule evaluate:
    input:
        settings=settings("evaluate"),
        predictions=[predictions(name) for name in EVALUATED],
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
        f"{LOGS}/evaluate.log",
    benchmark:
        f"{LOGS}/evaluate.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
        gpu=0,
    params:
        **code("evaluate"),
        predictions=[f"{name}={predictions(name)}" for name in EVALUATED],
        test_access_log=test_access_log,
        most=study.evaluate.max_test_configurations,
    shell:
        "python {params.script:q} --predictions {params.predictions} --labels {input.labels} --train {input.train}"
        " --settings {input.settings} {params.test_access_log} --max-test-configurations {params.most} --output {output.metrics}"
        " --comparisons {output.comparisons} --calibration {output.calibration} --curves {output.curves}"
        " --summary {output.summary} --log {log}"


rule analyze_shortcuts:
    input:
        settings=settings("shortcuts"),
        predictions=[predictions(name) for name in EVALUATED],
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
    output:
        f"{RESULTS}/evaluate/shortcuts.json",
    log:
        f"{LOGS}/analyze_shortcuts.log",
    benchmark:
        f"{LOGS}/analyze_shortcuts.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
        gpu=0,
    params:
        **code("analyze_shortcuts"),
        predictions=[f"{name}={predictions(name)}" for name in EVALUATED],
        folds=list(study.split.run_folds),
        test=study.predict.test,
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --settings {input.settings} --predictions {params.predictions} --folds {params.folds}"
        " --test-by {params.test} --train {input.train} --test {input.test} --labels {input.labels} {params.test_access_log}"
        " --output {output} --log {log}"


rule compare_seeds:
    input:
        runs=[f"{RESULTS}/predict/{model}" for model in REPEATED],
        train=f"{RESULTS}/split/train.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
    output:
        f"{RESULTS}/evaluate/seeds.json",
    log:
        f"{LOGS}/compare_seeds.log",
    benchmark:
        f"{LOGS}/compare_seeds.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("compare_seeds"),
        runs=[
            f"{model}:{run}={RESULTS}/predict/{model}/{run}.parquet"
            for model in REPEATED
            for run in runs(model)
        ],
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --runs {params.runs} --train {input.train} --labels {input.labels} {params.test_access_log}"
        " --output {output} --log {log}"
