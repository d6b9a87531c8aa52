"""Files that are there whole or not at all, whoever writes them and whatever happens in between."""

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from drm import whole_file
from drm.whole_file import TargetError, WholeFile, sync_folder, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ------------------------------------------------------------------------------------------------ whole or not there
def test_it_appears_at_the_end_and_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with WholeFile(target) as file:
        os.write(file.descriptor, b"first ")
        assert not target.exists()
        os.write(file.descriptor, b"second")
        assert os.pread(file.descriptor, 100, 0) == b"first second"  # for reading too
    assert target.read_bytes() == b"first second"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("only_writer", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_after_an_error_nothing_new_is_there_and_what_was_is_kept(
    tmp_path: Path, error: type[BaseException], only_writer: bool
) -> None:
    target = tmp_path / "out"
    target.write_bytes(b"of yesterday")
    with pytest.raises(error):
        interrupted_in_the_middle(WholeFile(target, only_writer=only_writer), error)
    assert target.read_bytes() == b"of yesterday"
    assert names(tmp_path) == ["out"]


def interrupted_in_the_middle(whole: WholeFile, error: type[BaseException]) -> None:
    with whole as file:
        os.write(file.descriptor, b"half")
        raise error


def test_what_a_full_disk_refuses_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE is a disk that is full after 100 bytes."""
    script = (
        "import resource, signal, sys; from drm.whole_file import write_whole;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100));"
        "write_whole(sys.argv[1], bytes(1000))"
    )
    run = subprocess.run([sys.executable, "-c", script, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert f"File too large: '{tmp_path / 'out'}'" in run.stderr.splitlines()[-1]
    assert names(tmp_path) == []


@pytest.mark.parametrize("fails", [False, True])
def test_its_descriptor_is_closed(tmp_path: Path, fails: bool) -> None:
    whole = WholeFile(tmp_path / "out")
    try:
        with whole:
            assert fails is False
    except AssertionError:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(whole.descriptor)


def test_a_target_that_became_a_folder_is_refused_in_the_end(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as refused, WholeFile(tmp_path / "out"):
        (tmp_path / "out").mkdir()
    assert refused.value.filename == str(tmp_path / "out")
    assert names(tmp_path) == ["out"]


def test_a_writer_by_name_writes_to_the_file_that_is_there(tmp_path: Path) -> None:
    with WholeFile(tmp_path / "out") as file:
        Path(file.path).write_bytes(b"by name")
        assert names(tmp_path) == [Path(file.path).name]
    assert (tmp_path / "out").read_bytes() == b"by name"
    assert names(tmp_path) == ["out"]


def test_a_long_name_still_fits(tmp_path: Path) -> None:
    path = tmp_path / ("ä" * 120 + ".mp4")
    write_whole(path, b"x")
    assert path.read_bytes() == b"x"


def test_two_writers_of_one_target_do_not_meet(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with WholeFile(target) as one, WholeFile(target) as other:
        os.write(one.descriptor, b"one")
        os.write(other.descriptor, b"other")
    assert target.read_bytes() == b"one"  # the last that was complete
    assert names(tmp_path) == ["out"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(whole_file.os, "write", lambda target, data: real(target, data[:7]))
    write_whole(tmp_path / "out", bytes(range(100)))
    assert (tmp_path / "out").read_bytes() == bytes(range(100))


# ------------------------------------------------------------------------------------------------ what is there
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_is_followed(tmp_path: Path, dangling: bool) -> None:
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "link"
    link.symlink_to(real)
    if not dangling:
        real.write_bytes(b"old")
    write_whole(link, b"new")
    assert link.is_symlink()
    assert (real.is_symlink(), real.read_bytes()) == (False, b"new")
    assert (names(tmp_path), names(tmp_path / "elsewhere")) == (["elsewhere", "link"], ["real"])


def test_a_link_is_replaced_where_that_is_said(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    link.symlink_to(real)
    write_whole(link, b"new", follow_links=False)
    assert (link.is_symlink(), link.read_bytes(), real.read_bytes()) == (False, b"new", b"old")


def test_other_names_of_the_file_keep_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"old")
    (tmp_path / "other").hardlink_to(tmp_path / "one")
    write_whole(tmp_path / "one", b"new")
    assert ((tmp_path / "one").read_bytes(), (tmp_path / "other").read_bytes()) == (b"new", b"old")


def test_a_device_or_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for target in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(TargetError, match="a device or a pipe") as refused:
            write_whole(target, b"x")
        assert refused.value.filename == str(target)
    assert (tmp_path / "pipe").is_fifo()
    assert names(tmp_path) == ["pipe"]


def test_a_device_or_a_pipe_is_written_to_where_that_is_said(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with WholeFile(tmp_path / "link", special="write") as file:
            os.write(file.descriptor, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert pipe.is_fifo()
    assert names(tmp_path) == ["link", "pipe"]


def test_a_file_that_must_not_be_replaced_stays(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("there", "dangling"):
        with pytest.raises(TargetError) as refused:
            write_whole(tmp_path / name, b"new", replace=False)
        assert refused.value.errno == errno.EEXIST
    with pytest.raises(FileExistsError), WholeFile(tmp_path / "late", replace=False):
        (tmp_path / "late").write_bytes(b"came first")
    write_whole(tmp_path / "fresh", b"new", replace=False)
    assert names(tmp_path) == ["dangling", "fresh", "late", "there"]
    assert [(tmp_path / name).read_bytes() for name in ("fresh", "late", "there")] == [b"new", b"came first", b"old"]


def test_without_hard_links_it_still_does_not_replace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))  # as vfat does

    monkeypatch.setattr(whole_file.os, "link", refused)
    write_whole(tmp_path / "fresh", b"new", replace=False)
    with pytest.raises(PermissionError), WholeFile(tmp_path / "late", replace=False):
        (tmp_path / "late").write_bytes(b"came first")
    assert [(tmp_path / name).read_bytes() for name in names(tmp_path)] == [b"new", b"came first"]


# ------------------------------------------------------------------------------------------------ permissions
def test_permissions_are_those_of_the_file_that_is_replaced(tmp_path: Path) -> None:
    for mode in (0o600, 0o664, 0o444):
        target = tmp_path / f"{mode:o}"
        target.write_bytes(b"old")
        target.chmod(mode)
        with WholeFile(target) as file:
            assert mode_of(Path(file.path)) == 0o600  # nobody else reads what is not complete
        assert mode_of(target) == mode


def test_permissions_of_a_new_file_are_the_usual_ones_or_as_given(tmp_path: Path) -> None:
    umask = os.umask(0o027)
    try:
        write_whole(tmp_path / "usual", b"x")
        write_whole(tmp_path / "given", b"x", 0o600)
        write_whole(tmp_path / "usual", b"x", 0o600)  # given for one that is there
    finally:
        os.umask(umask)
    assert (mode_of(tmp_path / "given"), mode_of(tmp_path / "usual")) == (0o600, 0o600)
    (tmp_path / "usual").unlink()
    umask = os.umask(0o027)
    try:
        write_whole(tmp_path / "usual", b"x")
    finally:
        os.umask(umask)
    assert mode_of(tmp_path / "usual") == 0o640


# ------------------------------------------------------------------------------------------------ where
@pytest.mark.parametrize(
    ("place", "says"),
    [("nowhere/out", "there is no folder {}/nowhere"), ("file/out", "Not a directory"), ("", "Is a directory")],
)
def test_what_cannot_be_begun_is_refused_by_name(tmp_path: Path, place: str, says: str) -> None:
    (tmp_path / "file").touch()
    target = f"{tmp_path}/{place}"
    for special in ("refuse", "write"):
        with pytest.raises(TargetError) as refused, WholeFile(target, special=special):
            pass
        assert refused.value.filename == target
        assert refused.value.strerror == says.format(tmp_path)
    assert names(tmp_path) == ["file"]


def test_a_name_is_told_as_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TargetError) as refused:
        write_whole("nowhere/out", b"x")
    assert refused.value.filename == "nowhere/out"


# ------------------------------------------------------------------------------------------------ written through
def test_the_file_is_synced_before_it_is_named_and_the_folder_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = tmp_path / "out", []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        seen.append((str(Path(f"/proc/self/fd/{descriptor}").readlink()), target.exists()))
        real(descriptor)

    monkeypatch.setattr(whole_file.os, "fsync", fsync)
    (tmp_path / "link").symlink_to(tmp_path / "sub" / "out")
    (tmp_path / "sub").mkdir()
    write_whole(target, b"x")
    (first, named), folder = seen
    assert (Path(first).parent, named) == (tmp_path, False)
    assert folder == (str(tmp_path), True)
    write_whole(tmp_path / "link", b"x")
    assert seen[-1][0] == str(tmp_path / "sub")  # the folder that holds the new name


def test_a_folder_that_cannot_be_synced_is_no_failure_and_one_that_is_broken_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(number: int):
        def fsync(_: int) -> None:
            raise OSError(number, os.strerror(number))

        return fsync

    monkeypatch.setattr(whole_file.os, "fsync", failing(errno.EINVAL))
    sync_folder(tmp_path)
    monkeypatch.setattr(whole_file.os, "fsync", failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        sync_folder(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------ killed
KILLED = """
import os, sys
from drm.whole_file import WholeFile
with WholeFile(sys.argv[1], only_writer=True):
    os._exit(9)
"""


def test_what_a_killed_only_writer_left_is_removed_by_the_next(tmp_path: Path) -> None:
    target = tmp_path / "out"
    run = subprocess.run([sys.executable, "-c", KILLED, target], check=False)
    assert (run.returncode, names(tmp_path)) == (9, [".out.part"])
    write_whole(target, b"x", only_writer=True)
    assert (names(tmp_path), target.read_bytes()) == (["out"], b"x")


def test_it_loads_next_to_nothing() -> None:
    """The commands that must start fast load it, and a fresh interpreter has these three already."""
    script = "import sys; before = set(sys.modules); import drm.whole_file; print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) <= {"drm", "drm.whole_file", "__future__", "errno", "os", "stat"}
