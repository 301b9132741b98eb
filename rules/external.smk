"""External: the saved models of a study predict external sources, and external tests are evaluated.

The rules exist only in a study with a source of role test or predict.
"""

APPLIED = {name: f"{RESULTS}/external/{name}.parquet" for name in [*NETWORKS, *TABULAR, *EXTERNAL, *FUSIONS]}
EXTERNAL_TESTS = [f"{RESULTS}/evaluate/external.json", f"{RESULTS}/evaluate/external.txt"]
EXTERNAL_RESULTS = [
    *(APPLIED.values() if EXTERNAL_ROLES else []),
    *(EXTERNAL_TESTS if "test" in EXTERNAL_ROLES else []),
]

if EXTERNAL_ROLES:

    use rule predict as predict_external with:
        input:
            lambda wildcards: predicting_runs(wildcards.model).values(),
            test=EXTERNAL_SPLIT["external"],
            tta=settings("tta-{model}"),
            images=MODEL_JOBS.images,
        output:
            runs=directory(f"{RESULTS}/external/runs/{{model}}"),
            predictions=f"{RESULTS}/external/{{model}}.parquet",
        log:
            f"{LOGS}/predict_external/{{model}}.log",
        benchmark:
            f"{LOGS}/predict_external/{{model}}.tsv"
        params:
            weights=lambda wildcards: named(predicting_runs(wildcards.model)),
            resume=f"{RESULTS}/external/{{model}}.resume",
            model_file="",

    if [*TABULAR, *EXTERNAL, *FUSIONS]:

        rule predict_external_tabular:
            input:
                METADATA_MODELS.values(),
                [f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
                [MODELS[name].file for name in EXTERNAL],
                [APPLIED[name] for name in NETWORKS],
                [expand(EMBEDDINGS, embedding=name) for name in PROBES.values()],
                external=EXTERNAL_SPLIT["external"],
            output:
                [APPLIED[name] for name in [*TABULAR, *EXTERNAL, *FUSIONS]],
            log:
                f"{LOGS}/predict_external_tabular.log",
            benchmark:
                f"{LOGS}/predict_external_tabular.tsv"
            conda:
                ENVIRONMENT
            params:
                **code("predict_external"),
                networks=named({name: APPLIED[name] for name in NETWORKS}),
                tabular=named(METADATA_MODELS),
                files=named({name: MODELS[name].file for name in EXTERNAL}),
                embeddings=named({name: expand(EMBEDDINGS, embedding=key)[0] for name, key in PROBES.items()}),
                fusions=named({name: f"{RESULTS}/fuse/{name}.json" for name in FUSIONS}),
                folder=f"{RESULTS}/external",
            shell:
                "python {params.script:q} {params.inputs} --networks {params.networks} --tabular {params.tabular}"
                " --files {params.files:q} --embeddings {params.embeddings} --fusions {params.fusions}"
                " --output {params.folder} --log {log}"


if "test" in EXTERNAL_ROLES:

    rule evaluate_external:
        input:
            AUDIT,
            external=EXTERNAL_SPLIT["external"],
            labels=EXTERNAL_SPLIT["external_labels"],
            settings=settings("evaluate"),
            metrics=f"{RESULTS}/evaluate/metrics.json",
            calibration=f"{RESULTS}/evaluate/calibration.json",
            predictions=APPLIED.values(),
        output:
            metrics=EXTERNAL_TESTS[0],
            summary=EXTERNAL_TESTS[1],
        log:
            f"{LOGS}/evaluate_external.log",
        benchmark:
            f"{LOGS}/evaluate_external.tsv"
        conda:
            ENVIRONMENT
        resources:
            **growing(mem_mb=4000, runtime=60),
        params:
            **code_and_log("evaluate_external"),
        shell:
            "python {params.script:q} {params.inputs} {params.access_log} --output {output.metrics}"
            " --summary {output.summary} --log {log}"
