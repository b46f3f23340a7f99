"""LFDI, SFDI and PIN of a certificate (2030.5 clause 6.3). Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def check_digit(number: int) -> int:
    """The digit that makes the sum of all digits a multiple of 10."""
    return -sum(map(int, str(number))) % 10


def lfdi_of(der: bytes) -> str:
    """Long-form device identifier: the first 20 bytes of SHA-256 over the DER certificate, 40 upper-case digits."""
    return hashlib.sha256(der).hexdigest()[:40].upper()


def sfdi_of(lfdi: str) -> int:
    """Short-form device identifier: the LFDI's first 36 bits as a decimal number, and a check digit."""
    bits = int(lfdi[:9], 16)
    return bits * 10 + check_digit(bits)


def sfdi_text(sfdi: int) -> str:
    """Twelve digits, as people write it."""
    return f"{sfdi:012d}"


def pin_with_check(five: int) -> int:
    """Five digits and their check digit: 11111 -> 111115. Raises ValueError."""
    if not 0 <= five <= 99_999:
        raise ValueError(f"a PIN has five digits, not {five}")
    return five * 10 + check_digit(five)


def pin_sound(pin: int) -> bool:
    """Six digits whose last checks the others."""
    return 0 <= pin <= 999_999 and check_digit(pin) == 0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are to a server."""

    lfdi: str
    sfdi: int

    @classmethod
    def of(cls, der: bytes) -> Identity:
        """That of a DER certificate."""
        lfdi = lfdi_of(der)
        return cls(lfdi, sfdi_of(lfdi))
