"""The ``treadle`` command: reads arguments, calls what they ask for, turns errors into messages.

Exit codes: 0 done, 1 the script or a pass failed, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence

import treadle
from treadle.dump import EMISSIONS, Request, dump
from treadle.ir.errors import TreadleError
from treadle.ir.pass_manager import DEFAULT_PIPELINE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="treadle", description=treadle.__doc__)
    parser.add_argument("--version", action="version", version=f"treadle {treadle.__version__}")
    parser.add_argument("--debug", action="store_true", help="show Python tracebacks of errors")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser(
        "dump",
        help="run a script and show what its programs were compiled to",
        usage="treadle dump [options] script [-- arguments of the script]",
        description="Runs a script and prints its programs: the IR, its state after each pass, "
        "or every kernel. The script's own output goes to stderr.",
    )
    show.add_argument("script", help="the Python file to run")
    show.add_argument(
        "--emit", choices=EMISSIONS, default="ir",
        help="tensor IR as recorded (default), or the kernels as loop IR, LLVM IR, assembly or "
        "CUDA C",
    )  # fmt: skip
    show.add_argument(
        "--program", default="step", metavar="{step,all,N}",
        help="the program that ran most often (default), all, or the N-th that was built",
    )  # fmt: skip
    show.add_argument(
        "--print-ir-after-all", action="store_true", help="show the IR after each pass too"
    )
    show.add_argument("--why", action="store_true", help="say why values were not fused")
    show.add_argument(
        "-p", "--pass-pipeline", default=DEFAULT_PIPELINE, metavar="PASSES",
        help=f"passes to run (default: {DEFAULT_PIPELINE})",
    )  # fmt: skip
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    end = given.index("--") if "--" in given else len(given)
    options = _parser().parse_args(given[:end])
    request = Request(
        script=options.script,
        arguments=tuple(given[end + 1 :]),
        emit=options.emit,
        program=options.program,
        after_all=options.print_ir_after_all,
        why=options.why,
        pipeline=options.pass_pipeline,
    )
    try:
        dump(request)
    except BrokenPipeError:
        # The reader has seen enough (``| head``); nothing more can be written.
        sys.stderr.close()
        return 0
    except (TreadleError, OSError, ValueError) as error:
        if options.debug:
            traceback.print_exc()
        print(f"treadle: error: {error}", file=sys.stderr)
        return 1
    return 0
