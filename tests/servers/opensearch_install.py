"""Puts an OpenSearch together from Maven Central, by Maven with this machine's own settings: `python … FOLDER`.

Its archive for integration tests has the core alone. Four of its modules come as jars beside it: analyzers, scripts, reindexing
and further field types, so that the node is what the full distribution is for a search.
"""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

VERSION = "2.19.5"
_PLUGIN = "org.opensearch.plugin"
_ARCHIVE = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"


@dataclass(frozen=True, kw_only=True)
class Module:
    """A module of the full distribution: its class, what it extends, its jars (group:artifact:version), its rights."""

    plugin: str
    extends: str = ""
    jars: tuple[str, ...]
    grants: tuple[str, ...] = ()


MODULES = {
    "analysis-common": Module(
        plugin="analysis.common.CommonAnalysisPlugin",
        extends="lang-painless",
        jars=(f"{_PLUGIN}:analysis-common:{VERSION}",),
    ),
    "lang-painless": Module(
        plugin="painless.PainlessPlugin",
        jars=(
            f"{_PLUGIN}:lang-painless:{VERSION}",
            f"{_PLUGIN}:opensearch-scripting-painless-spi:{VERSION}",
            "org.antlr:antlr4-runtime:4.13.1",
            *(f"org.ow2.asm:{name}:9.7" for name in ("asm", "asm-util", "asm-tree", "asm-commons", "asm-analysis")),
        ),
        grants=('RuntimePermission "createClassLoader"', 'RuntimePermission "getClassLoader"'),
    ),
    "mapper-extras": Module(
        plugin="index.mapper.MapperExtrasPlugin", jars=(f"{_PLUGIN}:mapper-extras-client:{VERSION}",)
    ),
}


def install(folder: Path) -> Path:
    """The node's folder, made once: whole or not at all."""
    home = folder.resolve() / f"opensearch-{VERSION}"
    if home.is_dir():
        return home
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as made:
        work = Path(made)
        work.chmod(0o755)
        _fetch(work)
        with zipfile.ZipFile(work / "archive" / f"opensearch-{VERSION}.zip") as archive:
            archive.extractall(work)
        for name, module in MODULES.items():
            _add(work / home.name / "modules" / name, name, module, work / name)
        (work / home.name).rename(home)
    return home


def _fetch(work: Path) -> None:
    wanted = [("archive", _ARCHIVE), *((name, f"{jar}:jar") for name, each in MODULES.items() for jar in each.jars)]
    pom = work / "pom.xml"
    pom.write_text("".join(_pom([(work / name, coordinates) for name, coordinates in wanted])))
    program = shutil.which("mvn")
    if program is None:
        raise SystemExit("no Maven: install it (apt: maven default-jre-headless)")
    command = [
        program,
        "--quiet",
        "--batch-mode",
        "--strict-checksums",
        "-Dstyle.color=never",
        "--file",
        str(pom),
        "dependency:copy",
    ]
    subprocess.run(command, check=True)


def _pom(wanted: list[tuple[Path, str]]) -> Iterator[str]:
    yield '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
    yield "<groupId>tests</groupId><artifactId>servers</artifactId><version>1</version><packaging>pom</packaging>"
    yield "<build><plugins><plugin><artifactId>maven-dependency-plugin</artifactId><version>3.6.1</version>"
    yield "<configuration><artifactItems>"
    for folder, coordinates in wanted:
        names = ("groupId", "artifactId", "version", "type")
        parts = "".join(
            f"<{name}>{escape(part)}</{name}>" for name, part in zip(names, coordinates.split(":"), strict=True)
        )
        yield f"<artifactItem>{parts}<outputDirectory>{escape(str(folder))}</outputDirectory></artifactItem>"
    yield "</artifactItems></configuration></plugin></plugins></build></project>"


def _add(folder: Path, name: str, module: Module, jars: Path) -> None:
    shutil.move(jars, folder)
    told = {
        "name": name,
        "description": name,
        "version": VERSION,
        "opensearch.version": VERSION,
        "java.version": "11",
        "classname": f"org.opensearch.{module.plugin}",
        "extended.plugins": module.extends,
        "has.native.controller": "false",
    }
    lines = "".join(f"{key}={value}\n" for key, value in told.items())
    (folder / "plugin-descriptor.properties").write_text(lines)
    if module.grants:
        rights = "".join(f"  permission java.lang.{right};\n" for right in module.grants)
        (folder / "plugin-security.policy").write_text(f"grant {{\n{rights}}};\n")


if __name__ == "__main__":
    print(install(Path(sys.argv[1])))
