"""Prints how far operators agree: ``python -m tests.frontend.opinfo.report 'name regex'``."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path

from tests.frontend.opinfo.harness import (
    DTYPES,
    Count,
    compare,
    compare_errors,
    label,
    operators,
)


def main() -> None:
    """Runs the operators whose names match and prints one line each, then totals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--dtypes", default=",".join(DTYPES))
    parser.add_argument("--limit", type=int, default=None, help="samples for each operator")
    parser.add_argument("--errors", action="store_true", help="error inputs too")
    parser.add_argument("--verbose", action="store_true", help="every failure, not the first three")
    parser.add_argument("--json", type=Path, help="where to write the figures of every operator")
    options = parser.parse_args()
    figures = {}
    totals = {"forward": Count(), "gradient": Count(), "variants": Count(), "errors": Count()}
    for op in operators():
        if not re.search(options.pattern, label(op)):
            continue
        started = time.perf_counter()
        line = dict.fromkeys(totals, (0, 0))
        failures: list[str] = []
        for dtype in options.dtypes.split(","):
            outcome = compare(op, dtype, options.limit)
            for kind in ("forward", "gradient", "variants"):
                count = getattr(outcome, kind)
                line[kind] = (line[kind][0] + count.agreed, line[kind][1] + count.total)
                failures += [f"{kind} {text}" for text in count.failures]
        if options.errors:
            count = compare_errors(op)
            line["errors"] = (count.agreed, count.total)
            failures += [f"errors {text}" for text in count.failures]
        figures[label(op)] = line
        for kind, (agreed, total) in line.items():
            totals[kind].agreed += agreed
            totals[kind].total += total
        shown = "  ".join(f"{kind} {a}/{t}" for kind, (a, t) in line.items() if t)
        mark = "ok  " if not failures else "FAIL"
        print(f"{mark} {label(op)}  {shown}  {time.perf_counter() - started:.1f}s", flush=True)
        for text in failures if options.verbose else failures[:3]:
            print(f"       {text}")
    if options.json:
        rows = [f"{json.dumps(name)}: {json.dumps(figures[name])}" for name in sorted(figures)]
        options.json.write_text("{\n" + ",\n".join(rows) + "\n}\n")
    for kind, count in totals.items():
        if count.total:
            print(f"{kind}: {count.agreed}/{count.total} = {count.agreed / count.total:.2%}")


if __name__ == "__main__":
    main()
