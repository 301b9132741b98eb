"""Tune: each trial of a recipe's search space trained as a job of its own, and the best one made the model's recipe.

A trial is a plain recipe, named by its values; its score is that of the first fold that is run, and of nothing else.
"""


localrules:
    write_trial,


rule write_trial:
    input:
        code=code("settings"),
    output:
        f"{RESULTS}/tune/{{model}}/trial-{{trial}}/recipe.yaml",
    log:
        f"{LOGS}/write_trial/{{model}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/write_trial/{{model}}/{{trial}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=500,
        runtime=5,
        gpu=0,
    params:
        values=lambda wildcards: json.dumps(
            training_recipe(TRIALS[wildcards.model][wildcards.trial])
        ),
    shell:
        "python {input.code[0]} --values {params.values:q} --output {output} --log {log}"


rule train_trial:
    input:
        code=code("train"),
        recipe=f"{RESULTS}/tune/{{model}}/trial-{{trial}}/recipe.yaml",
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
    output:
        f"{RESULTS}/tune/{{model}}/trial-{{trial}}/history.csv",
    log:
        f"{LOGS}/tune/{{model}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/tune/{{model}}/{{trial}}.tsv"
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        launch=launcher,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        fold=config["split"]["run_folds"][0],
        resume=f"{RESULTS}/tune/{{model}}/trial-{{trial}}/resume",
        curves=f"{LOGS}/tensorboard/{{model}}/trial-{{trial}}",
    shell:
        "{params.launch} {input.code[0]} --recipe {input.recipe} --train {input.train} {params.images} --fold {params.fold}"
        " --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --history {output} --log {log}"


rule choose_recipe:
    input:
        code=code("tune"),
        settings=settings("tune-{model}"),
        recipes=lambda wildcards: [
            f"{RESULTS}/tune/{wildcards.model}/trial-{trial}/recipe.yaml"
            for trial in TRIALS[wildcards.model]
        ],
        histories=lambda wildcards: [
            f"{RESULTS}/tune/{wildcards.model}/trial-{trial}/history.csv"
            for trial in TRIALS[wildcards.model]
        ],
    output:
        recipe=f"{RESULTS}/tune/{{model}}/recipe.yaml",
        table=f"{RESULTS}/tune/{{model}}/trials.csv",
    log:
        f"{LOGS}/choose_recipe/{{model}}.log",
    benchmark:
        f"{LOGS}/choose_recipe/{{model}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        folder=f"{RESULTS}/tune/{{model}}",
    shell:
        "python {input.code[0]} --settings {input.settings} --trials {params.folder} --recipe {output.recipe}"
        " --table {output.table} --log {log}"
