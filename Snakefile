"""From raw ISIC JPEGs to a test AUC: catalog, images, split, train, predict, fuse, evaluate, report.

snakemake --cores 4                                                      the demo study, nothing to download
snakemake --cores 4 --configfile studies/isic2020.yaml                   another study
snakemake --profile slurm --configfile studies/isic2020.yaml             on a cluster
"""

import sys

from snakemake.utils import min_version

min_version("9.20")

# A study given by --configfile stands alone: merged over the demo, the demo's models would join it.
if not workflow.overwrite_configfiles:

    configfile: f"{workflow.basedir}/config.yaml"


sys.path.insert(0, f"{workflow.basedir}/scripts")
from melanoma.config.yaml_files import given_study

given = workflow.config_settings.config
study = given_study(config, workflow.configfiles, given, sys.argv)


include: "rules/common.smk"


if study.models:

    include: "rules/settings.smk"
    include: "rules/doctor.smk"
    include: "rules/demo.smk"
    include: "rules/fetch.smk"
    include: "rules/catalog.smk"
    include: "rules/images.smk"
    include: "rules/split.smk"
    include: "rules/embed.smk"
    include: "rules/train.smk"
    include: "rules/tune.smk"
    include: "rules/predict.smk"
    include: "rules/fuse.smk"
    include: "rules/evaluate.smk"
    include: "rules/external.smk"
    include: "rules/bundle.smk"
    include: "rules/report.smk"


include: "rules/classify.smk"


report: "report/workflow.rst"


rule all:
    default_target: True
    input:
        [f"{RESULTS}/report/report.html", EXPLANATIONS, *EXTERNAL_RESULTS] if study.models else [],
        doctor_on_a_cluster,
        ANSWERS,
