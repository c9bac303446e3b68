"""Facts about the rules on what a build leaves behind."""

from __future__ import annotations

import hashlib
import io
import struct
from functools import cache

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from archway.platforms import Platform
from archway.verify import Allowed, check_archive
from tests.unit.archives import ARM64, Made, elf, entry, oci, removed, tar
from tests.unit.proofs import Found, found, report

FINE = entry("data", b"text")
SECRET = "hunter2secret"  # noqa: S105 - no one's


# --------------------------------------------------------------------------------------------- emulators and caches


@pytest.mark.parametrize(
    "path",
    [
        "usr/bin/qemu-aarch64-static",
        "usr/bin/qemu-x86_64",
        "opt/qemu-mips64el-static",
        "dev/.buildkit_qemu_emulator",
        "root/.cache/rosetta/abc",
        "run/rosetta/rosetta",
    ],
)
def test_emulator_is_found(path: str) -> None:
    """An emulator or its cache is found by its name, for whatever machine it is."""
    assert found(tar(entry(path, elf(ARM64)))) == [
        ("leftover-emulator", f"/{path}", "an emulator, or its cache", "none")
    ]


@pytest.mark.parametrize(
    "path", ["usr/bin/qemu-img", "usr/bin/qemu-system-aarch64", "usr/share/doc/qemu-user-static/x", "srv/rosetta/x"]
)
def test_other_programs_of_qemu_are_fine(path: str) -> None:
    """Other programs of QEMU, and files that only have such a word in their path, are fine."""
    assert found(tar(entry(path, elf(ARM64)))) == []


CACHES = [
    ("/var/lib/apt/lists", "deb.debian.org_dists", "apt's package lists"),
    ("/var/cache/apt", "archives/x.deb", "apt's downloads"),
    ("/var/cache/apt", "pkgcache.bin", "apt's downloads"),
    ("/var/cache/dnf", "x/y", "dnf's downloads"),
    ("/var/cache/apk", "x", "apk's downloads"),
    ("/root/.cache/pip", "x", "a build's cache"),
    ("/home/x/.cache/uv", "x", "a build's cache"),
    ("/root/.npm/_cacache", "x", "npm's downloads"),
    ("/root/.m2/repository", "x/y.pom", "Maven's downloads"),
    ("/var/lib/nifi/.gradle/caches", "x", "Gradle's downloads"),
    ("/root/.ivy2/cache", "x", "Ivy's downloads"),
    ("/usr/local/cargo/registry", "x", "cargo's downloads"),
    ("/root/go/pkg/mod", "x", "Go's downloads"),
]


@pytest.mark.parametrize(("folder", "name", "what"), CACHES)
def test_cache_is_found(folder: str, name: str, what: str) -> None:
    """A package manager's cache is found, a finding for a folder, with its size."""
    path = f"{folder}/{name}".lstrip("/")

    assert found(tar(entry(path, bytes(1_000_000)), entry(f"{path}2"))) in (
        [("leftover-cache", folder, f"{what}: 2 files, 1.0 MB", "none")],
        [("leftover-cache", folder, f"{what}: 1 file, 1.0 MB", "none")],
    )


@pytest.mark.parametrize(
    "path",
    [
        "var/lib/apt/lists/lock",
        "var/lib/apt/lists/partial",
        "var/cache/apt/archives/lock",
        "var/lib/dpkg/status",
        "opt/x/.m2/repository/x.jar",
        "root/.cache/x/y",
        "root/.m2/settings.xml",
        "opt/go/pkg/mod/x",
    ],
)
def test_what_is_no_cache(path: str) -> None:
    """Locks, package databases and folders of products are fine."""
    assert found(tar(entry(path, b"x"))) == []


def test_exception_for_a_cache() -> None:
    """A cache is allowed by its folder."""
    layer = tar(entry("root/.m2/repository/x.jar", b"x"))

    assert (
        found(layer, allow=[Allowed(path="/root/.m2/repository", reason="offline mode", rule="leftover-cache")]) == []
    )


# ------------------------------------------------------------------------------------------ certificate authorities


@cache
def authority(name: str) -> bytes:
    """A certificate, as PEM."""
    return trustme.CA(organization_name=name, key_type=trustme.KeyType.ECDSA).cert_pem.bytes()


def der(pem: bytes) -> bytes:
    return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)


def fingerprint(pem: bytes) -> str:
    return hashlib.sha256(der(pem)).hexdigest()


