"""Fails when a package of the runtime lock is under a licence of the GPL family, or says nothing at all.

It reads what the installed packages say of themselves. A package offered under a choice of licences passes when one
of them will do. What the lock holds for other platforms is not installed here and is named, not judged.
"""

from __future__ import annotations

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

FAMILY = re.compile(
    r"\b(?:[AL]?GPL(?:v?\d|\b)|GNU (?:Affero |Lesser |Library )?General Public)", re.IGNORECASE
)
# The exception lets a program be linked with the compiler's own library, and binds nobody else.
LINKING_EXCEPTION = re.compile(r"[\w.-]*GPL[\w.-]*[- ]with[- ]GCC-exception[\w.-]*", re.IGNORECASE)
NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==", re.MULTILINE)
# A licence field longer than this is the text of a licence and not its name.
LONGEST_NAME = 120


def locked_names(lock: str) -> list[str]:
    return sorted(set(NAME.findall(lock)))


def is_offending(statement: str) -> bool:
    """Whether every way to take this licence expression leads through the GPL family."""
    offers = re.split(r"\s+OR\s+", LINKING_EXCEPTION.sub("", statement).strip("()"))
    return all(FAMILY.search(offer) for offer in offers)


def statement_of(package: metadata.Distribution) -> str:
    """What the package says: its expression, else its classifiers, else its licence field, else its licence file."""
    said = package.metadata
    if "License-Expression" in said:
        return said["License-Expression"]
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in said.get_all("Classifier") or []
        if each.startswith("License ::")
    ]
    if classifiers:
        return " OR ".join(classifiers)
    field = said["License"].strip() if "License" in said else ""
    if field and len(field) <= LONGEST_NAME:
        return field
    for file in package.files or []:
        if re.search(r"(^|/)(LICEN[CS]E|COPYING)[^/]*$", str(file), re.IGNORECASE):
            return " ".join(file.read_text(encoding="utf-8").split())[:LONGEST_NAME]
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/licences", description=__doc__)
    parser.add_argument("lock", nargs="?", type=Path, default=Path("requirements.lock"))
    parser.add_argument("--list", action="store_true", help="print what every package says")
    options = parser.parse_args()
    bad: list[str] = []
    absent: list[str] = []
    names = locked_names(options.lock.read_text(encoding="utf-8"))
    for name in names:
        try:
            statement = statement_of(metadata.distribution(name))
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if options.list:
            print(f"{name:24s} {statement}")
        if not statement:
            bad.append(f"{name}: says nothing about its licence")
        elif is_offending(statement):
            bad.append(f"{name}: {statement}")
    read = len(names) - len(absent)
    print(
        f"licences: {read} packages read, {len(bad)} refused; not for this platform: {', '.join(absent) or 'none'}"
    )
    for line in bad:
        print(f"  {line}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
