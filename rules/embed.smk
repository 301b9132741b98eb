"""Embed: the features of all images by each frozen network, shared by all models and folds that read them."""

EMBEDDINGS = f"{RESULTS}/embeddings/{{embedding}}.npz"


rule embed:
    input:
        MODEL_JOBS.pretrained,
        images=STORE,
        recipe=settings("embedding-{embedding}"),
    output:
        EMBEDDINGS,
    log:
        f"{LOGS}/embed/{{embedding}}.log",
    benchmark:
        f"{LOGS}/embed/{{embedding}}.tsv"
    conda:
        ENVIRONMENT
    threads: MODEL_JOBS.threads
    resources:
        **MODEL_JOBS.resources(),
    params:
        **code("embed"),
        launch=MODEL_JOBS.launch,
        devices=MODEL_JOBS.devices,
    shell:
        "{params.launch} {params.script:q} {params.inputs} {params.devices} --threads {threads}"
        " --output {output} --log {log}"
