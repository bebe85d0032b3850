"""What was said by whom, apart from any machine: the ledger against which the invariants are checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from mountfs import bundle, codec, objects
from mountfs.bundle import Manifest
from mountfs.model import Codec, Digest
from mountfs.records import PathState, Record, Value, canonical, fold
from tests.bucket.simulated import SimulatedBucket

STORE_ID = "0123456789abcdef0123456789abcdef"


class Violation(AssertionError):
    """An invariant does not hold; the text begins with its name."""


@dataclass(frozen=True, slots=True)
class Word:
    """One register of one path as somebody set it; register "" is a clear."""

    job: str
    path: bytes
    register: str
    stamp: str


@dataclass
class Said:
    """All words ever said on any machine, and what became of them."""

    values: dict[Word, Value] = field(default_factory=dict)
    withdrawn: set[Word] = field(default_factory=set)  # undone before the bucket could hear of them, or set aside
    landed: set[Word] = field(default_factory=set)  # in some bundle, ever
    lost_with_prefix: set[Word] = field(default_factory=set)
    knew: dict[Word, set[str]] = field(default_factory=dict)  # by clear: stamps of the contents that its author knew
    legit: set[Word] = field(default_factory=set)  # clears that somebody meant
    first: dict[tuple[str, bytes, str], str] = field(default_factory=dict)  # of what was stamped anew: the first stamp
    held: set[Word] = field(default_factory=set)  # contents whose bytes the speaker had

    def first_stamp(self, word: Word) -> str:
        return self.first.get((word.job, word.path, word.stamp), word.stamp)

    def counting(self, job: str) -> Iterator[Word]:
        """Words that count in the end."""
        return (w for w in self.values if w.job == job and (w not in self.withdrawn or w in self.landed))

    def fold(self, job: str) -> dict[bytes, PathState]:
        return fold(
            Record(w.path, w.stamp, not w.register, {w.register: self.values[w]} if w.register else {})
            for w in self.counting(job)
        )


def words_of(job: str, record: Record) -> Iterator[Word]:
    if record.clear:
        yield Word(job, record.path, "", record.stamp)
    for register in record.set:
        yield Word(job, record.path, register, record.stamp)


@dataclass
class Published:
    """The bucket as somebody sees it who can read everything at once."""

    bucket: SimulatedBucket
    manifests: dict[str, Manifest] = field(default_factory=dict)

    def arrived(self, key: str) -> Manifest | None:
        """A new object: what is in it is what it says."""
        name = key.rpartition("/")[2]
        data = self.bucket.objects[key][0]
        match objects.parse_object(name):
            case objects.BundleName():
                self.manifests[key] = _manifest(key, data)
                return self.manifests[key]
            case objects.LargeName(digest=digest, codec=Codec.RAW):  # what is large here does not compress
                assert Digest.of(data) == digest, key
        return None

    def of_job(self, job: str) -> list[tuple[str, Manifest]]:
        prefix = objects.job_prefix(job.encode())
        return [(key, m) for key, m in self.manifests.items() if key in self.bucket.objects and key.startswith(prefix)]

    def records(self, job: str) -> list[Record]:
        return [record for _key, manifest in self.of_job(job) for record in manifest.records]

    def has(self, job: str, digest: str) -> bool:
        """Whether a manifest of the job names a place of this content that is there."""
        raw = bytes.fromhex(digest)
        return any(
            place.digest == raw
            and (place.object is None or objects.large_key(job.encode(), place.object) in self.bucket.objects)
            for _key, manifest in self.of_job(job)
            for place in manifest.places
        )


def _manifest(key: str, data: bytes) -> Manifest:
    extent = bundle.find_manifest(data[-bundle.TAIL_BYTES :], object_bytes=len(data))
    stored = data[extent.offset : extent.offset + extent.length]
    job = objects.decode_name(objects.job_part(key) or "") or b""
    manifest = bundle.read_manifest(stored, store_id=STORE_ID, job=job, name=key.rpartition("/")[2], extent=extent)
    assert not manifest.refused, manifest.refused
    for place in manifest.places:
        if place.object is None:
            plain = codec.decode(
                bundle.member_in(data, place), codec=Codec(place.codec), plain_bytes=place.size, sums=place.sums
            )
            assert Digest.of(plain) == place.digest
    return manifest


def digest_in(value: Value) -> str | None:
    """The digest that a content register names."""
    digest = value.get("digest") if isinstance(value, dict) else None
    return digest if isinstance(digest, str) else None


def seen_content(value: Value) -> str:
    """What two machines must agree on of a content: not how each of them stores it."""
    if not isinstance(value, dict):
        return ""
    kept = {k: v for k, v in value.items() if k in ("kind", "digest", "target")}
    if value.get("kind") != "directory":
        kept["mtime"] = value.get("mtime")
    return canonical(kept)


def seen(state: PathState) -> dict[str, tuple[str, object]]:
    """Of a path that exists: its registers as anybody shows them, each with its stamp."""
    shown: dict[str, tuple[str, object]] = {}
    for name, (stamp, value) in state.registers.items():
        if name == "content":
            shown[name] = (stamp, seen_content(value))
        elif name == "mode" or (name.startswith("tag:") and value is not None):
            shown[name] = (stamp, value)
    return shown


def existing(states: dict[bytes, PathState]) -> dict[bytes, PathState]:
    return {path: state for path, state in states.items() if state.exists}
