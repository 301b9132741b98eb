"""Write one section of the configuration, or one recipe, as a YAML file.

Snakemake runs this with the values as JSON in its params: a command line holds 128 kB, and a large study is more.
"""

import json

from melanoma.files import write_yaml

write_yaml(snakemake.output[0], json.loads(snakemake.params.values))  # noqa: F821 - given by Snakemake
