"""What a session keeps and answers, and how its time, its output and its life end."""

import json
import os
import re
import struct
import sys
import textwrap

import pytest
from pools import SMALL, open_pool, wait

from verl_hdpo.tools.failures import ToolUnavailable
from verl_hdpo.tools.sandbox import session as session_module

pytestmark = pytest.mark.slow


def test_variables_and_imports_stay(session):
    assert wait(session.run("import math\nx = 41", 30)).value == ""
    assert wait(session.run("def f(): return x + 1", 30)).value == ""
    assert wait(session.run("print(math.floor(f())); f()", 30)).stdout == "42\n"
    assert wait(session.run("f()", 30)).value == "42"


def test_sessions_share_nothing(pool):
    session, other = wait(pool.session()), wait(pool.session())
    wait(session.run("import math; x = 1; math.pi = 3; open('file', 'w').close()", 30))
    result = wait(other.run("import math, os; print(math.pi, os.listdir('.')); x", 30))
    assert result.stdout == "3.141592653589793 []\n"
    assert result.error.endswith("NameError: name 'x' is not defined\n")


def test_random_numbers_differ_between_sessions(pool):
    code = "import random, numpy; (random.random(), numpy.random.rand())"
    first, second = (wait(wait(pool.session()).run(code, 30)).value for _ in range(2))
    assert first != second


@pytest.mark.parametrize(
    ("code", "stdout", "value"),
    [
        ("1 + 1", "", "2"),
        ("x = 1", "", ""),
        ("None", "", ""),
        ("print('a')\n'b'", "a\n", "'b'"),
        ("", "", ""),
        ("# only this", "", ""),
        ("for i in range(2): i", "", ""),
        ("if True:\n    5", "", ""),
        ("'a' 'ü€😀'", "", "'aü€😀'"),
        ("print('\\ud800')", "?\n", ""),
        ("import sys; sys.stdout.buffer.write(b'\\xff\\n')", "\ufffd\n", "2"),
        ("_ = 5\n_", "", "5"),
        ("__name__", "", "'__main__'"),
    ],
)
def test_output_and_value(session, code, stdout, value):
    result = wait(session.run(code, 30))
    assert (result.status, result.stdout, result.value, result.error) == ("ok", stdout, value, "")


