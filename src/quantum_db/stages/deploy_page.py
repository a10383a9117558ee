"""The deployment's report for people, as one HTML page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from quantum_db.reporting.accuracy import accuracy_with_interval, percent, shown_interval
from quantum_db.reporting.page import Section, badge, callout, facts, page, paragraph, table, tiles


def deployment_page(
    report: Mapping[str, Any], evaluation: Mapping[str, Any], smoke_test: Mapping[str, Any] | None
) -> str:
    """Return the page of a deployment or a refusal.

    report: a DeployReport as data; evaluation: the content of evaluation.json; smoke_test: a SmokeTest as data, or
    None when the model was refused before any.
    """
    deployed = bool(report["deployed"])
    title = f"Deployment of {report['registered_name']}"
    sections = [
        Section("", _verdict(report, evaluation, deployed)),
        Section("The gate", _gate(report, evaluation)),
    ]
    if smoke_test is not None:
        sections.append(Section("Smoke test", _smoke_test(smoke_test)))
        sections.append(Section("Where it is", _whereabouts(report)))
    else:
        sections.append(Section("Where it is", paragraph("Nothing was registered; the champion is who it was.")))
    return page(title, sections)


def _verdict(report: Mapping[str, Any], evaluation: Mapping[str, Any], deployed: bool) -> str:
    decision = "Deployed" if deployed else "Not deployed"
    figures = {"accuracy on the test split": percent(report["accuracy"])}
    interval = shown_interval(evaluation)
    if interval is not None:
        figures["95 % interval"] = interval.text
    figures["threshold"] = f"{100 * report['threshold']:.10g} %"
    if deployed:
        figures |= {"version": str(report["version"]), "median latency": f"{report['latency_ms']:.1f} ms"}
    return callout(f"{decision}: {report['reason']}.", "good" if deployed else "bad") + tiles(figures)


def _gate(report: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    rows: list[list[Any]] = [["this model", accuracy_with_interval(evaluation)]]
    rows += [
        [str(baseline.get("name")), accuracy_with_interval(baseline)] for baseline in evaluation.get("baselines", [])
    ]
    rule = "The accuracy must reach the threshold"
    rule += " and that of the best classical baseline." if report["require_better"] else "; baselines do not decide."
    sentence = evaluation.get("sentence")
    comparison = paragraph(str(sentence)) if sentence else ""
    return paragraph(rule) + table(["model", "accuracy [95 % interval]"], rows) + comparison


def _smoke_test(smoke_test: Mapping[str, Any]) -> str:
    return paragraph(
        "A model server was started from what the registry holds and had to give the predictions that the model gave "
        "when it was saved."
    ) + facts(
        {
            "result": badge("passed", "good"),
            "rows compared": smoke_test["rows"],
            "largest difference": f"{smoke_test['max_difference']:.2g} (allowed {smoke_test['tolerance']:.0e})",
            "ready after": f"{smoke_test['ready_s']:.1f} s",
            "latency of one row": f"{smoke_test['latency_ms']:.1f} ms (median), "
            f"{smoke_test['latency_p95_ms']:.1f} ms (95th percentile), {smoke_test['timed_requests']} requests",
            "stopped when told to": smoke_test["stopped_cleanly"],
        }
    )


def _whereabouts(report: Mapping[str, Any]) -> str:
    return facts(
        {
            "registered model": report["registered_name"],
            "champion": f"version {report['version']}",
            "previous champion": f"version {report['previous_version']}" if report["previous_version"] else "none",
            "address for MLflow": report["endpoint"],
            "tracking store": report["tracking_uri"],
            "digest of the model": report["model_digest"],
        }
    )
