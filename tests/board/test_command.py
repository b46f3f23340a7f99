"""`make image` and `make deb`: what is typed wrong is told, what cannot be built is one line, and nothing else is swallowed (CARD-4)."""

from __future__ import annotations

import pytest

from board import command
from board.image.debs import ImageError


def refuse(board: str) -> None:
    raise ImageError(f"there is no board {board}")


JOBS: command.Jobs = {"build": refuse, "lock": lambda: None}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["lock"], 0, ""),
        (["build", "toaster"], 1, "image: there is no board toaster\n"),
        ([], 2, "usage: build BOARD | lock\n"),
        (["build"], 2, "usage: build BOARD | lock\n"),
        (["build", "a", "b"], 2, "usage: build BOARD | lock\n"),
        (["lock", "now"], 2, "usage: build BOARD | lock\n"),
        (["destroy"], 2, "usage: build BOARD | lock\n"),
    ],
)
def test_a_word_does_its_job_or_says_why_not(words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run("image", "build BOARD | lock", JOBS, words) == code
    assert capsys.readouterr().err == said
