"""The one kind of error that is the user's to mend: shown as one line, without a traceback."""

import difflib
import errno
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: What the system says where a file cannot grow, whichever library passes it on.
FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


class UserError(ValueError):
    """Names the key, its value, what is allowed, and what to do; the command line prints nothing else.

    Args:
        key: dotted, of the configuration, where the message is about one.
    """

    def __init__(self, message: str, key: str = "") -> None:
        super().__init__(message)
        self.key = key


@contextmanager
def placed(section: str, where: str) -> Iterator[None]:
    """Messages about keys of ``section`` name them where it stands in this job: ``strong.data`` for ``data``."""
    try:
        yield
    except UserError as error:
        message = re.sub(rf"(?<![\w./]){section}(?=[.:])", where, str(error))
        if message == str(error):
            raise
        raise UserError(message, error.key) from error


def suggestion(word: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` where a known word is close, else the known words."""
    words = sorted(known)
    near = close_to(word, words)
    return f"did you mean '{near}'?" if near else f"known: {', '.join(words)}"


def close_to(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    return next(iter(difflib.get_close_matches(word, sorted(known), n=1, cutoff=0.6)), "")


def in_quotes(key: str, value: object) -> str:
    """How a command line says that a value is a word, whatever it looks like: quotes within quotes."""
    word = str(value).replace("'", "\\'")
    line = f"{key}='{word}'"
    return shlex.quote(line) if set(line) & set('"$`\\!') else f'"{line}"'


def full_disk(error: BaseException, folder: Path) -> str:
    """One line where ``error`` means that nothing more can be written to ``folder``; else nothing."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:  # libraries wrap it, torch.save twice
        chain.append(link)
        link = link.__cause__ or link.__context__
    reason = next((words for words in FULL for link in chain if words in str(link)), "")
    if not reason:
        return ""
    folder = next(place for place in (folder, *folder.parents) if place.exists())
    free = {place: shutil.disk_usage(place).free for place in (folder, _temporary())}
    left = "; ".join(f"{size / 1e6:.0f} MB are free for {place}" for place, size in free.items())
    return f"{reason}: {left}; make room (or set outputs=FOLDER), and the same command goes on from here"


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError:  # not one is left that can be written to
        return Path("/tmp")
