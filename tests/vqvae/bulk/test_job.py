"""A whole job: refused, stopped, killed, gone on with; and always the same bytes in the end."""

import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vqvae import Tokenizer
from vqvae.bulk import InProcess, Options, Tally, open_code_set, plan_job, run_job
from vqvae.bulk.durable import locked
from vqvae.errors import BulkError, ConfigError, DataError

ROOT = Path(__file__).parents[3]

# Runs a job in forks of this process. The first is killed at its first step to the disk, the next one, which
# goes on from there or begins anew, at its second, and so on, until one comes to its end.
DYING = """
import os, signal, sys
import torch
torch.set_num_threads(1)
from vqvae import Tokenizer
from vqvae.bulk import InProcess, Options, plan_job, run_job, shard

photographs, model, out, fresh = sys.argv[1:]
tokenizer = Tokenizer.load(model, parts="encoder")

def run(folder):
    job = plan_job(photographs, folder, model=model, options=Options(shard_size=3))
    run_job(job, InProcess(tokenizer), max_error_rate=1)

def killed_at(step, folder):
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = step
    def dying(function):
        def call(*arguments, **more):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **more)
        return call
    os.fsync, os.replace, os.mkdir = dying(os.fsync), dying(os.replace), dying(os.mkdir)
    shard.encode_images = dying(shard.encode_images)  # in the middle of a shard
    run(folder)
    os._exit(0)

step = 1
while killed_at(step, f"{out}/{step if fresh == 'fresh' else 'one'}"):
    if fresh == "fresh":
        run(f"{out}/{step}")
    step += 1
print(step)
"""


def test_every_image_has_its_row_and_the_last_shard_is_written(finished, files):
    code_set = open_code_set(finished)
    assert [record.num_images for record in code_set.records] == [3, 3, 2]
    assert [row.key for row in code_set.rows()] == sorted(files)
    assert [row.key for row in code_set.rows() if row.error] == ["b/bad.png"]


def test_an_outcome_counts_what_is_there(encode, photographs, tmp_path):
    outcome = encode(photographs, tmp_path / "codes", shard_size=3)
    assert outcome.is_complete
    assert (outcome.num_shards, outcome.num_finished, outcome.num_images, outcome.num_errors) == (3, 3, 8, 1)
    assert outcome.num_codes == 117
    assert outcome.num_bytes == sum(path.stat().st_size for path in (tmp_path / "codes/data").iterdir())
    assert outcome.first_errors[0].startswith("b/bad.png: ")


def test_running_again_changes_nothing(encode, photographs, finished, contents, tmp_path):
    encode(photographs, tmp_path / "codes", shard_size=3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "codes").rglob("*.*")}
    encode(photographs, tmp_path / "codes", shard_size=3)
    assert contents(tmp_path / "codes") == contents(finished)
    assert {path: path.stat().st_mtime_ns for path in before if path.name != ".lock"} == {
        path: time for path, time in before.items() if path.name != ".lock"
    }


