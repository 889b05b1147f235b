"""Hydra finds the configuration groups of a user's own folder after those of the project."""

from hydra.core.config_search_path import ConfigSearchPath
from hydra.plugins.search_path_plugin import SearchPathPlugin


class OwnSearchPath(SearchPathPlugin):
    """Adds ``conf`` of the folder that ``own=`` or the environment names."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        from src.core.own import own_folder

        folder = own_folder()
        if folder is not None and (folder / "conf").is_dir():
            search_path.append("own", f"file://{folder / 'conf'}")
