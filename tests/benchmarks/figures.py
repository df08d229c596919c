"""What is reported: medians with their spread, goals and verdicts, in tables that JSON keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median, quantiles
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of rounds, and the quartiles around it."""

    median: float
    lower: float
    upper: float
    rounds: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Of one value or more."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], tuple(values))
        lower, _, upper = quantiles(values, n=4, method="inclusive")
        return cls(median(values), lower, upper, tuple(values))

    def map(self, function: Callable[[float], float]) -> "Spread":
        """A function of every round."""
        return Spread.of([function(value) for value in self.rounds])

    def times(self, factor: float) -> "Spread":
        """Every round so many times over."""
        return self.map(lambda value: factor * value)

    def over(self, other: "Spread") -> "Spread":
        """Ratios, round by round."""
        return Spread.of([a / b for a, b in zip(self.rounds, other.rounds, strict=True)])

    def minus(self, other: "Spread") -> "Spread":
        """Differences, round by round."""
        return Spread.of([a - b for a, b in zip(self.rounds, other.rounds, strict=True)])


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median is to reach."""

    side: Literal["at least", "at most"]
    bound: float

    def __str__(self) -> str:
        return f"{self.side} {self.bound:g}"

    def is_met_by(self, figure: Spread) -> bool:
        """Whether the median reaches it; NaN never does."""
        return figure.median >= self.bound if self.side == "at least" else figure.median <= self.bound


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that was measured: its names and its figures, of which the last one may have a goal."""

    labels: tuple[str, ...]
    figures: tuple[Spread, ...]
    goal: Goal | None = None

    @property
    def verdict(self) -> str:
        """In words; empty where there is no goal."""
        if self.goal is None:
            return ""
        return "met" if self.goal.is_met_by(self.figures[-1]) else "not met"


@dataclass(frozen=True, slots=True)
class Table:
    """What is told of one question."""

    name: str
    labels: tuple[str, ...]  # the heads of the rows' labels
    figures: tuple[str, ...]  # and of their figures, each with its unit
    rows: tuple[Row, ...]
    notes: tuple[str, ...]  # what the figures rest on, a paragraph each

    def __post_init__(self) -> None:
        for row in self.rows:
            if (len(row.labels), len(row.figures)) != (len(self.labels), len(self.figures)):
                raise ValueError(
                    f"a row of {self.name} does not fit under its heads: {', '.join(row.labels)}"
                )

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON, with the verdicts."""
        written = asdict(self)
        for row, of_row in zip(self.rows, written["rows"], strict=True):
            of_row["verdict"] = row.verdict
        return written

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        rows = tuple(
            Row(
                tuple(row["labels"]),
                tuple(Spread.of(figure["rounds"]) for figure in row["figures"]),
                row["goal"] and Goal(**row["goal"]),
            )
            for row in written["rows"]
        )
        labels, figures, notes = (tuple(written[key]) for key in ("labels", "figures", "notes"))
        return cls(written["name"], labels, figures, rows, notes)


def as_text(value: float) -> str:
    """Three significant digits, or all before the point."""
    if value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    digits = 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def as_cell(figure: Spread) -> str:
    """Median and quartiles; of a single value, the value."""
    text = as_text(figure.median)
    if len(figure.rounds) == 1:
        return text
    return f"{text} ({as_text(figure.lower)} to {as_text(figure.upper)})"
