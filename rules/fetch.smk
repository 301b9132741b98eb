"""Fetch: what the configuration names, is not there and can be downloaded, each as one job where the network is.

What is there has no rule: Snakemake can neither download it again nor delete it.
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
            download=[
                f"--{key}={value}" for key, value in download if value is not None
            ],
        shell:
            "python {params.script:q} {params.download:q} --output {output:q} --log {log:q}"
