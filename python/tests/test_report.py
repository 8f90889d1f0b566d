"""`dts report`: one content as page and Markdown, true numbers, no network, no console errors, readable on a phone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import dist_training_sim as dts
import pytest
from dist_training_sim.cli import main
from dist_training_sim.errors import ConfigError
from dist_training_sim.reporting import Report
from dist_training_sim.reporting.sections import sections, summary
from dist_training_sim.units import format_seconds

BROWSER = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
STRATEGY = dts.Strategy(tp=2, pp=2, zero=1, global_batch=16)


@pytest.fixture(scope="module")
def made() -> Report:
    return dts.report("llama-3.1-8b", "2xdgx-h100", STRATEGY, seq_len=4096)


@pytest.fixture(scope="module")
def too_large() -> Report:
    return dts.report("llama-3.1-70b", "1xdgx-h100", dts.Strategy(tp=8, global_batch=8), seq_len=4096)


class Outline(HTMLParser):
    """Headings, links to elsewhere, and whether every element that opens closes."""

    VOID = frozenset({"meta", "br", "img", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.headings: list[str] = []
        self.elsewhere: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.stack.append(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action", "data") and value and not value.startswith("#"):
                self.elsewhere.append(value)
            if name == "id" and value:
                self.ids.append(value)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.stack.pop()

    def handle_data(self, data: str) -> None:
        if self.stack and self.stack[-1] in ("h1", "h2"):
            self.headings.append(data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    assert not parser.stack
    return parser


def test_page_is_whole_and_needs_nothing_else(made: Report) -> None:
    page = made.to_html()
    found = outline(page)
    assert found.headings[1:] == [
        *("Inputs", "Timeline", "Where the step goes", "Memory", "What would help", "How sure", "Sources")
    ]
    assert found.elsewhere == []
    assert "<script" not in page
    assert "@import" not in page
    assert not re.search(r"url\((?!['\"]?#)", page)
    assert page.count("<svg") == 5
    assert page == made.to_html()


def test_page_and_markdown_say_what_was_simulated(made: Report) -> None:
    result = dts.simulate("llama-3.1-8b", "2xdgx-h100", STRATEGY, seq_len=4096)
    for text in (made.to_html(), made.to_markdown()):
        assert summary(made) in text
        assert format_seconds(result.step_time_s) in text
        for name in ("forward", "backward", "pipeline bubble", "exposed tensor-parallel"):
            assert name in text
        assert result.interval is not None
        assert format_seconds(result.interval.high90) in text
    assert made.result.breakdown == result.breakdown
    assert made.sources
    assert all(source in made.to_markdown() for source in made.sources)


def test_summary_and_memory_table_give_one_number(too_large: Report) -> None:
    stage = too_large.fit.stages[too_large.fit.fullest.stage]
    used = next(s for s in sections(too_large) if s.title == "Memory").tables[0].rows[stage.stage][2]
    assert f"the fullest device needs {used} of" in summary(too_large)
    assert "It does not fit" in summary(too_large)


def test_advice_is_what_a_simulation_of_it_says(made: Report) -> None:
    assert made.advice
    steps = [advice.step_time_s for advice in made.advice]
    assert steps == sorted(step for step in steps if step is not None)
    for advice in made.advice:
        again = dts.simulate("llama-3.1-8b", "2xdgx-h100", advice.strategy, seq_len=4096, keep_events=False)
        assert again.step_time_s == advice.step_time_s
        assert again.fits
        assert again.step_time_s < 0.995 * made.result.step_time_s
        assert advice.strategy.global_batch == made.result.strategy.global_batch


def test_formulas_and_knobs_stand_on_the_page(made: Report) -> None:
    text = made.to_markdown()
    assert all(advice.words in text for advice in made.advice[:8])
    assert all(formula.part in text for formula in made.explanation.formulas)
    assert made.explanation.sentence in text


def test_remedies_stand_in_the_report_of_a_job_that_does_not_fit(too_large: Report) -> None:
    assert not too_large.fit.fits
    text = too_large.to_markdown()
    assert all(option.changes in text for option in too_large.fit.remedies)


def test_names_are_text_and_never_markup() -> None:
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 512, "vocab_size": 1000}
    config = {"model_type": "llama", "hidden_size": 256, "num_hidden_layers": 2, **heads}
    model = dts.Model.from_hf(config, name="<script>alert(1)</script> & $x$ | pipe")
    made = dts.report(model, "1xdgx-h100", seq_len=128)
    page = made.to_html()
    assert "<script" not in page
    outline(page)
    outline(f"<div>{made._repr_html_()}</div>")
    assert "\\| pipe" in made.to_markdown()


def test_dark_pages_have_dark_figures(made: Report) -> None:
    page = made.to_html(theme="dark")
    assert "--ground: #1B1F24" in page
    assert "#1b1f24" in page.split("<svg")[1]
    with pytest.raises(ConfigError, match="theme: got 'blue'"):
        made.to_html(theme="blue")


def test_a_vision_model_and_a_single_device_have_reports() -> None:
    alone = dts.report("gpt2", "1xdgx-h100", seq_len=1024)
    assert alone.fit.verdict == "fits"
    pictures = dts.report("resnet-50", "1xdgx-h100", dts.Strategy(micro_batch=64))
    assert "samples/s per device" in summary(pictures)
    for made in (alone, pictures):
        outline(made.to_html())


def run(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dist_training_sim", "report", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)


JOB = ("--model", "llama-3.1-8b", "--cluster", "1xdgx-h100", "--zero", "3", "--global-batch", "16", "--seq-len", "4096")


@pytest.mark.parametrize(("name", "begin"), [("a.html", "<!doctype html>"), ("a.md", "# llama-3.1-8b on 1xdgx-h100")])
def test_command_writes_the_page_of_the_suffix(tmp_path: Path, name: str, begin: str) -> None:
    done = run(*JOB, "-o", name, folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("llama-3.1-8b on 1xdgx-h100: a step takes")
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(begin)


def test_command_refuses_other_suffixes_and_prints_json(tmp_path: Path) -> None:
    done = run(*JOB, "--page", "a.pdf", folder=tmp_path)
    assert done.returncode == 2
    assert "error: -o/--page: got 'a.pdf', expected a file that ends in .html or .md" in done.stderr
    done = run(*JOB, "--out", "a.html", folder=tmp_path)
    assert done.returncode == 2
    assert "error: --out: got 'a.html', expected a file for JSON; -o a.html (--page) writes the page" in done.stderr
    assert list(tmp_path.iterdir()) == []
    data = json.loads(run(*JOB, "--json", folder=tmp_path).stdout)
    assert set(data) == {"result", "explanation", "verdict", "oom_probability", "remedies", "sources"}


def test_command_says_so_when_the_job_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page is written all the same; code 3, and the chance on stderr is the page's."""
    page, out = tmp_path / "page.md", tmp_path / "page.json"
    job = ["--model", "llama-3.1-70b", "--cluster", "1xdgx-h100", "--tp", "8", "--global-batch", "8"]
    job += ["--seq-len", "4096"]
    assert main(["report", *job, "--page", str(page), "--out", str(out)]) == 3
    shown, complaint = capsys.readouterr()
    data = json.loads(out.read_text(encoding="utf-8"))
    assert complaint == f"error: does not fit: {data['oom_probability']:.0%} chance of running out of memory\n"
    assert data["result"]["fits"] is False
    assert page.read_text(encoding="utf-8").startswith("# llama-3.1-70b on 1xdgx-h100")
    assert " ".join(shown.split()) in " ".join(page.read_text(encoding="utf-8").replace("**", "").split())


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_command_draws_in_the_theme(theme: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert main(["report", *JOB, "--page", str(page), "--theme", theme]) == 0
    capsys.readouterr()
    strategy = dts.Strategy(zero=3, global_batch=16)
    expected = dts.report("llama-3.1-8b", "1xdgx-h100", strategy, seq_len=4096).to_html(theme=theme)
    assert page.read_text(encoding="utf-8") == expected


def test_command_names_an_unknown_theme(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", *JOB, "--page", str(tmp_path / "page.html"), "--theme", "sepia"]) == 2
    assert re.fullmatch(r"error: (--)?theme: got 'sepia', expected .*light.*dark.*\n", capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


# --- in a browser -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("width", [1280, 390])
def test_page_in_a_browser(made: Report, tmp_path: Path, width: int) -> None:
    """No request but for the page itself, nothing on the console, and no line wider than the window."""
    page = made.to_html().replace("</body>", "<p id=measured></p></body>")
    probe = (
        "<script>addEventListener('load', () => {const m = document.getElementById('measured');"
        "m.textContent = [document.documentElement.scrollWidth, innerWidth,"
        "performance.getEntriesByType('resource').length, document.querySelectorAll('svg').length].join(' ')})</script>"
    )
    (tmp_path / "page.html").write_text(page.replace("</head>", f"{probe}</head>"), encoding="utf-8")
    log = tmp_path / "net.json"
    command = [
        *(
            str(BROWSER),
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--hide-scrollbars",
            "--enable-logging=stderr",
        ),
        *(f"--window-size={width},900", f"--user-data-dir={tmp_path / 'profile'}", f"--log-net-log={log}", "--v=0"),
        *(
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=3000",
        ),
        *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        *("--dump-dom", (tmp_path / "page.html").as_uri()),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    wide, window, requests, drawings = map(int, re.findall(r'id="?measured"?>(\d+) (\d+) (\d+) (\d+)<', done.stdout)[0])
    assert wide <= max(window, width)
    assert requests == 0
    assert drawings == 5
    assert "CONSOLE" not in done.stderr
    if log.is_file():
        hosts = set(re.findall(r'"url":"(https?://[^"]+)"', log.read_text(encoding="utf-8", errors="replace")))
        assert not [url for url in hosts if "google" not in url and "gstatic" not in url]  # the browser's own
