"""The playground in a real Chromium, around the tiny models: what a person does there, and what comes of it.

Where Debian's chromium is missing these tests are skipped.
"""

import base64
import io
import json
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect, sync_playwright

from vqvae.code_grid import CodeGrid
from vqvae.formats import (
    from_code_file,
    from_item,
    from_npy,
    read_document,
    to_code_file,
    to_document,
    to_item,
)
from vqvae.metrics import psnr, ssim
from vqvae.pixels import encode_image
from vqvae.tokenizer import Tokenizer

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium")
PATIENCE_MS = 60_000  # a busy machine is no failure
WIDTH, HEIGHT, F = 404, 300, 8  # no multiples of f; of a grid much larger than a window
ROWS, COLUMNS = 38, 51
TIMES, DASH = "\N{MULTIPLICATION SIGN}", "\N{EN DASH}"

GIVE = """async ([type, text, name]) => {
    const transfer = new DataTransfer();
    const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
    transfer.items.add(new File([bytes], name, { type: "image/png" }));
    const give = (event) => document.body.dispatchEvent(event);
    if (type === "paste") {
        give(new ClipboardEvent(type, { clipboardData: transfer, bubbles: true }));
    } else {
        const how = { dataTransfer: transfer, bubbles: true, cancelable: true };
        for (const each of ["dragover", type]) give(new DragEvent(each, how));
    }
}"""
FOCUSED = "(({ id, name, dataset }) => id || name || dataset.download)(document.activeElement)"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, timeout=PATIENCE_MS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def large_photo():
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).integers(-30, 30, (HEIGHT, WIDTH))
    waves = [128 + 90 * np.sin((a * x + b * y) / 40) for a, b in ((1, 2), (2, -1), (-1, 1))]
    return (np.stack(waves, axis=-1) + noise[..., None]).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def photo_file(large_photo, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "waves.png"
    path.write_bytes(encode_image(large_photo))
    return path


@pytest.fixture(scope="session")
def encoded(tokenizer, large_photo):
    return tokenizer.encode(large_photo)


class Playground:
    """The page, as somebody uses it."""

    def __init__(self, page, url):
        self.page, self.url = page, url
        page.goto(url)

    def __getattr__(self, name):
        return getattr(self.page, name)

    def wait(self):
        """Until something is open, and the picture is that of its codes."""
        self.page.locator("#stage[data-behind=false]").wait_for()

    def open(self, *files):
        """Choose a file, and wait until it is what is shown."""
        (path,) = files
        self.page.set_input_files("#file", path)
        expect(self.page.locator("#status")).to_contain_text(f"{path.name}: ")
        self.wait()

    def choose(self, name, value):
        self.page.locator(f"[name={name}][value={value}]").check()

    def point(self, row, column, pane="#grid"):
        """A point within a cell, where all of the image is in view; of the last ones only half is in it."""
        box = self.page.locator(f"{pane} canvas").bounding_box()
        side = box["width"] * F / WIDTH
        return box["x"] + (column + 0.3) * side, box["y"] + (row + 0.3) * side

    def drag(self, *cells, steps=1):
        self.page.mouse.move(*self.point(*cells[0]))
        self.page.mouse.down()
        for cell in cells[1:]:
            self.page.mouse.move(*self.point(*cell), steps=steps)
        self.page.mouse.up()

    def click(self, row, column, **how):
        self.page.locator("#grid canvas").scroll_into_view_if_needed()
        self.page.mouse.click(*self.point(row, column), **how)

    def download(self, kind):
        with self.page.expect_download() as download:
            self.page.locator(f"[data-download={kind}]").click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    @property
    def codes(self):
        return np.load(io.BytesIO(self.download("npy")[1]))

    @property
    def picture(self):
        return np.asarray(Image.open(io.BytesIO(self.download("png")[1])).convert("RGB"))

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def pixel(self, selector, x, y):
        """A pixel of a canvas on the page."""
        script = "(canvas, [x, y]) => [...canvas.getContext('2d').getImageData(x, y, 1, 1).data]"
        return self.page.locator(selector).evaluate(script, [x, y])


@pytest.fixture
def visit(browser, service):
    """Opens the page; at the end nothing may have been asked of others, and no error be in the console."""
    contexts, complaints, asked = [], [], []

    def visit(url=service.url, *, refused=False, prepare=lambda page: None, **how):
        context = browser.new_context(**({"viewport": {"width": 1440, "height": 900}} | how))
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complain(message, refused))
        page.on("request", lambda request: asked.append((request.url, url)))
        prepare(page)
        return Playground(page, url)

    def complain(message, refused):
        by_browser = refused and "Failed to load resource" in message.text  # of an answer that is no success
        by_test = "willReadFrequently" in message.text  # a canvas that only tests read
        if message.type in ("error", "warning") and not by_browser and not by_test:
            complaints.append(message.text)

    yield visit
    for context in contexts:
        context.close()
    assert complaints == []
    assert [url for url, own in asked if not url.startswith((own, "blob:", "data:"))] == []


@pytest.fixture
def page(visit, photo_file):
    """The page, with the large photograph open."""
    page = visit()
    page.open(photo_file)
    return page


