"""Split: the search for near-duplicates, the test set and the folds, and the leakage check before training.

The test labels are in a file of their own, which training and prediction never read.
"""

GIVEN_SPLIT = {"predefined": study.split.predefined and study.split.predefined.table, "saved": study.split.file}
GIVEN_SPLIT = GIVEN_SPLIT.get(study.split.method) or []
NEAR_DUPLICATES = study.split.near_duplicates
FOUND_PAIRS = f"{RESULTS}/split/near_duplicates.csv" if HAS_IMAGES and NEAR_DUPLICATES.search else []
LISTED_PAIRS = [study.split.duplicates, NEAR_DUPLICATES.same, NEAR_DUPLICATES.different]
DUPLICATES = [table for table in LISTED_PAIRS if table]
SPLIT_INPUT = {"settings": settings("split"), "quality": QUALITY, "near_duplicates": FOUND_PAIRS}


rule find_near_duplicates:
    input:
        catalog=CATALOG,
    output:
        pairs=f"{RESULTS}/split/near_duplicates.csv",
        sheet=f"{RESULTS}/split/near_duplicates.png",
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
        max_pixels=study.images.max_pixels,
    shell:
        "python {params.script:q} {params.inputs} --max-pixels {params.max_pixels} --threads {threads}"
        " --output {output.pairs} --sheet {output.sheet} --log {log}"


rule split_study:
    input:
        DUPLICATES,
        GIVEN_SPLIT,
        **SPLIT_INPUT,
        catalog=CATALOG,
    output:
        **from_split("train", "test", "test_labels", "left_out", "pairs"),
        **EXTERNAL_SPLIT,
        split=f"{RESULTS}/split/split.parquet",
    log:
        f"{LOGS}/split_study.log",
    benchmark:
        f"{LOGS}/split_study.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("split_study"),
        external=[f"--{name.replace('_', '-')}={path}" for name, path in EXTERNAL_SPLIT.items()],
    shell:
        "python {params.script:q} {params.inputs} --split {output.split} --train {output.train} --test {output.test}"
        " --test-labels {output.test_labels} --left-out {output.left_out}"
        " --pairs {output.pairs} {params.external} --log {log}"


rule check_leakage:
    input:
        DUPLICATES,
        **SPLIT_INPUT,
        **from_split("train", "test", "left_out"),
        external=EXTERNAL_SPLIT.get("external", []),
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
    shell:
        "python {params.script:q} {params.inputs} --output {output} --log {log}"
