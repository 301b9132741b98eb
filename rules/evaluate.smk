"""Evaluate: every model and fusion on the test images, once the audit has found no leak.

Only the rules of this file read test labels. Each reading adds a line to the test-set access log.
"""

PREDICTIONS = predictions(*MODELS, *FUSIONS)
TARGETS = {"train": SPLIT["train"], "labels": SPLIT["test_labels"]}
METADATA_MODELS = {name: f"{RESULTS}/train/{name}/model.json" for name in TABULAR}
SEED_RUNS = {
    f"{model}:{run}": f"{RESULTS}/predict/{model}/{run}.parquet" for model in REPEATED for run in TRAININGS.runs(model)
}


rule audit_models:
    input:
        all_trained("weights.safetensors").values(),
        METADATA_MODELS.values(),
        **from_split("leakage", "train", "test", "test_labels"),
        settings=settings("split"),
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
        **code_and_log("audit_models"),
        weights=named(all_trained("weights.safetensors")),
        tabular=named(METADATA_MODELS),
    shell:
        "python {params.script:q} {params.inputs} --weights {params.weights} --metadata-models {params.tabular}"
        " {params.access_log} --output {output} --log {log}"


rule evaluate:
    input:
        AUDIT,
        **TARGETS,
        **from_split("test"),
        settings=settings("evaluate"),
        predictions=PREDICTIONS,
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
        test_predictions=f"{RESULTS}/evaluate/test_predictions.parquet",
    log:
        f"{LOGS}/evaluate.log",
    benchmark:
        f"{LOGS}/evaluate.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=4000, runtime=60),
    params:
        **code_and_log("evaluate"),
        max=study.evaluate.max_test_configurations,
        tensorboard=f"{LOGS}/tensorboard/test",
    shell:
        "python {params.script:q} {params.inputs} {params.access_log} --max-test-configurations {params.max}"
        " --output {output.metrics} --comparisons {output.comparisons} --calibration {output.calibration}"
        " --curves {output.curves} --test-predictions {output.test_predictions} --summary {output.summary}"
        " --tensorboard {params.tensorboard} --log {log}"


rule analyze_shortcuts:
    input:
        AUDIT,
        **TARGETS,
        **from_split("test"),
        settings=settings("shortcuts"),
        predictions=PREDICTIONS,
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
        **code_and_log("analyze_shortcuts"),
        **OPTIONS,
    shell:
        "python {params.script:q} {params.inputs} --folds {params.folds} --test-by {params.test}"
        " {params.access_log} --output {output} --log {log}"


rule compare_seeds:
    input:
        AUDIT,
        [f"{RESULTS}/predict/{model}" for model in REPEATED],
        **TARGETS,
    output:
        f"{RESULTS}/evaluate/seeds.json",
    log:
        f"{LOGS}/compare_seeds.log",
    benchmark:
        f"{LOGS}/compare_seeds.tsv"
    conda:
        ENVIRONMENT
    params:
        **code_and_log("compare_seeds"),
        runs=named(SEED_RUNS),
    shell:
        "python {params.script:q} {params.inputs} --runs {params.runs} {params.access_log} --output {output} --log {log}"


rule evaluate_robustness:
    input:
        AUDIT,
        labels=SPLIT["test_labels"],
        settings=settings("robustness"),
        predictions=predictions(*CORRUPTED),
        corrupted=[f"{RESULTS}/robustness/{model}.parquet" for model in CORRUPTED],
    output:
        ROBUSTNESS,
    log:
        f"{LOGS}/evaluate_robustness.log",
    benchmark:
        f"{LOGS}/evaluate_robustness.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=4000, runtime=60),
    params:
        **code_and_log("evaluate_robustness"),
    shell:
        "python {params.script:q} {params.inputs} {params.access_log} --output {output} --log {log}"


rule explain:
    input:
        AUDIT,
        METADATA_MODELS.values(),
        **from_split("train", "test"),
        labels=SPLIT["test_labels"],
        images=STORE if HAS_IMAGES else [],
        selected_model=f"{RESULTS}/fuse/selected_model.json",
        predictions=PREDICTIONS,
        networks=[f"{RESULTS}/predict/{name}.json" for name in NETWORKS],
        fusions=[f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
    output:
        EXPLANATIONS,
    log:
        f"{LOGS}/explain.log",
    benchmark:
        f"{LOGS}/explain.tsv"
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=8000, runtime=240),
    params:
        **code_and_log("explain"),
        tabular=named(METADATA_MODELS),
    shell:
        "python {params.script:q} {params.inputs} --metadata-models {params.tabular} {params.access_log}"
        " --threads {threads} --output {output} --log {log}"