@pytest.mark.parametrize(("fresh", "steps"), [("fresh", 25), ("again and again", 5)])
def test_killed_at_every_step_to_the_disk_it_ends_with_the_same_bytes(
    weights, photographs, finished, contents, tmp_path, fresh, steps
):
    done = subprocess.run(
        [sys.executable, "-c", DYING, photographs, weights / "tiny", tmp_path, fresh],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > steps
    for folder in tmp_path.iterdir():
        assert contents(folder) == contents(finished), folder


def test_a_shard_that_is_gone_or_cut_short_is_made_anew(encode, photographs, finished, contents, tmp_path):
    folder = tmp_path / "codes"
    encode(photographs, folder, shard_size=3)
    (folder / "data/codes-00000.parquet").unlink()
    (folder / "data/codes-00001.parquet").write_bytes(b"short")
    (folder / "done/codes-00002.parquet.json").unlink()
    encode(photographs, folder, shard_size=3)
    assert contents(folder) == contents(finished)


def test_a_source_of_tar_shards_gives_the_same_rows(encode, files, finished, tmp_path):
    (tmp_path / "tars").mkdir()
    for name, keys in (("0.tar", sorted(files)[5:]), ("1.tar", sorted(files)[:5])):
        with tarfile.open(tmp_path / "tars" / name, "w") as tar:
            for key in keys:
                member = tarfile.TarInfo(key)
                member.size = len(files[key])
                tar.addfile(member, io.BytesIO(files[key]))
    encode(tmp_path / "tars", tmp_path / "codes", shard_size=3)
    assert_same_shards(tmp_path / "codes", finished)


def test_a_source_of_parquet_gives_the_same_rows(encode, files, finished, tmp_path):
    images = [{"bytes": files[key], "path": key} for key in sorted(files)]
    pq.write_table(pa.table({"image": images}), tmp_path / "images.parquet", row_group_size=2)
    encode(tmp_path / "images.parquet", tmp_path / "codes", shard_size=3)
    assert_same_shards(tmp_path / "codes", finished)


def test_a_source_that_is_a_list_gives_the_same_rows(encode, photographs, files, finished, tmp_path):
    images = shutil.copytree(photographs, tmp_path / "images")
    (images / "list.txt").write_text("\n".join(files))
    encode(images / "list.txt", tmp_path / "codes", shard_size=3)
    assert_same_shards(tmp_path / "codes", finished)


def assert_same_shards(folder, finished):
    shards = sorted(path.name for path in (folder / "data").iterdir())
    assert shards == ["codes-00000.parquet", "codes-00001.parquet", "codes-00002.parquet"]
    for name in shards:
        assert (folder / "data" / name).read_bytes() == (finished / "data" / name).read_bytes()


def test_web_dataset_shards_hold_the_same_rows(encode, photographs, files, finished, tmp_path):
    (tmp_path / "images").mkdir()
    for key in files:  # a folder in which no two images are one sample
        (tmp_path / "images" / key.replace("/", "-")).write_bytes(files[key])
    encode(tmp_path / "images", tmp_path / "codes", shard_size=3, format="webdataset")
    found, expected = open_code_set(tmp_path / "codes"), open_code_set(finished)
    assert [record.file for record in found.records] == [f"codes-0000{number}.tar" for number in range(3)]
    for row, other in zip(found.rows(), expected.rows(), strict=True):
        assert row.key == other.key.replace("/", "-")
        assert (row.source_sha256, row.error) == (other.source_sha256, other.error)
        assert row.codes is None or (row.codes == other.codes).all()
    again = tmp_path / "again"
    encode(tmp_path / "images", again, shard_size=3, format="webdataset")
    for path in (tmp_path / "codes/data").iterdir():
        assert (again / "data" / path.name).read_bytes() == path.read_bytes()


def test_samples_that_would_be_one_are_refused_before_anything_is_written(encode, tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "a.png"):
        (tmp_path / "images" / name).touch()
    with pytest.raises(ConfigError, match="would both be the sample a"):
        encode(tmp_path / "images", tmp_path / "codes", format="webdataset")
    assert not (tmp_path / "codes").exists()


def test_another_model_or_other_options_are_refused(photographs, weights, finished, contents):
    before = contents(finished)
    for model, options, said in (
        ("other", Options(shard_size=3), "space.model was tiny, now other; space.fingerprint was"),
        ("tiny", Options(shard_size=3, size=16), "options.size was 0, now 16"),
    ):
        with pytest.raises(BulkError, match=f"codes was begun otherwise: {said}"):
            plan_job(photographs, finished, model=weights / model, options=options)
    assert contents(finished) == before


def test_a_source_that_changed_is_refused(encode, photographs, tmp_path):
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").write_bytes((photographs / "a/0.png").read_bytes())
    encode(images, tmp_path / "codes")
    (images / "b.png").touch()
    with pytest.raises(BulkError, match=r"the source changed: 1 images are new, b\.png the first"):
        encode(images, tmp_path / "codes")


def test_a_folder_of_other_things_is_left_alone(encode, photographs, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(BulkError, match="holds other files, and no codes"):
        encode(photographs, tmp_path)
    with pytest.raises(BulkError, match="is no folder"):
        encode(photographs, tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    with pytest.raises(DataError, match="does not exist"):
        encode(tmp_path / "nowhere", tmp_path / "codes")


def test_codes_are_not_put_among_the_images(encode, photographs):
    with pytest.raises(BulkError, match=r"lies in .*, whose images it would join"):
        encode(photographs, photographs / "codes")
    assert not (photographs / "codes").exists()


def test_planning_writes_nothing(photographs, weights, tmp_path):
    job = plan_job(photographs, tmp_path / "codes", model=weights / "tiny")
    assert job.finished() == []
    assert [len(shard.keys) for shard in job.shards] == [8]
    assert list(tmp_path.iterdir()) == []


def test_two_runs_at_once_are_refused(encode, photographs, tmp_path):
    (tmp_path / "codes").mkdir()
    with locked(tmp_path / "codes"), pytest.raises(BulkError, match="is being written by another run"):
        encode(photographs, tmp_path / "codes")
    assert encode(photographs, tmp_path / "codes").is_complete


def test_too_many_bad_images_stop_the_job_and_their_rows_stay(encode, tmp_path, photographs, files, contents):
    images = tmp_path / "images"
    images.mkdir()
    for number in range(10):
        bad = number in {1, 2, 3}
        (images / f"{number}.png").write_bytes(b"hello" if bad else files["a/0.png"])
    with pytest.raises(BulkError) as stopped:
        encode(images, tmp_path / "codes", shard_size=2, max_error_rate=0.2)
    said = str(stopped.value)
    assert said.startswith("3 of 4 images so far are bad, more than 0.2 of all 10: 1.png: image must be")
    assert "; 3.png: " in said
    assert len(list((tmp_path / "codes/done").iterdir())) == 2
    with pytest.raises(BulkError, match="3 of 4 images"):  # at once, without more work
        encode(images, tmp_path / "codes", shard_size=2, max_error_rate=0.2)
    assert len(list((tmp_path / "codes/done").iterdir())) == 2
    assert encode(images, tmp_path / "codes", shard_size=2, max_error_rate=0.3).num_errors == 3


def test_a_job_that_is_stopped_ends_at_a_shard_s_edge(encode, photographs, finished, contents, tmp_path):
    answers = iter([False, False, True])
    outcome = encode(photographs, tmp_path / "codes", shard_size=3, is_stopped=lambda: next(answers))
    assert not outcome.is_complete
    assert (outcome.num_finished, outcome.num_images) == (2, 6)
    assert len(list((tmp_path / "codes/data").iterdir())) == 2
    with pytest.raises(BulkError, match="is not finished: 1 of 3 shards are missing"):
        open_code_set(tmp_path / "codes")
    encode(photographs, tmp_path / "codes", shard_size=3)
    assert contents(tmp_path / "codes") == contents(finished)


def test_progress_counts_earlier_runs_but_not_for_the_pace(photographs, weights, encode, tokenizer, tmp_path):
    answers = iter([False, True])
    encode(photographs, tmp_path / "codes", shard_size=3, is_stopped=lambda: next(answers))
    job = plan_job(photographs, tmp_path / "codes", model=weights / "tiny", options=Options(shard_size=3))
    told = []
    run_job(job, InProcess(tokenizer), max_error_rate=1, on_progress=told.append)
    assert (told[0].done, told[0].here, told[0].seconds_left) == (Tally(3, 0, 3 * 960), Tally(0, 0, 0), None)
    assert told[-1].done.num_images == told[-1].num_images == 8
    assert told[-1].here.num_images == 5
    assert told[-1].here.num_errors == told[-1].done.num_errors == 1
    assert told[-1].seconds_left == 0


def test_a_full_disk_is_one_error_and_can_be_gone_on_from(
    encode, photographs, weights, finished, contents, tmp_path
):
    code = f"""
import resource
from vqvae import Tokenizer
from vqvae.bulk import InProcess, Options, plan_job, run_job
from vqvae.errors import BulkError
tokenizer = Tokenizer.load({str(weights / "tiny")!r}, parts="encoder")
options = Options(shard_size=3)
folder = {str(tmp_path / "codes")!r}
job = plan_job({str(photographs)!r}, folder, model={str(weights / "tiny")!r}, options=options)
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))  # as much as the small files take
try:
    run_job(job, InProcess(tokenizer), max_error_rate=1)
except BulkError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.stdout == (
        f"{tmp_path / 'codes/data/codes-00000.parquet'} cannot be written: File too large; what is finished "
        "stays, and the same command goes on from there\n"
    ), done.stderr
    assert list((tmp_path / "codes/data").iterdir()) == []
    encode(photographs, tmp_path / "codes", shard_size=3)
    assert contents(tmp_path / "codes") == contents(finished)


def test_a_model_by_name_is_found(photographs, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("VQVAE_WEIGHTS", str(weights))
    job = plan_job(photographs, tmp_path / "codes", model="tiny", options=Options(size=16))
    outcome = run_job(job, InProcess(Tokenizer.load("tiny", parts="encoder")), max_error_rate=0.2)
    assert outcome.num_codes == 7 * 4
