"""Evaluate: every model and fusion on the test images; once nothing was found to leak.

Only rules of this file open test labels, and each time is a line of the test-set access log.
"""

PREDICTIONS = predictions(*MODELS, *FUSIONS)
METADATA_MODELS = {name: f"{RESULTS}/train/{name}/model.json" for name in TABULAR}
SEED_RUNS = {
    f"{model}:{run}": f"{RESULTS}/predict/{model}/{run}.parquet"
    for model in REPEATED
    for run in TRAININGS.runs(model)
}


rule audit_models:
    input:
        **from_split("leakage", "train", "test", "labels"),
        settings=settings("split"),
        weights=all_trained("weights.pt").values(),
        tabular=METADATA_MODELS.values(),
        predictions=predictions(*MODELS),
    output:
        AUDIT,
    log:
        f"{LOGS}/audit_models.log",
    benchmark:
        f"{LOGS}/audit_models.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("audit_models"),
        weights=named(all_trained("weights.pt")),
        tabular=named(METADATA_MODELS),
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --settings {input.settings} --leakage {input.leakage}"
        " --train {input.train} --test {input.test} --test-labels {input.labels}"
        " --weights {params.weights} --metadata-models {params.tabular}"
        " --predictions {input.predictions} {params.test_access_log} --output {output} --log {log}"


rule evaluate:
    input:
        **from_split("train", "labels"),
        settings=settings("evaluate"),
        predictions=PREDICTIONS,
        audit=AUDIT,
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
    resources:
        **growing(mem_mb=4000, runtime=60),
    params:
        **code("evaluate"),
        test_access_log=test_access_log,
        most=study.evaluate.max_test_configurations,
    shell:
        "python {params.script:q} --predictions {input.predictions} --labels {input.labels}"
        " --train {input.train} --settings {input.settings} {params.test_access_log}"
        " --max-test-configurations {params.most} --output {output.metrics}"
        " --comparisons {output.comparisons} --calibration {output.calibration}"
        " --curves {output.curves} --summary {output.summary} --log {log}"


rule analyze_shortcuts:
    input:
        **from_split("train", "test", "labels"),
        settings=settings("shortcuts"),
        predictions=PREDICTIONS,
        audit=AUDIT,
    output:
        f"{RESULTS}/evaluate/shortcuts.json",
    log:
        f"{LOGS}/analyze_shortcuts.log",
    benchmark:
        f"{LOGS}/analyze_shortcuts.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=4000, runtime=120),
    params:
        **code("analyze_shortcuts"),
        **OPTIONS,
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --settings {input.settings} --predictions {input.predictions}"
        " --folds {params.folds} --test-by {params.test} --train {input.train}"
        " --test {input.test} --labels {input.labels} {params.test_access_log} --output {output} --log {log}"


rule compare_seeds:
    input:
        **from_split("train", "labels"),
        runs=[f"{RESULTS}/predict/{model}" for model in REPEATED],
        audit=AUDIT,
    output:
        f"{RESULTS}/evaluate/seeds.json",
    log:
        f"{LOGS}/compare_seeds.log",
    benchmark:
        f"{LOGS}/compare_seeds.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("compare_seeds"),
        runs=named(SEED_RUNS),
        test_access_log=test_access_log,
    shell:
        "python {params.script:q} --runs {params.runs} --train {input.train}"
        " --labels {input.labels} {params.test_access_log} --output {output} --log {log}"
