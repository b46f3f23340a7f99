"""Keys and identity made on the device: once, whole, unreadable for others, different on every device (CARD-4)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bessctl.protocols.ocpp.config import LinkConfig
from bessctl.protocols.ocpp.transport.credentials import authorization
from board.files.usr.lib.bessctl.board import identity

PRIVATE = ("ocpp.key", "oscp.key", "sep2.key", "ocpp.password")
PUBLIC = ("device.id", "ocpp.csr", "oscp.csr", "sep2.csr")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_everything_is_made_and_only_its_owner_reads_what_is_secret(tmp_path: Path) -> None:
    name = identity.make(identity.Folder(tmp_path))
    assert sorted(contents(tmp_path)) == sorted(PRIVATE + PUBLIC)
    assert {stat.S_IMODE((tmp_path / file).stat().st_mode) for file in PRIVATE} == {0o600}
    assert name == (tmp_path / "device.id").read_text().strip()


def test_a_second_start_changes_nothing(tmp_path: Path) -> None:
    identity.make(identity.Folder(tmp_path))
    before = contents(tmp_path)
    identity.make(identity.Folder(tmp_path))
    assert contents(tmp_path) == before


def test_two_devices_have_nothing_in_common(tmp_path: Path) -> None:
    """No default password, no shared key."""
    for device in ("a", "b"):
        (tmp_path / device).mkdir()
        identity.make(identity.Folder(tmp_path / device))
    one, other = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert [file for file in one if one[file] == other[file]] == []


@pytest.mark.parametrize("protocol", identity.PROTOCOLS)
def test_a_request_is_signed_by_its_key_and_names_the_device(tmp_path: Path, protocol: str) -> None:
    """SEP2-3, OCPP-2: P-256, what IEEE 2030.5 and OCPP's security profiles ask for."""
    name = identity.make(identity.Folder(tmp_path))
    request = x509.load_pem_x509_csr((tmp_path / f"{protocol}.csr").read_bytes())
    key = serialization.load_pem_private_key((tmp_path / f"{protocol}.key").read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert isinstance(key.curve, ec.SECP256R1)
    assert request.is_signature_valid
    assert request.public_key() == key.public_key()
    assert f"CN={name}" in request.subject.rfc4514_string()


def test_the_password_is_one_that_both_versions_of_ocpp_take(tmp_path: Path) -> None:
    """OCPP-2: 1.6's AuthorizationKey has 16 to 20 bytes in hex, 2.0.1's BasicAuthPassword 16 to 40 characters."""
    identity.make(identity.Folder(tmp_path))
    text = (tmp_path / "ocpp.password").read_text().strip()
    assert 16 <= len(bytes.fromhex(text)) <= 20
    assert 16 <= len(text) <= 40
    for encoding in ("hex", "utf8"):
        link = LinkConfig("a", "wss://csms.example/ocpp", "demo-1", password_file=tmp_path / "ocpp.password", password_encoding=encoding)
        assert authorization(link)


@pytest.mark.parametrize("cut", range(14))
def test_a_power_cut_between_any_two_steps_loses_nothing_that_was_told(tmp_path: Path, cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut before the nth change of the folder; what had its name by then is what the next start uses."""
    left = [cut]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            return real(*args, **more)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", counted(os.link))
        patched.setattr(os, "write", counted(os.write))
        with pytest.raises(KeyboardInterrupt):
            identity.make(identity.Folder(tmp_path))
    before = {name: content for name, content in contents(tmp_path).items() if not name.startswith(".")}
    identity.make(identity.Folder(tmp_path))
    after = contents(tmp_path)
    assert sorted(after) == sorted(PRIVATE + PUBLIC)
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(("name", "content"), [("oscp.key", b""), ("oscp.key", b"no key"), ("device.id", b"\n")])
def test_what_is_there_and_unusable_is_left_for_a_person(
    tmp_path: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    assert identity.main([str(tmp_path)]) == 1
    assert (tmp_path / name).read_bytes() == content
    assert name in capsys.readouterr().err


def test_a_folder_or_an_owner_that_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert identity.main([str(tmp_path / "gone")]) == 1
    assert identity.main([str(tmp_path), "--owner", "nobody-of-this-name"]) == 1
    said = capsys.readouterr().err
    assert "gone" in said
    assert "nobody-of-this-name" in said
    assert "Traceback" not in said
