"""Split: near-duplicates found, test and folds drawn, and the leakage gate that training depends on.

Test labels leave this stage in a file of their own, which training and prediction never see.
"""

NEAR_DUPLICATES = study.split.near_duplicates
PREDEFINED = study.split.predefined if study.split.method == "predefined" else None
PAIRS = (
    f"{RESULTS}/split/near_duplicates.csv"
    if NEAR_DUPLICATES.search and study.has_images
    else []
)


rule find_near_duplicates:
    input:
        images=f"{RESULTS}/images/images.h5",
        quality=f"{RESULTS}/images/quality.parquet",
    output:
        f"{RESULTS}/split/near_duplicates.csv",
    log:
        f"{LOGS}/find_near_duplicates.log",
    benchmark:
        f"{LOGS}/find_near_duplicates.tsv"
    conda:
        ENVIRONMENT
    threads: 4
    resources:
        mem_mb=growing(8000),
        runtime=growing(240),
        gpu=0,
    params:
        **code("find_near_duplicates"),
        hash_distance=NEAR_DUPLICATES.hash_distance,
        max_difference=NEAR_DUPLICATES.max_difference,
    shell:
        "python {params.script:q} --quality {input.quality} --images {input.images}"
        " --hash-distance {params.hash_distance} --max-difference {params.max_difference} --threads {threads}"
        " --output {output} --log {log}"


rule split_study:
    input:
        settings=settings("split"),
        catalog=f"{RESULTS}/catalog/catalog.parquet",
        quality=QUALITY,
        near_duplicates=PAIRS,
        duplicates=study.split.duplicates or [],
        predefined=PREDEFINED.table if PREDEFINED else [],
    output:
        split=f"{RESULTS}/split/split.parquet",
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        labels=f"{RESULTS}/split/test_labels.parquet",
        left_out=f"{RESULTS}/split/left_out.csv",
    log:
        f"{LOGS}/split_study.log",
    benchmark:
        f"{LOGS}/split_study.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("split_study"),
        near_duplicates=f"--near-duplicates {PAIRS}" if PAIRS else "",
    shell:
        "python {params.script:q} --settings {input.settings} --catalog {input.catalog} --quality {input.quality}"
        " {params.near_duplicates} --split {output.split} --train {output.train} --test {output.test}"
        " --test-labels {output.labels} --left-out {output.left_out} --log {log}"


rule check_leakage:
    input:
        settings=settings("split"),
        train=f"{RESULTS}/split/train.parquet",
        test=f"{RESULTS}/split/test.parquet",
        left_out=f"{RESULTS}/split/left_out.csv",
        quality=QUALITY,
        near_duplicates=PAIRS,
        duplicates=study.split.duplicates or [],
    output:
        f"{RESULTS}/split/leakage.json",
    log:
        f"{LOGS}/check_leakage.log",
    benchmark:
        f"{LOGS}/check_leakage.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("check_leakage"),
        near_duplicates=f"--near-duplicates {PAIRS}" if PAIRS else "",
    shell:
        "python {params.script:q} --settings {input.settings} --train {input.train} --test {input.test}"
        " --left-out {input.left_out} --quality {input.quality}"
        " {params.near_duplicates} --output {output} --log {log}"
