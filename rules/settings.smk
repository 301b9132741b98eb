"""Settings: each section of the configuration and each recipe as one file, so that a change reruns what reads it."""

SECTIONS = {
    "catalog": {"on_bad_row": config["data"]["on_bad_row"], "sources": list(sources())},
    "images": section_read(config, "images"),
    "split": section_read(config, "split"),
    "fuse": config["fuse"],
    "evaluate": {
        key: value
        for key, value in config["evaluate"].items()
        if key != "max_test_configurations"
    },
    "shortcuts": {
        key: config["evaluate"][key]
        for key in ("replicates", "confidence_level", "seed")
    },
}
SECTIONS |= STUDY
FITS = {key: config["fuse"][key] for key in ("folds", "seed")}
SECTIONS |= {
    f"fusion-{name}": fusion_read(fusion) | FITS for name, fusion in FUSIONS.items()
}
SECTIONS |= {f"tta-{name}": recipe_read(MODELS[name])["tta"] for name in NETWORKS}
SECTIONS |= {f"tune-{training}": TRAINED[training]["tune"] for training in TRIALS}


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
