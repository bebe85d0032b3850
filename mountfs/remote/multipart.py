"""Objects in several parts: uploads that a restart resumes, and copies beyond what one request copies."""

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final

from mountfs.errors import CorruptContent, MountfsError, RemoteDenied
from mountfs.remote.answers import Answer, Fields, Parameters
from mountfs.remote.checksums import Mode, Sums, Whole, confirm
from mountfs.remote.protocol import Answered, Part, Source, Upload
from mountfs.remote.refusals import UploadMissing, shown
from mountfs.remote.s3 import Connection

PARTS_AT_ONCE: Final = 4
PART_BYTES: Final = 8 << 20
"""The least: a few at once are in memory. S3 takes 10,000 parts, so beyond 78 GiB the parts are larger."""

PARTS_MAX: Final = 10_000
_MIB: Final = 1 << 20


def part_bytes_for(size: int, *, least: int = PART_BYTES) -> int:
    """The size of every part but the last."""
    return max(least, -(-size // (PARTS_MAX * _MIB)) * _MIB)


@dataclass(slots=True)
class LargeUpload:
    """One content on its way up in parts. `key` is the full one; `upload.key` the one of the remote's user.

    `parameters` begin the upload: content type, encryption, storage class.
    """

    connection: Connection
    mode: Mode
    key: str
    source: Source
    parameters: Parameters
    progress: Callable[[int], None]
    _sums: dict[int, Sums] = field(default_factory=dict)

    def begin(self, *, known_as: str, part_bytes: int) -> Upload:
        if self.mode != "when_required":
            self.parameters["ChecksumAlgorithm"] = "SHA256"
        answer = self.connection.ask("create_multipart_upload", self.key, {"Key": self.key, **self.parameters})
        return Upload(known_as, answer.text("UploadId"), part_bytes)

    def parts_there(self, upload: Upload) -> dict[int, Part]:
        """The parts that the server has; `UploadMissing` when it does not know the upload."""
        found: dict[int, Part] = {}
        marker = 0
        while True:
            answer = self.connection.ask(
                "list_parts",
                self.key,
                {"Key": self.key, "UploadId": upload.upload_id, "PartNumberMarker": marker},
            )
            for row in answer.rows("Parts"):
                found[row.number("PartNumber")] = _part(row.number("PartNumber"), row, row.number("Size"))
            if not answer.require_flag("IsTruncated"):
                return found
            marker = answer.number("NextPartNumberMarker")

    def finish(self, upload: Upload, there: dict[int, Part]) -> Answered:
        """Send what is not `there` as it should be, several parts at a time, and make the object of them."""
        parts = self._settled(upload, there)
        try:
            answer = self.connection.ask(
                "complete_multipart_upload",
                self.key,
                {
                    "Key": self.key,
                    "UploadId": upload.upload_id,
                    "MultipartUpload": {"Parts": [self._named(part) for part in parts]},
                },
            )
        except UploadMissing:
            done = self.completed(upload.part_bytes)
            if done is None:
                raise
            return done
        self._confirm(answer)
        return Answered(answer.server_ms)

    def completed(self, part_bytes: int) -> Answered | None:
        """Whether the object is there already, made of these very parts: the answer to its completion was lost."""
        answer = self._head()
        if answer.code or answer.number("ContentLength") != self.source.size:
            return None
        for number in self._numbers(part_bytes):
            self._read(number, part_bytes)
        return Answered(answer.server_ms) if self._whole().match(answer) else None

    def _settled(self, upload: Upload, there: dict[int, Part]) -> list[Part]:
        done: dict[int, Part] = {}
        waiting: set[Future[Part]] = set()
        with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="part") as pool:
            for number in self._numbers(upload.part_bytes):
                if len(waiting) >= PARTS_AT_ONCE:
                    waiting = self._take(waiting, done)
                waiting.add(pool.submit(self._settle, upload, number, there.get(number)))
            while waiting:
                waiting = self._take(waiting, done)
        return [done[number] for number in sorted(done)]

    def _take(self, waiting: set[Future[Part]], done: dict[int, Part]) -> set[Future[Part]]:
        """Move what has ended from `waiting` to `done`; the first error ends the upload."""
        ended, left = wait(waiting, return_when=FIRST_COMPLETED)
        for future in ended:
            part = future.result()
            done[part.number] = part
        self.progress(sum(part.size for part in done.values()))
        return left

    def _settle(self, upload: Upload, number: int, there: Part | None) -> Part:
        data = self._read(number, upload.part_bytes)
        sums = self._sums[number]
        if there and there.size == len(data) and sums.match(etag=there.etag, checksum=there.checksum):
            return there
        answer = self.connection.send(
            "upload_part",
            self.key,
            data,
            {"Key": self.key, "UploadId": upload.upload_id, "PartNumber": number, **sums.sent(self.mode)},
        )
        confirm(answer, sums, mode=self.mode, about=shown(f"part {number} of {self.key}"))
        return _part(number, answer, len(data))

    def _read(self, number: int, part_bytes: int) -> bytes:
        offset = (number - 1) * part_bytes
        length = min(part_bytes, self.source.size - offset)
        data = self.source.read(offset, length)
        if len(data) != length:
            raise CorruptContent(f"the content for {shown(self.key)} is shorter here than it should be: not uploaded")
        self._sums[number] = Sums.of(data)
        return data

    def _numbers(self, part_bytes: int) -> range:
        return range(1, max(1, -(-self.source.size // part_bytes)) + 1)

    def _whole(self) -> Whole:
        return Whole.of([self._sums[number] for number in sorted(self._sums)])

    def _named(self, part: Part) -> Parameters:
        """A part as it was confirmed. SeaweedFS lists parts without the SHA-256 that it then wants to hear of each."""
        named: Parameters = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
        if self.mode != "when_required":
            named["ChecksumSHA256"] = self._sums[part.number].sha256_text
        return named

    def _head(self) -> Answer:
        return self.connection.ask(
            "head_object", self.key, {"Key": self.key, "ChecksumMode": "ENABLED"}, accepts=("404", "NoSuchKey")
        )

    def _confirm(self, answer: Answer) -> None:
        """Each part was confirmed; where the server's sum of the whole cannot be compared, its size must do."""
        if self._whole().match(answer):
            return
        if answer.text("ChecksumSHA256") or self._head().number("ContentLength") != self.source.size:
            raise RemoteDenied(
                f"{shown(self.key)}: checksum refused, the server made another object of the parts: "
                "`mountfs flush` sends them again"
            )


def copy_in_parts(
    connection: Connection, source: str, key: str, size: int, parameters: Parameters, *, part_bytes: int
) -> Answered:
    """A copy on the server of what is too large for one request; given up whole when a part fails."""
    begun = connection.ask("create_multipart_upload", key, {"Key": key, **parameters}).text("UploadId")

    def copied(number: int) -> Parameters:
        first = (number - 1) * part_bytes
        last = min(first + part_bytes, size) - 1
        answer = connection.ask(
            "upload_part_copy",
            key,
            {
                "Key": key,
                "UploadId": begun,
                "PartNumber": number,
                "CopySource": {"Bucket": connection.bucket, "Key": source},
                "CopySourceRange": f"bytes={first}-{last}",
            },
        )
        return {"PartNumber": number, "ETag": answer.structure("CopyPartResult").text("ETag")}

    try:
        with ThreadPoolExecutor(PARTS_AT_ONCE, thread_name_prefix="copy") as pool:
            parts: Sequence[object] = list(pool.map(copied, range(1, -(-size // part_bytes) + 1)))
        answer = connection.ask(
            "complete_multipart_upload", key, {"Key": key, "UploadId": begun, "MultipartUpload": {"Parts": parts}}
        )
    except MountfsError:
        connection.ask("abort_multipart_upload", key, {"Key": key, "UploadId": begun}, accepts=("NoSuchUpload",))
        raise
    return Answered(answer.server_ms)


def _part(number: int, said: Fields, size: int) -> Part:
    return Part(number, said.text("ETag").strip('"'), size, said.text("ChecksumSHA256"))
