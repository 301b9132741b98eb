"""Fetch: one job for each file that the configuration names, that is missing and that can be downloaded.

A file that exists has no rule, so Snakemake can neither download it again nor delete it.
"""

import re

for path, download in FETCHED.items():
    slug = re.sub(r"\W+", "_", path)

    rule:
        name:
            f"fetch_{slug}"
        output:
            directory(path) if download.unzip == "folder" else path,
        log:
            f"{LOGS}/fetch/{slug}.log",
        benchmark:
            f"{LOGS}/fetch/{slug}.tsv"
        localrule: True
        conda:
            ENVIRONMENT
        params:
            **script("fetch"),
            download=[f"--{key}={value}" for key, value in download if value is not None],
        shell:
            "python {params.script:q} {params.download:q} --output {output:q} --log {log:q}"
