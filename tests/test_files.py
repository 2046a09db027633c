"""Files are written whole or not at all, and damage is noticed."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path

import pytest
import torch
from disk import everything_in, flip_byte

from pgce_mini.runs import Run, RunError, load_tensors, read_json, save_tensors, write_atomic, write_json

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(7), "c": torch.zeros(0, 4)}


def test_written_file_replaces_the_old_one_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file"
    write_atomic(path, b"old")
    write_atomic(path, b"new")
    assert everything_in(tmp_path) == {"new/folder/file": b"new"}


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError("broken disk"), KeyboardInterrupt()])
def test_failed_write_leaves_the_old_file_and_no_temporary(
    call: str, failure: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise failure

    path = tmp_path / "file"
    write_atomic(path, b"old")
    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(failure)):
        write_atomic(path, b"new")
    assert everything_in(tmp_path) == {"file": b"old"}


@pytest.mark.parametrize("there", [True, False])
def test_links_stay_and_what_they_lead_to_is_written(there: bool, tmp_path: Path) -> None:
    target, link, second = tmp_path / "real" / "file", tmp_path / "link", tmp_path / "second"
    if there:
        write_atomic(target, b"old")
    link.symlink_to("real/file")
    second.symlink_to(link)
    write_atomic(second, b"new")
    assert (link.is_symlink(), second.is_symlink()) == (True, True)
    assert target.read_bytes() == b"new"
    assert [path.name for path in target.parent.iterdir()] == ["file"]


def test_pipe_gets_the_bytes_and_stays(tmp_path: Path) -> None:
    pipe, link, got = tmp_path / "pipe", tmp_path / "link", []
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
        reader.start()
        write_atomic(path, b"data")
        reader.join()
    assert got == [b"data", b"data"]
    assert pipe.is_fifo()


def test_device_gets_the_bytes_and_stays() -> None:
    write_atomic(Path(os.devnull), b"data")
    assert Path(os.devnull).is_char_device()


def test_deleted_file_that_is_still_open_gets_the_bytes(tmp_path: Path) -> None:
    with open(tmp_path / "gone", "w+b") as file:
        (tmp_path / "gone").unlink()
        write_atomic(Path(f"/proc/self/fd/{file.fileno()}"), b"data")
        assert file.read() == b"data"
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("folder", errno.EISDIR, "Is a directory"), ("link to folder", errno.EISDIR, "Is a directory"),
        ("loop", errno.ELOOP, "Too many levels"), ("file/x", errno.ENOTDIR, "Not a directory"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_named_and_stays(name: str, code: int, words: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link to folder").symlink_to("folder")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("old")
    before = sorted(path.name for path in tmp_path.rglob("*"))
    with pytest.raises(OSError, match=words) as error:
        write_atomic(tmp_path / name, b"new")
    assert (error.value.errno, error.value.filename) == (code, str(tmp_path / name))
    assert sorted(path.name for path in tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "old"


def test_folder_that_a_link_promises_is_made(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    with Run.start(tmp_path / "link", "pretrain", {}):
        pass
    assert (tmp_path / "real" / "config.json").exists()


def test_name_that_is_not_utf8_is_one_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"caf\xe9.safetensors")
    save_tensors(path, TENSORS, {"step": 3})
    assert load_tensors(path)[1] == {"step": 3}


def test_json_comes_back_with_its_schema_version_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    content = {"lr": 0.1, "names": ["x", "≡"], "none": None, "nested": {"n": 2**60}}
    write_json(path, content)
    assert json.loads(path.read_text())["schema_version"] == 1
    assert read_json(path) == content


def test_number_that_json_has_no_word_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert everything_in(tmp_path) == {}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff\xfe", b"[]", b"null", b"{}", b'{"schema_version": 2}', b'{"schema_version": "1"}']
)
def test_unreadable_json_is_named_and_left_alone(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    with pytest.raises(RunError, match=r"config\.json"):
        read_json(path)
    with pytest.raises(RunError, match=r"config\.json"), Run.start(tmp_path, "pretrain", {}):
        pass
    assert everything_in(tmp_path) == {"config.json": data}


def test_missing_json_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"config\.json does not exist"):
        Run(tmp_path).config()


def test_tensors_come_back_bit_for_bit_with_their_header(tmp_path: Path) -> None:
    path = tmp_path / "t.safetensors"
    odd = {"bf16": torch.tensor([1.5, float("nan")]).bfloat16(), "view": torch.arange(6.0).view(2, 3).T}
    save_tensors(path, TENSORS | odd, {"step": 3})
    tensors, header = load_tensors(path)
    assert header == {"step": 3}
    assert tensors.keys() == (TENSORS | odd).keys()
    for name, tensor in (TENSORS | odd).items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert tensors[name].float().numpy().tobytes() == tensor.float().contiguous().numpy().tobytes()


def test_same_tensors_give_the_same_bytes(tmp_path: Path) -> None:
    save_tensors(tmp_path / "1", TENSORS, {"x": 1, "y": 2})
    save_tensors(tmp_path / "2", dict(reversed(TENSORS.items())), {"y": 2, "x": 1})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


def test_no_flipped_bit_goes_unnoticed(tmp_path: Path) -> None:
    """Each byte in turn: the file is refused by name and left alone, or the flip changed nothing that is read."""
    path = tmp_path / "t.safetensors"
    save_tensors(path, TENSORS, {"step": 3})
    size, harmless = path.stat().st_size, 0
    for offset in range(size):
        flip_byte(path, offset)
        damaged = path.read_bytes()
        try:
            tensors, header = load_tensors(path)
        except RunError as error:
            assert "t.safetensors" in str(error)  # noqa: PT017 - either outcome is good
        else:
            harmless += 1
            assert header == {"step": 3}
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
        assert path.read_bytes() == damaged
        flip_byte(path, offset)
    assert harmless < 0.1 * size
