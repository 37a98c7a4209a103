"""Runs code like a notebook cell: names stay, the last expression's value counts."""

from __future__ import annotations

import ast
import io
import itertools
import linecache
import os
import signal
import sys
import traceback
import types
from _signal import getsignal  # signal's own makes an enum, at a tenth of a call's time
from dataclasses import dataclass, field
from typing import Any, Literal

from verl_hdpo.tools.sandbox import host_paths
from verl_hdpo.tools.sandbox.captured_text import CapturedText, cut, cut_head
from verl_hdpo.tools.sandbox.display import Display
from verl_hdpo.tools.sandbox.frames import Pixels
from verl_hdpo.tools.sandbox.limits import Limits

_HERE = os.path.dirname(__file__)

Status = Literal["ok", "error", "interrupted"]


@dataclass
class Execution:
    """What a call left: texts in UTF-8, ``value`` the last expression's ``repr``."""

    status: Status = "ok"
    stdout: bytes = b""
    stderr: bytes = b""
    value: bytes = b""
    error: bytes = b""
    images: list[Pixels] = field(default_factory=list)


class Interpreter:
    """One namespace, ``__main__``'s, for all calls."""

    def __init__(self, limits: Limits):
        self.limits = limits
        self.display = Display(limits)
        self.display.take_over()
        main = types.ModuleType("__main__")
        sys.modules["__main__"] = main
        self.namespace = main.__dict__
        self.namespace["display"] = self.display.show
        self._calls = 0
        self._running = False
        self._interrupted = False
        self._handler = self._on_interrupt
        self._host_paths = host_paths.pattern()

    def run(self, code: str) -> Execution:
        """Run ``code``; an error of it, or an interrupt, is part of the execution."""
        self._calls += 1
        name = f"<call {self._calls}>"
        limit = self.limits.output_chars
        stdout, stderr = CapturedText(limit), CapturedText(limit)
        sys.stdout, sys.stderr, sys.stdin = stdout, stderr, io.StringIO()
        self.display.begin()
        execution = Execution()
        self._interrupted = False
        if getsignal(signal.SIGINT) is not self._handler:
            signal.signal(signal.SIGINT, self._handler)
        try:
            self._running = True
            value = self._execute(code, name)
            execution.value = self._shown(value)
            self.display.show_open_figures()
            self._running = False
        except BaseException as error:
            self._running = False
            execution.status = "interrupted" if self._interrupted else "error"
            execution.error = self._described(error)
        for note in self.display.notes:
            print(f"[{note}]", file=stderr)
        execution.stdout, execution.images = stdout.taken(), self.display.shown
        execution.stderr = self._host_paths.sub(b"", stderr.taken())  # a warning names the file it comes from
        return execution

    def _on_interrupt(self, signum: int, frame: Any) -> None:
        if self._running:
            self._interrupted = True
            raise KeyboardInterrupt

    def _execute(self, code: str, name: str) -> Any:
        linecache.cache[name] = (len(code), None, f"{code}\n".splitlines(keepends=True), name)
        tree = ast.parse(code, name)
        last = tree.body[-1] if tree.body else None
        if isinstance(last, ast.Expr):
            tree.body.pop()
        if tree.body:
            exec(compile(tree, name, "exec"), self.namespace)  # nosec B102
        if not isinstance(last, ast.Expr):
            return None
        return eval(compile(ast.Expression(last.value), name, "eval"), self.namespace)  # nosec B307

    def _shown(self, value: Any) -> bytes:
        if value is None:
            return b""
        self.namespace["_"] = value
        if self.display.is_picture(value):
            pyplot = sys.modules.get("matplotlib.pyplot")
            if pyplot is None or getattr(value, "number", None) not in pyplot.get_fignums():
                self.display.show(value)
            return b""
        return cut(repr(value).encode("utf-8", "replace"), self.limits.output_chars)

    def _described(self, error: BaseException) -> bytes:
        """The traceback without this package's frames and without the host's directories."""
        try:
            report = traceback.TracebackException.from_exception(error)
            frames = itertools.dropwhile(lambda frame: frame.filename.startswith((_HERE, ast.__file__)), report.stack)
            report.stack = traceback.StackSummary.from_list(f for f in frames if not f.filename.startswith(_HERE))
            text = "".join(report.format())
        except BaseException:
            text = type(error).__name__
        shown = self._host_paths.sub(b"", text.encode("utf-8", "replace"))
        return cut_head(shown, self.limits.output_chars)
