"""Demo: photographs of lesions that the workflow draws, in Kaggle's layout, with a known best possible AUROC."""


rule draw_lesions:
    output:
        table=f"{RESULTS}/demo/{{source}}/train.csv",
        images=directory(f"{RESULTS}/demo/{{source}}/jpeg"),
        truth=f"{RESULTS}/demo/{{source}}/truth.json",
    log:
        f"{LOGS}/draw_lesions/{{source}}.log",
    benchmark:
        f"{LOGS}/draw_lesions/{{source}}.tsv"
    conda:
        ENVIRONMENT
    threads: 4
    params:
        **code("draw_lesions"),
        options=lambda wildcards: [f"--{name.replace('_', '-')}={value}" for name, value in GENERATED[wildcards.source]],
    shell:
        "python {params.script:q} {params.options:q} --processes {threads} --output-table {output.table}"
        " --output-images {output.images} --output-truth {output.truth} --log {log}"
