"""Kafka's jars in a cache folder: are they there, and fetching them once.

Fetching needs Java 17 or newer and access to Maven Central (43 MB). Not here: the command
``add-kafka``, and running the server (`kafka_server`).
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from xml.sax.saxutils import quoteattr

from retail_platform.failures import PermanentFailure, TransientFailure

COMMAND = "uv run retail-platform add-kafka"
LIST = Path(__file__).with_name("kafka_jars.txt")
CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qg"
FETCH_SECONDS = 900
_IVY_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir={cache}/>
  <resolvers><ibiblio name="central" m2compatible="true"/></resolvers>
</ivysettings>
"""
_IVY_MODULE = """<ivy-module version="2.0">
  <info organisation="retail_platform" module="kafka"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>{dependencies}</dependencies>
</ivy-module>
"""
_FORMAT_CONFIGURATION = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:1
listeners=PLAINTEXT://127.0.0.1:2,CONTROLLER://127.0.0.1:1
controller.listener.names=CONTROLLER
log.dirs={folder}
"""


def java() -> str | None:
    """The Java that Spark would use: of `JAVA_HOME`, otherwise on the `PATH`."""
    home = os.environ.get("JAVA_HOME")
    return shutil.which("java", path=f"{home}/bin" if home else None)


def kafka_folder() -> Path | None:
    """The folder with ``lib/*.jar`` and ``formatted/``; None where Kafka or Java is missing."""
    folder = _folder()
    return folder if java() and (folder / "lib").is_dir() else None


def how_to_add() -> str:
    """What a person does to have Kafka here."""
    needs = "" if java() else "install Java 17 or newer (openjdk-17-jre-headless) and "
    return f"{needs}run `{COMMAND}`"


def install_kafka() -> Path:
    """Fetches what is missing, compares every jar with its SHA-256, and returns the folder.

    Raises:
        TransientFailure: Maven Central cannot be reached.
        PermanentFailure: there is no Java, or a jar is not the expected one.
    """
    executable = java()
    if executable is None:
        raise PermanentFailure(f"Kafka needs Java: {how_to_add()}.")
    folder = _folder()
    if (folder / "lib").is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Beside its place, and moved there whole: another process finds all of it or nothing.
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="fetching-") as work:
        part = Path(work) / "kafka"
        _fetch(executable, Path(work), part / "lib")
        _compare(part / "lib")
        _format(executable, part)
        try:
            part.rename(folder)
        except OSError:
            # Another process was quicker.
            if not (folder / "lib").is_dir():
                raise
    return folder


def _folder() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    listed = hashlib.sha256(LIST.read_bytes()).hexdigest()[:12]
    return root / "retail_platform" / f"kafka-{listed}"


def _listed() -> list[tuple[str, str, str, str]]:
    """Organisation, module, version and SHA-256 of each jar."""
    found = []
    for line in LIST.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            coordinates, sha256 = line.split()
            *organisation, module, version = coordinates.split("/")
            found.append((".".join(organisation), module, version, sha256))
    return found


def _fetch(executable: str, work: Path, lib: Path) -> None:
    """Ivy, which comes with Spark, fetches the listed jars and nothing else."""
    import pyspark

    ivy = next((Path(pyspark.__file__).parent / "jars").glob("ivy-*.jar"))
    dependencies = "".join(
        f"<dependency org={quoteattr(organisation)} name={quoteattr(module)} "
        f'rev={quoteattr(version)} transitive="false" conf="default->master"/>'
        for organisation, module, version, _ in _listed()
    )
    settings, module = work / "ivysettings.xml", work / "ivy.xml"
    settings.write_text(_IVY_SETTINGS.format(cache=quoteattr(str(work / "ivy"))), "utf-8")
    module.write_text(_IVY_MODULE.format(dependencies=dependencies), "utf-8")
    command = [executable, "-cp", str(ivy), "org.apache.ivy.Main", "-error"]
    command += ["-settings", str(settings), "-ivy", str(module)]
    command += ["-retrieve", str(lib / "[artifact]-[revision].[ext]")]
    fetched = subprocess.run(
        command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    missing = [name for name in _jar_names() if not (lib / name).is_file()]
    if fetched.returncode or missing:
        raise TransientFailure(
            f"Kafka: {len(missing)} of {len(_listed())} jars could not be fetched from Maven "
            f"Central ({fetched.stderr.strip()[-300:] or 'no reason given'}). Try again; behind a "
            "proxy, name it in JAVA_TOOL_OPTIONS."
        )


def _jar_names() -> dict[str, str]:
    return {f"{module}-{version}.jar": sha256 for _, module, version, sha256 in _listed()}


def _compare(lib: Path) -> None:
    for name, sha256 in _jar_names().items():
        found = hashlib.sha256((lib / name).read_bytes()).hexdigest()
        if found != sha256:
            raise PermanentFailure(
                f"Kafka: {name} has SHA-256 {found}, expected {sha256}: it is not the jar that "
                "this version was tested with. Nothing was kept; try again from another network."
            )


def _format(executable: str, part: Path) -> None:
    """An empty formatted store, which each server copies: formatting costs a start of Java."""
    configuration = part.parent / "format.properties"
    configuration.write_text(_FORMAT_CONFIGURATION.format(folder=part / "formatted"), "utf-8")
    command = [executable, "-cp", f"{part / 'lib'}/*", "kafka.tools.StorageTool", "format"]
    command += ["-t", CLUSTER_ID, "-c", str(configuration)]
    formatted = subprocess.run(
        command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
    )
    if formatted.returncode:
        raise PermanentFailure(
            f"Kafka: its store could not be formatted ({formatted.stderr.strip()[-300:]}); "
            "it needs Java 17 or newer."
        )