@pytest.fixture(autouse=True, scope="module")
def _patience():
    expect.set_options(timeout=PATIENCE_MS)


def times(codes, code):
    """How often a code occurs, in the page's words."""
    count = int((codes == code).sum())
    return {0: "not", 1: "once", 2: "twice"}.get(count, f"{count} times")


def decoded(tokenizer, codes, width=WIDTH, height=HEIGHT):
    return tokenizer.decode_rgb8(CodeGrid(codes, width, height, tokenizer.space))


# ---- a photograph and what comes of it


def test_it_opens_with_a_sample(visit, client, tokenizer):
    page = visit()
    page.wait()
    data = (ROOT / "service/playground/samples/chelsea.webp").read_bytes()
    answer = client.post("/v1/reconstruct", content=data, headers={"accept": "application/json"})
    item = answer.json()["data"][0]
    size = len(to_code_file(tokenizer.encode(data)))
    assert page.text("[data-figure=psnr]") == f"{item['psnr']:.2f} dB"
    assert page.text("[data-figure=ssim]") == f"{item['ssim']:.3f}"
    assert page.text("[data-figure=upload]") == f"{len(data) / 1000:.1f} kB"
    assert page.text("[data-figure=codes]") == f"{size:,} bytes"
    assert page.text("[data-figure=ratio]") == f"{len(data) / size:.0f} : 1"
    assert page.text("[data-figure=bits]") == f"{item['bits_per_pixel']:.4f}"


@pytest.mark.parametrize("sample", [1, 2, 3])
def test_every_sample_can_be_picked(visit, sample):
    page = visit()
    page.wait()
    button = page.locator("#samples button").nth(sample)
    button.click()
    expect(page.locator("#status")).to_contain_text(f"{button.get_attribute('data-sample')}: ")


def test_a_photograph_can_be_chosen_dropped_and_pasted(visit, photo_file, large_photo, tokenizer, encoded):
    page = visit()
    page.wait()
    text = base64.b64encode(photo_file.read_bytes()).decode()
    for way in ("drop", "paste"):
        page.page.evaluate(GIVE, [way, text, f"{way}.png"])
        expect(page.locator("#status")).to_contain_text(
            f"{way}.png: 404 {TIMES} 300 pixels, 51 {TIMES} 38 codes"
        )
        expect(page.locator("#veil")).to_be_hidden()
    page.open(photo_file)
    assert np.array_equal(page.codes, encoded.codes)
    reconstruction = page.picture
    assert np.array_equal(reconstruction, tokenizer.decode_rgb8(encoded))
    assert page.text("[data-figure=psnr]") == f"{psnr(large_photo, reconstruction):.2f} dB"
    assert page.text("[data-figure=ssim]") == f"{ssim(large_photo, reconstruction):.3f}"


def test_the_divider_parts_original_and_reconstruction(page, large_photo, tokenizer, encoded):
    reconstruction = tokenizer.decode_rgb8(encoded)
    for _ in range(5):
        page.locator("#zoom-in").click()
    page.locator("#picture canvas").scroll_into_view_if_needed()
    box = page.locator("#picture canvas").bounding_box()
    scale = box["width"] / WIDTH * 1.5**5

    def shown(u, v):
        """What the picture shows of the image's pixel (v, u): its middle lies in the pane's."""
        x = box["width"] / 2 + (u + 0.5 - WIDTH / 2) * scale
        y = box["height"] / 2 + (v + 0.5 - HEIGHT / 2) * scale
        page.wait_for_timeout(100)  # for a frame
        return page.pixel("#picture canvas", int(x), int(y))[:3]

    left, right = (WIDTH // 2 - 9, HEIGHT // 2), (WIDTH // 2 + 9, HEIGHT // 2 + 3)
    assert shown(*left) == large_photo[left[1], left[0]].tolist()
    assert shown(*right) == reconstruction[right[1], right[0]].tolist()
    page.locator("#split").focus()
    page.keyboard.press("Home")
    assert shown(*left) == reconstruction[left[1], left[0]].tolist()
    page.keyboard.press("ArrowRight")
    assert float(page.locator("#split").input_value()) == 2
    page.keyboard.press("End")
    assert shown(*right) == large_photo[right[1], right[0]].tolist()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 9, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle)
    page.mouse.up()
    assert float(page.locator("#split").input_value()) == pytest.approx(25, abs=1)


def test_picture_and_grid_zoom_and_move_together(page):
    def middles():
        """The cells in the middles of both panes, as they are told."""
        told = []
        for pane in ("#picture", "#grid"):
            box = page.locator(f"{pane} canvas").bounding_box()
            page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.49)
            told.append(page.text("#cell-where").split(",")[:2])
        return told

    page.locator("#grid").focus()
    page.locator("#grid canvas").scroll_into_view_if_needed()
    whole = middles()
    assert whole[0] == whole[1]
    page.keyboard.press("+")
    page.keyboard.press("+")
    box = page.locator("#grid canvas").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 120)
    page.mouse.up()
    moved = middles()
    assert moved[0] == moved[1] != whole[0]
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    nearer = middles()
    assert nearer[0] == nearer[1]
    page.locator("#zoom-fit").click()
    assert middles() == whole


