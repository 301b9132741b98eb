"""What torch compiles in one job, in a file for the other jobs of the study, so that they need not compile it again.

torch itself keeps it in a temporary folder of the node, which other nodes do not see, and which many schedulers empty
after the job. The file is written whole and needs no lock, which some file systems of clusters do not have. Without it,
a network is only compiled again.
"""

from pathlib import Path

import torch

from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.common.files import read_sealed, sha256, write_sealed


class CompiledCode:
    """What torch compiles for one `use`, as text: the network, its inputs and the device.

    The file is in `folder`; without a folder there is none. Another version of torch has a file of its own.
    """

    def __init__(self, folder: Path | None, use: str) -> None:
        name = sha256(f"{torch.__version__}\n{use}".encode())[:16]
        self.path = None if folder is None else folder / f"{name}.bin"
        self.known: set[str] = set()

    def load(self) -> None:
        """Give torch what the file has, if there is an intact one. The log says so."""
        if self.path is None or not self.path.exists():
            return
        try:
            data = read_sealed(self.path)
            loaded = None if data is None else torch.compiler.load_cache_artifacts(data)
        except OSError as error:
            log.warning("%s cannot be used, so the network is compiled again: %s", self.path, error)
            return
        if loaded is None:
            log.warning("%s is damaged, so the network is compiled again", self.path)
            return
        self.known = _keys(loaded.artifacts)
        log.info("another job has compiled this network: %s", self.path)

    def keep(self) -> None:
        """Write the file, if torch has compiled more than it has. Where that fails, the log says why."""
        compiled = None if self.path is None else torch.compiler.save_cache_artifacts()
        if self.path is None or compiled is None or _keys(compiled[1].artifacts) <= self.known:
            return
        self.known = _keys(compiled[1].artifacts)
        try:
            write_sealed(self.path, compiled[0])
        except (InputError, OSError) as error:
            log.warning("other jobs will compile this network again: %s", error)


def _keys(artifacts: dict[str, list[str]]) -> set[str]:
    return {key for keys in artifacts.values() for key in keys}
