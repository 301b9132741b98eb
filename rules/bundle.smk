"""Bundle: the selected model in a folder that needs nothing else of the study.

No study needs it. The target is the folder: snakemake --cores 2 results/demo/bundle
"""


rule bundle:
    input:
        CATALOG,
        QUALITY,
        SPLIT["train"],
        SPLIT["test"],
        STORE if HAS_IMAGES else [],
        PREDICTIONS,
        METADATA_MODELS.values(),
        all_trained("weights.safetensors").values(),
        [f"{RESULTS}/predict/{name}.json" for name in NETWORKS],
        [f"{RESULTS}/fuse/{name}.json" for name in FUSIONS],
        f"{RESULTS}/fuse/selected_model.json",
        f"{RESULTS}/evaluate/metrics.json",
        f"{RESULTS}/evaluate/calibration.json",
    output:
        directory(f"{RESULTS}/bundle"),
    log:
        f"{LOGS}/bundle.log",
    benchmark:
        f"{LOGS}/bundle.tsv"
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        **growing(mem_mb=8000, runtime=120),
    params:
        **code("bundle"),
        results=subpath(output[0], parent=True),
    shell:
        "python {params.script:q} --results {params.results:q} --threads {threads} --output {output} --log {log}"
