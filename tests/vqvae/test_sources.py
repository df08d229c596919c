import io
import os
import pickle
import sys
import tarfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vqvae.errors import DataError, MissingExtraError, SourceChangedError
from vqvae.sources import group_of, open_source


def write(root, *names):
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode())


def write_tar(path, *names, mode="w", tar_format=tarfile.PAX_FORMAT):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode, format=tar_format) as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name.encode())
            tar.addfile(member, io.BytesIO(name.encode()))


def write_rows(path, columns, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, **options)


def contents(source):
    return {key: source.read(key).decode() for key in source.keys}


def test_a_folder_gives_the_images_of_its_tree_sorted(tmp_path):
    images = ["a.jpg", "B.JPEG", "c.png", "d.WebP", "e/f.gif", "e/g/h.bmp", "i.tif", "j.TIFF", "ü d.jpg"]
    write(tmp_path, *images, "notes.txt", "k.jpg.part", "jpg", ".hidden.jpg", ".git/l.jpg", "e/.m/n.jpg")
    source = open_source(tmp_path)
    assert list(source.keys) == sorted(images)
    assert contents(source) == {name: name for name in images}


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_gives_the_images_in_it(tmp_path, tar_format):
    images = ["z.jpg", "a/b.png", "long" * 24 + "/" + "name" * 20 + ".jpg"]
    write_tar(tmp_path / "x.tar", *images, "manifest.tsv", "._z.jpg", ".a/b.png", tar_format=tar_format)
    source = open_source(tmp_path / "x.tar")
    assert list(source.keys) == sorted(images)
    assert contents(source) == {name: name for name in images}


def test_a_leading_dot_in_a_tar_is_no_part_of_the_key(tmp_path):
    write_tar(tmp_path / "x.tar", "./a.jpg")
    assert list(open_source(tmp_path / "x.tar").keys) == ["a.jpg"]


