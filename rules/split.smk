"""Split: near-duplicates found, test and folds drawn, and the leakage gate that training depends on.

Test labels leave this stage in a file of their own, which training and prediction never see.
"""

NEAR_DUPLICATES = study.split.near_duplicates
FOUND_PAIRS = (
    f"{RESULTS}/split/near_duplicates.csv"
    if HAS_IMAGES and NEAR_DUPLICATES.search
    else []
)
NEAR_DUPLICATES_OPTION = f"--near-duplicates {FOUND_PAIRS}" if FOUND_PAIRS else ""
# The pairs that the search finds, and the user's.
PAIRS = {
    "near_duplicates": FOUND_PAIRS,
    "duplicates": study.split.duplicates or [],
}


rule find_near_duplicates:
    input:
        images=STORE,
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
        **growing(mem_mb=8000, runtime=240),
    params:
        **code("find_near_duplicates"),
        hash_distance=NEAR_DUPLICATES.hash_distance,
        max_difference=NEAR_DUPLICATES.max_difference,
    shell:
        "python {params.script:q} --quality {input.quality} --images {input.images}"
        " --hash-distance {params.hash_distance} --max-difference {params.max_difference}"
        " --threads {threads} --output {output} --log {log}"


rule split_study:
    input:
        **PAIRS,
        settings=settings("split"),
        catalog=CATALOG,
        quality=QUALITY,
        predefined=branch(
            study.split.method == "predefined",
            then=study.split.predefined and study.split.predefined.table,
        ),
    output:
        **from_split("train", "test", "labels", "left_out"),
        split=f"{RESULTS}/split/split.parquet",
    log:
        f"{LOGS}/split_study.log",
    benchmark:
        f"{LOGS}/split_study.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("split_study"),
        near_duplicates=NEAR_DUPLICATES_OPTION,
    shell:
        "python {params.script:q} --settings {input.settings} --catalog {input.catalog}"
        " --quality {input.quality} {params.near_duplicates} --split {output.split}"
        " --train {output.train} --test {output.test} --test-labels {output.labels}"
        " --left-out {output.left_out} --log {log}"


rule check_leakage:
    input:
        **PAIRS,
        **from_split("train", "test", "left_out"),
        settings=settings("split"),
        quality=QUALITY,
    output:
        SPLIT["leakage"],
    log:
        f"{LOGS}/check_leakage.log",
    benchmark:
        f"{LOGS}/check_leakage.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("check_leakage"),
        near_duplicates=NEAR_DUPLICATES_OPTION,
    shell:
        "python {params.script:q} --settings {input.settings} --train {input.train}"
        " --test {input.test} --left-out {input.left_out} --quality {input.quality}"
        " {params.near_duplicates} --output {output} --log {log}"