# ---- the code grid


def test_pointing_at_a_cell_tells_of_it(page, encoded, large_photo, tokenizer):
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.mouse.move(*page.point(20, 30))
    code = int(encoded.codes[20, 30])
    assert page.text("#cell-code") == str(code)
    assert page.text("#cell-where") == f"row 21, column 31, {times(encoded.codes, code)} in this picture"
    for canvas, image in (("original", large_photo), ("here", tokenizer.decode_rgb8(encoded))):
        pixels = [page.pixel(f"#patch-{canvas}", 8 * i + 4, 8 * i + 4)[:3] for i in range(8)]
        assert pixels == [image[160 + i, 240 + i].tolist() for i in range(8)]


def test_a_click_shows_every_place_of_the_code(page, encoded):
    codes, counts = np.unique(encoded.codes, return_counts=True)
    code = codes[np.argmax(counts)]
    here, other = np.argwhere(encoded.codes == code)[0], np.argwhere(encoded.codes != code)[0]

    def brightness(row, column):
        page.wait_for_timeout(100)
        box = page.locator("#grid canvas").bounding_box()
        x, y = page.point(row, column)
        return sum(page.pixel("#grid canvas", int(x - box["x"]), int(y - box["y"]))[:3])

    page.locator("#grid canvas").scroll_into_view_if_needed()
    before = brightness(*here), brightness(*other)
    page.click(*here)
    expect(page.locator("#status")).to_have_text(f"Code {code} occurs {counts.max()} times in this picture.")
    assert page.locator("#brush").input_value() == str(code)
    assert brightness(*here) == before[0]
    assert brightness(*other) < 0.5 * before[1]
    page.locator("#grid").focus()
    page.keyboard.press("Escape")
    assert brightness(*other) == before[1]


def test_a_code_has_one_colour_everywhere(page, encoded):
    page.locator("#grid canvas").scroll_into_view_if_needed()
    box = page.locator("#grid canvas").bounding_box()
    colours = {}
    for row in range(0, ROWS - 1, 6):
        for column in range(0, COLUMNS - 1, 6):
            x, y = page.point(row, column)
            pixel = tuple(page.pixel("#grid canvas", int(x - box["x"]), int(y - box["y"])))
            colours.setdefault(int(encoded.codes[row, column]), set()).add(pixel)
    assert {len(same) for same in colours.values()} == {1}
    assert len(set.union(*colours.values())) == len(colours) > 10


def test_the_keyboard_goes_about_the_grid(page, encoded):
    page.locator("#grid").focus()
    for key in ("Control+End", "ArrowUp", "Home", "ArrowRight"):
        page.keyboard.press(key)
    row, column = ROWS - 2, 1
    cell = page.locator(f"#grid-cell-{row}-{column}")
    assert page.locator("#grid").get_attribute("aria-activedescendant") == cell.get_attribute("id")
    assert cell.get_attribute("role") == "gridcell"
    assert cell.text_content().startswith(f"code {encoded.codes[row, column]}, row {row + 1}, column 2")
    assert page.text("#cell-code") == str(encoded.codes[row, column])
    page.keyboard.press("Enter")
    expect(page.locator("#status")).to_contain_text(f"Code {encoded.codes[row, column]} occurs")


# ---- edits


def test_painting_is_followed_exactly_undone_and_done_again(page, tokenizer, encoded):
    page.choose("tool", "paint")
    page.fill("#brush", "9")
    strokes = [((0, 0), (2, 0)), ((20, 20), (20, 26), (24, 24)), ((ROWS - 1, 40), (ROWS - 1, COLUMNS - 1))]
    expected = encoded.codes.copy()
    page.locator("#grid canvas").scroll_into_view_if_needed()
    for stroke in strokes:
        page.drag(*stroke, steps=3)
    expected[0:3, 0] = expected[20, 20:27] = expected[ROWS - 1, 40:] = 9
    page.wait()
    codes = page.codes
    assert (codes[expected == 9] == 9).all()  # the line between two points is as it may be
    assert 0 <= ((codes == 9) & (expected != 9)).sum() <= 8
    assert np.array_equal(page.picture, decoded(tokenizer, codes))
    for number in range(len(strokes)):
        page.keyboard.press("Control+z")
        page.wait()
        if number == 0:
            assert np.array_equal(page.picture, decoded(tokenizer, page.codes))
    assert np.array_equal(page.codes, encoded.codes)
    assert np.array_equal(page.picture, tokenizer.decode_rgb8(encoded))
    expect(page.locator("#undo")).to_be_disabled()
    for _ in strokes:
        page.locator("#redo").click()
    page.wait()
    assert np.array_equal(page.codes, codes)
    assert np.array_equal(page.picture, decoded(tokenizer, codes))


