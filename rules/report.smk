"""Report: the figures, and one self-contained page with all results of a study."""

EVALUATION = ["roc.svg", "precision_recall.svg", "folds.svg", "reliability.svg", "decision.svg"]
OF_NETWORKS = ["learning_curves.svg", "schedules.svg", "sampling.svg"]
DATA = ["class_balance.svg", *(["samples.png"] if HAS_IMAGES else [])]
SHEETS = {f"augmentation:{model}": f"augmentation/{model}.png" for model in SEEING}
SHOWN = {
    **{Path(file).stem: file for file in EVALUATION},
    **{Path(file).stem: file for file in OF_NETWORKS if NETWORKS},
    **{Path(file).stem: file for file in DATA},
    **SHEETS,
}
FIGURES = {name: f"{REPORT}/{file}" for name, file in SHOWN.items()}
if FOUND_PAIRS:
    FIGURES["near_duplicates"] = f"{RESULTS}/split/near_duplicates.png"
RECIPES = {model: recipe_file(TRAININGS.names[model]) for model in MODELS}
TRIAL_TABLES = {model: f"{RESULTS}/tune/{TRAININGS.names[model]}/trials.csv" for model in TUNED}
TRUTHS = [f"{RESULTS}/demo/{name}/truth.json" for name in GENERATED]
TEXTS = [
    *(f"scripts/melanoma/report/templates/{name}.html.j2" for name in ("report", "selected_model", "shortcuts")),
    *dict.fromkeys(f"report/{name.partition(':')[0]}.rst" for name in FIGURES),
]


rule plot_evaluation:
    input:
        curves=f"{RESULTS}/evaluate/curves.json",
        metrics=f"{RESULTS}/evaluate/metrics.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
    output:
        [figure("Evaluation", file) for file in EVALUATION],
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
        metrics=f"{RESULTS}/evaluate/metrics.json",
        comparisons=f"{RESULTS}/evaluate/comparisons.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
        shortcuts=f"{RESULTS}/evaluate/shortcuts.json",
        leakage=AUDIT,
        issues=f"{RESULTS}/catalog/issues.csv",
        catalog=CATALOG,
        quality=QUALITY if HAS_IMAGES else [],
        seeds=f"{RESULTS}/evaluate/seeds.json" if REPEATED else [],
        fusions=[f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
        study=[settings(section) for section in study_sections(study)],
        truths=TRUTHS,
    output:
        f"{REPORT}/report.html",
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
        access_log=TEST_ACCESS_LOG,
    shell:
        "python {params.script:q} {params.inputs} --figures {params.figures} --recipes {params.recipes}"
        " --trials {params.trials} --test-access-log {params.access_log} --output {output} --log {log}"


onerror:
    keep_record(Path(RESULTS))
    for failure in failures(workflow.scheduler.failed, STARTED):
        print(f"\n{failure}")


onsuccess:
    keep_record(Path(RESULTS))
    if os.path.exists(f"{REPORT}/report.html"):
        shell(f"cat {RESULTS}/evaluate/summary.txt")
        if "test" in EXTERNAL_ROLES:
            shell(f"cat {RESULTS}/evaluate/external.txt")
        print(f"\nThe report: {REPORT}/report.html")
