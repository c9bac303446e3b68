"""What a build leaves in an image and should not: emulators, caches, certificate authorities, keys, mirrors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from archway.verify.findings import Finding, count
from archway.verify.root import Root, at
from archway.verify.rootfs import File
from archway.verify.scan import Scan
from archway.verify.tar import printable

_EMULATOR = re.compile(
    r".*/qemu-(?:aarch64|arm|x86_64|i386|ppc64le|s390x|riscv64|mips\w*|loongarch64)(?:-static)?"
    r"|.*/\.buildkit_qemu_emulator|/run/rosetta/.*|.*/\.cache/rosetta/.*|.*/\.rosettad?/.*|.*/rosetta/rosettad?"
)
_HOME = r"(?:/root|/home/[^/]+|/var/lib/[^/]+|)"
_CACHES = tuple(
    (re.compile(pattern), what)
    for pattern, what in (
        (r"(?P<at>/var/lib/apt/lists)/(?!lock$|partial$|auxfiles$).+", "apt's package lists"),
        (r"(?P<at>/var/cache/apt)/(?:archives/.+\.deb|pkgcache\.bin|srcpkgcache\.bin)", "apt's downloads"),
        (r"(?P<at>/var/cache/(?:dnf|yum|zypp|libdnf5))/.+", "dnf's downloads"),
        (r"(?P<at>/var/cache/apk|/etc/apk/cache)/.+", "apk's downloads"),
        (rf"(?P<at>{_HOME}/\.cache/(?:pip|uv|go-build|pypoetry|yarn|deno|composer))/.+", "a build's cache"),
        (rf"(?P<at>{_HOME}/\.npm/_(?:cacache|npx))/.+", "npm's downloads"),
        (rf"(?P<at>{_HOME}/\.m2/repository)/.+", "Maven's downloads"),
        (rf"(?P<at>{_HOME}/\.gradle/caches)/.+", "Gradle's downloads"),
        (rf"(?P<at>{_HOME}/\.ivy2/cache|{_HOME}/\.sbt/boot)/.+", "Ivy's downloads"),
        (rf"(?P<at>{_HOME}/\.cargo/(?:registry|git)|/usr/local/cargo/(?:registry|git))/.+", "cargo's downloads"),
        (r"(?P<at>(?:/root)?/go/pkg/mod)/.+", "Go's downloads"),
    )
)
_SECRET_FILES = re.compile(
    r".*/(?:\.netrc|\.git-credentials|\.pypirc)|.*/\.aws/credentials|/etc/apt/auth\.conf(?:\.d/.+)?|/run/secrets/.+"
)
_CREDENTIAL = re.compile(
    r'"auth"\s*:\s*"[^"]+"|(?:^|:)_(?:authToken|auth|password)\s*=\s*[^\s$]+|<password>\s*[^\s<${]+|://[^/\s:@]+:[^/\s@$]+@',
    re.IGNORECASE,
)
_SETTINGS = re.compile(r".*/(?:pip\.conf|\.?npmrc|\.yarnrc|settings\.xml|config(?:\.toml)?|gradle\.properties)")
_SOURCES = re.compile(r"/etc/(?:apt/sources\.list(?:\.d/.+)?|apk/repositories|yum\.repos\.d/.+)")
_PROXIES = re.compile(r"/etc/(?:apt/apt\.conf(?:\.d/.+)?|environment|profile\.d/.+)")
_PROXY = re.compile(r"(?:Acquire::\w+::Proxy\b|(?:^|\s)(?:https?|all|ftp)_proxy=)", re.IGNORECASE)
_PROXY_VARIABLE = re.compile(
    r"(?:https?|all|ftp|no)_proxy|pip_(?:extra_)?index_url|uv_(?:default_)?index(?:_url)?|npm_config_registry|goproxy"
    r"|cargo_registries_.*|maven_mirror.*",
    re.IGNORECASE,
)
_URL = re.compile(r"https?://[^\s\"'<>]+")
_PUBLIC = re.compile(
    r"(?:[a-z0-9-]+\.)*(?:debian\.org|ubuntu\.com|alpinelinux\.org|fedoraproject\.org|centos\.org|redhat\.com|opensuse\.org"
    r"|rockylinux\.org|almalinux\.org|amazonaws\.com|amazonlinux\.com|postgresql\.org|docker\.com|nodesource\.com)"
)
# A JDK elsewhere brings a store of its own, with other authorities than the distribution's package.
_STORES = re.compile(
    r"/etc/(?:ssl|pki|ca-certificates)/.+|/usr/local/share/ca-certificates/.+|/etc/.*/(?:security|java)/cacerts"
)
_PACKAGED = re.compile(r"/usr/share/(?:ca-certificates|pki/ca-trust-source)/.+")
_NOT_SECRET = re.compile(r"/usr/(?:local/)?share/doc/.+|.*/(?:tests?|testdata|examples?)/.+")


def check_leftovers(root: Root, scans: Sequence[Scan], own: frozenset[str] = frozenset()) -> Iterator[Finding]:
    """What the build left.

    :param scans: the layers, for a layer shows to everyone what a layer above it hides
    :param own: fingerprints of the build machine's own certificate authorities
    """
    yield from _emulators(root)
    yield from _caches(root)
    yield from _authorities(root, own)
    yield from _keys(scans)
    yield from _mirrors(root)


def _emulators(root: Root) -> Iterator[Finding]:
    for file in root.files:
        if _EMULATOR.fullmatch(file.path):
            yield at(file, "leftover-emulator", "an emulator, or its cache", "none")


def _caches(root: Root) -> Iterator[Finding]:
    found: dict[tuple[str, str], list[File]] = {}
    for file in root.files:
        for pattern, what in _CACHES:
            if match := pattern.fullmatch(file.path):
                found.setdefault((match["at"], what), []).append(file)
                break
    for (folder, what), files in sorted(found.items()):
        size = sum(file.size for file in files)
        shown = f"{what}: {count(len(files), 'file')}, {size / 1e6:.1f} MB"
        layer = printable(files[0].layer)
        yield Finding(rule="leftover-cache", path=printable(folder), found=shown, expected="none", layer=layer)


def _authorities(root: Root, own: frozenset[str]) -> Iterator[Finding]:
    """Trusted authorities that no package of the image brings. An image without such a package, and a store that
    is not the system's, are compared with the machine's own only: they may be made from anything."""
    packaged = {print_ for file in root.files if _PACKAGED.fullmatch(file.path) for print_ in file.content.certificates}
    for file in root.files:
        if not (certificates := file.content.certificates) or _PACKAGED.fullmatch(file.path):
            continue
        stored = _STORES.fullmatch(file.path) and packaged
        strange = [one for one in certificates if one not in packaged and (stored or one in own)]
        if strange:
            whose = "of the machine that built it" if own.intersection(strange) else "that no package brings"
            shown = f"{count(len(strange), 'certificate')} {whose} (the first: SHA-256 {strange[0][:16]}…)"
            yield at(file, "leftover-ca", shown, "those of the image's packages")


def _keys(scans: Sequence[Scan]) -> Iterator[Finding]:
    seen = set()
    for scan in scans:
        for entry in scan.entries:
            content = scan.contents[entry.content]
            if entry.path in seen or not (content.secret or content.lines or _SECRET_FILES.fullmatch(entry.path)):
                continue
            what = content.secret
            if _SECRET_FILES.fullmatch(entry.path) and entry.size:
                what = "a file of passwords"
            elif any(_CREDENTIAL.search(line) for line in content.lines):
                what = "a password or token"
            if what and not _NOT_SECRET.fullmatch(entry.path):
                seen.add(entry.path)
                yield Finding(
                    rule="leftover-key",
                    path=printable(entry.path),
                    found=what,
                    expected="none",
                    layer=printable(scan.name),
                )


def _mirrors(root: Root) -> Iterator[Finding]:
    for file in root.files:
        lines = file.content.lines
        if not lines:
            continue
        hosts = [host for line in lines for url in _URL.findall(line) if (host := _host(url))]
        if _SETTINGS.fullmatch(file.path) and hosts:
            yield at(file, "leftover-mirror", f"a package registry: {hosts[0]}", "the client's own default")
        elif _SOURCES.fullmatch(file.path) and (strange := [host for host in hosts if not _PUBLIC.fullmatch(host)]):
            yield at(file, "leftover-mirror", f"a package source: {strange[0]}", "the distribution's own")
        elif _PROXIES.fullmatch(file.path) and (proxy := next((line for line in lines if _PROXY.search(line)), "")):
            urls = [url.rpartition("@")[2] for url in _URL.findall(proxy)]  # what stands before @ is a secret
            host = next(filter(None, (_host(f"http://{url.rpartition('://')[2]}") for url in urls)), "")
            yield at(file, "leftover-mirror", f"a proxy: {host}" if host else "a proxy", "none")
    for name, value in root.env.items():
        if _PROXY_VARIABLE.fullmatch(name) and value:
            found = f"the variable {printable(name)} in the configuration"
            yield Finding(rule="leftover-mirror", path=f"ENV {printable(name)}", found=found, expected="none")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""
