"""Settings: a file for each section of the configuration and for each recipe, so a change reruns only its readers."""

SOURCES = sources.for_catalog(study, f"{RESULTS}/demo")
SECTIONS = sections(study, SOURCES, TRAININGS)


wildcard_constraints:
    section=one_of(SECTIONS),


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
        values=lambda wildcards: json.dumps(training_recipe(TRAININGS.recipes[wildcards.training])),
