"""Local search over a synthetic corpus: its build, and queries per second of the index and of the tool around it.

    python benchmarks/search.py --passages 1000000

Words follow Zipf's law over a vocabulary of half a million, passages have 50 to 150 of them. A query is 3 to 8 words
of one passage, so it has common and rare words as real ones do. Writes outputs/bench/search.json.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import numpy as np

from verl_hdpo.tools.search.corpus import Columns, passages
from verl_hdpo.tools.search.index_build import build
from verl_hdpo.tools.search.local_index import OpenIndex

OUT = Path(__file__).parents[1] / "outputs" / "bench" / "search.json"
VOCABULARY, EXPONENT = 500_000, 1.07
WORDS_PER_PASSAGE = (50, 150)
TOPK = 3


def vocabulary() -> np.ndarray:
    """Distinct pronounceable words, the short ones first, as in language."""
    syllables = [consonant + vowel for consonant in "bcdfghjklmnprstvz" for vowel in "aeiou"]
    words, longer = [], [""]
    while len(words) < VOCABULARY:
        longer = [word + syllable for word in longer for syllable in syllables]
        words += longer[: VOCABULARY - len(words)]
    return np.array(words, dtype=object)


class Texts:
    """Random texts, the same for the same seed."""

    def __init__(self, seed: int):
        self._random = np.random.default_rng(seed)
        weights = 1.0 / np.arange(1, VOCABULARY + 1) ** EXPONENT
        self._cumulative = np.cumsum(weights) / weights.sum()
        self._words = vocabulary()

    def batch(self, count: int) -> list[list[str]]:
        lengths = self._random.integers(*WORDS_PER_PASSAGE, size=count, endpoint=True)
        drawn = self._words[np.searchsorted(self._cumulative, self._random.random(lengths.sum()))]
        return [list(words) for words in np.split(drawn, np.cumsum(lengths)[:-1])]

    def query(self, passage: list[str]) -> str:
        return " ".join(self._random.choice(passage, size=self._random.integers(3, 8, endpoint=True), replace=False))


def write_corpus(file: Path, count: int, queries: int) -> list[str]:
    """Write ``count`` passages; gives queries made of some of them."""
    texts, asked, step = Texts(seed=1), [], max(1, count // queries)
    with file.open("w") as out:
        for start in range(0, count, 1000):
            for number, words in enumerate(texts.batch(min(1000, count - start)), start):
                title, text = " ".join(words[:3]), " ".join(words[3:])
                out.write(json.dumps({"id": str(number), "title": title, "text": text}) + "\n")
                if number % step == 0 and len(asked) < queries:
                    asked.append(texts.query(words))
    return asked


def latencies(index: OpenIndex, queries: list[str]) -> list[float]:
    seconds = []
    for query in queries:
        start = time.perf_counter()
        index.search(query, TOPK)
        seconds.append(time.perf_counter() - start)
    return seconds


def summary(seconds: list[float], wall: float, cpu: float) -> dict[str, float]:
    """Queries per second of wall time, and what one costs: seconds of CPU are nearly the same on a busy machine."""
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    rate, cost = len(seconds) / wall, cpu / len(seconds) * 1e3
    return {
        "per_second": round(rate, 1),
        "p50_ms": round(p50, 3),
        "p99_ms": round(p99, 3),
        "cpu_ms_per_query": round(cost, 3),
    }


def through_the_tool(folder: Path, queries: list[str], at_once: int) -> dict[str, float]:
    """``at_once`` trajectories that search one query after the other, in one process."""
    from verl_hdpo.tools.text_search import TextSearchTool

    tool = TextSearchTool({"type": "native", "provider": {"kind": "index", "path": str(folder)}, "topk": TOPK})
    seconds: list[float] = []

    async def trajectory(mine: list[str]) -> None:
        for query in mine:
            start = time.perf_counter()
            await tool.execute("", {"query": query})
            seconds.append(time.perf_counter() - start)

    async def run() -> None:
        await asyncio.gather(*(trajectory(queries[i::at_once]) for i in range(at_once)))

    start, cpu = time.perf_counter(), time.process_time()
    asyncio.run(run())
    return summary(seconds, time.perf_counter() - start, time.process_time() - cpu)


def own_memory_mib() -> float:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def worker(folder: Path, file: Path) -> None:
    """One of several processes: waits for its start, then searches all queries of ``file``."""
    before, index = own_memory_mib(), OpenIndex(folder)
    queries = json.loads(file.read_text())
    print("ready", flush=True)
    sys.stdin.readline()
    cpu = time.process_time()
    seconds = latencies(index, queries)
    own = own_memory_mib() - before
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - cpu, "own_mib": own}), flush=True)


def in_processes(folder: Path, file: Path, count: int) -> dict[str, float]:
    """``count`` processes over the same files at the same time."""
    command = [sys.executable, __file__, "--worker", str(folder), str(file)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(count)]
    for process in workers:
        assert process.stdout.readline() == "ready\n"
    start = time.perf_counter()
    for process in workers:
        process.stdin.write("go\n")
        process.stdin.flush()
    with ThreadPoolExecutor(count) as threads:
        found = [json.loads(done[0]) for done in threads.map(lambda process: process.communicate(), workers)]
    wall = time.perf_counter() - start
    seconds = [one for worker in found for one in worker["seconds"]]
    own = round(float(np.mean([one["own_mib"] for one in found])), 1)
    return {**summary(seconds, wall, sum(worker["cpu"] for worker in found)), "own_memory_mib": own}


def measure(folder: Path, count: int, queries: int, threads: int) -> dict[str, object]:
    corpus, index_folder, asked_file = folder / "corpus.jsonl", folder / "index", folder / "queries.json"
    asked = write_corpus(corpus, count, queries)
    asked_file.write_text(json.dumps(asked))
    start, cpu = time.perf_counter(), time.process_time()
    build(passages([corpus], Columns()), index_folder, "english", threads)
    built, built_cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    latencies(OpenIndex(index_folder), asked)  # brings the files into the page cache
    return {
        "passages": count,
        "corpus_mib": round(corpus.stat().st_size / 2**20, 1),
        "index_mib": round(sum(file.stat().st_size for file in index_folder.iterdir()) / 2**20, 1),
        "build_seconds": round(built, 1),
        "build_cpu_seconds": round(built_cpu, 1),
        "build_peak_memory_mib": round(peak, 1),
        "queries": len(asked),
        "topk": TOPK,
        "processes": {n: in_processes(index_folder, asked_file, n) for n in (1, 2)},
        "tool": {n: through_the_tool(index_folder, asked, n) for n in (1, 32, 256)},
        "machine": {"cores": os.cpu_count(), "python": platform.python_version(), "load_before": os.getloadavg()[0]},
    }


@click.command()
@click.option("--passages", "count", default=1_000_000, show_default=True)
@click.option("--queries", default=2000, show_default=True)
@click.option("--threads", default=0, show_default=True, help="Of the indexer; 0: one per core, at most 8.")
@click.option("--worker", "worker_of", nargs=2, type=click.Path(path_type=Path), hidden=True)
def main(count: int, queries: int, threads: int, worker_of: tuple[Path, Path] | None) -> None:
    """Build the corpus and its index in a folder that is removed afterwards, measure, and print the figures."""
    if worker_of:
        worker(*worker_of)
        return
    with tempfile.TemporaryDirectory(prefix="bench-search-") as folder:
        found = measure(Path(folder), count, queries, threads)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(found, indent=2) + "\n")
    click.echo(OUT.read_text())


if __name__ == "__main__":
    main()
