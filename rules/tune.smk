"""Tune: a job trains each trial of a recipe's search space; the best trial becomes the model's recipe.

A trial is a recipe. Its name is a hash of its values, and its score is that of the first fold in split.run_folds. The
folder of the trials is named by the recipe without its search space, so a larger space keeps the finished trials.
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
        values=lambda wildcards: json.dumps(training_recipe(TRAININGS.trial_recipe(wildcards.untuned, wildcards.trial))),


use rule train_fold as train_trial with:
    input:
        *TRAIN_AFTER,
        **TRAIN_INPUT,
        recipe=f"{TRIAL}/recipe.yaml",
    output:
        history=f"{TRIAL}/history.csv",
    log:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.log",
    benchmark:
        f"{LOGS}/tune/{{untuned}}/{{trial}}.tsv"
    params:
        fold=f"--fold {study.split.run_folds[0]}",
        seed="",
        weights="",
        curves=f"{LOGS}/tensorboard/{{untuned}}/trial-{{trial}}",


rule select_recipe:
    input:
        lambda wildcards: trial_files(wildcards.training, "recipe.yaml"),
        lambda wildcards: trial_files(wildcards.training, "history.csv"),
        settings=settings("tune-{training}"),
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
        "python {params.script:q} {params.inputs} --trials {params.folder} --recipe {output.recipe}"
        " --table {output.table} --log {log}"
