"""Report: the figures, and one self-contained page that holds all of a study."""

OF_NETWORKS = ("learning_curves", "schedules", "sampling")
ABSENT = {
    *(() if NETWORKS else OF_NETWORKS),
    *(() if study.has_images else ["samples"]),
}
SHOWN = {
    name: f"{RESULTS}/report/{file}"
    for name, file in (FIGURES | SHEETS).items()
    if name not in ABSENT
}
CAPTIONS = list(dict.fromkeys(name.partition(":")[0] for name in SHOWN))
TEMPLATES = ("report", "selected_model", "shortcuts")
TRUTHS = [f"{RESULTS}/demo/{name}/truth.json" for name in GENERATED]


rule plot_evaluation:
    input:
        curves=f"{RESULTS}/evaluate/curves.json",
        metrics=f"{RESULTS}/evaluate/metrics.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
    output:
        figure("roc", "Evaluation"),
        figure("precision_recall", "Evaluation"),
        figure("reliability", "Evaluation"),
        figure("decision", "Evaluation"),
    log:
        f"{LOGS}/plot_evaluation.log",
    benchmark:
        f"{LOGS}/plot_evaluation.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
        folder=report_folder,
    shell:
        "python {params.script:q} --log {log} evaluation --curves {input.curves} --metrics {input.metrics}"
        " --calibration {input.calibration} --selected-model {input.selected_model} --output {params.folder}"


if NETWORKS:

    rule plot_training:
        input:
            histories=[path for model in NETWORKS for path in histories(model)],
            recipes=[recipe_file(TRAINING[model]) for model in NETWORKS],
            train=f"{RESULTS}/split/train.parquet",
            images=f"{RESULTS}/images/images.h5" if SEEING else [],
        output:
            figure("learning_curves", "Training"),
            figure("schedules", "Training"),
            figure("sampling", "Training"),
            [sheet(model) for model in SEEING],
        log:
            f"{LOGS}/plot_training.log",
        benchmark:
            f"{LOGS}/plot_training.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(2000),
            runtime=growing(10),
            gpu=0,
        params:
            **code("plot"),
            folder=report_folder,
            histories=[
                f"{model}:{run}={path}"
                for model in NETWORKS
                for run, path in zip(runs(model), histories(model))
            ],
            recipes=[f"{model}={recipe_file(TRAINING[model])}" for model in NETWORKS],
            images=f"--images {RESULTS}/images/images.h5" if SEEING else "",
        shell:
            "python {params.script:q} --log {log} training --histories {params.histories} --recipes {params.recipes}"
            " --train {input.train} {params.images} --output {params.folder}"


rule plot_data:
    input:
        train=f"{RESULTS}/split/train.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
        images=f"{RESULTS}/images/images.h5" if study.has_images else [],
    output:
        figure("class_balance", "Data"),
        [figure("samples", "Data")] if study.has_images else [],
    log:
        f"{LOGS}/plot_data.log",
    benchmark:
        f"{LOGS}/plot_data.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
        folder=report_folder,
        images=f"--images {RESULTS}/images/images.h5" if study.has_images else "",
    shell:
        "python {params.script:q} --log {log} data --train {input.train} --audit {input.audit} {params.images}"
        " --output {params.folder}"


rule write_report:
    input:
        metrics=f"{RESULTS}/evaluate/metrics.json",
        comparisons=f"{RESULTS}/evaluate/comparisons.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        selected_model=f"{RESULTS}/fuse/selected_model.json",
        shortcuts=f"{RESULTS}/evaluate/shortcuts.json",
        figures=list(SHOWN.values()),
        leakage=f"{RESULTS}/evaluate/leakage.json",
        issues=f"{RESULTS}/catalog/issues.csv",
        quality=QUALITY if study.has_images else [],
        recipes=[recipe_file(TRAINING[model]) for model in MODELS],
        trials=[trials_of(model) for model in TUNED],
        seeds=f"{RESULTS}/evaluate/seeds.json" if REPEATED else [],
        fusions=[f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
        study=[settings(piece) for piece in STUDY],
        truths=TRUTHS,
    output:
        f"{RESULTS}/report/report.html",
    log:
        f"{LOGS}/write_report.log",
    benchmark:
        f"{LOGS}/write_report.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("write_report"),
        text=text(
            *(
                f"scripts/melanoma/report/templates/{name}.html.j2"
                for name in TEMPLATES
            ),
            *(f"report/{name}.rst" for name in CAPTIONS),
        ),
        figures=[f"{name}={path}" for name, path in SHOWN.items()],
        recipes=[f"{model}={recipe_file(TRAINING[model])}" for model in MODELS],
        trials=[f"{model}={trials_of(model)}" for model in TUNED],
        seeds=f"--seeds {RESULTS}/evaluate/seeds.json" if REPEATED else "",
        test_access_log=TEST_ACCESS_LOG,
        quality=f"--quality {QUALITY}" if study.has_images else "",
        fusions=[f"{name}={RESULTS}/fuse/{name}.json" for name in FUSIONS],
    shell:
        "python {params.script:q} --study {input.study} --metrics {input.metrics} --comparisons {input.comparisons}"
        " --calibration {input.calibration} --selected-model {input.selected_model} --shortcuts {input.shortcuts}"
        " --figures {params.figures}"
        " --leakage {input.leakage} --issues {input.issues} {params.quality}"
        " --recipes {params.recipes} --trials {params.trials} {params.seeds} --fusions {params.fusions}"
        " --test-access-log {params.test_access_log} --truths {input.truths} --output {output} --log {log}"


onerror:
    keep_record(Path(RESULTS))
    for failure in failures(workflow.scheduler.failed, STARTED):
        print(f"\n{failure}")


onsuccess:
    keep_record(Path(RESULTS))
    if os.path.exists(f"{RESULTS}/report/report.html"):
        shell(f"cat {RESULTS}/evaluate/summary.txt")
        print(f"\nThe report: {RESULTS}/report/report.html")
