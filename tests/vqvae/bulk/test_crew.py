"""Who gets which piece, and what deaths cost, with workers that do as they are told to."""

import pytest

from vqvae.bulk import ShardWork, Tally
from vqvae.bulk.crew import Death, Ready, run_crew
from vqvae.bulk.plan import Shard
from vqvae.bulk.records import ShardRecord
from vqvae.bulk.shard import NOTHING
from vqvae.errors import BulkError, ModelError

KILLED = Death("was killed by SIGKILL")
ONE = Tally(1, 0, 64)


def piece(name):
    return ShardWork(None, None, Shard(name, ()), None)


def record(name):
    return ShardRecord(name, "", 0, "", 1, 0, 1, 64, ())


class Workers:
    """A crew whose n-th worker says at first, and of its pieces, what the n-th list holds; then it obeys."""

    def __init__(self, *lines):
        self.lines = [list(line) for line in lines]
        self.num_hired = 0
        self.said, self.told, self.gone = [], [], []

    def hire(self):
        self.said.append((self.num_hired, self.next_line(self.num_hired, Ready())))
        self.num_hired += 1

    def messages(self):
        said, self.said = self.said, []
        return iter(said)

    def tell(self, worker, piece):
        self.told.append((worker, piece.shard.name, piece.apart))
        self.said.append((worker, ONE))
        self.said.append((worker, self.next_line(worker, record(piece.shard.name))))

    def dismiss(self, worker):
        self.gone.append(worker)

    def end(self):
        self.gone.append("all")

    def next_line(self, worker, otherwise):
        line = self.lines[worker] if worker < len(self.lines) else []
        return line.pop(0) if line else otherwise


def done(crew, size, names, tallies):
    return [each.file for each in run_crew(crew, size, map(piece, names), tallies.append)]


def test_a_piece_is_taken_only_when_a_worker_is_idle():
    taken = []

    def work():
        for name in "abc":
            taken.append(name)
            yield piece(name)

    crew = Workers()
    records = run_crew(crew, 1, work(), lambda _: None)
    assert next(records).file == "a"
    assert taken == ["a"]
    assert next(records).file == "b"
    assert taken == ["a", "b"]
    records.close()
    assert crew.gone == ["all"]


def test_a_dead_worker_is_replaced_and_its_piece_begun_again_and_counted_once():
    crew, tallies = Workers([Ready(), KILLED]), []
    assert done(crew, 1, "ab", tallies) == ["a", "b"]
    assert crew.told == [(0, "a", False), (1, "a", False), (1, "b", False)]
    assert sum(tallies, NOTHING) == Tally(2, 0, 128)


def test_after_two_deaths_images_are_unpacked_apart_and_after_three_it_is_over():
    crew = Workers(*[[Ready(), KILLED]] * 3)
    with pytest.raises(
        BulkError, match=r"^a worker was killed by SIGKILL in the middle of a, as 2 before it"
    ):
        done(crew, 1, "ab", [])
    assert crew.told == [(0, "a", False), (1, "a", False), (2, "a", True)]
    assert crew.num_hired == 3


def test_a_node_that_goes_while_its_workers_load_does_not_end_the_job():
    assert done(Workers(*[[KILLED]] * 8), 4, "abc", []) == ["a", "b", "c"]
    with pytest.raises(BulkError, match="before its first shard, as 11 before it"):
        done(Workers(*[[KILLED]] * 12), 4, "abc", [])


def test_three_deaths_in_a_row_before_a_first_piece_are_too_many():
    crew = Workers([KILLED], [KILLED], [Ready(), KILLED], [KILLED], [KILLED])
    assert done(crew, 1, "a", []) == ["a"]
    with pytest.raises(BulkError, match="was killed by SIGKILL before its first shard, as 2 before it"):
        done(Workers(*[[KILLED]] * 3), 1, "a", [])


def test_after_a_failure_what_is_under_way_is_finished_and_no_more():
    crew, tallies = Workers([], [Ready(), ModelError("gone")]), []
    with pytest.raises(ModelError):
        done(crew, 2, "abcd", tallies)
    assert [name for _, name, _ in crew.told] == ["a", "b", "c"]  # c before b failed
    assert len(tallies) == 3
