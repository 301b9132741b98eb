"""Catalog: every source's table as one, each row checked, each dropped row with its reason."""


rule build_catalog:
    input:
        settings=settings("catalog"),
        tables=[table for source in sources() for table in tables(source)],
        # A folder's time says nothing about its images.
        folders=ancient([folder for source in sources() for folder in folders(source)]),
    output:
        catalog=f"{RESULTS}/catalog/catalog.parquet",
        issues=f"{RESULTS}/catalog/issues.csv",
    log:
        f"{LOGS}/build_catalog.log",
    benchmark:
        f"{LOGS}/build_catalog.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("build_catalog"),
    shell:
        "python {params.script:q} --settings {input.settings} --output {output.catalog}"
        " --issues {output.issues} --log {log}"
