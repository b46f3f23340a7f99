"""The rules of the house that a machine can hold: layout, licence, names, versions."""

import tomllib
from pathlib import Path

import bessctl

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_version_is_told_in_one_voice() -> None:
    assert bessctl.__version__ == PROJECT["version"]


def test_the_licence_is_apache_2() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert PROJECT["license"] == "Apache-2.0"
