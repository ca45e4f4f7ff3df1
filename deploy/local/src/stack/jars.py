"""Kafka's jars: pinned in kafka/pom.xml, fetched once into a cache outside git, verified by checksums.

`python -m stack.jars` writes kafka/jars.sha256 anew from what Maven fetches for the pom.
"""

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import httpx

from stack.process import Failed, run_once
from stack.trouble import Trouble

KAFKA = Path(__file__).resolve().parents[2] / "kafka"
POM = KAFKA / "pom.xml"
CHECKSUMS = KAFKA / "jars.sha256"
VERSION = "kafka-4.1.1"


def cache() -> Path:
    """Where the jars are kept: below PATRON_CACHE, else below ~/.cache/patron."""
    return Path(os.environ.get("PATRON_CACHE") or Path.home() / ".cache" / "patron") / VERSION


async def jars(java: Path, say: Callable[[str], None]) -> Path:
    """The directory with all jars, fetched first when they are missing or not what was pinned."""
    pinned = checksums(CHECKSUMS.read_text())
    directory = cache()
    if wrong(directory, pinned):
        await _fetch(directory, pinned, java, say)
    return directory


def checksums(text: str) -> dict[str, str]:
    """SHA-256 by Maven path, from lines of `<sha256>  <path>`."""
    pairs = (line.split() for line in text.splitlines() if line.strip())
    return {path: digest for digest, path in pairs}


def wrong(directory: Path, pinned: Mapping[str, str]) -> list[str]:
    """Names of jars that are missing, different from what was pinned, or not pinned at all."""
    expected = {path.rpartition("/")[2]: digest for path, digest in pinned.items()}
    found = {jar.name: _digest(jar) for jar in directory.glob("*.jar")}
    return sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))


async def _fetch(directory: Path, pinned: Mapping[str, str], java: Path, say: Callable[[str], None]) -> None:
    """Fetch into a directory beside the final one, verify, and only then put it in place."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=directory.parent, prefix=f"{directory.name}."))
    try:
        if shutil.which("mvn"):
            say(f"fetching Apache Kafka ({len(pinned)} jars, 43 MB) with Maven into {directory}")
            await _by_maven(fresh, java)
        elif repository := os.environ.get("MAVEN_REPOSITORY_URL"):
            await _by_https(fresh, pinned, repository, say)
        else:
            raise Trouble(
                f"Apache Kafka's jars are not in {directory} yet, and there is no Maven (mvn) to fetch them. "
                "Install Maven, or set MAVEN_REPOSITORY_URL to the address of a Maven repository."
            )
        if bad := wrong(fresh, pinned):
            raise Trouble(
                f"These Kafka jars are not the pinned ones ({CHECKSUMS.name}): {', '.join(bad)}. "
                "Nothing was installed. Check the repository or mirror they came from, then start again."
            )
        _put_in_place(fresh, directory, pinned)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _put_in_place(fresh: Path, directory: Path, pinned: Mapping[str, str]) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    try:
        fresh.rename(directory)
    except OSError:  # another run was faster
        if wrong(directory, pinned):
            raise


async def _by_maven(target: Path, java: Path) -> None:
    environment = {"JAVA_HOME": str(java.parents[1]), **os.environ}
    options = [f"-DoutputDirectory={target}", "-f", str(POM)]
    try:
        await run_once(
            ["mvn", "-q", "-B", *options, "dependency:copy-dependencies"], environment=environment, within=900
        )
    except Failed as failure:
        lines = "\n".join(failure.output.splitlines()[-8:])
        raise Trouble(
            "Maven could not fetch Apache Kafka's jars. They are needed once; check the network, and the "
            f"mirror in Maven's settings.xml if you use one, then start again. Maven said:\n{lines}"
        ) from failure


async def _by_https(
    target: Path, pinned: Mapping[str, str], repository: str, say: Callable[[str], None]
) -> None:
    async with httpx.AsyncClient(timeout=60, follow_redirects=True) as client:
        for number, path in enumerate(pinned, start=1):
            name = path.rpartition("/")[2]
            say(f"fetching Apache Kafka {number}/{len(pinned)}  {name}")
            try:
                answer = (await client.get(f"{repository.rstrip('/')}/{path}")).raise_for_status()
            except httpx.HTTPError as error:
                raise Trouble(
                    f"{name} could not be fetched ({error or type(error).__name__}). Check the network and "
                    "MAVEN_REPOSITORY_URL, then start again."
                ) from error
            (target / name).write_bytes(answer.content)


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def pin() -> None:
    """Write the checksums of what Maven fetches for the pom."""
    with tempfile.TemporaryDirectory() as directory:
        repository = Path(directory)
        options = [f"-DoutputDirectory={repository}", "-Dmdep.useRepositoryLayout=true", "-f", str(POM)]
        asyncio.run(run_once(["mvn", "-q", "-B", *options, "dependency:copy-dependencies"], within=900))
        found = sorted(repository.rglob("*.jar"))
        lines = [f"{_digest(jar)}  {jar.relative_to(repository)}\n" for jar in found]
    CHECKSUMS.write_text("".join(lines))


if __name__ == "__main__":
    pin()