def key_store(*pems: bytes) -> bytes:
    """A Java key store in the form JKS, with trusted certificates."""
    data = struct.pack(">III", 0xFEEDFEED, 2, len(pems))
    for number, pem in enumerate(pems):
        alias, body = f"ca{number}".encode(), der(pem)
        data += struct.pack(">IH", 2, len(alias)) + alias + bytes(8) + struct.pack(">H", 5) + b"X.509"
        data += struct.pack(">I", len(body)) + body
    return data + hashlib.sha1(data, usedforsecurity=False).digest()


PACKAGE = entry("usr/share/ca-certificates/mozilla/x.crt", authority("public"))
STORES = ["etc/ssl/certs/ca-certificates.crt", "usr/local/share/ca-certificates/x.crt", "etc/pki/tls/certs/x.pem"]
JAVA = ["etc/ssl/certs/java/cacerts", "etc/java/security/cacerts"]


def strange(path: str, whose: str = "that no package brings") -> list[Found]:
    print_ = fingerprint(authority("proxy"))[:16]
    return [
        (
            "leftover-ca",
            f"/{path}",
            f"1 certificate {whose} (the first: SHA-256 {print_}…)",
            "those of the image's packages",
        )
    ]


@pytest.mark.parametrize("path", STORES)
def test_certificate_authority_is_found(path: str) -> None:
    """An authority in a store of the image that no package brings is found; one of a package is fine."""
    public, proxy = authority("public"), authority("proxy")

    assert found(tar(PACKAGE, entry(path, b"# public\n" + public + proxy))) == strange(path)
    assert found(tar(PACKAGE, entry(path, public))) == []


@pytest.mark.parametrize("path", JAVA)
def test_certificate_authority_in_a_key_store_is_found(path: str) -> None:
    """So is one in Java's key store."""
    public, proxy = authority("public"), authority("proxy")

    assert found(tar(PACKAGE, entry(path, key_store(public, proxy)))) == strange(path)
    assert found(tar(PACKAGE, entry(path, key_store(public)))) == []


def test_key_store_of_a_jdk_is_fine() -> None:
    """A JDK that is no package has other authorities than the distribution; this machine's own are found there too."""
    path, own = "opt/java/openjdk/lib/security/cacerts", frozenset({fingerprint(authority("proxy"))})
    layer = tar(PACKAGE, entry(path, key_store(authority("proxy"))))

    assert found(layer) == []
    assert found(layer, own=own) == strange(path, "of the machine that built it")


def test_several_authorities() -> None:
    """Several authorities of one file are one finding."""
    (finding,) = found(tar(PACKAGE, entry(STORES[0], authority("proxy") + authority("other"))))

    assert finding[2].startswith("2 certificates that no package brings (the first: SHA-256 ")


def test_authority_of_this_machine_is_found() -> None:
    """The authority of the machine that built the image is found in any file, also where no package brings any."""
    own = frozenset({fingerprint(authority("proxy"))})
    whose = "of the machine that built it"

    assert found(tar(entry("opt/x.pem", authority("proxy"))), own=own) == strange("opt/x.pem", whose)
    assert found(tar(entry("opt/cacerts", key_store(authority("proxy")))), own=own) == strange("opt/cacerts", whose)
    assert found(tar(entry("opt/x.pem", authority("public"))), own=own) == []


def test_certificates_that_are_fine() -> None:
    """A product's own certificates, and a store whose packages are not known, are fine."""
    assert found(tar(PACKAGE, entry("opt/x/server.pem", authority("proxy")))) == []
    assert found(tar(entry(STORES[0], authority("proxy")))) == []


@pytest.mark.parametrize("cut", [20, 40, 100, 400])
def test_damaged_stores(cut: int) -> None:
    """A store that is cut short has fewer certificates, and is no fault of its own."""
    assert found(tar(PACKAGE, entry(JAVA[0], key_store(authority("proxy"))[:cut]))) == []
    assert found(tar(PACKAGE, entry(STORES[0], authority("proxy")[:cut]))) == []


# ------------------------------------------------------------------------------------------------------------- keys


def private_key() -> bytes:
    return trustme.CA(key_type=trustme.KeyType.ECDSA).private_key_pem.bytes()


@pytest.mark.parametrize("path", ["root/.ssh/id_ed25519", "etc/ssl/private/x.key", "opt/any.name"])
def test_key_is_found(path: str) -> None:
    """A private key is found by its form, also in a layer whose file an upper layer deletes or replaces."""
    expected = [("leftover-key", f"/{path}", "private key", "none")]
    key = tar(FINE, entry(path, private_key()))

    assert found(key) == expected
    assert found(key, tar(removed(path))) == expected
    assert found(key, tar(entry(path, b"gone"))) == expected


