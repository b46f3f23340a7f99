"""A 2030.5 chain made by `cryptography`: SERCA -> MCA -> MICA -> devices. Each call makes new keys; nothing of it is trusted anywhere else.

Device certificates have an empty subject, a HardwareModuleName, a policy and no end (9999-12-31), as 2030.5 wants them. For tests a
chain can be made wrong on purpose.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

FOREVER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
POLICY = x509.ObjectIdentifier("1.3.6.1.4.1.40732.1.1")
POLICY_MAPPINGS = x509.ObjectIdentifier("2.5.29.33")
HARDWARE_MODULE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.4")
# SEQUENCE { OID 1.3.6.1.4.1.40732.9, OCTET STRING "BESS0001" }
HARDWARE = bytes.fromhex("3015 0609 2b06 0104 0182 be1c 09 0408 4245535330303031".replace(" ", ""))
# SEQUENCE { SEQUENCE { OID 1.3.6.1.4.1.40732.1.1, OID 1.3.6.1.4.1.40732.1.2 } }
MAPPINGS = bytes.fromhex("301a 3018 060a 2b06 0104 0182 be1c 0101 060a 2b06 0104 0182 be1c 0102".replace(" ", ""))


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


@dataclass(slots=True)
class Recipe:
    """How a certificate is made; the defaults make a good one."""

    name: str = ""
    ca: bool = False
    starts: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(days=1))
    ends: datetime = FOREVER
    hosts: tuple[str, ...] = ()
    key_cert_sign: bool = True
    mappings: bool = False


def issue(recipe: Recipe, issuer: Issued | None = None) -> Issued:
    """A certificate by an issuer, or self-signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, recipe.name)] if recipe.name else [])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(recipe.starts)
        .not_valid_after(recipe.ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.CertificatePolicies([x509.PolicyInformation(POLICY, None)]), critical=True)
    )
    signer = issuer.key if issuer else key
    if issuer is not None:
        builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key()), critical=False)
    if recipe.ca:
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    usage = x509.KeyUsage(
        digital_signature=not recipe.ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=not recipe.ca, key_cert_sign=recipe.ca and recipe.key_cert_sign, crl_sign=recipe.ca, encipher_only=False,
        decipher_only=False,
    )  # fmt: skip
    builder = builder.add_extension(usage, critical=True)
    if recipe.mappings:
        builder = builder.add_extension(x509.UnrecognizedExtension(POLICY_MAPPINGS, MAPPINGS), critical=False)
    if not recipe.ca:
        builder = builder.add_extension(x509.SubjectAlternativeName(_names(recipe)), critical=not recipe.name)
    return Issued(builder.sign(signer, hashes.SHA256()), key)


def _names(recipe: Recipe) -> list[x509.GeneralName]:
    if not recipe.hosts:
        return [x509.OtherName(HARDWARE_MODULE_NAME, HARDWARE)]
    return [x509.IPAddress(ip_address(h)) if h.replace(".", "").isdigit() else x509.DNSName(h) for h in recipe.hosts]


@dataclass(frozen=True, slots=True)
class Chain:
    """Four generations: the root, the maker's CA, the maker's issuing CA, and one device or server."""

    serca: Issued
    mca: Issued
    mica: Issued
    leaf: Issued

    @property
    def pem(self) -> bytes:
        """As `cert_file` wants it: device first, root last."""
        return self.leaf.pem + self.mica.pem + self.mca.pem + self.serca.pem

    def leaf_of(self, recipe: Recipe) -> Chain:
        """Another device of the same maker."""
        return Chain(self.serca, self.mca, self.mica, issue(recipe, self.mica))

    def write(self, folder: Path, name: str, *, whole: bool = True) -> tuple[Path, Path]:
        """NAME.pem and NAME.key; `whole` False leaves the chain out."""
        cert, key = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(self.pem if whole else self.leaf.pem)
        key.touch(mode=0o600)
        key.write_bytes(self.leaf.key_pem)
        return cert, key


def chain(leaf: Recipe | None = None, *, mica: Recipe | None = None, root: Issued | None = None) -> Chain:
    """A new chain, under a root of its own or a given one."""
    serca = root or issue(Recipe("Smart Grid Root", ca=True))
    mca = issue(Recipe("Maker CA", ca=True), serca)
    maker = issue(mica or Recipe("Maker Issuing CA", ca=True), mca)
    return Chain(serca, mca, maker, issue(leaf or Recipe(), maker))


def server_chain(root: Issued, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")) -> Chain:
    """A utility's server under the same root."""
    return chain(Recipe("utility server", hosts=hosts), root=root)
