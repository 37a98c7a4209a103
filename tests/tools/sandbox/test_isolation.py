"""Without isolation there is no tool, unless that was asked for."""

import ast
import asyncio
import logging
import subprocess
import sys
import textwrap

import pytest
from pools import BY_MECHANISM, HERE, SMALL, make_pool, wait

from verl_hdpo.tools.sandbox import bubblewrap, isolation, launcher, scratch, zygote_client
from verl_hdpo.tools.sandbox.isolation import SandboxRefused, start_zygote
from verl_hdpo.tools.sandbox.limits import Limits
from verl_hdpo.tools.sandbox.readable import readable_view
from verl_hdpo.tools.sandbox.zygote_client import StartError


@pytest.fixture
def nothing_works(monkeypatch):
    start = zygote_client.ZygoteClient.start

    async def fail(mechanism, limits, modules, memory):
        if mechanism == "none":
            return await start(mechanism, limits, modules, memory)
        raise StartError(f"no {mechanism} today")

    monkeypatch.setattr(isolation.ZygoteClient, "start", fail)
    monkeypatch.setattr(bubblewrap, "program", lambda: None)


def test_refuses_without_isolation_and_says_why(nothing_works):
    with pytest.raises(SandboxRefused) as error:
        wait(start_zygote("auto", False, SMALL, ()))
    for part in ("bubblewrap: not installed", "no namespaces today", "no landlock today", "allow_unsandboxed: true"):
        assert part in str(error.value)


def test_runs_without_isolation_if_told_to_and_says_so(nothing_works, caplog):
    async def run():
        pool = await make_pool("auto", modules=(), allow_unsandboxed=True)
        session = await pool.session()
        result = await session.run("import os; os.path.exists('/etc/passwd'), os.environ.get('SECRET')", 30)
        await pool.close()
        return result

    assert wait(run()).value == "(True, None)"
    assert [(r.levelno, "NOT isolated" in r.message) for r in caplog.records] == [(logging.ERROR, True)]


@pytest.mark.parametrize("mechanism", BY_MECHANISM)
def test_which_isolation_is_in_force_is_logged(mechanism, caplog):
    async def run():
        pool = await make_pool(mechanism, modules=())
        await pool.zygote()
        await pool.close()

    wait(run())
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"isolated by {mechanism} with seccomp and Landlock" in record.message


def boot_with(monkeypatch, *functions):
    """Launchers whose package has other functions: pairs of a name, such as ``landlock.abi``, and what it returns."""
    broken = "import sys; sys.path.insert(0, sys.argv[1]); from verl_hdpo.tools.sandbox import launcher, lockdown\n"
    broken += "".join(f"lockdown.{name} = lambda *a, **k: {value}\n" for name, value in functions)
    monkeypatch.setattr(launcher, "_BOOT", broken + "launcher.main()")


def test_walls_that_do_not_hold_are_noticed(monkeypatch):
    """A wall check that finds the way out ends the zygote."""
    boot_with(monkeypatch, ("seccomp.restrict", None))
    with pytest.raises(StartError, match=r"opens a socket.*starts a process"):
        wait(zygote_client.ZygoteClient.start("landlock", SMALL, ()))


@pytest.mark.skipif("namespaces" not in HERE, reason="there are no namespaces")
@pytest.mark.parametrize("landlock_works", [True, False])
def test_sessions_that_would_share_a_file_tree_need_landlock(monkeypatch, landlock_works):
    broken = [("namespaces.own_scratch", "1 / 0"), ("landlock.abi", "0")]
    boot_with(monkeypatch, *broken[: 1 if landlock_works else 2])

    async def run():
        zygote = await zygote_client.ZygoteClient.start("namespaces", SMALL, ())
        await zygote.close()
        return zygote.in_force["own_mounts"]

    if landlock_works and "landlock" in HERE:
        assert wait(run()) is False
    else:
        with pytest.raises(StartError, match="they could read each other's files"):
            wait(run())


@pytest.mark.skipif(not {"namespaces", "landlock"} <= set(HERE), reason="there are no namespaces or no Landlock")
def test_a_scratch_that_sessions_share_outlasts_one_that_fills_its_share(monkeypatch):
    boot_with(monkeypatch, ("namespaces.own_scratch", "1 / 0"))

    async def run():
        pool = await make_pool("namespaces", limits=Limits(), modules=())
        session = await pool.session()
        result = await session.run("import os; s = os.statvfs('.'); s.f_blocks * s.f_frsize >> 20, s.f_files", 30)
        await pool.close()
        return ast.literal_eval(result.value)

    mib, files = wait(run())
    assert mib >= 16 * Limits().scratch_mb and files >= 16 * scratch.MAX_ENTRIES


def test_the_view_holds_the_interpreter_and_nothing_of_its_user():
    view = readable_view()
    paths = [shown.path for shown in view]
    assert all(path.startswith("/") for path in paths)
    for path in paths:
        assert not any(path.startswith(other + "/") for other in paths), "one inside another"
    import numpy

    assert any(numpy.__file__.startswith(path + "/") for path in paths)
    assert any(asyncio.__file__.startswith(path + "/") for path in paths)
    for private in ("/etc/passwd", "/home", "/root", "/proc", "/sys", "/var", "/tmp", "/run", "/"):
        assert private not in paths


@pytest.mark.parametrize("mechanism", BY_MECHANISM)
def test_packages_below_tmp_are_seen(mechanism, monkeypatch, tmp_path):
    """A virtual environment there must not be covered by what sessions may write to."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "far_away.py").write_text("x = 42")
    monkeypatch.syspath_prepend(str(packages))

    async def run():
        pool = await make_pool(mechanism, modules=("far_away",))
        session = await pool.session()
        result = await session.run("import far_away; open('file', 'w').close(); far_away.x", 30)
        await pool.close()
        return result

    assert wait(run()).value == "42"


@pytest.mark.parametrize("mechanism", [name for name in HERE if name != "landlock"])
def test_tmp_is_the_session_s_own(mechanism, pools):
    seen = readable_view() + (bubblewrap._this_interpreter() if mechanism == "bubblewrap" else [])
    if any(shown.path.startswith("/tmp/") for shown in seen):
        pytest.skip("packages lie below /tmp, so it is theirs")
    pool = pools[mechanism]

    async def run():
        first, second = await pool.session(), await pool.session()
        await first.run("open('/tmp/file', 'w').close()", 30)
        result = await second.run("import os; os.listdir('/tmp'), os.getcwd() == os.path.realpath('/tmp')", 30)
        for session in (first, second):
            session.close()
        return result

    assert wait(run()).value == "([], True)"


@pytest.mark.skipif(bubblewrap.program() is None, reason="bubblewrap is not installed")
def test_of_bubblewrap_s_tree_nothing_but_the_scratch_can_be_written_to():
    """Without Landlock, which would forbid it as well: all sessions see the same tree."""
    code = """
        import os
        def writable(directory):
            try:
                os.mkdir(directory + "/made")
            except OSError:
                return False
            return True
        print([directory for directory in ("/", "/dev", "/dev/shm", "/session") if writable(directory)])
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    command = bubblewrap.wrap(bubblewrap.program(), command, readable_view())
    assert subprocess.run(command, capture_output=True, text=True).stdout == "['/session']\n"


def test_modules_that_are_not_installed_are_left_out():
    async def run():
        zygote = await start_zygote(HERE[0], False, SMALL, ("json", "not_installed.at_all"))
        await zygote.close()
        return zygote.in_force["missing"]

    assert wait(run()) == ["not_installed.at_all"]
