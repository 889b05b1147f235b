"""The long programme: real SIGKILLs at moments drawn from the commands' own run times, outside CI.

    KILLS=30 KILL_SEED=0 python -m pytest -m slow -s tests/end_to_end/test_kill_programme.py

``KILLS`` are shared out over the commands of :data:`tests.end_to_end.kills.COMMANDS`; ``-k sweep`` takes one of them.
One kill takes about twice the time of its command. Every second folder is killed twice before the same command may end.
"""

import os
import random

import pytest

from tests.end_to_end import kills

KILLS = int(os.environ.get("KILLS", "30"))
SEED = int(os.environ.get("KILL_SEED", "0"))

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("name", kills.COMMANDS)
def test_killed_anywhere_it_ends_with_the_same_numbers(name, run, tmp_path):
    argv, draw = kills.COMMANDS[name], random.Random(f"{SEED} {name}")
    whole = run(tmp_path / "unbroken", *argv)
    assert whole.code == 0, whole.text
    expected = kills.numbers(whole)
    left = -(-KILLS // len(kills.COMMANDS))
    while left > 0:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for _ in range(min(left, 1 + left % 2)):
            left -= kills.killed(run, folder, argv, whole.seconds, draw)
        again = run(folder, *argv)
        assert again.code == 0, again.text
        assert not kills.differences(kills.numbers(again), expected)
        assert kills.gone(again.session)
