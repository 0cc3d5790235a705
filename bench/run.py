#!/usr/bin/env python3
"""Every measurement, one JSON line a figure: `bench/run.py [NAME ...]`. Names are the files of this folder
without _bench.py."""
import pathlib, subprocess, sys

HERE = pathlib.Path(__file__).resolve().parent


def main():
    wanted = sys.argv[1:]
    failed = 0
    for script in sorted(HERE.glob("*_bench.py")):
        name = script.stem.removesuffix("_bench")
        if wanted and name not in wanted:
            continue
        print(f"# {name}", file=sys.stderr, flush=True)
        failed += subprocess.run([sys.executable, str(script)]).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
