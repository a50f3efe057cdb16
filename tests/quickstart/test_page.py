"""The report shows every stage's numbers, escapes what it is given, and stands alone."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from synthgen.quickstart.page import report_page
from synthgen.quickstart.plan import STAGES, TITLES, Plan

Results = dict[str, dict[str, Any]]


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def report(plan: Plan, results: Results) -> str:
    seconds = {stage: 10.0 + number for number, stage in enumerate(STAGES)}
    return report_page(plan, results, seconds, {"device": "cpu <odd>", "CPU cores": "2"})


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


def test_every_stage_is_told_with_its_command_and_its_time(plan: Plan, results: Results, report: str) -> None:
    shown = "".join(read(report).words)
    for number, stage in enumerate(STAGES):
        assert f"{TITLES[stage]} ({10 + number} s): {results[stage]['sentence']}." in shown
        assert html.escape(plan.command(stage)) in report
    assert "1 min 15 s" in shown  # 10 + 11 + ... + 15


@pytest.mark.parametrize(
    "number",
    ["1,234", "4,567", "24.25", "4.75", "22.5 to 26.5", "0.0125", "97.5 %", "91.1 %", "82.2 %", "93.3 %", "2.5 MB"],
)
def test_numbers_are_shown(report: str, number: str) -> None:
    assert number in "".join(read(report).words)


def test_it_stands_alone_and_its_links_stay_beside_it(plan: Plan, report: str) -> None:
    beside = {"why/index.html", "evaluation/report.html", "augmentation/report.html"}
    for tag, attrs in read(report).tags:
        for name in ("src", "href"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")) or value in beside, (tag, value)
    assert not re.search(r"url\(|@import", report)


def test_given_text_is_escaped(report: str) -> None:
    assert "domain-<b>" not in report and "n is <small>" not in report and "cpu <odd>" not in report
    shown = "".join(read(report).words)
    assert "domain-<b>" in shown and "n is <small>" in shown and "cpu <odd>" in shown


def test_there_are_pictures_of_every_class_and_a_slider(report: str) -> None:
    tags = read(report).tags
    alts = [str(attrs.get("alt")) for tag, attrs in tags if tag == "img"]
    assert [alt for alt in alts if alt.startswith("synthetic ")] == [f"synthetic {label}" for label in range(10)]
    assert len([alt for alt in alts if alt.startswith("real ")]) == 10
    assert any(attrs.get("id") == "trajectory-step" for _, attrs in tags)


def test_a_verdict_is_coloured_by_what_it_says(plan: Plan, results: Results) -> None:
    def tone(verdict: str) -> str:
        results["augment-classifier"]["verdict"] = verdict
        found = re.search(
            r'<p class="notice (\w+)">augmented sentence',
            report_page(plan, results, dict.fromkeys(STAGES, 1.0), {}),
        )
        assert found
        return found[1]

    assert [tone(verdict) for verdict in ("helps", "no difference", "hurts")] == ["good", "info", "bad"]
