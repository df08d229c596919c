"""A set of codes for PyTorch: images as codes, by number.

Shapes: h w grid height and width.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from vqvae.bulk.code_set import open_code_set
from vqvae.code_grid import CodeSpace


class CodeDataset(Dataset[Tensor]):
    """The codes of all images that could be encoded, in the order of the rows: (h, w) int64 each.

    They are all in memory, at two bytes a code (four where K > 65536), which the workers of a DataLoader
    share. For more than that, `datasets.load_dataset` reads the same folder from the disk.

    BulkError where the folder is no finished set, FormatError where a shard is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        code_set = open_code_set(folder)
        self.space: CodeSpace = code_set.manifest.space
        num_codes = sum(record.num_codes for record in code_set.records)
        num_images = sum(record.num_images - record.num_errors for record in code_set.records)
        codes = np.empty(num_codes, self.space.dtype)
        grids = np.empty((num_images, 2), np.int64)
        keys: list[str] = []
        start = 0
        for row in code_set.rows():
            if row.codes is not None:
                codes[start : start + row.codes.size] = row.codes.ravel()
                grids[len(keys)] = row.codes.shape
                start += row.codes.size
                keys.append(row.key)
        self.keys = tuple(keys)
        # tensors, for DataLoader puts them into shared memory where it has to pass them on
        self._codes = torch.from_numpy(codes)
        self._grids = torch.from_numpy(grids)
        self._ends = self._grids.prod(1).cumsum(0)

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, index: int) -> Tensor:
        if not -len(self) <= index < len(self):
            raise IndexError(f"there are {len(self)} images, got index {index}")
        h, w = self._grids[index].tolist()
        end = int(self._ends[index])
        return self._codes[end - h * w : end].long().view(h, w)
