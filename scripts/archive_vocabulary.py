"""Write the words of the ISIC archive for diagnosis and site as a table, from its Python package.

pip install --target words isic-metadata
PYTHONPATH=words python scripts/archive_vocabulary.py
"""

from importlib.metadata import version
from pathlib import Path

from isic_metadata.anatom_site_hierarchical import AnatomSiteEnum
from isic_metadata.diagnosis_hierarchical import DiagnosisEnum

TABLE = Path(__file__).parent / "melanoma" / "tables" / "archive_vocabulary.csv"

if __name__ == "__main__":
    lines = [f"# isic-metadata {version('isic-metadata')}, Apache License 2.0, by scripts/archive_vocabulary.py"]
    for column, words in (("diagnosis", DiagnosisEnum), ("site", AnatomSiteEnum)):
        # The name of a word follows its levels, from the most general one.
        lines += [f'{column},"{path}"' for path in sorted(word.value for word in words)]
    TABLE.write_text("\n".join(lines) + "\n")