def test_while_a_window_is_on_its_way_all_that_changes_waits_for_the_next(page, tokenizer):
    asked = []

    def hold_the_first(route):
        asked.append(route)
        if len(asked) > 1:
            route.continue_()

    page.route("**/v1/decode*", hold_the_first)
    page.choose("tool", "paint")
    page.fill("#brush", "3")
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.drag(*[(row, column) for row in range(4, 34, 6) for column in (4, 46)], steps=3)
    page.drag((30, 4), (33, 4))
    assert len(asked) == 1
    asked[0].continue_()
    page.wait()
    assert len(asked) == 2
    assert np.array_equal(page.picture, decoded(tokenizer, page.codes))


def test_a_region_is_copied_and_moved(page, tokenizer, encoded):
    page.choose("tool", "move")
    page.fill("#brush", "7")
    page.locator("#leave").check()
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.drag((2, 3), (5, 8), steps=3)
    page.drag((3, 4), (23, 34), steps=3)
    expected = encoded.codes.copy()
    expected[22:26, 33:39] = encoded.codes[2:6, 3:9]
    page.wait()
    assert np.array_equal(page.codes, expected)
    page.locator("#leave").uncheck()
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.drag((24, 35), (24, 47), steps=3)  # what was put down is selected; some of it goes over the edge
    piece = expected[22:26, 33:39].copy()
    expected[22:26, 33:39] = 7
    expected[22:26, 45:51] = piece
    page.wait()
    assert np.array_equal(page.codes, expected)
    assert np.array_equal(page.picture, decoded(tokenizer, expected))


def test_a_region_is_moved_by_the_keyboard(page, encoded):
    page.choose("tool", "move")
    page.locator("#leave").check()
    page.locator("#grid").focus()
    keys = ["Enter", "ArrowRight", "ArrowDown", "Enter", *["ArrowDown"] * 10, *["ArrowRight"] * 5, "Enter"]
    for key in keys:
        page.keyboard.press(key)
    expected = encoded.codes.copy()
    expected[10:12, 5:7] = encoded.codes[0:2, 0:2]
    page.wait()
    assert np.array_equal(page.codes, expected)


def test_two_codes_are_swapped(page, tokenizer, encoded):
    a, b = (int(encoded.codes[0, 0]), int(encoded.codes[encoded.codes != encoded.codes[0, 0]][0]))
    page.choose("tool", "swap")
    page.click(0, 0)
    page.click(*np.argwhere(encoded.codes == b)[0])
    assert page.locator("#swap-a").input_value() == str(a)
    page.get_by_role("button", name="Swap").click()
    page.wait()
    expected = np.where(encoded.codes == a, b, np.where(encoded.codes == b, a, encoded.codes))
    assert np.array_equal(page.codes, expected)
    assert np.array_equal(page.picture, decoded(tokenizer, expected))


def test_a_busy_service_is_asked_again(visit, photo_file, tokenizer):
    page = visit(refused=True)
    page.open(photo_file)
    busy = {"status": 429, "headers": {"Retry-After": "1"}, "json": {"detail": "the queue is full"}}
    page.route("**/v1/decode*", lambda route: route.fulfill(**busy), times=2)
    page.choose("tool", "paint")
    page.click(5, 5)
    page.wait()
    assert page.text("#problem") == ""
    assert np.array_equal(page.picture, decoded(tokenizer, page.codes))


def test_what_could_not_be_decoded_is_tried_again_on_request(visit, photo_file, tokenizer):
    page = visit(refused=True)
    page.open(photo_file)
    page.route("**/v1/decode*", lambda route: route.abort(), times=1)
    page.choose("tool", "paint")
    page.click(5, 5)
    expect(page.locator("#problem")).to_contain_text("The service does not answer")
    page.get_by_role("button", name="Try again").click()
    page.wait()
    assert page.text("#problem") == ""
    assert np.array_equal(page.picture, decoded(tokenizer, page.codes))


def test_windows_of_the_shipped_model_are_exact(visit, start_service):
    if not (ROOT / "weights/photo-f8/model.json").exists():
        pytest.skip("weights/photo-f8 is not there yet")
    service = start_service(models="photo-f8")
    halo = service.client.get("/v1/models/photo-f8").json()["decoder_halo"]
    assert 1 + 4 * halo > 32 > 1 + 2 * halo  # windows end at some borders of 32x32 codes, and not at others
    page = visit(service.url)
    page.wait()
    page.choose("tool", "paint")
    page.fill("#brush", "1200")
    page.locator("#grid").focus()
    for keys in (["Enter"], ["Control+End", "Enter"], ["Control+Home", *["PageDown"] * 2, "Enter"]):
        for key in keys:
            page.keyboard.press(key)
        page.wait()
    codes = page.codes
    assert (codes[[0, 16, 31], [0, 0, 31]] == 1200).all()
    space = service.client.get("/v1/models/photo-f8").json()["fingerprint"]
    whole = service.client.post("/v1/decode", content=page.download("npy")[1], params={"fingerprint": space})
    assert np.array_equal(page.picture, np.asarray(Image.open(io.BytesIO(whole.content))))


# ---- the codebook


