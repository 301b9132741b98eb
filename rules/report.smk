"""Report: the figures, and one self-contained page that holds all of a study."""

OF_NETWORKS = ("learning_curves", "schedules", "sampling")
ABSENT = {*(() if NETWORKS else OF_NETWORKS), *(() if HAS_IMAGES else ["samples"])}
SHOWN = {
    name: f"{RESULTS}/report/{file}"
    for name, file in (FIGURES | SHEETS | TUNING).items()
    if name not in ABSENT
}
CAPTIONS = list(dict.fromkeys(name.partition(":")[0] for name in SHOWN))
TEMPLATES = ("report", "answer", "shortcuts")
TRUTHS = [f"{RESULTS}/demo/{name}/truth.json" for name in GENERATED]


rule plot_curves:
    input:
        curves=f"{RESULTS}/evaluate/curves.json",
        metrics=f"{RESULTS}/evaluate/metrics.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        answer=f"{RESULTS}/fuse/answer.json",
    output:
        roc=figure("roc", "Evaluation"),
        precision_recall=figure("precision_recall", "Evaluation"),
        reliability=figure("reliability", "Evaluation"),
        decision=figure("decision", "Evaluation"),
    log:
        f"{LOGS}/plot_curves.log",
    benchmark:
        f"{LOGS}/plot_curves.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
    shell:
        "python {params.script:q} --log {log} roc --curves {input.curves} --metrics {input.metrics}"
        " --output {output.roc} && "
        "python {params.script:q} --log {log} precision-recall --curves {input.curves} --metrics {input.metrics}"
        " --output {output.precision_recall} && "
        "python {params.script:q} --log {log} reliability --calibration {input.calibration}"
        " --answer {input.answer} --output {output.reliability} && "
        "python {params.script:q} --log {log} decision --curves {input.curves} --metrics {input.metrics}"
        " --answer {input.answer} --output {output.decision}"


rule plot_learning:
    input:
        histories=[path for model in NETWORKS for path in histories(model)],
        recipes=[recipe_file(TRAINING[model]) for model in NETWORKS],
    output:
        figure("learning_curves", "Training"),
    log:
        f"{LOGS}/plot_learning.log",
    benchmark:
        f"{LOGS}/plot_learning.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
        histories=[
            f"{model}:{run}={path}"
            for model in NETWORKS
            for run, path in zip(runs(model), histories(model))
        ],
        recipes=[f"{model}={recipe_file(TRAINING[model])}" for model in NETWORKS],
    shell:
        "python {params.script:q} --log {log} learning --histories {params.histories} --recipes {params.recipes}"
        " --output {output}"


rule plot_schedules:
    input:
        recipes=[recipe_file(TRAINING[model]) for model in NETWORKS],
        train=f"{RESULTS}/split/train.parquet",
    output:
        schedules=figure("schedules", "Training"),
        sampling=figure("sampling", "Training"),
    log:
        f"{LOGS}/plot_schedules.log",
    benchmark:
        f"{LOGS}/plot_schedules.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
        recipes=[f"{model}={recipe_file(TRAINING[model])}" for model in NETWORKS],
    shell:
        "python {params.script:q} --log {log} schedules --recipes {params.recipes} --output {output.schedules} && "
        "python {params.script:q} --log {log} sampling --recipes {params.recipes} --train {input.train}"
        " --output {output.sampling}"


rule plot_balance:
    input:
        train=f"{RESULTS}/split/train.parquet",
        audit=f"{RESULTS}/evaluate/leakage.json",
    output:
        figure("class_balance", "Data"),
    log:
        f"{LOGS}/plot_balance.log",
    benchmark:
        f"{LOGS}/plot_balance.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
    shell:
        "python {params.script:q} --log {log} balance --train {input.train} --audit {input.audit} --output {output}"


rule plot_samples:
    input:
        images=f"{RESULTS}/images/images.h5",
        train=f"{RESULTS}/split/train.parquet",
    output:
        figure("samples", "Data"),
    log:
        f"{LOGS}/plot_samples.log",
    benchmark:
        f"{LOGS}/plot_samples.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
    shell:
        "python {params.script:q} --log {log} samples --images {input.images} --train {input.train} --output {output}"