def test_folders_and_links_in_a_tar_are_no_images(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name, kind in [("folder.jpg", tarfile.DIRTYPE), ("link.jpg", tarfile.SYMTYPE)]:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/hostname"
            tar.addfile(member)
        tar.addfile(tarfile.TarInfo("empty.jpg"))
    assert contents(open_source(tmp_path / "x.tar")) == {"empty.jpg": ""}


def test_a_folder_gives_shards_and_images_together(tmp_path):
    write_tar(tmp_path / "s-0.tar", "c.jpg", "a.jpg")
    write_tar(tmp_path / "more/s-1.tar", "d.jpg")
    write(tmp_path, "b.jpg", "more/e.jpg")
    expected = {
        "a.jpg": "a.jpg",
        "b.jpg": "b.jpg",
        "c.jpg": "c.jpg",
        "d.jpg": "d.jpg",
        "more/e.jpg": "more/e.jpg",
    }
    assert contents(open_source(tmp_path)) == expected


def test_a_list_is_taken_at_its_word(tmp_path):
    write(tmp_path, "lists/../pictures/b.jpg", "pictures/a.scan", "lists/c.png")
    absolute = tmp_path / "pictures/b.jpg"
    (tmp_path / "lists/train.txt").write_text(f"../pictures/a.scan\n\nc.png\n{absolute}\n")
    source = open_source(tmp_path / "lists/train.txt")
    assert list(source.keys) == sorted(["../pictures/a.scan", "c.png", str(absolute)])
    assert source.read("../pictures/a.scan") == b"pictures/a.scan"


def test_a_key_that_two_images_share_is_an_error_that_names_both(tmp_path):
    write_tar(tmp_path / "0.tar", "a.jpg")
    write_tar(tmp_path / "1.tar", "a.jpg")
    with pytest.raises(DataError, match=r"a\.jpg is in .* twice, in .*0\.tar and in .*1\.tar"):
        open_source(tmp_path)
    write_tar(tmp_path / "2.tar", "b.jpg", "./b.jpg")
    with pytest.raises(DataError, match=r"b\.jpg is in .* twice"):
        open_source(tmp_path / "2.tar")
    (tmp_path / "list.txt").write_text("0.tar\n0.tar\n")
    with pytest.raises(DataError, match=r"0\.tar is in .* twice"):
        open_source(tmp_path / "list.txt")


def test_what_holds_no_images_is_an_error(tmp_path):
    write(tmp_path, "empty/notes.md", "picture.jpg")
    write_tar(tmp_path / "none.tar", "notes.md")
    write_tar(tmp_path / "bare.tar")
    (tmp_path / "blank.txt").write_text("\n \n")
    for name in ["empty", "none.tar", "bare.tar", "blank.txt"]:
        with pytest.raises(DataError, match=f"{name} holds no images"):
            open_source(tmp_path / name)
    with pytest.raises(DataError, match="missing does not exist"):
        open_source(tmp_path / "missing")
    with pytest.raises(
        DataError, match=r"give a folder, a \.tar file, a \.txt list of paths or a \.parquet file"
    ):
        open_source(tmp_path / "picture.jpg")


def test_a_list_with_a_missing_file_names_the_line(tmp_path):
    write(tmp_path, "a.jpg")
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    with pytest.raises(DataError, match=r"list\.txt line 2: there is no file .*b\.jpg"):
        open_source(tmp_path / "list.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="UTF-8"):
        open_source(tmp_path / "binary.txt")


def test_a_damaged_tar_is_an_error_and_not_a_shorter_one(tmp_path):
    path = tmp_path / "x.tar"
    write_tar(path, "a.jpg", "b.jpg", "c.jpg")
    whole = path.read_bytes()
    for damaged in [b"no tar" * 200, whole[:600], whole[:1100], whole[:1024] + b"\1" * 512 + whole[1536:]]:
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.tar is"):
            open_source(path)
    write_tar(path, "a.jpg", mode="w:gz")
    with pytest.raises(DataError, match="uncompressed"):
        open_source(path)


def test_reading_what_is_not_there_is_an_error(tmp_path):
    write(tmp_path, "a.jpg")
    write_tar(tmp_path / "x.tar", "b.jpg")
    source = open_source(tmp_path)
    with pytest.raises(DataError, match="holds no image"):
        source.read("../a.jpg")
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(DataError, match=r"a\.jpg is there no more"):
        source.read("a.jpg")
    os.truncate(tmp_path / "x.tar", 513)
    with pytest.raises(DataError, match=r"b\.jpg should be 5 bytes .*, got 1"):
        source.read("b.jpg")


def test_threads_may_read_one_source(tmp_path):
    names = [f"{number:03}.jpg" for number in range(200)]
    write_tar(tmp_path / "x.tar", *names)
    source = open_source(tmp_path / "x.tar")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(source.read, source.keys)) == [name.encode() for name in names]


BAC = [b"b", b"a", b"c"]


def struct_of(*names):
    """A column as Hugging Face writes images."""
    return pa.array([{"bytes": name.encode(), "path": name} for name in names])


@pytest.mark.parametrize(
    "columns",
    [
        {"image": struct_of("b", "a", "c"), "label": [1, 2, 3]},
        {"image": BAC, "key": ["b", "a", "c"], "url": ["x"] * 3},
        {
            "image": ["no", "bytes", "here"],
            "jpg": pa.array([b"b", b"a", b"c"], pa.large_binary()),
            "id": ["b", "a", "c"],
        },
        {"bytes": BAC, "__key__": ["b", "a", "c"], "path": ["x"] * 3},
    ],
    ids=["Hugging Face", "image and key", "jpg and id", "bytes and __key__"],
)
def test_rows_of_parquet_are_images_in_their_order(tmp_path, columns):
    for row_group_size in (1, 2, 100):
        write_rows(tmp_path / "a.parquet", columns, row_group_size=row_group_size)
        source = open_source(tmp_path / "a.parquet")
        assert list(source.keys) == ["b", "a", "c"]
        assert contents(source) == {"b": "b", "a": "a", "c": "c"}
        assert source.read("b") == b"b"
        assert source.size("b") is None


def test_a_folder_of_parquet_files_is_read_file_by_file(tmp_path):
    write_rows(tmp_path / "d/1.parquet", {"image": struct_of("z", "y")})
    write_rows(tmp_path / "d/0.PARQUET", {"image": struct_of("x")})
    write_rows(tmp_path / "d/.hidden.parquet", {"image": struct_of("w")})
    write(tmp_path, "d/README.md")
    assert contents(open_source(tmp_path)) == {"x": "x", "z": "z", "y": "y"}
    assert list(open_source(tmp_path).keys) == ["x", "z", "y"]


def test_tables_beside_images_are_about_them_and_no_source(tmp_path):
    write_rows(tmp_path / "0.parquet", {"url": ["x"]})  # as img2dataset puts them beside its shards
    write_tar(tmp_path / "0.tar", "a.jpg")
    assert list(open_source(tmp_path).keys) == ["a.jpg"]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"caption": ["a"], "key": ["b"]},
            "has the columns caption, key, none of images; looked for bytes in image",
        ),
        ({"image": [b"x"], "caption": ["a"]}, "has the columns image, caption, none of keys; looked for key"),
        ({"image": [b"x", b"y"], "key": ["a", None]}, "has no key in column `key`, row 1 of row group 0"),
        ({"image": pa.array([{"bytes": b"x", "path": None}])}, r"has no key in column `image\.path`, row 0"),
        ({"image": struct_of("a", "b", "a")}, r"a is in .* twice"),
    ],
)
def test_parquet_without_images_or_keys_is_an_error_that_names_the_columns(tmp_path, columns, said):
    write_rows(tmp_path / "a.parquet", columns)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path / "a.parquet")