def test_key_is_told_once_with_its_layer() -> None:
    """A key in two layers is one finding, in the lower one."""
    lower, upper = tar(FINE, entry("a", private_key())), tar(entry("a", private_key()))
    made = report(lower, upper)
    (finding,) = made.findings

    assert finding.layer == made.layers[0]


@pytest.mark.parametrize("kind", [b"RSA ", b"EC ", b"OPENSSH ", b"ENCRYPTED ", b""])
def test_kinds_of_keys(kind: bytes) -> None:
    """Keys of each form are found, and so is PuTTY's."""
    key = b"-----BEGIN " + kind + b"PRIVATE KEY-----\nMII\n-----END " + kind + b"PRIVATE KEY-----\n"

    assert [it[0] for it in found(tar(entry("k", key)))] == ["leftover-key"]
    assert [it[0] for it in found(tar(entry("k", b"PuTTY-User-Key-File-3: ssh-ed25519\n")))] == ["leftover-key"]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("k", b"-----BEGIN PUBLIC KEY-----\nMII\n-----END PUBLIC KEY-----\n"),
        ("k", b"text about -----BEGIN PRIVATE KEY-----\n"),
        ("usr/share/doc/x/k", b"-----BEGIN PRIVATE KEY-----\n"),
        ("opt/x/tests/k", b"-----BEGIN PRIVATE KEY-----\n"),
        ("root/.netrc", b""),
        ("run/secrets", b"x"),
        ("root/.npmrc", b"fund=false\n//registry.npmjs.org/:_authToken=${TOKEN}\n"),
        ("root/.m2/settings.xml", b"<password>${env.PASSWORD}</password>\n"),
        ("root/.docker/config.json", b'{"auths": {}}\n'),
    ],
)
def test_what_is_no_key(path: str, data: bytes) -> None:
    """Public keys, examples, empty files and variables in the place of a password are fine."""
    assert found(tar(FINE, entry(path, data))) == []


CREDENTIALS = [
    ("root/.netrc", f"machine x login y password {SECRET}\n", "a file of passwords"),
    ("root/.git-credentials", f"https://me:{SECRET}@example.org\n", "a file of passwords"),
    ("root/.pypirc", f"password={SECRET}\n", "a file of passwords"),
    ("root/.aws/credentials", f"aws_secret_access_key={SECRET}\n", "a file of passwords"),
    ("etc/apt/auth.conf", f"machine x login y password {SECRET}\n", "a file of passwords"),
    ("etc/apt/auth.conf.d/x.conf", f"machine x login y password {SECRET}\n", "a file of passwords"),
    ("run/secrets/token", SECRET, "a file of passwords"),
    ("root/.npmrc", f"//example.org/:_authToken={SECRET}\n", "a password or token"),
    ("root/.npmrc", f"_auth = {SECRET}\n", "a password or token"),
    ("root/.docker/config.json", f'{{"auths": {{"x": {{"auth": "{SECRET}"}}}}}}\n', "a password or token"),
    ("root/.m2/settings.xml", f"<password>{SECRET}</password>\n", "a password or token"),
    ("etc/pip.conf", f"index-url = https://me:{SECRET}@example.org/simple\n", "a password or token"),
    ("etc/environment", f"http_proxy=http://me:{SECRET}@proxy:3128\n", "a password or token"),
]


@pytest.mark.parametrize(("path", "text", "what"), CREDENTIALS)
def test_password_is_found(path: str, text: str, what: str) -> None:
    """Passwords and tokens are found in their usual places, also if they are deleted later, and are never printed."""
    layer = tar(FINE, entry(path, text.encode()))

    assert ("leftover-key", f"/{path}", what, "none") in found(layer)
    assert found(layer, tar(removed(path))) == [("leftover-key", f"/{path}", what, "none")]
    assert SECRET not in repr(report(layer))


@pytest.mark.parametrize(
    "url",
    [
        f"http://me:{SECRET}@proxy.example.org:3128",
        f"http://{SECRET}@proxy.example.org:3128",
        f"http://me:{SECRET}@{SECRET}@proxy.example.org",
        f"http://me:x/{SECRET}@proxy.example.org",
        f"http://me:x${SECRET}@proxy.example.org/",
    ],
)
@pytest.mark.parametrize("line", ["https_proxy={}", 'Acquire::http::Proxy "{}";', "export HTTP_PROXY='{}'"])
def test_password_of_a_proxy_is_not_printed(url: str, line: str) -> None:
    """Of a proxy's address only the host is printed, whatever its password is."""
    layer = tar(FINE, *(entry(path, line.format(url).encode()) for path in ("etc/environment", "etc/apt/apt.conf")))
    made = report(layer, env=[f"HTTPS_PROXY={url}"])

    assert {it.found for it in made.findings if it.rule == "leftover-mirror"} == {
        "a proxy: proxy.example.org",
        "the variable HTTPS_PROXY in the configuration",
    }
    assert SECRET not in repr(made)
    assert SECRET not in made.text()