def test_the_codebook_is_shown_searched_and_taken_from(page, tokenizer, encoded):
    page.locator("#codebook summary").click()
    page.locator("#book[aria-rowcount='8']").wait_for()
    page.fill("#find", "41")
    expect(page.locator("#found")).to_have_text(f"Code 41, {times(encoded.codes, 41)} in this picture")
    assert page.locator("#book .cursor").text_content() == "code 41"
    patch = tokenizer.code_patches()[41]
    assert [page.pixel("#found-patch", 16 * i + 8, 8)[:3] for i in range(8)] == patch[0].tolist()
    page.locator("#paint-with").click()
    assert page.locator("#brush").input_value() == "41"
    page.locator("#book").focus()
    page.keyboard.press("Control+Home")
    page.keyboard.press("Enter")
    first = re.match(r"Code (\d+),", page.text("#found"))[1]
    assert page.locator("#book .cursor").text_content() == f"code {first}"
    page.locator("#only-here").check()
    page.choose("cells-as", "patches")
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.mouse.move(*page.point(10, 10))
    expect(page.locator("#patch-alone-item")).to_be_visible()
    patch = tokenizer.code_patches()[encoded.codes[10, 10]]
    assert [page.pixel("#patch-alone", 8 * i + 4, 4)[:3] for i in range(8)] == patch[0].tolist()


def test_likeness_puts_like_beside_like(page):
    random = np.random.default_rng(0)
    num, columns = 250, 16
    features = random.uniform(0, 255, (num, 12))
    script = """async ({ features, num, columns }) => {
        const { sorted } = await import(new URL("playground/likeness.js", document.baseURI));
        return [...sorted({ features: Float32Array.from(features), num, columns })];
    }"""
    things = {"features": features.ravel().tolist(), "num": num, "columns": columns}
    order = page.page.evaluate(script, things)
    assert sorted(order) == list(range(num))
    assert order == page.page.evaluate(script, things)

    def roughness(order):
        return np.mean(np.linalg.norm(np.diff(features[order], axis=0), axis=1))

    assert roughness(order) < 0.85 * roughness(np.arange(num))


# ---- files and lines


def test_codes_are_kept_in_three_forms_and_decoded_again(page, tmp_path, tokenizer, encoded):
    read = {
        "vqc": from_code_file,
        "npy": lambda data: from_npy(data, tokenizer.space, (WIDTH, HEIGHT)),
        "json": lambda data: from_item(read_document(data)[0]),
    }
    picture = page.picture
    for kind, from_bytes in read.items():
        name, data = page.download(kind)
        assert name == f"waves.{kind}"
        assert from_bytes(data) == encoded
        if kind == "vqc":
            assert data == to_code_file(encoded)
            assert page.text("[data-figure=codes]") == f"{len(data):,} bytes"
        (tmp_path / name).write_bytes(data)
    for kind in read:
        page.open(tmp_path / f"waves.{kind}")
        assert np.array_equal(page.codes, encoded.codes)
        shown = page.picture  # an npy file does not know that the image ends within its last cells
        assert shown.shape == ((ROWS * F, COLUMNS * F, 3) if kind == "npy" else picture.shape)
        assert np.array_equal(shown[:HEIGHT, :WIDTH], picture)
        assert page.text("[data-figure=psnr]") == DASH


def test_of_several_items_the_first_is_shown(page, tmp_path, encoded, tokenizer, photo):
    path = tmp_path / "several.json"
    items = [to_item(encoded), to_item(tokenizer.encode(photo), 1, "base64")]
    path.write_text(json.dumps(to_document(items[::-1])))
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_contain_text(f"several.json, the first of 2: 70 {TIMES} 45 pixels")
    assert np.array_equal(page.codes, tokenizer.encode(photo).codes)


def test_npy_files_of_any_make_are_read(page, tmp_path, encoded):
    for number, array in enumerate(
        [
            np.asfortranarray(encoded.codes),
            encoded.codes.astype(">i8"),
            encoded.codes.astype(np.int8),
            encoded.codes.astype("<u4"),
        ]
    ):
        path = tmp_path / f"{number}.npy"
        np.save(path, array)
        page.open(path)
        assert np.array_equal(page.codes, encoded.codes)


@contextmanager
def folder_with(path, folder):
    """A folder that has this file, to run lines in."""
    shutil.copy(path, folder)
    yield folder
    for each in folder.iterdir():
        each.unlink()


