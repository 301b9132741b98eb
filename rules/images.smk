"""Images: JPEGs decoded, cropped and resized in shards, and one store over all shards; or their sizes without them."""


rule list_sizes:
    input:
        catalog=f"{RESULTS}/catalog/catalog.parquet",
    output:
        f"{RESULTS}/images/sizes.parquet",
    log:
        f"{LOGS}/list_sizes.log",
    benchmark:
        f"{LOGS}/list_sizes.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("list_sizes"),
    shell:
        "python {params.script:q} --catalog {input.catalog} --output {output} --log {log}"


rule prepare_shard:
    input:
        settings=settings("images"),
        catalog=f"{RESULTS}/catalog/catalog.parquet",
    output:
        images=f"{RESULTS}/images/shards/shard-{{shard}}.h5",
        quality=f"{RESULTS}/images/shards/shard-{{shard}}.parquet",
    log:
        f"{LOGS}/prepare_shard/{{shard}}.log",
    benchmark:
        f"{LOGS}/prepare_shard/{{shard}}.tsv"
    conda:
        ENVIRONMENT
    threads: study.images.threads
    resources:
        # A progressive JPEG of images.max_pixels is decoded in 500 MB, one in each thread.
        mem_mb=growing(1000 + 500 * study.images.threads),
        runtime=growing(120),
        gpu=0,
    params:
        **code("prepare_shard"),
        shards=len(SHARDS),
    shell:
        "python {params.script:q} --settings {input.settings} --catalog {input.catalog} --shard {wildcards.shard} --shards {params.shards}"
        " --processes {threads} --output {output.images} --quality {output.quality} --log {log}"


rule merge_shards:
    input:
        images=expand(f"{RESULTS}/images/shards/shard-{{shard}}.h5", shard=SHARDS),
        qualities=expand(
            f"{RESULTS}/images/shards/shard-{{shard}}.parquet", shard=SHARDS
        ),
    output:
        images=f"{RESULTS}/images/images.h5",
        quality=f"{RESULTS}/images/quality.parquet",
    log:
        f"{LOGS}/merge_shards.log",
    benchmark:
        f"{LOGS}/merge_shards.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(30),
        gpu=0,
    params:
        **code("merge_shards"),
        shard_count=SHARD_COUNT,
    shell:
        "python {params.script:q} --shards {input.images} --qualities {input.qualities}"
        " --output {output.images} --quality {output.quality} --shard-count {params.shard_count} --log {log}"
