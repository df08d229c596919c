"""Whole data sets of images to shards of codes, once, so that the result can be trusted.

    from vqvae import bulk

    job = bulk.plan_job("photos", "codes", model="photo-f8", options=bulk.Options(size=256))
    bulk.run_job(job, bulk.Processes("photo-f8", workers=8))

A set of codes is a folder:

    manifest.json        what it is made of and with; the first file that is written
    listing.jsonl        the source's keys and sizes, in the order of the rows
    README.md            for people, and for Hugging Face `datasets`
    data/codes-00000.parquet, ...        or .tar: a row an image, the bad ones too
    done/codes-00000.parquet.json, ...   a shard's hash and counts, written when it is on the disk

Every byte follows from the manifest and the images: not from the number of workers, from kills, from when or
where. There are a plan (`plan.py`), the work of one shard (`shard.py`), and above them engines, who decide
which process does which shard (`engines.py`). That of a Ray cluster is `vqvae.bulk.cluster.OnRay`, with
the extra `cluster`.
"""

from vqvae.bulk.code_set import CodeSet, open_code_set
from vqvae.bulk.dataset import CodeDataset
from vqvae.bulk.engines import Engine, InProcess
from vqvae.bulk.job import MAX_ERROR_RATE, Job, Outcome, Progress, plan_job, run_job
from vqvae.bulk.manifest import Options, read_manifest
from vqvae.bulk.processes import Processes
from vqvae.bulk.shard import ShardWork, Tally, encode_shard
from vqvae.bulk.stats import Stats, picture_of, stats_of
from vqvae.bulk.verification import Sample, Verified, verify

__all__ = [
    "MAX_ERROR_RATE",
    "CodeDataset",
    "CodeSet",
    "Engine",
    "InProcess",
    "Job",
    "Options",
    "Outcome",
    "Processes",
    "Progress",
    "Sample",
    "ShardWork",
    "Stats",
    "Tally",
    "Verified",
    "encode_shard",
    "open_code_set",
    "picture_of",
    "plan_job",
    "read_manifest",
    "run_job",
    "stats_of",
    "verify",
]