rule plot_augmentation:
    input:
        recipe=recipe,
        train=f"{RESULTS}/split/train.parquet",
        images=f"{RESULTS}/images/images.h5",
    output:
        report(
            f"{RESULTS}/report/augmentation/{{model}}.png",
            caption="../report/augmentation.rst",
            category="Training",
            labels={"figure": "augmentation of {model}"},
        ),
    log:
        f"{LOGS}/plot_augmentation/{{model}}.log",
    benchmark:
        f"{LOGS}/plot_augmentation/{{model}}.tsv"
    wildcard_constraints:
        model="|".join(SEEING) or "none",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("contact_sheet"),
    shell:
        "python {params.script:q} --recipe {input.recipe} --train {input.train} --images {input.images}"
        " --output {output} --log {log}"


rule plot_tuning:
    input:
        settings=lambda wildcards: settings(f"tune-{TRAINING[wildcards.model]}"),
        trials=lambda wildcards: (
            f"{RESULTS}/tune/{TRAINING[wildcards.model]}/trials.csv"
        ),
    output:
        report(
            f"{RESULTS}/report/tuning/{{model}}.svg",
            caption="../report/tuning.rst",
            category="Training",
            labels={"figure": "tuning of {model}"},
        ),
    log:
        f"{LOGS}/plot_tuning/{{model}}.log",
    benchmark:
        f"{LOGS}/plot_tuning/{{model}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("plot"),
    shell:
        "python {params.script:q} --log {log} tuning --trials {input.trials} --settings {input.settings}"
        " --output {output}"


rule write_report:
    input:
        metrics=f"{RESULTS}/evaluate/metrics.json",
        comparisons=f"{RESULTS}/evaluate/comparisons.json",
        calibration=f"{RESULTS}/evaluate/calibration.json",
        answer=f"{RESULTS}/fuse/answer.json",
        shortcuts=f"{RESULTS}/evaluate/shortcuts.json",
        figures=list(SHOWN.values()),
        leakage=f"{RESULTS}/evaluate/leakage.json",
        problems=f"{RESULTS}/catalog/problems.csv",
        quality=QUALITY if HAS_IMAGES else [],
        recipes=[recipe_file(TRAINING[model]) for model in MODELS],
        trials=[f"{RESULTS}/tune/{TRAINING[model]}/trials.csv" for model in TUNED],
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
        **code("report"),
        text=text(
            *(f"scripts/melanoma/{name}.html.j2" for name in TEMPLATES),
            *(f"report/{name}.rst" for name in CAPTIONS),
        ),
        study=config["study"],
        figures=[f"{name}={path}" for name, path in SHOWN.items()],
        recipes=[f"{model}={recipe_file(TRAINING[model])}" for model in MODELS],
        trials=[
            f"{model}={RESULTS}/tune/{TRAINING[model]}/trials.csv" for model in TUNED
        ],
        seeds=f"--seeds {RESULTS}/evaluate/seeds.json" if REPEATED else "",
        ledger=LEDGER,
        quality=f"--quality {QUALITY}" if HAS_IMAGES else "",
        fusions=[f"{name}={RESULTS}/fuse/{name}.json" for name in FUSIONS],
        truth=[f"--truth {path}" for path in TRUTHS],
    shell:
        "python {params.script:q} --study {params.study} --metrics {input.metrics} --comparisons {input.comparisons}"
        " --calibration {input.calibration} --answer {input.answer} --shortcuts {input.shortcuts}"
        " --figures {params.figures}"
        " --leakage {input.leakage} --problems {input.problems} {params.quality}"
        " --recipes {params.recipes} --trials {params.trials} {params.seeds} --fusions {params.fusions}"
        " --ledger {params.ledger} --config {input.study} {params.truth} --output {output} --log {log}"


onerror:
    for failure in failures(LOGS, STARTED):
        print(f"\n{failure}")


onsuccess:
    if os.path.exists(f"{RESULTS}/report/report.html"):
        shell(f"cat {RESULTS}/evaluate/summary.txt")
        print(f"\nThe report: {RESULTS}/report/report.html")
