"""What many complaints make of a time, all at once: a loop over 100,000 of them takes seconds."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from scoring.models.arrays import Ints
from scoring.models.complaints import OPEN, PHASES

_GRAVEST = 3


class Spells(NamedTuple):
    """One entry for each time that a complaint was open: its severity, when it was opened and resolved, the
    phase that followed (`OPEN`: none), and when it was opened again; what has not been is at the end of time.
    """

    severity: Ints
    opened: Ints
    resolved: Ints
    outcome: Ints
    again: Ints


def moods(spells: Spells, felt_for: Mapping[int, int], since: int, until: int) -> list[tuple[int, int, int]]:
    """When each mood begins and ends between two instants; unclouded time is left out, what goes on is one.

    A mood holds the gravest severity in each phase, two bits for each. `felt_for` is how long an outcome is.
    """
    starts, ends = [spells.opened], [np.maximum(spells.resolved, spells.opened)]
    phases, severities = [np.full_like(spells.severity, OPEN)], [spells.severity]
    for phase, length in felt_for.items():
        so = (spells.outcome == phase) & (spells.resolved < until)
        resolved = ends[0][so]
        starts.append(resolved)
        ends.append(np.minimum(resolved + length, spells.again[so]))
        phases.append(np.full_like(resolved, phase))
        severities.append(spells.severity[so])
    start = np.maximum(np.concatenate(starts), since)
    end = np.minimum(np.concatenate(ends), until)
    kind = np.concatenate(phases) * _GRAVEST + np.concatenate(severities) - 1
    felt = start < end
    if not felt.any():
        return []
    return _swept(start[felt], end[felt], kind[felt])


def _swept(start: Ints, end: Ints, kind: Ints) -> list[tuple[int, int, int]]:
    """`kind` is phase and severity in one: 3 · phase + severity − 1."""
    at, change = np.concatenate([start, end]), np.repeat(np.array([1, -1], dtype=np.int32), len(start))
    order = np.argsort(at)
    at, change = at[order], change[order]
    kinds = np.concatenate([kind, kind]).astype(np.int8)[order]
    last = np.append(at[1:] != at[:-1], True)  # of the changes at one instant
    mood = np.zeros(np.count_nonzero(last), dtype=np.int64)
    for phase in range(len(PHASES)):
        gravest = np.zeros_like(mood)
        for severity in range(1, _GRAVEST + 1):
            these = np.where(kinds == phase * _GRAVEST + severity - 1, change, 0)
            held = np.cumsum(these, dtype=np.int32)[last]
            gravest[held > 0] = severity
        mood |= gravest << (2 * phase)
    at = at[last]
    new = np.append(True, mood[1:] != mood[:-1])
    at, mood = at[new].tolist(), mood[new].tolist()
    return [piece for piece in zip(at, at[1:], mood, strict=False) if piece[2]]
