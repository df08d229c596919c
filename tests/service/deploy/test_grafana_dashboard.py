"""The dashboard asks for what the service really tells Prometheus, and leaves none of it out."""

import json
import re
from pathlib import Path

import pytest

from service.routes.health import router
from service.telemetry import Telemetry

FILE = Path(__file__).parents[3] / "service/deploy/grafana-dashboard.json"
TEXT = FILE.read_text(encoding="utf-8")
DASHBOARD = json.loads(TEXT)
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

ROWS = [panel for panel in DASHBOARD["panels"] if panel["type"] == "row"]
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
EXPRS = [target["expr"] for target in TARGETS]

SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{(.*?)\}")  # metric{label="value", ...}
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"(.*?)"')
GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\((.*?)\)")
OPERATORS = {"and", "or", "unless", "offset", "bool"}
SCRAPER = {"job", "instance"}  # Prometheus adds them to whatever it scrapes


@pytest.fixture(scope="module")
def families():
    """All metric families after one call of every method that records."""
    telemetry = Telemetry()
    telemetry.loaded("1.0", "2.9", [("tiny", "0123")])
    telemetry.answered(
        route="/v1/encode",
        method="POST",
        status=503,
        seconds=1.0,
        stages_s={"queue": 1.0},
        problem="unavailable",
    )
    telemetry.restarted("model")
    telemetry.image("done")
    telemetry.coded(4, 1.0)
    return list(telemetry.registry.collect())


@pytest.fixture(scope="module")
def exposed(families):
    """Sample -> its labels: x_total of a counter; x_bucket, x_sum and x_count of a histogram."""
    return {sample.name: {*sample.labels} for family in families for sample in family.samples}


def metrics(expr):
    return [name for name, _ in SELECTOR.findall(expr)]


def labels(expr):
    """Labels by which an expression filters, groups or matches."""
    filtered = [label for _, inside in SELECTOR.findall(expr) for label, _ in MATCHER.findall(inside)]
    grouped = [label for inside in GROUPING.findall(expr) for label in re.findall(r"\w+", inside)]
    return {*filtered, *grouped}


def unit(panel):
    if panel["type"] == "heatmap":
        return panel["options"]["yAxis"]["unit"]
    return panel["fieldConfig"]["defaults"]["unit"]


def titles(panels):
    return [panel["title"] for panel in panels]


@pytest.mark.parametrize("expr", EXPRS)
def test_every_metric_is_exposed(expr, exposed):
    assert metrics(expr)
    assert {*metrics(expr)} <= exposed.keys()


@pytest.mark.parametrize("expr", EXPRS)
def test_every_label_is_one_of_the_metric(expr, exposed):
    for metric in metrics(expr):
        assert labels(expr) <= exposed[metric] | SCRAPER


@pytest.mark.parametrize("expr", EXPRS)
def test_every_metric_is_that_of_the_chosen_jobs_and_instances(expr):
    for _, inside in SELECTOR.findall(expr):
        assert inside.startswith('job=~"$job", instance=~"$instance"')
    # What is left has no metric without a selector, which the other tests would not see.
    left = re.sub(r"\[.*?\]", "", GROUPING.sub("", SELECTOR.sub("", expr)))
    assert {*re.findall(r"[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])", left)} <= OPERATORS


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_every_label_of_a_legend_is_in_the_result(target, exposed):
    expr = target["expr"]
    grouped = {label for inside in GROUPING.findall(expr) for label in re.findall(r"\w+", inside)}
    kept = grouped or set.intersection(*(exposed[metric] for metric in metrics(expr))) | SCRAPER
    assert {*re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))} <= kept


def test_no_metric_of_the_service_is_left_unused(families):
    used = {metric for expr in EXPRS for metric in metrics(expr)}
    own = [family for family in families if family.name.startswith("vqvae_")]
    assert own
    assert not [family.name for family in own if used.isdisjoint(sample.name for sample in family.samples)]


def test_the_requests_left_out_are_those_of_probes_and_scrapes():
    left_out = {
        value
        for expr in EXPRS
        for _, inside in SELECTOR.findall(expr)
        for label, value in MATCHER.findall(inside)
        if label == "route"
    }
    (paths,) = left_out  # the same everywhere
    assert {*paths.split("|")} == {"/livez", "/readyz", "/metrics"}
    assert {*paths.split("|")} <= {route.path for route in router.routes}


@pytest.mark.parametrize("panel", PANELS, ids=titles(PANELS))
def test_every_panel_says_what_it_shows_and_in_which_unit(panel):
    assert panel["title"]
    assert re.fullmatch(r"[A-Z].*[^.]\.", panel["description"])
    assert panel["type"] == "table" or unit(panel)  # the table has labels only


@pytest.mark.parametrize("panel", PANELS, ids=titles(PANELS))
def test_every_panel_asks_the_chosen_data_source(panel):
    assert panel["datasource"] == DATASOURCE
    assert all(target.get("datasource", DATASOURCE) == DATASOURCE for target in panel["targets"])
    refs = [target["refId"] for target in panel["targets"]]
    assert len({*refs}) == len(refs)


def test_ids_are_unique_and_panels_do_not_overlap():
    panels = ROWS + PANELS
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for grid in (panel["gridPos"] for panel in panels)
        for x in range(grid["x"], grid["x"] + grid["w"])
        for y in range(grid["y"], grid["y"] + grid["h"])
    ]
    assert len({*cells}) == len(cells)
    assert max(x for x, _ in cells) < 24  # that many columns Grafana has


def test_data_source_job_and_instance_can_be_chosen(exposed):
    source = VARIABLES["datasource"]
    assert (source["type"], source["query"]) == ("datasource", "prometheus")
    for name in "job", "instance":
        assert VARIABLES[name]["datasource"] == DATASOURCE
        metric, label = re.fullmatch(
            r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", VARIABLES[name]["query"]
        ).groups()
        assert (metric in exposed, label) == (True, name)


def test_the_file_is_written_in_one_way():
    assert json.dumps(DASHBOARD, indent=2, ensure_ascii=False) + "\n" == TEXT