def test_a_row_without_bytes_and_a_damaged_file_are_errors(tmp_path):
    write_rows(tmp_path / "a.parquet", {"image": [b"x", None], "key": ["a", "b"]})
    source = open_source(tmp_path / "a.parquet")
    with pytest.raises(DataError, match="b has no bytes in column `image`"):
        source.read("b")
    with pytest.raises(DataError, match="holds no image c"):
        source.read("c")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        open_source(tmp_path / "a.parquet").read("a")
    with pytest.raises(DataError, match=r"a\.parquet cannot be read as Parquet"):
        source.part(["a"]).read("a")


def test_without_pyarrow_parquet_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet")
    with pytest.raises(MissingExtraError, match="reading Parquet files needs the extra `bulk`"):
        open_source(tmp_path / "a.parquet")


def test_sizes_are_those_of_what_is_read(tmp_path):
    write(tmp_path, "a.jpg", "list/../bb.png")
    write_tar(tmp_path / "x.tar", "ccc.jpg")
    source = open_source(tmp_path)
    assert {key: source.size(key) for key in source.keys} == {
        key: len(source.read(key)) for key in source.keys
    }
    assert {key: source.mark(key) for key in source.keys} == {key: source.size(key) for key in source.keys}
    (tmp_path / "a.jpg").unlink()
    assert source.size("a.jpg") is None
    assert source.mark("a.jpg") is None


@pytest.mark.parametrize("wrapped", [False, True], ids=["bytes", "Hugging Face"])
def test_rows_of_parquet_are_marked_by_what_their_group_takes(tmp_path, wrapped):
    def marks(*images):
        files = [{"bytes": image} for image in images] if wrapped else pa.array(images)
        write_rows(tmp_path / "a.parquet", {"image": files, "key": ["b", "a"]})
        source = open_source(tmp_path / "a.parquet")
        return [source.mark(key) for key in source.keys]

    then = marks(b"b", b"a")
    assert then[0] == then[1] > 0
    assert marks(b"b", b"a") == then
    assert marks(b"b", np.random.default_rng(0).bytes(100))[0] >= then[0] + 99


def test_images_that_are_gone_are_a_changed_source_and_links_to_nothing_bad_images(tmp_path):
    write(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "c.jpg").symlink_to(tmp_path / "nothing")
    write_tar(tmp_path / "x.tar", "d.jpg")
    source = open_source(tmp_path)
    with pytest.raises(DataError, match=r"c\.jpg cannot be read: it is a link to nothing") as broken:
        source.read("c.jpg")
    assert not isinstance(broken.value, SourceChangedError)
    (tmp_path / "a.jpg").unlink()
    with pytest.raises(SourceChangedError, match=r"a\.jpg is there no more"):
        source.read("a.jpg")
    (tmp_path / "x.tar").write_bytes(b"")
    with pytest.raises(SourceChangedError, match=r"d\.jpg should be \d+ bytes of .*x\.tar, got 0"):
        source.read("d.jpg")


@pytest.mark.parametrize("kind", ["files", "rows"])
def test_a_part_has_its_keys_in_their_order_and_can_be_sent(tmp_path, kind):
    if kind == "files":
        write(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    else:
        write_rows(tmp_path / "x.parquet", {"image": struct_of("a.jpg", "b.jpg", "c.jpg")})
    part = open_source(tmp_path).part(["c.jpg", "a.jpg"])
    for source in (part, pickle.loads(pickle.dumps(part))):
        assert list(source.keys) == ["c.jpg", "a.jpg"]
        assert contents(source) == {"c.jpg": "c.jpg", "a.jpg": "a.jpg"}
        with pytest.raises(DataError, match=r"holds no image b\.jpg"):
            source.read("b.jpg")


@pytest.mark.parametrize(
    ("key", "group"),
    [
        ("gcompris-qt-data__2117e80613e6.jpg", "gcompris-qt-data"),
        ("a/b/boats__01__02.jpg", "a/b/boats"),
        ("a/b/x.jpg", "a/b"),
        ("a/b/__x.jpg", "a/b"),
        ("a__b/x.jpg", "a__b"),
        ("x.jpg", ""),
        ("__x.jpg", ""),
        ("/abs/x.jpg", "/abs"),
    ],
)
def test_the_group_is_the_folder_and_the_name_before_two_underscores(key, group):
    assert group_of(key) == group
