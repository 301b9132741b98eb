"""Images: JPEGs are decoded, cropped and resized in shards; one store links all shards.

A study without images has the sizes that its tables state.
"""

THREADS = study.images.threads
# This file is no output of a rule. So another number of shards does not prepare the images again.
SHARD_COUNT = Path(f"{RESULTS}/images/shard_count")
SHARDS = int(read_intact(SHARD_COUNT) if SHARD_COUNT.exists() else study.images.shards)
SHARD_NAMES = [f"{shard:03d}" for shard in range(SHARDS)]
SHARD = f"{RESULTS}/images/shards/shard-{{shard}}"


rule list_sizes:
    input:
        catalog=CATALOG,
    output:
        f"{RESULTS}/images/sizes.parquet",
    log:
        f"{LOGS}/list_sizes.log",
    benchmark:
        f"{LOGS}/list_sizes.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("list_sizes"),
    shell:
        "python {params.script:q} {params.inputs} --output {output} --log {log}"


rule prepare_shard:
    input:
        settings=settings("images"),
        catalog=CATALOG,
    output:
        images=f"{SHARD}.h5",
        quality=f"{SHARD}.parquet",
    log:
        f"{LOGS}/prepare_shard/{{shard}}.log",
    benchmark:
        f"{LOGS}/prepare_shard/{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: THREADS
    resources:
        # Each thread decodes one JPEG. A progressive one of images.max_pixels takes 500 MB.
        **growing(mem_mb=1000 + 500 * THREADS, runtime=120),
    params:
        **code("prepare_shard"),
        shards=SHARDS,
    shell:
        "python {params.script:q} {params.inputs} --shard {wildcards.shard} --shards {params.shards}"
        " --processes {threads} --output {output.images} --quality {output.quality} --log {log}"


rule merge_shards:
    input:
        shards=expand(f"{SHARD}.h5", shard=SHARD_NAMES),
        qualities=expand(f"{SHARD}.parquet", shard=SHARD_NAMES),
    output:
        images=STORE,
        quality=f"{RESULTS}/images/quality.parquet",
    log:
        f"{LOGS}/merge_shards.log",
    benchmark:
        f"{LOGS}/merge_shards.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("merge_shards"),
        shard_count=SHARD_COUNT,
    shell:
        "python {params.script:q} {params.inputs} --output {output.images} --quality {output.quality}"
        " --shard-count {params.shard_count} --log {log}"
