#!/usr/bin/env python3
"""Two builds of one benchmark side by side, and whether the second is slower (S0-H5).

    python3 tests/bench/compare.py BEFORE/tests/bench/bench_http AFTER/tests/bench/bench_http [--filter REGEX] [--rounds 7] [--limit 5]

The builds take turns, so that what else the machine does hits both; each benchmark's best round counts, because noise only ever adds.
Prints a line a benchmark with the CPU time before and after, and ends with status 1 when one is slower by more than `--limit` per cent.
Run it before and after a change of a hot path; both figures go into the commit.
"""
import argparse
import json
import subprocess
import sys


def measure(program, pattern, seconds):
    output = subprocess.run([program, "--benchmark_format=json", f"--benchmark_filter={pattern}", f"--benchmark_min_time={seconds}"],
                            check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    scale = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    return {row["name"]: row["cpu_time"] * scale[row["time_unit"]] for row in json.loads(output)["benchmarks"]
            if row.get("run_type", "iteration") == "iteration" and "error_message" not in row}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("--filter", default=".")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.2, help="of each benchmark and round")
    parser.add_argument("--limit", type=float, default=5, help="per cent that it may be slower")
    options = parser.parse_args()
    if options.before == options.after:
        sys.exit("the same program twice: build the other revision into a folder of its own (git worktree add)")
    best = {options.before: {}, options.after: {}}
    for _ in range(options.rounds):
        for program, times in best.items():
            for name, time in measure(program, options.filter, options.seconds).items():
                times[name] = min(time, times.get(name, time))
    before, after = best[options.before], best[options.after]
    if not before.keys() & after.keys():
        sys.exit("the two programs have no benchmark in common")
    slower = []
    for name in before:
        if name not in after:
            print(f"{name:40} is gone")
            continue
        change = 100 * (after[name] / before[name] - 1)
        print(f"{name:40} {before[name]:14,.1f} ns {after[name]:14,.1f} ns {change:+7.1f} %")
        if change > options.limit:
            slower.append(name)
    if slower:
        sys.exit(f"slower by more than {options.limit:g} %: {', '.join(slower)}")


if __name__ == "__main__":
    main()
