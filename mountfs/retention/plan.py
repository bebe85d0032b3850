"""What a run would do, and why: each report goes or stays, with the reasons."""

from dataclasses import dataclass

from mountfs.retention.model import Dated, Report
from mountfs.retention.reasons import DatePassed, Going, Staying


@dataclass(frozen=True, slots=True)
class Victim:
    """A report that goes, whole."""

    report: Report
    reason: Going

    @property
    def sentence(self) -> str:
        return f"{self.report}: {self.reason}"


@dataclass(frozen=True, slots=True)
class DatedVictim:
    """One artifact that goes alone, because its own date has come; the rest of the report stays."""

    report: Report
    dated: Dated
    reason: DatePassed

    @property
    def sentence(self) -> str:
        return f"{self.report.job}/{self.dated.path}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Kept:
    """A report that stays; every reason for it, the strongest first."""

    report: Report
    reasons: tuple[Staying, ...]

    @property
    def sentence(self) -> str:
        return f"{self.report} stays: {self.reasons[0]}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Every report is in `victims` or in `kept`, in the order of their keys; `dated` are artifacts of kept ones."""

    victims: tuple[Victim, ...]
    dated: tuple[DatedVictim, ...]
    kept: tuple[Kept, ...]

    @property
    def is_empty(self) -> bool:
        return not self.victims and not self.dated

    @property
    def jobs(self) -> frozenset[str]:
        """The jobs that lose something."""
        whole = {victim.report.job for victim in self.victims}
        return frozenset(whole | {victim.report.job for victim in self.dated})

    @property
    def all_jobs(self) -> frozenset[str]:
        """The jobs that were looked at."""
        going = {victim.report.job for victim in self.victims}
        return frozenset(going | {kept.report.job for kept in self.kept})

    @property
    def artifacts(self) -> int:
        return sum(victim.report.artifacts for victim in self.victims) + len(self.dated)

    @property
    def stored_bytes(self) -> int:
        """What is freed once the grace is over."""
        return sum(victim.report.stored_bytes for victim in self.victims) + sum(
            victim.dated.stored_bytes for victim in self.dated
        )

    @property
    def sentences(self) -> list[str]:
        """One for each victim."""
        return [victim.sentence for victim in self.victims] + [victim.sentence for victim in self.dated]
