"""Split: test and folds, no patient on both sides, and the leakage gate that everything after depends on.

Test labels leave this stage in a file of their own, which training and prediction never see.
"""


rule split_study:
    input:
        code=code("split"),
        settings=settings("split"),
        catalog=f"{RESULTS}/catalog/catalog.parquet",
        quality=f"{RESULTS}/images/quality.parquet",
        duplicates=config["split"]["duplicates"] or [],
    output:
        split=f"{RESULTS}/split/split.parquet",
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
    log:
        f"{LOGS}/split_study.log",
    benchmark:
        f"{LOGS}/split_study.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
        gpu=0,
    shell:
        "python {input.code[0]} --settings {input.settings} --catalog {input.catalog} --quality {input.quality}"
        " --split {output.split} --train {output.train} --test {output.test} --test-labels {output.labels}"
        " --leakage {output.leakage} --log {log}"
