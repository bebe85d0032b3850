"""What a comparison says of findings: by identity, with multiplicity, suppressed apart."""

from dataclasses import replace

import pytest

from mountfs.compare import Comparison, Side, Source, compare
from mountfs.compare.findings import FindingChanges
from mountfs.reports.model import Finding, Findings, Parsed, Severity, Unreadable
from tests.compare.building import compared, finding, findings, side


def change(comparison: Comparison) -> FindingChanges:
    assert comparison.findings is not None
    return comparison.findings


def rules(found: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in found]


def test_new_and_fixed_findings_are_told() -> None:
    found = change(compared(findings(finding("B1"), finding("B2")), findings(finding("B2"), finding("B3"))))
    assert (rules(found.new), rules(found.fixed), found.unchanged) == (["B3"], ["B1"], 1)


def test_a_finding_that_moved_to_another_line_is_unchanged() -> None:
    moved = replace(finding("B1"), line=99)
    assert not compared(findings(finding("B1")), findings(moved)).changed


def test_the_second_of_two_alike_is_new() -> None:
    found = change(compared(findings(finding("B1")), findings(finding("B1"), finding("B1"))))
    assert (rules(found.new), found.unchanged) == (["B1"], 1)


def test_new_findings_come_worst_first() -> None:
    low, critical = finding("B1", Severity.LOW), finding("B2", Severity.CRITICAL)
    assert rules(change(compared(findings(), findings(low, critical))).new) == ["B2", "B1"]


def test_what_was_suppressed_is_not_fixed() -> None:
    found = change(compared(findings(finding("B1")), findings(finding("B1", suppressed=True))))
    assert (found.fixed, rules(found.newly_suppressed)) == ((), ["B1"])
    assert (found.suppressed_before, found.suppressed_after) == (0, 1)


def test_what_is_suppressed_no_more_is_told_and_counts_as_come() -> None:
    found = change(compared(findings(finding("B1", suppressed=True)), findings(finding("B1"))))
    assert (found.new, rules(found.reopened), found.arrived(Severity.HIGH)) == ((), ["B1"], 1)


def test_suppressed_findings_are_neither_new_nor_fixed() -> None:
    hidden = findings(finding("B1", suppressed=True))
    assert not compared(findings(), hidden).changed
    assert not compared(hidden, findings()).changed


def test_a_finding_that_became_worse_counts_where_it_rose_to_and_one_that_sank_nowhere() -> None:
    low, high = findings(finding("B1", Severity.LOW)), findings(finding("B1", Severity.HIGH))
    assert change(compared(low, high)).arrived(Severity.HIGH) == 1
    sunk = change(compared(high, low))
    assert [sunk.arrived(severity) for severity in Severity] == [0] * len(Severity)


def test_a_tool_that_did_not_run_has_fixed_nothing() -> None:
    trivy = Findings((replace(finding("CVE-1"), tool="trivy"),), tools=("trivy",))
    comparison = compare(side(findings(finding("B1")), trivy), side(findings(finding("B1"))))
    assert change(comparison).fixed == ()
    assert [str(lack) for lack in comparison.lacks] == [
        "after: no report of trivy; the other side has one with 1 findings"
    ]


def test_a_tool_that_found_nothing_has_run() -> None:
    found = change(compared(findings(finding("B1")), findings()))
    assert rules(found.fixed) == ["B1"]


def test_a_report_without_findings_and_without_a_tool_is_that_of_its_format() -> None:
    before = Side("a", (Source("x", Parsed("bandit", Findings((replace(finding("B1"), tool=""),)))),))
    after = Side("b", (Source("x", Parsed("bandit", Findings(()))),))
    assert rules(change(compare(before, after)).fixed) == ["B1"]


def test_a_report_that_names_no_tool_is_that_of_the_tool_at_its_path() -> None:
    before = Side("a", (Source("lint.sarif", Parsed("sarif", findings(finding("B1")))),))
    after = Side("b", (Source("lint.sarif", Parsed("sarif", Findings(()))),))
    assert rules(change(compare(before, after)).fixed) == ["B1"]


def test_an_error_document_is_no_report_of_no_findings() -> None:
    """`npm audit` without a network writes one (FORMATS, measured 2)."""
    after = Side("b", (Source("audit.json", Unreadable("npm-audit", "the registry did not answer", "findings")),))
    comparison = compare(side(findings(finding("B1"))), after)
    assert change(comparison).after is None
    assert any("the registry did not answer" in str(lack) for lack in comparison.lacks)


@pytest.mark.parametrize("swapped", [False, True])
def test_two_formats_of_one_tool_are_matched_by_rule_and_file(swapped: bool) -> None:
    native = findings(finding("B1"), finding("B1"))
    sarif = findings(*(replace(one, identity=("sarif", "B1", "x")) for one in native.findings[:1]))
    sides = side(native, format_name="bandit"), side(sarif, format_name="sarif")
    comparison = compare(*(reversed(sides) if swapped else sides))
    found = change(comparison)
    assert (len(found.new) + len(found.fixed), found.unchanged) == (1, 1)
    assert comparison.notes == (
        "The formats of bandit differ on the two sides: its findings are matched by rule and file.",
    )


def test_one_run_of_a_tool_in_two_formats_counts_once() -> None:
    both = Side(
        "job",
        (
            Source("bandit.json", Parsed("bandit", findings(finding("B1")))),
            Source("bandit.sarif", Parsed("sarif", findings(finding("B1")))),
        ),
    )
    assert len(change(compare(side(findings(), format_name="sarif"), both)).new) == 1
