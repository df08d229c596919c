import pytest
import torch
from torch.utils.data import DataLoader

from vqvae.bulk import CodeDataset
from vqvae.errors import BulkError, FormatError
from vqvae.pixels import decode_image


def test_it_holds_the_codes_of_every_good_image(finished, files, tokenizer):
    dataset = CodeDataset(finished)
    assert dataset.space == tokenizer.space
    assert dataset.keys == tuple(key for key in sorted(files) if key != "b/bad.png")
    assert len(dataset) == 7
    for key, codes in zip(dataset.keys, dataset, strict=True):
        expected = tokenizer.encode(decode_image(files[key])).codes
        assert codes.dtype == torch.int64
        assert codes.tolist() == expected.tolist()
    assert torch.equal(dataset[-1], dataset[6])


@pytest.mark.parametrize("index", [7, -8])
def test_an_index_out_of_range_is_an_index_error(finished, index):
    with pytest.raises(IndexError, match=f"there are 7 images, got index {index}"):
        CodeDataset(finished)[index]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_stacks_codes_of_one_size(encode, photographs, tmp_path, workers):
    encode(photographs, tmp_path / "codes", size=16, shard_size=3)
    dataset = CodeDataset(tmp_path / "codes")
    loader = DataLoader(dataset, batch_size=3, num_workers=workers)
    batches = list(loader)
    assert [tuple(batch.shape) for batch in batches] == [(3, 2, 2), (3, 2, 2), (1, 2, 2)]
    assert torch.equal(torch.cat(batches), torch.stack(list(dataset)))


def test_it_reads_web_dataset_shards_too(encode, photographs, finished, tmp_path):
    encode(photographs / "a", tmp_path / "codes", format="webdataset")
    expected = CodeDataset(finished)
    for codes, other in zip(CodeDataset(tmp_path / "codes"), expected, strict=False):
        assert torch.equal(codes, other)


@pytest.mark.parametrize("format_", ["parquet", "webdataset"])
def test_a_changed_bit_is_no_code(encode, photographs, tmp_path, format_):
    encode(photographs, tmp_path, format=format_)
    shard = next((tmp_path / "data").iterdir())
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    with pytest.raises(FormatError, match="is damaged: its SHA-256 is not the one in its record"):
        CodeDataset(tmp_path)


def test_an_unfinished_set_is_refused(encode, photographs, tmp_path):
    encode(photographs, tmp_path / "codes", is_stopped=lambda: True)
    with pytest.raises(BulkError, match="is not finished"):
        CodeDataset(tmp_path / "codes")
    with pytest.raises(BulkError, match="holds no codes"):
        CodeDataset(tmp_path)
