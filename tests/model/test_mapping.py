"""Mapping: a file as read-only memory."""

import contextlib
import gc
import io
import mmap
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from support import caught, descriptors, maps, run_python, status

import ortmmap
from ortmmap import errors
from ortmmap.session.filing import wait_for_all

CONTENT = bytes(range(256)) * 100 + b"end"  # not a whole number of pages
ADVICE = ["normal", "random", "sequential", "willneed", "dontneed"]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_the_bytes_are_those_of_the_file(path):
    mapping = ortmmap.Mapping(path)
    assert bytes(mapping) == CONTENT
    assert mapping.nbytes == len(mapping) == len(CONTENT)
    assert not mapping.closed


@pytest.mark.parametrize("size", [1, mmap.PAGESIZE - 1, mmap.PAGESIZE, mmap.PAGESIZE + 1])
def test_a_file_of_any_size_is_mapped_whole(write, size):
    content = os.urandom(size)
    with ortmmap.Mapping(write(content), prefault=True) as mapping:
        assert bytes(mapping) == content
        assert mapping.resident() == size


def test_the_buffer_is_read_only(path):
    mapping = ortmmap.Mapping(path)
    view = memoryview(mapping)
    assert view.readonly
    assert (view.format, view.ndim, view.shape) == ("B", 1, (len(CONTENT),))
    with pytest.raises(TypeError):
        view[0] = 1
    assert not np.frombuffer(mapping, "u1").flags.writeable
    with pytest.raises((BufferError, TypeError)):
        io.BytesIO(b"new").readinto(mapping)


def test_the_memory_is_the_files_pages_and_may_not_be_written(path):
    mapping = ortmmap.Mapping(path)
    (line,) = maps(path)
    assert line.split()[1] == "r--p"
    mapping.close()
    assert maps(path) == []


@pytest.mark.parametrize("kind", [str, os.fsencode, Path], ids=["str", "bytes", "PathLike"])
@pytest.mark.parametrize("name", ["plain", "zoë 日本", "with\nnewline", b"\xff\xfe not UTF-8"])
def test_a_path_may_be_str_bytes_or_path_like(tmp_path, kind, name):
    path = os.path.join(tmp_path, os.fsdecode(name))  # noqa: PTH118 - a str is wanted
    Path(path).write_bytes(CONTENT)
    mapping = ortmmap.Mapping(kind(path))
    assert bytes(mapping) == CONTENT
    assert mapping.path == path
    assert isinstance(mapping.path, str)
    assert repr(path) in repr(mapping)