def run_lines(page, folder, env=None):
    """Run the lines for the shell, then those for Python; the pictures that both make."""
    made = []
    for shell, selector in ((["bash", "-euc"], "#curl"), ([sys.executable, "-c"], "#python")):
        done = subprocess.run(
            [*shell, page.locator(selector).text_content()],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        (path,) = folder.glob("*-again.png")
        made.append(np.asarray(Image.open(path)))
        path.unlink()
    return made


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl: apt-get install curl")
def test_the_lines_do_what_was_done(page, tmp_path, large_photo):
    odd = tmp_path / "it's a photo.png"
    odd.write_bytes(encode_image(large_photo))
    folder = tmp_path / "folder"
    folder.mkdir()

    def lines_agree(path):
        with folder_with(path, folder):
            for made in run_lines(page, folder):
                assert np.array_equal(made, page.picture)

    page.open(odd)
    lines_agree(odd)
    page.page.select_option("#model", "other")
    expect(page.locator("#curl")).to_contain_text("model=other")
    page.wait()
    lines_agree(odd)
    page.choose("tool", "paint")
    page.click(3, 3)
    page.wait()
    name, data = page.download("vqc")
    edited = tmp_path / name
    edited.write_bytes(data)
    lines_agree(edited)
    npy = tmp_path / "codes.npy"
    npy.write_bytes(page.download("npy")[1])
    page.open(npy)
    lines_agree(npy)


def test_lines_are_copied(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.wait()
    for name in ("curl", "python"):
        page.locator(f"[data-copy={name}]").click()
        expect(page.locator("#status")).to_have_text("Copied.")
        assert page.page.evaluate("navigator.clipboard.readText()") == page.locator(f"#{name}").text_content()


# ---- what goes wrong, and what takes time


def test_problems_are_told_in_the_words_of_the_api(
    visit, client, tmp_path, other_tokenizer, photo_file, encoded
):
    page = visit(refused=True)
    page.open(photo_file)
    cut = tmp_path / "cut.png"
    cut.write_bytes(photo_file.read_bytes()[:900])
    text = tmp_path / "notes.txt"
    text.write_text("no image at all")
    damaged = tmp_path / "damaged.vqc"
    damaged.write_bytes(to_code_file(encoded)[:-1])
    foreign = tmp_path / "foreign.vqc"
    space = type(other_tokenizer.space)("nobody", "ab" * 32, 64, 8)
    foreign.write_bytes(to_code_file(CodeGrid(encoded.codes, WIDTH, HEIGHT, space)))
    too_high = tmp_path / "high.npy"
    np.save(too_high, np.full((3, 3), 64))
    no_json = tmp_path / "codes.json"
    no_json.write_text("{}")
    details = set()
    for path in (cut, text, damaged, foreign, too_high, no_json):
        verb = "encode" if path in (cut, text) else "decode"
        types = {
            ".vqc": "application/vnd.vqvae.codes",
            ".npy": "application/x-npy",
            ".json": "application/json",
        }
        params = {"fingerprint": encoded.space.fingerprint} if path == too_high else {}
        answer = client.post(
            f"/v1/{verb}",
            content=path.read_bytes(),
            params=params,
            headers={"content-type": types.get(path.suffix, "image/png")},
        )
        page.set_input_files("#file", path)
        expect(page.locator("#problem p")).to_have_text(answer.json()["detail"])
        details.add(answer.json()["detail"])
    assert len(details) == 6
    assert np.array_equal(page.codes, encoded.codes)  # what was open still is
    page.open(photo_file)
    assert page.text("#problem") == ""


def test_what_takes_long_says_so(visit, photo_file):
    held = []

    def hold(route):
        held.append(route)

    page = visit()
    page.wait()
    page.route("**/v1/encode*", hold, times=1)
    page.set_input_files("#file", photo_file)
    expect(page.locator("#progress")).to_be_visible()
    expect(page.locator("#status")).to_have_text("Encoding waves.png")
    held[0].continue_()
    expect(page.locator("#status")).to_contain_text(f"waves.png: 404 {TIMES} 300 pixels")
    expect(page.locator("#progress")).to_be_hidden()


def test_a_file_that_is_opened_meanwhile_takes_the_place_of_the_first(visit, photo_file, encoded):
    held = []

    def hold(route):
        held.append(route)

    page = visit()
    page.wait()
    page.route("**/v1/encode*", hold, times=1)
    page.locator("#samples button").nth(1).click()
    expect(page.locator("#progress")).to_be_visible()
    page.open(photo_file)
    expect(page.locator("#progress")).to_be_hidden()
    assert np.array_equal(page.codes, encoded.codes)
    assert page.text("#problem") == ""


def test_a_key_is_asked_for_where_there_are_keys(visit, start_service, weights):
    service = start_service(models=weights / "tiny", api_keys="a-secret")
    page = visit(service.url, refused=True)
    detail = httpx.get(f"{service.url}/v1/models").json()["detail"]
    expect(page.locator("#key-why")).to_have_text(detail)
    page.fill("#key-value", "wrong")
    page.keyboard.press("Enter")
    expect(page.locator("#key-value")).to_have_value("")
    expect(page.locator("#key")).to_be_visible()
    page.fill("#key-value", "a-secret")
    page.get_by_role("button", name="Use it").click()
    page.wait()
    expect(page.locator("#key")).to_be_hidden()
    for lines in ("#curl", "#python"):
        text = page.locator(lines).text_content()
        assert "VQVAE_KEY" in text
        assert "a-secret" not in text
    assert page.page.evaluate("JSON.stringify(localStorage)") == "{}"
    page.reload()
    page.wait()  # it is known for as long as the tab is there


# ---- models and decoders


def test_another_model_encodes_anew(page, other_tokenizer, large_photo):
    assert page.locator("#model option").all_inner_texts() == ["tiny", "other"]
    page.select_option("#model", "other")
    expect(page.locator("#curl")).to_contain_text("model=other")
    page.wait()
    assert np.array_equal(page.codes, other_tokenizer.encode(large_photo).codes)


def test_codes_find_their_model_by_themselves(page, tmp_path, other_tokenizer, large_photo):
    path = tmp_path / "codes.vqc"
    path.write_bytes(to_code_file(other_tokenizer.encode(large_photo)))
    page.open(path)
    assert page.locator("#model").input_value() == "other"
    page.select_option("#model", "tiny")
    expect(page.locator("#status")).to_have_text("These codes are of other; no other model decodes them.")
    assert page.locator("#model").input_value() == "other"


@pytest.fixture(scope="module")
def service_of_two(start_service, two_decoders, weights):
    """A service whose default model has two decoders, and whose other one has one."""
    return start_service(models=f"{two_decoders},{weights / 'other'}")


def test_a_decoder_is_chosen_where_there_are_several(
    visit, service_of_two, two_decoders, photo_file, large_photo, tmp_path
):
    faithful, vivid = Tokenizer.load_decoders(two_decoders)
    page = visit(service_of_two.url)
    page.open(photo_file)
    codes = page.codes
    assert page.locator("#decoder option").all_inner_texts() == ["faithful", "vivid"]
    assert np.array_equal(page.picture, decoded(faithful, codes))
    page.select_option("#decoder", "vivid")
    expect(page.locator("#curl")).to_contain_text("/v1/decode?decoder=vivid")
    page.wait()
    assert np.array_equal(page.codes, codes)  # they are of the model, whoever decodes them
    picture = page.picture
    assert np.array_equal(picture, decoded(vivid, codes))
    assert not np.array_equal(picture, decoded(faithful, codes))
    expect(page.locator("[data-figure=psnr]")).to_have_text(f"{psnr(large_photo, picture):.2f} dB")
    with folder_with(photo_file, tmp_path):
        for made in run_lines(page, tmp_path):
            assert np.array_equal(made, picture)
    page.choose("tool", "paint")
    page.fill("#brush", "9")
    page.drag((2, 2), (2, 12), steps=3)
    page.wait()
    edited = page.codes
    assert (edited[2, 2:13] == 9).all()
    assert np.array_equal(page.picture, decoded(vivid, edited))
    page.locator("#codebook summary").click()
    page.locator("#book[aria-rowcount='8']").wait_for()
    page.fill("#find", "41")
    expect(page.locator("#found")).to_contain_text("Code 41")
    patch = [page.pixel("#found-patch", 16 * i + 8, 8)[:3] for i in range(8)]
    assert patch == vivid.code_patches()[41][0].tolist() != faithful.code_patches()[41][0].tolist()
    page.select_option("#decoder", "faithful")
    expect(page.locator("#curl")).not_to_contain_text("vivid")
    page.wait()
    assert np.array_equal(page.picture, decoded(faithful, edited))
    before = psnr(large_photo, decoded(faithful, codes))
    expect(page.locator("[data-figure=psnr]")).to_have_text(f"{before:.2f} dB")
    assert "before they were edited" in page.text("#figures-note")
    page.select_option("#model", "other")
    expect(page.locator("#decoder-choice")).to_be_hidden()


def test_one_decoder_is_no_choice(page):
    expect(page.locator("#decoder-choice")).to_be_hidden()


# ---- files that browsers and Pillow might take differently


def test_a_turned_photograph_is_turned_on_both_sides(visit, tmp_path, large_photo):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.fromarray(large_photo).save(path, quality=95, exif=exif)
    page = visit()
    page.open(path)
    expect(page.locator("#status")).to_contain_text(f"300 {TIMES} 404 pixels")
    assert page.text("#caption-left") == "Original"
    expect(page.locator("#unshowable")).to_be_hidden()


def test_what_the_browser_cannot_show_is_shown_as_it_came_back(
    visit, tmp_path, large_photo, tokenizer, encoded
):
    path = tmp_path / "photo.tiff"
    Image.fromarray(large_photo).save(path)
    page = visit()
    page.open(path)
    expect(page.locator("#unshowable")).to_contain_text("This browser does not show image/tiff")
    expect(page.locator("#split")).to_be_hidden()
    assert np.array_equal(page.picture, tokenizer.decode_rgb8(encoded))
    assert page.text("[data-figure=psnr]").endswith(" dB")


@pytest.mark.slow
def test_the_largest_image_that_is_allowed_can_be_edited(visit, start_service, tmp_path):
    path = tmp_path / "large.png"
    Image.linear_gradient("L").convert("RGB").resize((4096, 4096)).save(path)
    page = visit(start_service(deadline_s=600, unpack_s=60).url)
    page.context.set_default_timeout(10 * PATIENCE_MS)
    page.set_input_files("#file", path)
    expect(page.locator("#status")).to_contain_text(f"512 {TIMES} 512 codes", timeout=10 * PATIENCE_MS)
    page.choose("tool", "paint")
    page.locator("#grid").focus()
    page.keyboard.press("Enter")
    page.wait()
    assert page.codes.shape == (512, 512)


# ---- for everybody

SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desktop": (1440, 900)}


def violations(page):
    found = Axe().run(page.page).response["violations"]
    return [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["phone", "desktop"])
def test_axe_finds_nothing(visit, size, scheme, tmp_path):
    width, height = SIZES[size]
    page = visit(viewport={"width": width, "height": height}, color_scheme=scheme, refused=True)
    page.wait()
    assert violations(page) == []
    page.locator("#codebook summary").click()
    page.locator("#book[aria-rowcount]").wait_for()
    page.fill("#find", "5")
    page.choose("tool", "swap")
    assert violations(page) == []
    page.choose("tool", "move")
    page.set_input_files("#file", ROOT / "LICENSE")
    expect(page.locator("#problem p")).not_to_be_empty()
    assert violations(page) == []


@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_wider_than_the_screen(visit, size):
    width, height = SIZES[size]
    page = visit(viewport={"width": width, "height": height})
    page.wait()
    page.locator("#codebook summary").click()
    page.locator("#book[aria-rowcount]").wait_for()
    assert page.page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_is_reached_by_tab(visit):
    page = visit()
    page.wait()
    reached = []
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.append(page.page.evaluate(FOCUSED))
    wanted = [
        "theme",
        "file",
        "model",
        "zoom-in",
        "split",
        "tool",
        "grid",
        "cells-as",
        "vqc",
        "curl",
        "python",
    ]
    assert [name for name in wanted if name not in reached] == []
    assert sorted(wanted, key=reached.index) == wanted


def test_it_is_light_or_dark_as_the_system_is_or_as_was_chosen(visit):
    page = visit(color_scheme="dark")
    page.wait()

    def ground():
        return page.page.evaluate("getComputedStyle(document.documentElement).backgroundColor")

    dark = ground()
    page.page.emulate_media(color_scheme="light")
    light = ground()
    assert dark != light
    page.get_by_role("button", name="Dark").click()
    assert ground() == dark
    page.reload()
    assert ground() == dark
    page.get_by_role("button", name="Light").click()
    assert ground() == light


def test_what_is_painted_is_light_or_dark_as_the_rest_is(page, encoded):
    absent = next(code for code in range(64) if code not in encoded.codes)
    page.locator("#codebook summary").click()
    page.locator("#book[aria-rowcount='8']").wait_for()
    page.locator("#only-here").check()
    page.fill("#find", str(absent))
    box = page.locator("#book .cursor").bounding_box()
    left, top, _, _ = page.locator("#book canvas").bounding_box().values()
    dimmed = int(box["x"] - left + box["width"] / 2), int(box["y"] - top + box["height"] / 2)
    page.locator("#grid canvas").scroll_into_view_if_needed()
    side = page.locator("#grid canvas").bounding_box()["width"] * F / WIDTH
    cell = int(20.5 * side), int(10.5 * side)
    line = int(20.5 * side), int(10 * side)

    def painted():
        page.wait_for_timeout(200)  # for a frame
        points = ("#book canvas", dimmed), ("#grid canvas", cell), ("#grid canvas", line)
        return [sum(page.pixel(selector, *point)[:3]) for selector, point in points]

    light = painted()
    page.page.emulate_media(color_scheme="dark")
    dark = painted()
    assert dark[0] < light[0] - 200  # paper lies over the codes that do not occur
    assert dark[1] == light[1]
    assert dark[2] < light[2] - 50  # lines part the cells
    page.get_by_role("button", name="Light").click()
    assert painted() == light


def test_fingers_tap_paint_and_pinch(visit, photo_file, encoded):
    page = visit(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page.open(photo_file)
    page.locator("#grid canvas").scroll_into_view_if_needed()
    page.touchscreen.tap(*page.point(20, 30))
    expect(page.locator("#cell-code")).to_have_text(str(encoded.codes[20, 30]))
    touch = page.context.new_cdp_session(page.page)

    def fingers(kind, *cells):
        points = [dict(zip("xy", page.point(*cell), strict=True), id=i) for i, cell in enumerate(cells)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    page.choose("tool", "paint")
    page.fill("#brush", "11")
    page.locator("#grid canvas").scroll_into_view_if_needed()
    fingers("touchStart", (10, 10))
    fingers("touchMove", (10, 14))
    fingers("touchMove", (10, 20))
    fingers("touchEnd")
    page.wait()
    expected = encoded.codes.copy()
    expected[10, 10:21] = 11
    assert np.array_equal(page.codes, expected)
    page.locator("#grid canvas").scroll_into_view_if_needed()
    expect(page.locator("#zoom-fit")).to_be_disabled()
    fingers("touchStart", (15, 20))
    fingers("touchStart", (15, 20), (20, 30))
    fingers("touchMove", (10, 10), (25, 40))
    fingers("touchEnd")
    expect(page.locator("#zoom-fit")).to_be_enabled()
    assert np.array_equal(page.codes, expected)  # the first finger of two does not paint


def test_a_reload_finds_the_page_in_the_browsers_store_and_it_works(visit):
    page = visit()
    page.wait()
    page.reload()
    page.wait()
    assert page.text("[data-figure=psnr]").endswith(" dB")
