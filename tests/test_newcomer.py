"""A newcomer's way: serve, open the page, drop a photograph, edit a code, save the file, decode it elsewhere.

Elsewhere is a fresh environment without torch. The tests stand in the order of the steps, and each takes
those before it that it needs. Where Debian's chromium is missing, those in the browser are skipped.
"""

import base64
import io
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from vqvae import Tokenizer
from vqvae.formats import from_code_file

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "tests" / "images" / "astronaut.png"  # 250x256: its last column of cells juts out
CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000  # a busy machine is no failure
TIMES = "\N{MULTIPLICATION SIGN}"
ROW, COLUMN = 2, 3

DROP = """async ([data, name]) => {
    const dataTransfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
    dataTransfer.items.add(new File([bytes], name, { type: "image/png" }));
    for (const type of ["dragover", "drop"]) {
        document.body.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    }
}"""

PROGRAM = """
import importlib.util, sys
from pathlib import Path

import vqvae
from vqvae import Client, load_codes

assert Path(vqvae.__file__).is_relative_to(sys.prefix), vqvae.__file__
assert importlib.util.find_spec("torch") is None
address, codes, picture = sys.argv[1:]
with Client(address) as client:
    client.decode(load_codes(codes)).save(picture)
"""


@pytest.fixture(scope="module")
def url(shipped_service):
    return f"http://{shipped_service}"


@pytest.fixture(scope="module")
def page(url):
    """The page, in a browser."""
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    complaints = []
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE_MS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        settle(page)
        yield page
        browser.close()
    assert complaints == []


@pytest.fixture(scope="module")
def dropped(page):
    """The page after a photograph was dropped on it."""
    page.evaluate(DROP, [base64.b64encode(PHOTO.read_bytes()).decode(), PHOTO.name])
    expect(page.locator("#status")).to_contain_text(f"{PHOTO.name}: ")
    settle(page)
    return page


@pytest.fixture(scope="module")
def edited(dropped):
    """The page after one cell was painted, and the code it was painted with."""
    dropped.locator("[name=tool][value=paint]").check()
    dropped.locator("#grid").focus()
    for key in [*["ArrowDown"] * ROW, *["ArrowRight"] * COLUMN]:
        dropped.keyboard.press(key)
    code = (int(dropped.locator("#cell-code").inner_text()) + 1000) % 4096
    dropped.fill("#brush", str(code))
    dropped.locator("#grid").focus()
    dropped.keyboard.press("Enter")
    expect(dropped.locator("#undo")).to_be_enabled()
    settle(dropped)
    return dropped, code


@pytest.fixture(scope="module")
def saved(edited, tmp_path_factory):
    """The file of the edited codes."""
    return download(edited[0], "vqc", tmp_path_factory.mktemp("saved"))


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """The Python of a new virtual environment with the wheel and what the wheel requires."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    install = ["install", "--quiet", "--only-binary=:all:"]
    if pip(python, *install, "--retries=0", "--constraint", ROOT / "constraints.txt", wheel).returncode:
        done = pip(python, *install, "--no-deps", "--no-index", wheel)  # for no index answers
        assert done.returncode == 0, done.stderr
        (site,) = folder.glob("lib/python*/site-packages")
        link_requirements(site)
    return python


def pip(python, *arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def link_requirements(site):
    """Put into an environment what the base install requires, from this one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted, linked = list(project["dependencies"]), set()
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        distribution = metadata.distribution(requirement.name)
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"} - linked:
            (site / top).symlink_to(Path(str(distribution.locate_file(top))))
            linked.add(top)
            wanted += distribution.requires or []


def settle(page):
    """Wait until the picture is that of the codes."""
    page.locator("#stage[data-behind=false]").wait_for()


def download(page, kind, folder):
    with page.expect_download() as file:
        page.locator(f"[data-download={kind}]").click()
    path = folder / file.value.suggested_filename
    file.value.save_as(path)
    return path


def pixels(file):
    return np.asarray(Image.open(file).convert("RGB"))


def test_the_service_answers_once_it_has_started(url):
    assert httpx.get(f"{url}/readyz").status_code == 200
    models = httpx.get(f"{url}/v1/models").json()["data"]
    assert [model["name"] for model in models if model["default"]] == ["photo-f8"]


def test_the_page_opens_on_a_photograph_and_what_comes_back_of_it(page):
    assert page.locator("[data-figure=psnr]").inner_text().endswith(" dB")
    assert page.locator("#grid canvas").is_visible()


def test_a_photograph_that_is_dropped_is_shown_as_its_codes(dropped):
    told = f"{PHOTO.name}: 250 {TIMES} 256 pixels, 32 {TIMES} 32 codes"
    expect(dropped.locator("#status")).to_contain_text(told)


def test_a_cell_is_painted_with_another_code(edited):
    page, code = edited
    assert page.locator("#cell-code").inner_text() == str(code)


def test_the_file_that_is_saved_holds_the_edited_codes(saved, edited):
    grid = from_code_file(saved.read_bytes())
    expected = Tokenizer.load("photo-f8", parts="encoder").encode(PHOTO).codes.copy()
    assert grid.codes[ROW, COLUMN] != expected[ROW, COLUMN]
    expected[ROW, COLUMN] = edited[1]
    assert saved.suffix == ".vqc"
    assert (grid.width, grid.height) == (250, 256)
    assert np.array_equal(grid.codes, expected)


def test_the_wheel_brings_all_that_it_needs_and_no_torch(environment):
    checked = pip(environment, "check")
    assert checked.returncode == 0, checked.stdout
    listed = pip(environment, "list", "--format=freeze").stdout
    assert "vqvae==" in listed
    assert "torch" not in listed


def test_the_doctor_finds_the_fresh_environment_sound_and_says_how_to_get_more(environment, tmp_path):
    command = [environment, "-I", "-m", "vqvae", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "wheel: photo-f8" in done.stdout
    assert "pip install 'vqvae[model]'" in done.stdout
    assert done.stdout.endswith("\nOK\n")


def test_the_client_there_decodes_the_file_to_what_the_page_shows(saved, edited, environment, url, tmp_path):
    again = tmp_path / "again.png"
    command = [environment, "-I", "-c", PROGRAM, url, saved, again]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    headers = {"Content-Type": "application/vnd.vqvae.codes"}
    answer = httpx.post(f"{url}/v1/decode", content=saved.read_bytes(), headers=headers, timeout=60)
    assert np.array_equal(pixels(again), pixels(io.BytesIO(answer.content)))
    assert np.array_equal(pixels(again), pixels(download(edited[0], "png", tmp_path)))
