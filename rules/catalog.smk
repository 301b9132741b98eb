"""Catalog: every source's table as one, each row checked, each dropped row with its reason."""

MADE_FOLDERS = [*FETCHED, *(f"{RESULTS}/demo/{name}/jpeg" for name in GENERATED)]
# The time of a folder says nothing about its images.
IMAGE_FOLDERS = ancient(sources.image_folders(SOURCES, MADE_FOLDERS))

VOCABULARY = ("archive_vocabulary.csv", "other_benign.txt")


rule build_catalog:
    input:
        sources.tables(SOURCES),
        IMAGE_FOLDERS,
        settings=settings("catalog"),
    output:
        catalog=CATALOG,
        issues=f"{RESULTS}/catalog/issues.csv",
    log:
        f"{LOGS}/build_catalog.log",
    benchmark:
        f"{LOGS}/build_catalog.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("build_catalog"),
        words=file_digest(Path(workflow.basedir, "scripts/melanoma/tables", name) for name in VOCABULARY),
    shell:
        "python {params.script:q} {params.inputs} --output {output.catalog} --issues {output.issues} --log {log}"
