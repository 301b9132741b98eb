"""Tune: each trial of a recipe's search space trained as a job of its own, and the best one made the model's recipe.

A trial is a plain recipe, named by its values; its score is that of the first fold that is run, and of nothing else.
The folder of trials is named by the recipe without its search space: a larger space keeps the trials that are done.
"""

UNTUNED = {untuned(training): TRAINED[training] for training in TRIALS}
TRIAL_RECIPES = {
    name: {
        trial: recipe
        for training in TRIALS
        if untuned(training) == name
        for trial, recipe in TRIALS[training].items()
    }
    for name in UNTUNED
}


wildcard_constraints:
    untuned="|".join(map(re.escape, UNTUNED)) or "none",


localrules:
    write_trial,


rule write_trial:
    output:
        f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}/recipe.yaml",
    log:
        f"{LOGS}/write_trial/{{untuned}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/write_trial/{{untuned}}/{{trial}}.tsv"
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
            training_recipe(TRIAL_RECIPES[wildcards.untuned][wildcards.trial])
        ),
    shell:
        "python {params.script:q} --values {params.values:q} --output {output} --log {log}"


rule train_trial:
    input:
        recipe=f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}/recipe.yaml",
        train=f"{RESULTS}/split/train.parquet",
        leakage=f"{RESULTS}/split/leakage.json",
        images=store,
        pretrained=weights_of,
    output:
        f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}/history.csv",
    log:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.tsv"
    conda:
        ENVIRONMENT
    threads: asked("threads")
    resources:
        **NETWORK_JOB,
    params:
        **code("train"),
        launch=launcher,
        devices=devices,
        checkpoints=checkpoints,
        images=lambda wildcards, input: (
            f"--images {input.images}" if input.images else ""
        ),
        fold=study.split.run_folds[0],
        resume=f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}/resume",
        curves=f"{LOGS}/tensorboard/{{untuned}}/trial-{{trial}}",
    shell:
        "{params.launch} {params.script:q} --recipe {input.recipe} --train {input.train} {params.images} --fold {params.fold}"
        " {params.devices} {params.checkpoints} --threads {threads} --limit {resources.runtime} --resume {params.resume} --tensorboard {params.curves}"
        " --history {output} --log {log}"


rule select_recipe:
    input:
        settings=settings("tune-{training}"),
        recipes=lambda wildcards: [
            f"{RESULTS}/tune/{untuned(wildcards.training)}/trial-{trial}/recipe.yaml"
            for trial in TRIALS[wildcards.training]
        ],
        histories=lambda wildcards: [
            f"{RESULTS}/tune/{untuned(wildcards.training)}/trial-{trial}/history.csv"
            for trial in TRIALS[wildcards.training]
        ],
    output:
        recipe=f"{RESULTS}/tune/{{training}}/recipe.yaml",
        table=f"{RESULTS}/tune/{{training}}/trials.csv",
    log:
        f"{LOGS}/select_recipe/{{training}}.log",
    benchmark:
        f"{LOGS}/select_recipe/{{training}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(10),
        gpu=0,
    params:
        **code("select_recipe"),
        folder=lambda wildcards: f"{RESULTS}/tune/{untuned(wildcards.training)}",
    shell:
        "python {params.script:q} --settings {input.settings} --trials {params.folder} --recipe {output.recipe}"
        " --table {output.table} --log {log}"
