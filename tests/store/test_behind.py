"""What follows a draft behind its writer: whatever he does meanwhile, nothing but work is lost."""

import threading
from pathlib import Path

import pytest

from mountfs.codec import FRAME_BYTES
from mountfs.drafts import DraftFile
from mountfs.settling import Behind


@pytest.mark.parametrize("size", [0, FRAME_BYTES - 1, FRAME_BYTES])
def test_a_draft_may_be_cut_off_between_choosing_a_chunk_and_reading_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    draft = DraftFile(tmp_path, 1, None)
    draft.write(0, b"x" * (2 * FRAME_BYTES))
    behind = Behind(draft, threading.Lock(), level=3, compress=True)
    chosen = behind._from_base

    def cut(chunk: int) -> tuple[bytes, int, int, int] | None:
        if chunk == 1:
            draft.truncate(size)
        return chosen(chunk)

    monkeypatch.setattr(behind, "_from_base", cut)
    behind.advance_quietly(abandoned=lambda: False)
    draft.remove()
