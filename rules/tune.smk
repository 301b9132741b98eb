"""Tune: each trial of a recipe's search space trained as a job of its own, and the best one made the model's recipe.

A trial is a plain recipe, named by its values; its score is that of the first fold that is run, and of nothing else.
The folder of trials is named by the recipe without its search space: a larger space keeps the trials that are done.
"""


localrules:
    write_trial,


use rule write_settings as write_trial with:
    output:
        f"{TRIAL}/recipe.yaml",
    log:
        f"{LOGS}/write_trial/{{untuned}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/write_trial/{{untuned}}/{{trial}}.tsv"
    params:
        values=lambda wildcards: json.dumps(
            training_recipe(TRAININGS.trial_recipe(wildcards.untuned, wildcards.trial))
        ),


use rule train_fold as train_trial with:
    input:
        **TRAIN_INPUT,
        recipe=f"{TRIAL}/recipe.yaml",
    output:
        history=f"{TRIAL}/history.csv",
    log:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.tsv"
    params:
        rows=f"--fold {study.split.run_folds[0]}",
        seed="",
        weights="",
        curves=f"{LOGS}/tensorboard/{{untuned}}/trial-{{trial}}",


rule select_recipe:
    input:
        settings=settings("tune-{training}"),
        recipes=lambda wildcards: of_trials(wildcards.training, "recipe.yaml"),
        histories=lambda wildcards: of_trials(wildcards.training, "history.csv"),
    output:
        recipe=f"{RESULTS}/tune/{{training}}/recipe.yaml",
        table=f"{RESULTS}/tune/{{training}}/trials.csv",
    log:
        f"{LOGS}/select_recipe/{{training}}.log",
    benchmark:
        f"{LOGS}/select_recipe/{{training}}.tsv"
    conda:
        ENVIRONMENT
    params:
        **code("select_recipe"),
        folder=lambda wildcards: f"{RESULTS}/tune/{TRAININGS.untuned[wildcards.training]}",
    shell:
        "python {params.script:q} --settings {input.settings} --trials {params.folder}"
        " --recipe {output.recipe} --table {output.table} --log {log}"