@pytest.mark.parametrize(
    ("code", "last_line"),
    [
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("print(", "SyntaxError: '(' was never closed"),
        ("x = (1,\n  y)", "NameError: name 'y' is not defined"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("exit()", "SystemExit: None"),
        ("input()", "EOFError: EOF when reading a line"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'"),
        ("\0", "source code string cannot contain null bytes"),
        ("class E(Exception):\n    def __str__(self): raise E\nraise E", "E: <exception str() failed>"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("[" * 1000, "too many nested parentheses"),
        ("bytearray(1 << 40)", "MemoryError"),
    ],
)
def test_an_error_is_part_of_the_answer(session, code, last_line):
    result = wait(session.run(code, 30))
    assert result.status == "error"
    assert last_line in result.error.splitlines()[-1]
    assert "verl_hdpo" not in result.error
    assert wait(session.run("1", 30)).value == "1"


def test_a_traceback_shows_the_code(session):
    wait(session.run("def f():\n    return 1 / 0", 30))
    lines = wait(session.run("f()", 30)).error.splitlines()
    assert [line.strip() for line in lines if "File" in line] == [
        'File "<call 2>", line 1, in <module>',
        'File "<call 1>", line 2, in f',
    ]
    assert "    return 1 / 0" in lines


FAILS_ABROAD = {
    "in_the_standard_library": ("import json; json.loads('{')", 'File "json/decoder.py"'),
    "in_a_package": ("import numpy; numpy.linalg.inv(numpy.zeros((2, 2)))", 'File "numpy/linalg/'),
    "in_its_syntax": ("x = (", "SyntaxError: '(' was never closed"),
    "in_its_indentation": ("if True:\nx", "IndentationError"),
    "in_an_import": ("from numpy import not_there", "cannot import name 'not_there'"),
    "in_a_chain": (
        "import json\ntry: json.loads('{')\nexcept ValueError as e:\n"
        "    try: import numpy; numpy.zeros(-1)\n    except ValueError as f: raise KeyError from f",
        "KeyError",
    ),
    "after_another": ("import json\ntry: json.loads('{')\nfinally: json.loads('[')", 'File "json/decoder.py"'),
    "in_a_value": ("class C:\n    def __repr__(self): import json; json.loads('{')\nC()", 'File "json/decoder.py"'),
    "in_a_loop": ("import asyncio\nasync def f(): 1 / 0\nasyncio.run(f())", 'File "asyncio/runners.py"'),
    "with_a_name": ("import json; raise ValueError(json.__file__)", "ValueError: json/__init__.py"),
}


@pytest.mark.parametrize("name", FAILS_ABROAD)
def test_a_traceback_shows_no_directory_of_the_host(name, session):
    code, told = FAILS_ABROAD[name]
    error = wait(session.run(code, 30)).error
    assert told in error
    paths = [part for part in re.findall(r"/[\w.+-]+(?:/[\w.+-]+)+", error) if os.path.exists(part)]
    assert not paths and sys.prefix not in error and sys.base_prefix not in error


def test_a_warning_shows_no_directory_of_the_host(session):
    result = wait(session.run("import numpy; float(numpy.mean([]))", 30))
    assert "RuntimeWarning: Mean of empty slice" in result.stderr
    assert sys.prefix not in result.stderr and "numpy/" in result.stderr


def test_only_the_machinery_s_own_frames_are_left_out(session):
    error = wait(session.run("import ast; ast.literal_eval('x(')", 30)).error
    assert 'File "<call 1>", line 1' in error and 'File "ast.py"' in error


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_escape_by_output_flood(session, stream):
    code = f"import sys\nfor _ in range(20_000): sys.{stream}.write('x' * 10_000)"
    result = wait(session.run(code, 60))
    assert getattr(result, stream) == "x" * 1000 + f"\n... [{200_000_000 - 1000} more bytes not shown]\n"


def test_escape_by_a_long_value_or_error(session):
    assert wait(session.run("'x' * 10_000_000", 30)).value.startswith("'" + "x" * 999 + "\n... [9999002 more bytes")
    error = wait(session.run("raise ValueError('x' * 100_000)", 30)).error
    assert len(error) < 1100 and error.startswith("[99") and error.endswith("x\n")


def test_escape_by_output_past_python(session):
    code = "import os\nfor fd in (0, 1, 2): os.write(fd, b'x' * 1_000_000)\nprint('done')"
    assert wait(session.run(code, 30)).stdout == "done\n"


def test_code_that_runs_out_of_time_is_interrupted_and_the_session_goes_on(session):
    wait(session.run("x = 0", 30))
    result = wait(session.run("print('a')\nwhile True:\n    x += 1", 0.3))
    assert (result.status, result.stdout) == ("interrupted", "a\n")
    assert result.error.endswith("KeyboardInterrupt\n") and result.error.count("File") == 1
    assert wait(session.run("x > 0", 30)).value == "True"
    assert wait(session.run("import time; time.sleep(20)", 1)).status == "interrupted"
    assert wait(session.run("try: time.sleep(20)\nfinally: x = 'tidied'", 1)).status == "interrupted"
    assert wait(session.run("x", 30)).value == "'tidied'"


def test_an_interrupt_never_meets_the_next_call(session):
    """Calls that end as their time does: whether they were interrupted or not, the next one is not."""

    async def run():
        for number in range(40):
            await session.run("import time; time.sleep(0.01)", 0.0101)
            result = await session.run(f"for _ in range(2000): pass\n{number}", 30)
            assert (result.status, result.value) == ("ok", str(number))

    wait(run())


IGNORES_INTERRUPTS = {
    "ignored": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
    "swallowed": "import time\nwhile True:\n    try: time.sleep(9)\n    except BaseException: time.sleep(0)",
    "blocked": "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\nwhile True: pass",
    "in_c": "sum(range(10 ** 12))",
    "stopped": "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("name", IGNORES_INTERRUPTS)
def test_escape_from_the_time_limit(name, session, monkeypatch):
    monkeypatch.setattr(session_module, "GRACE_SECONDS", 0.2)
    monkeypatch.setattr(session_module, "MOST_GRACE", 200)
    result = wait(session.run(IGNORES_INTERRUPTS[name], 0.2))
    assert result.status == "killed"
    assert "of being interrupted" in result.killed_because
    with pytest.raises(ToolUnavailable):
        wait(session.run("1", 30))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("import os; os._exit(0)", "the code ended it"),
        ("import os, time; os.close(3); time.sleep(20)", "the code closed its connection"),
        ("import ctypes; ctypes.string_at(0)", "it crashed (SIGSEGV)"),
        ("import os; os.abort()", "it crashed (SIGABRT)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "it crashed (SIGTERM)"),
        ("import os; os.kill(os.getpid(), 40)", "it crashed (signal 40)"),
        ("import signal; signal.alarm(1); signal.pause()", "it crashed (SIGALRM)"),
        ("while True: pass", f"its {SMALL.cpu_seconds} seconds of CPU time are used up"),
    ],
)
def test_code_that_ends_its_interpreter_is_told_so(session, code, why):
    result = wait(session.run(code, 60))
    assert (result.status, result.killed_because) == ("killed", why)


@pytest.mark.parametrize("call", ["os.kill(os.getpid(), 9)", "signal.raise_signal(9)", "signal.pthread_kill(me, 9)"])
def test_escape_by_a_faked_outage(session, call):
    """A SIGKILL from outside makes an outcome unknown: code that is failing must not be able to send itself one."""
    result = wait(session.run(f"import os, signal, threading\nme = threading.get_ident()\n{call}", 30))
    assert result.status == "error"
    assert "PermissionError" in result.error


@pytest.mark.parametrize(
    "call",
    [
        "fcntl.fcntl(r, 10, 9)",
        "fcntl.fcntl(r, 8, os.getpid())",
        "ctypes.CDLL(None).prctl(22, 1)",
        "resource.setrlimit(resource.RLIMIT_CPU, (1, 1))",
    ],
)
def test_escape_by_a_faked_outage_from_the_kernel(session, call):
    code = f"import ctypes, fcntl, os, resource\nr, w = os.pipe()\nif {call} == -1: raise PermissionError"
    assert "PermissionError" in wait(session.run(code, 30)).error


def forged(header, *blobs, length=None):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    return struct.pack("!I", len(text) if length is None else length) + text + b"".join(blobs)


ANSWER = {"call": 1, "status": "ok", "images": [], "blobs": [0, 0, 0, 0]}
FORGERIES = {
    "noise": b"\xff" * 100,
    "endless_header": forged(b"", length=2**32 - 1),
    "no_json": forged(b"{" * 50),
    "deep_json": forged(b"[" * 60_000),
    "huge_number": forged(b'{"blobs": [' + b"9" * 10_000 + b"]}"),
    "numbers_too_long_to_print": forged(b'{"blobs": [' + b",".join([b"9" * 4300] * 12) + b"]}"),
    "list": forged(b"[1]"),
    "no_blobs": forged({"call": 1}),
    "negative_size": forged({**ANSWER, "blobs": [-1, 1, 0, 0]}),
    "true_size": forged({**ANSWER, "blobs": [True, 0, 0, 0]}),
    "endless_text": forged({**ANSWER, "blobs": [1 << 40, 0, 0, 0]}),
    "long_text": forged({**ANSWER, "blobs": [50_000, 0, 0, 0]}, b"x" * 50_000),
    "too_few_texts": forged({**ANSWER, "blobs": [0]}),
    "too_many_parts": forged({**ANSWER, "blobs": [0] * 10_000}),
    "another_call": forged({**ANSWER, "call": 7}),
    "made_up_status": forged({**ANSWER, "status": "killed"}),
    "image_without_data": forged({**ANSWER, "images": [["RGB", 10, 10]]}),
    "short_image": forged({**ANSWER, "images": [["RGB", 10, 10]], "blobs": [0, 0, 0, 0, 3]}, b"abc"),
    "large_image": forged({**ANSWER, "images": [["L", 1 << 20, 1 << 20]], "blobs": [0, 0, 0, 0, 1]}, b"a"),
    "no_mode": forged({**ANSWER, "images": [[{}, 1, 1]], "blobs": [0, 0, 0, 0, 1]}, b"a"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_escape_by_a_forged_answer(name, session):
    result = wait(session.run(f"import os, time; os.write(3, {FORGERIES[name]!r}); time.sleep(20)", 30))
    assert result.status == "killed"
    assert "in place of an answer" in result.killed_because


def test_text_that_looks_like_an_answer_is_text(session):
    """A forged answer that is well formed says what the code could have printed, and no more."""
    answer = forged({**ANSWER, "blobs": [6, 0, 0, 0]}, b"forged")
    result = wait(session.run(f"import os; os.write(3, {answer!r})", 30))
    assert (result.status, result.stdout) == ("ok", "forged")
    assert wait(session.run("1", 30)).status == "killed"  # the real answer to the call before


def test_what_the_code_may_write_to(pool):
    code = """
    import os, shutil, tempfile
    with open(os.devnull, "w") as nothing: print("x", file=nothing)
    os.makedirs("a/b")
    with open("a/b/file", "w") as file: file.write("text")
    shutil.copy2("a/b/file", "copy"); shutil.copytree("a", "c"); shutil.rmtree("a"); os.rename("copy", "c/copy")
    with tempfile.TemporaryDirectory() as place, tempfile.NamedTemporaryFile(dir=place) as file: file.write(b"x")
    sorted(os.listdir("c")), open("c/copy").read(), os.path.expanduser("~") == os.getcwd()
    """
    session = wait(pool.session())
    assert wait(session.run(textwrap.dedent(code), 30)).value == "(['b', 'copy'], 'text', True)"


def test_memory_of_a_session_is_its_own():
    """The limit counts from what an idle interpreter maps, so that it does not depend on the modules."""
    with open_pool("auto", modules=("numpy", "pandas"), limits=SMALL) as pool:
        session = wait(pool.session())
        result = wait(session.run("x = bytearray(100 << 20); len(x)", 30))
        assert result.value == str(100 << 20)
        assert wait(session.run("y = bytearray(100 << 20)", 30)).error.endswith("MemoryError\n")
