"""Where the project's own files are, and the names that several rooms look for on disk."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PLUGINS = ROOT / "src" / "plugins"

#: Folder within a sweep's folder where its jobs leave their outcomes while it runs.
PLACE = ".sweeps"
#: Beside a file of weights: what one must know to use them (src/networks/README.md).
DESCRIPTION = "subject.json"
