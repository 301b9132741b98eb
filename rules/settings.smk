"""Settings: each section of the configuration and each recipe as one file, so that a change reruns what reads it."""

SOURCES = sources.for_catalog(study, f"{RESULTS}/demo")
SECTIONS = sections(study, SOURCES, TRAININGS)


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
        section=one_of(SECTIONS),
    conda:
        ENVIRONMENT
    params:
        **script("write_settings"),
        values=lambda wildcards: json.dumps(SECTIONS[wildcards.section]),
    shell:
        "python {params.script:q} --values {params.values:q} --output {output} --log {log}"


use rule write_settings as write_recipe with:
    output:
        f"{RESULTS}/recipes/{{training}}.yaml",
    log:
        f"{LOGS}/write_recipe/{{training}}.log",
    benchmark:
        f"{LOGS}/write_recipe/{{training}}.tsv"
    params:
        values=lambda wildcards: json.dumps(
            training_recipe(TRAININGS.recipes[wildcards.training])
        ),
