"""Doctor: a look at a node with a GPU, as the first job of a study on a cluster.

A training starts only when all images are prepared. Without this job, a broken GPU would be noticed only then.
"""


rule doctor:
    output:
        DOCTOR,
    log:
        f"{LOGS}/doctor.log",
    benchmark:
        f"{LOGS}/doctor.tsv"
    priority: 100
    conda:
        ENVIRONMENT
    resources:
        **growing(mem_mb=8000, runtime=15),
        gpu=1,
    params:
        **script("doctor"),
        study=lambda wildcards, output: [os.path.relpath(file) for file in workflow.configfiles],
    shell:
        # The job prints the page, too, because Snakemake deletes the output of a job that fails.
        "python {params.script:q} --configfile {params.study:q} --gpus 1 --log {log} | tee {output}"