# ---------------------------------------------------------------------------------------------- mirrors and proxies


SOURCES = "the distribution's own"
DEFAULT = "the client's own default"
HOST = "mirror.example.org"


@pytest.mark.parametrize(
    ("path", "line", "shown", "expected"),
    [
        ("etc/apt/sources.list", f"deb https://{HOST}/debian trixie main", f"a package source: {HOST}", SOURCES),
        ("etc/apt/sources.list.d/x.sources", f"URIs: http://{HOST}/", f"a package source: {HOST}", SOURCES),
        ("etc/apk/repositories", f"https://{HOST}/alpine", f"a package source: {HOST}", SOURCES),
        ("etc/yum.repos.d/x.repo", f"baseurl=https://{HOST}/", f"a package source: {HOST}", SOURCES),
        (
            "etc/apt/sources.list",
            "deb https://deb.debian.org.example.org/ x",
            "a package source: deb.debian.org.example.org",
            SOURCES,
        ),
        ("etc/pip.conf", f"index-url = https://{HOST}/simple", f"a package registry: {HOST}", DEFAULT),
        ("root/.npmrc", f"registry=https://{HOST}/", f"a package registry: {HOST}", DEFAULT),
        ("root/.m2/settings.xml", f"<url>https://{HOST}/maven</url>", f"a package registry: {HOST}", DEFAULT),
        ("root/.cargo/config.toml", f'index = "https://{HOST}/"', f"a package registry: {HOST}", DEFAULT),
        ("etc/apt/apt.conf.d/99proxy", f'Acquire::http::Proxy "http://{HOST}:3128";', f"a proxy: {HOST}", "none"),
        ("etc/environment", f"http_proxy={HOST}:3128", "a proxy", "none"),
        ("etc/profile.d/x.sh", f"export HTTPS_PROXY=http://{HOST}", f"a proxy: {HOST}", "none"),
    ],
)
def test_mirror_is_found(path: str, line: str, shown: str, expected: str) -> None:
    """A mirror, a registry or a proxy of the build machine is found in the places where clients look for it."""
    assert found(tar(entry(path, f"{line}\n".encode()))) == [("leftover-mirror", f"/{path}", shown, expected)]
    assert found(tar(entry(path, f"# {line}\n".encode()))) == []


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("etc/apt/sources.list", "deb https://deb.debian.org/debian trixie main"),
        ("etc/apt/sources.list.d/x.list", "deb [signed-by=/x] http://security.ubuntu.com/ubuntu noble main"),
        ("etc/apk/repositories", "https://dl-cdn.alpinelinux.org/alpine/v3.21/main"),
        ("etc/apt/apt.conf.d/docker", 'Acquire::GzipIndexes "true";'),
        ("etc/environment", "PATH=/usr/bin"),
        ("opt/x/sources.list", f"deb https://{HOST}/ x"),
        ("root/.npmrc", "fund=false"),
        ("etc/apt/sources.list", "deb http://[::1 x"),
    ],
)
def test_distribution_own_sources_are_fine(path: str, line: str) -> None:
    """The distributions' own sources, and settings that name no host, are fine."""
    assert found(tar(entry(path, f"{line}\n".encode()))) == []


@pytest.mark.parametrize("name", ["http_proxy", "HTTPS_PROXY", "PIP_INDEX_URL", "GOPROXY", "NPM_CONFIG_REGISTRY"])
def test_variable_of_the_build_machine_is_found(name: str) -> None:
    """So are variables of the image's configuration, if they have a value."""
    layer = tar(FINE)

    assert found(layer, env=[f"{name}=x"]) == [
        ("leftover-mirror", f"ENV {name}", f"the variable {name} in the configuration", "none")
    ]
    assert found(layer, env=[f"{name}=", "PROXY=x", f"X_{name}=x"]) == []


def test_variable_is_allowed_by_its_name() -> None:
    """A variable of the configuration is allowed like a file, by the name that its finding shows."""
    allow = Allowed(path="ENV https_proxy", reason="the only way out of that network")
    made = oci(Made(layers=[tar(entry("a", b"x"))], platform="linux/arm64", env=["https_proxy=http://proxy:3128"]))

    assert [it.path for it in check_archive(io.BytesIO(made), Platform.parse("arm64")).findings] == ["ENV https_proxy"]
    assert check_archive(io.BytesIO(made), Platform.parse("arm64"), allow=[allow]).ok