def test_a_relative_path_and_a_symbolic_link_are_followed(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(path)
    assert bytes(ortmmap.Mapping("link")) == bytes(ortmmap.Mapping("file")) == CONTENT


@pytest.mark.parametrize("bad", [None, 3, 1.5, object(), ["file"], bytearray(b"file")])
def test_a_path_of_another_type_is_a_type_error(bad):
    with pytest.raises(TypeError):
        ortmmap.Mapping(bad)


@pytest.mark.parametrize("bad", ["a\0b", b"a\0b"])
def test_an_embedded_null_is_a_value_error(bad):
    with pytest.raises(ValueError, match="null"):
        ortmmap.Mapping(bad)


def test_no_descriptor_stays_open(path):
    mapping = ortmmap.Mapping(path)
    assert str(path) not in descriptors()
    assert bytes(mapping) == CONTENT


PRELOAD = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
static int is_target(int fd) {
  struct stat mapped, named;
  return fd >= 0 && getenv("TARGET") && fstat(fd, &mapped) == 0 &&
         stat(getenv("TARGET"), &named) == 0 && mapped.st_ino == named.st_ino;
}
void *NAME(void *address, size_t size, int protection, int flags, int fd, off_t offset) {
  void *(*next)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
  void *data = next(address, size, protection, flags, fd, offset);
  if (is_target(fd) && (MEANWHILE)) abort();
  return data;
}
"""


@pytest.fixture
def meanwhile(tmp_path: Path):
    """Return a function that makes an environment for a process.

    In it, a C expression is evaluated whenever a file has been mapped.
    """

    def preload(expression: str, target: Path) -> dict[str, str]:
        source = tmp_path / "preload.c"
        source.write_text(PRELOAD)
        libraries = []
        for name in ("mmap", "mmap64"):  # the one that is called depends on the width of off_t
            libraries.append(tmp_path / f"{name}.so")
            defines = [f"-DNAME={name}", f"-DMEANWHILE={expression}"]
            compiler = ["cc", "-shared", "-fPIC", *defines, "-o", libraries[-1], source, "-ldl"]
            subprocess.run(compiler, check=True)
        return {"LD_PRELOAD": " ".join(map(str, libraries)), "TARGET": str(target)}

    return preload


def test_the_descriptor_is_never_inherited(path, tmp_path, meanwhile):
    """A process that is started while the file is open lists the descriptors that it inherited."""
    listing = tmp_path / "listing"
    environment = meanwhile(f'system("env -u LD_PRELOAD ls -l /proc/self/fd > {listing}")', path)
    run_python("import sys, ortmmap; ortmmap.Mapping(sys.argv[1])", path, env=environment)
    assert "/proc/" in listing.read_text()
    assert str(path) not in listing.read_text()


def test_a_closed_mapping_refuses_to_be_used(path):
    mapping = ortmmap.Mapping(path)
    mapping.close()
    assert mapping.closed
    assert mapping.nbytes == 0
    assert mapping.path == str(path)
    assert "closed" in repr(mapping)
    mapping.close()
    for use in (
        mapping.resident,
        mapping.__enter__,
        lambda: mapping.advise("normal"),
        lambda: bytes(mapping),
        lambda: memoryview(mapping),
    ):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_it_is_a_context_manager(path):
    with ortmmap.Mapping(path) as mapping:
        assert not mapping.closed
    assert mapping.closed


@pytest.mark.parametrize(
    "use",
    [
        memoryview,
        lambda mapping: np.frombuffer(mapping, "u1")[5:7],
        lambda mapping: memoryview(mapping)[3:],
    ],
    ids=["memoryview", "array", "slice"],
)
def test_closing_while_a_buffer_uses_it_raises_and_works_later(path, use):
    mapping = ortmmap.Mapping(path)
    user = use(mapping)
    first = int(user[0])
    with pytest.raises(BufferError, match="use"):
        mapping.close()
    with pytest.raises(BufferError), mapping:
        pass
    assert not mapping.closed
    assert int(user[0]) == first
    del user
    gc.collect()
    mapping.close()
    assert mapping.closed


def test_a_buffer_keeps_the_mapping_alive(path):
    view = memoryview(ortmmap.Mapping(path))
    gc.collect()
    assert view.tobytes() == CONTENT
    assert len(maps(path)) == 1
    view.release()
    assert maps(path) == []


def test_closing_waits_for_the_last_of_several_buffers(path):
    mapping = ortmmap.Mapping(path)
    views = [memoryview(mapping) for _ in range(5)]
    while views:
        with pytest.raises(BufferError):
            mapping.close()
        views.pop().release()
    mapping.close()


def test_it_is_dropped_without_being_closed(path):
    ortmmap.Mapping(path)
    gc.collect()
    assert maps(path) == []


def test_a_deleted_or_replaced_file_stays_mapped(path):
    mapping = ortmmap.Mapping(path)
    path.unlink()
    path.write_bytes(b"another")
    assert bytes(mapping) == CONTENT


def test_prefaulting_brings_every_page_in(path):
    mapping = ortmmap.Mapping(path, prefault=True)
    assert mapping.resident() == mapping.nbytes


def test_resident_never_exceeds_the_file(path):
    mapping = ortmmap.Mapping(path)
    assert bytes(mapping)
    assert 0 < mapping.resident() <= mapping.nbytes


def test_locking_keeps_the_pages_until_it_is_closed(path):
    before = status("VmLck")
    mapping = ortmmap.Mapping(path, lock=True)
    assert status("VmLck") - before >= mapping.nbytes
    mapping.close()
    assert status("VmLck") == before


def test_locking_more_than_is_allowed_raises_and_unmaps(public_path):
    target = public_path / "file"
    target.write_bytes(CONTENT)
    code = (
        "import resource, sys, ortmmap\nfrom support import drop_privileges, maps\n"
        "resource.setrlimit(resource.RLIMIT_MEMLOCK, (4096, 4096))\n"
        "drop_privileges()\n"
        "try:\n    ortmmap.Mapping(sys.argv[1], lock=True)\n"
        "except OSError as error:\n    print(type(error).__name__, error.errno, error)\n"
        "assert not maps(sys.argv[1])\n"
        "ortmmap.Mapping(sys.argv[1])\n"
    )
    printed = run_python(code, target).stdout
    assert printed.startswith("Mapping")
    assert str(target) in printed
    assert "lock" in printed


@pytest.mark.parametrize("advice", ADVICE)
@pytest.mark.parametrize(
    "part", [(), (0, 1), (5, 7000), (4096,), (len(CONTENT), 0), (len(CONTENT) - 1, 1)]
)
def test_advice_changes_no_content(path, advice, part):
    mapping = ortmmap.Mapping(path)
    mapping.advise(advice, *part)
    assert bytes(mapping) == CONTENT


@pytest.mark.parametrize(
    "part",
    [
        (-1,),
        (0, -1),
        (0, len(CONTENT) + 1),
        (len(CONTENT) + 1,),
        (1, 2**64 - 1),
        (2**64,),
        (2**80, 1),
        (-(2**80),),
    ],
)
def test_advice_outside_the_mapping_is_a_value_error(path, part):
    with pytest.raises(ValueError, match="outside"):
        ortmmap.Mapping(path).advise("willneed", *part)


@pytest.mark.parametrize(
    ("bad", "kind"), [("free", ValueError), ("", ValueError), (4, (TypeError, ValueError))]
)
def test_unknown_advice_raises(path, bad, kind):
    with pytest.raises(kind):
        ortmmap.Mapping(path).advise(bad)


def test_a_part_must_be_a_number(path):
    with pytest.raises(TypeError):
        ortmmap.Mapping(path).advise("normal", "0")


def test_options_are_keywords_only(path):
    with pytest.raises(TypeError):
        ortmmap.Mapping(path, True)


def test_an_empty_file_is_refused(write):
    path = write(b"")
    with pytest.raises(errors.MappingError, match="empty") as info:
        ortmmap.Mapping(path)
    assert isinstance(info.value, OSError)
    assert info.value.filename == info.value.path == str(path)


def test_a_directory_is_refused(tmp_path):
    with pytest.raises(OSError, match="directory") as info:
        ortmmap.Mapping(tmp_path)
    assert info.value.filename == str(tmp_path)


@pytest.mark.parametrize("missing", ["nothing", "nowhere/nothing", "file/nothing"])
def test_a_missing_file_is_not_found(path, missing):
    target = path.parent / missing
    with pytest.raises(FileNotFoundError) as info:
        ortmmap.Mapping(target)
    assert type(info.value) is errors.NoSuchFile
    assert str(target) in str(info.value)
    assert info.value.filename == str(target)


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty", "/dev/full"])
def test_a_device_is_refused(device):
    with pytest.raises(OSError, match=r"device|No such") as info:
        ortmmap.Mapping(device)
    assert device in str(info.value)


def test_a_fifo_is_refused_and_not_waited_for(tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(errors.MappingError, match=r"FIFO|socket"):
        ortmmap.Mapping(fifo)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    import socket

    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert stat.S_ISSOCK(Path("socket").stat().st_mode)
        with pytest.raises(errors.MappingError, match=r"FIFO|socket"):
            ortmmap.Mapping("socket")


def test_a_loop_of_links_and_a_name_too_long_are_os_errors(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for target in (tmp_path / "loop", tmp_path / ("n" * 5000)):
        with pytest.raises(OSError, match="cannot open"):
            ortmmap.Mapping(target)


@pytest.mark.parametrize("forbidden", ["file", "folder"])
def test_a_file_that_may_not_be_read_is_a_permission_error(public_path, forbidden):
    folder = public_path / "folder"
    folder.mkdir()
    target = folder / "file"
    target.write_bytes(CONTENT)
    (target if forbidden == "file" else folder).chmod(0)
    code = (
        "import sys, ortmmap\nfrom ortmmap import errors\nfrom support import drop_privileges\n"
        "drop_privileges()\n"
        "try:\n    ortmmap.Mapping(sys.argv[1])\n"
        "except PermissionError as error:\n"
        "    assert type(error) is errors.MappingPermissionError\n"
        "    assert sys.argv[1] in str(error) and error.filename == sys.argv[1]\n"
        "    print('refused')\n"
    )
    done = run_python(code, target)
    folder.chmod(0o700)
    assert done.stdout == "refused\n"


@pytest.mark.parametrize("kind", ["Mapping", "Session"])
def test_a_file_that_shrinks_while_it_is_opened_is_reported(path, affine, meanwhile, kind):
    path.write_bytes(affine)
    code = (
        "import sys, ortmmap\nfrom ortmmap import errors\nfrom support import descriptors, maps\n"
        "try:\n    getattr(ortmmap, sys.argv[2])(sys.argv[1])\n"
        "except errors.ModelChangedError as error:\n    print(error)\n"
        "assert sys.argv[1] not in descriptors() and not maps(sys.argv[1])\n"
    )
    environment = meanwhile('truncate(getenv("TARGET"), 10)', path)
    printed = run_python(code, path, kind, env=environment).stdout
    for part in (str(path), f" {len(affine)} ", " 10"):
        assert part in printed


def test_failed_mappings_leave_nothing_behind(tmp_path):
    fifo, empty = tmp_path / "fifo", tmp_path / "empty"
    os.mkfifo(fifo)
    empty.touch()
    assert wait_for_all(60)  # an earlier test's session may be filed
    before = sorted(descriptors())
    for _ in range(2000):
        for target in (fifo, empty, tmp_path, tmp_path / "nothing", "/dev/null"):
            assert isinstance(caught(ortmmap.Mapping, target), OSError)
    assert sorted(descriptors()) == before
    assert not maps(empty)


def test_many_threads_open_use_and_close_one_mapping(path):
    mapping = ortmmap.Mapping(path)
    failures = []

    def use() -> None:
        for _ in range(300):
            try:
                with memoryview(mapping) as view:
                    if view[255] != 255:
                        failures.append(view[255])
                mapping.resident()
                mapping.advise("willneed")
                mapping.close()
            except BufferError:
                continue
            except ValueError:  # another thread closed it
                return

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    mapping.close()
    assert maps(path) == []


def test_it_cannot_be_initialized_twice(path, write):
    """A second call of __init__ must not leak the first file's mapping."""
    mapping = ortmmap.Mapping(path)
    other = write(b"other")
    with contextlib.suppress(TypeError, RuntimeError):
        mapping.__init__(other)
    assert bytes(mapping) == CONTENT
    mapping.close()
    assert not maps(path)
    assert not maps(other)


def test_it_weighs_no_more_than_a_handle(path):
    assert sys.getsizeof(ortmmap.Mapping(path)) < 500
