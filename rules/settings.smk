"""Settings: each section of the configuration and each recipe as one file, so that a change reruns what reads it."""

SECTIONS = {
    "catalog": {
        "on_bad_row": study.data.on_bad_row,
        "sources": [source.model_dump(exclude={"generate"}) for source in sources()],
    },
    "images": section_read(study, "images"),
    "split": section_read(study, "split"),
    "fuse": study.fuse.dump(),
    "evaluate": {
        key: value
        for key, value in study.evaluate.dump().items()
        if key != "max_test_configurations"
    },
    "shortcuts": {
        key: getattr(study.evaluate, key)
        for key in ("replicates", "confidence_level", "seed")
    },
}
SECTIONS |= STUDY
FITS = {key: getattr(study.fuse, key) for key in ("folds", "seed")}
SECTIONS |= {
    f"fusion-{name}": fusion.as_read().dump() | FITS for name, fusion in FUSIONS.items()
}
SECTIONS |= {f"tta-{name}": MODELS[name].tta.as_read().dump() for name in NETWORKS}
SECTIONS |= {f"tune-{training}": TRAINED[training].tune.dump() for training in TRIALS}


localrules:
    write_settings,
    write_recipe,


rule write_settings:
    output:
        f"{RESULTS}/config/{{section}}.yaml",
    log:
        f"{LOGS}/write_settings/{{section}}.log",
    benchmark:
        f"{LOGS}/write_settings/{{section}}.tsv"
    wildcard_constraints:
        section="|".join(SECTIONS),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        gpu=0,
    params:
        **script("write_settings"),
        values=lambda wildcards: json.dumps(SECTIONS[wildcards.section]),
    shell:
        "python {params.script:q} --values {params.values:q} --output {output} --log {log}"


rule write_recipe:
    output:
        f"{RESULTS}/recipes/{{training}}.yaml",
    log:
        f"{LOGS}/write_recipe/{{training}}.log",
    benchmark:
        f"{LOGS}/write_recipe/{{training}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        gpu=0,
    params:
        **script("write_settings"),
        values=lambda wildcards: json.dumps(
            training_recipe(TRAINED[wildcards.training])
        ),
    shell:
        "python {params.script:q} --values {params.values:q} --output {output} --log {log}"
