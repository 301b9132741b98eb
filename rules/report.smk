"""Report: the figures, and one self-contained page with all results of a study."""

EVALUATION = ["roc.svg", "precision_recall.svg", "folds.svg", "reliability.svg", "decision.svg"]
EVALUATION += ["robustness.svg"] if CORRUPTED else []
OF_NETWORKS = ["learning_curves.svg", "schedules.svg", "sampling.svg"]
DATA = ["class_balance.svg", *(["samples.png"] if HAS_IMAGES else [])]
SHEETS = {f"augmentation:{model}": f"augmentation/{model}.png" for model in SEEING}
FIGURES = {
    **{Path(file).stem: f"{REPORT}/{file}" for file in EVALUATION if file in ("folds.svg", "robustness.svg")},
    "class_balance": f"{REPORT}/class_balance.svg",
    **{name: f"{REPORT}/{name}.svg" for name in ("schedules", "sampling") if NETWORKS},
    **{name: f"{REPORT}/{file}" for name, file in SHEETS.items()},
}
if FOUND_PAIRS:
    FIGURES["near_duplicates"] = f"{RESULTS}/split/near_duplicates.png"
RECIPES = {model: recipe_file(TRAININGS.names[model]) for model in MODELS}
TRIAL_TABLES = {model: f"{RESULTS}/tune/{TRAININGS.names[model]}/trials.csv" for model in TUNED}
TEMPLATES = Path(workflow.basedir, "scripts/melanoma/report/templates")
TRUTHS = [f"{RESULTS}/demo/{name}/truth.json" for name in GENERATED]
TEXTS = [
    *sorted(path.relative_to(workflow.basedir) for path in TEMPLATES.rglob("*") if path.is_file()),
    *dict.fromkeys(f"report/{name.partition(':')[0]}.rst" for name in FIGURES),
]


rule plot_evaluation:
    input:
        curves=f"{RESULTS}/evaluate/curves.json",
        metrics=f"{RESULTS}/evaluate/metrics.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
        robustness=ROBUSTNESS if CORRUPTED else [],
    output:
        [figure("Evaluation", file) for file in EVALUATION],
        for_papers(EVALUATION),
    log:
        f"{LOGS}/plot_evaluation.log",
    benchmark:
        f"{LOGS}/plot_evaluation.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("plot"),
        folder=lambda wildcards, output: REPORT,
    shell:
        "python {params.script:q} --log {log} evaluation {params.inputs} --output {params.folder}"


if NETWORKS:

    rule plot_training:
        input:
            all_trained("history.csv").values(),
            [RECIPES[model] for model in NETWORKS],
            **from_split("train"),
            images=STORE if SEEING else [],
        output:
            [figure("Training", file) for file in [*OF_NETWORKS, *SHEETS.values()]],
            for_papers(OF_NETWORKS),
        log:
            f"{LOGS}/plot_training.log",
        benchmark:
            f"{LOGS}/plot_training.tsv"
        conda:
            ENVIRONMENT
        params:
            **code("plot"),
            folder=lambda wildcards, output: REPORT,
            histories=named(all_trained("history.csv")),
            recipes=named({model: RECIPES[model] for model in NETWORKS}),
        shell:
            "python {params.script:q} --log {log} training {params.inputs} --histories {params.histories}"
            " --recipes {params.recipes} --output {params.folder}"


rule plot_data:
    input:
        **from_split("train"),
        audit=AUDIT,
        images=STORE if HAS_IMAGES else [],
    output:
        [figure("Data", file) for file in DATA],
        for_papers(DATA),
    log:
        f"{LOGS}/plot_data.log",
    benchmark:
        f"{LOGS}/plot_data.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("plot"),
        folder=lambda wildcards, output: REPORT,
    shell:
        "python {params.script:q} --log {log} data {params.inputs} --output {params.folder}"


rule write_report:
    input:
        FIGURES.values(),
        RECIPES.values(),
        TRIAL_TABLES.values(),
        all_trained("history.csv").values(),
        [f"{REPORT}/{file}" for file in EVALUATION if Path(file).stem not in FIGURES],
        **from_split("train", "test", "left_out"),
        metrics=f"{RESULTS}/evaluate/metrics.json",
        comparisons=f"{RESULTS}/evaluate/comparisons.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        curves=f"{RESULTS}/evaluate/curves.json",
        test_predictions=f"{RESULTS}/evaluate/test_predictions.parquet",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
        shortcuts=f"{RESULTS}/evaluate/shortcuts.json",
        leakage=AUDIT,
        issues=f"{RESULTS}/catalog/issues.csv",
        catalog=CATALOG,
        images=STORE if HAS_IMAGES else [],
        quality=QUALITY if HAS_IMAGES else [],
        explanations=EXPLANATIONS,
        external=EXTERNAL_TESTS[0] if "test" in EXTERNAL_ROLES else [],
        seeds=f"{RESULTS}/evaluate/seeds.json" if REPEATED else [],
        robustness=ROBUSTNESS if CORRUPTED else [],
        fusions=[f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
        study=[settings(section) for section in study_sections(study)],
        truths=TRUTHS,
    output:
        page=f"{REPORT}/report.html",
        tables=report(
            directory(f"{REPORT}/tables"),
            patterns=["{table}.csv"],
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"{LOGS}/write_report.log",
    benchmark:
        f"{LOGS}/write_report.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("write_report"),
        text=file_digest(Path(workflow.basedir, text) for text in TEXTS),
        figures=named(FIGURES),
        recipes=named(RECIPES),
        trials=named(TRIAL_TABLES),
        histories=named(all_trained("history.csv")),
        logs=LOGS,
        access_log=TEST_ACCESS_LOG,
    shell:
        "python {params.script:q} {params.inputs} --figures {params.figures} --recipes {params.recipes}"
        " --trials {params.trials} --histories {params.histories} --test-access-log {params.access_log}"
        " --logs {params.logs} --tables {output.tables} --output {output.page} --log {log}"
