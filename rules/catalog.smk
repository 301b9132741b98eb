"""Catalog: every source's table as one, each row checked, each dropped row with its reason."""

MADE_FOLDERS = [*FETCHED, *(f"{RESULTS}/demo/{name}/jpeg" for name in GENERATED)]


rule build_catalog:
    input:
        settings=settings("catalog"),
        tables=sources.tables(SOURCES),
        # A folder's time says nothing about its images.
        folders=ancient(sources.image_folders(SOURCES, MADE_FOLDERS)),
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
    shell:
        "python {params.script:q} --settings {input.settings} --output {output.catalog}"
        " --issues {output.issues} --log {log}"
