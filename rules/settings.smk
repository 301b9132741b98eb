"""Settings: each section of the configuration and each recipe as one file, so that a change reruns what reads it."""

SECTIONS = {
    "catalog": {"on_bad_row": config["data"]["on_bad_row"], "sources": list(sources())},
    "images": config["images"],
    "split": config["split"],
    "fuse": config["fuse"],
    "evaluate": {
        key: value
        for key, value in config["evaluate"].items()
        if key != "most_configurations"
    },
}
SECTIONS |= STUDY
FITS = {key: config["fuse"][key] for key in ("folds", "seed")}
SECTIONS |= {f"fusion-{name}": fusion | FITS for name, fusion in FUSIONS.items()}
SECTIONS |= {f"tta-{name}": MODELS[name]["tta"] for name in NETWORKS}
SECTIONS |= {f"tune-{name}": MODELS[name]["tune"] for name in TRIALS}


localrules:
    write_settings,
    write_recipe,


rule write_settings:
    input:
        code=code("settings"),
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
        values=lambda wildcards: json.dumps(SECTIONS[wildcards.section]),
    shell:
        "python {input.code[0]} --values {params.values:q} --output {output} --log {log}"


rule write_recipe:
    input:
        code=code("settings"),
    output:
        f"{RESULTS}/config/models/{{model}}.yaml",
    log:
        f"{LOGS}/write_recipe/{{model}}.log",
    benchmark:
        f"{LOGS}/write_recipe/{{model}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        gpu=0,
    params:
        values=lambda wildcards: json.dumps(training_recipe(MODELS[wildcards.model])),
    shell:
        "python {input.code[0]} --values {params.values:q} --output {output} --log {log}"
