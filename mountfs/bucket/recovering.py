"""What a crash left half done in the rows about the bucket, finished before anything new begins."""

import json
import logging
import zlib

from mountfs import bundle
from mountfs.bucket.ground import Ground
from mountfs.bucket.reading import add_places, apply_records
from mountfs.bucket.requests import drive
from mountfs.remote.protocol import Remote
from mountfs.store.origins import Where
from mountfs.store.paths import Changes

log = logging.getLogger(__name__)


def finish_interrupted(ground: Ground) -> None:
    """Bundles that were being marked or brought in, and PUTs whose answer nobody heard. On the loop, at start."""
    for job, number, standing in ground.tables.unfinished():
        name = ground.tables.job_name(job)
        manifest = bundle.read_manifest(
            ground.tables.manifest(number), store_id=ground.store_id, job=name, name=ground.tables.bundle_name(number)
        )
        drive(add_places(ground, job, number, manifest), _NONE)
        if standing == "marking":
            with ground.ledger.transaction():
                for record in manifest.records:
                    ground.paths.confirm(Where(job, record.path), record)
        else:
            drive(apply_records(ground, job, manifest.records, Changes()), _NONE)
        with ground.ledger.transaction():
            ground.tables.set_standing(number, "whole")
    _know_attempts(ground)


def _know_attempts(ground: Ground) -> None:
    """◆ What may have landed unheard is taken for known: a removal is told, and nothing is stamped anew."""
    for job, _name, _began, raw in ground.tables.attempts():
        paths = {bytes.fromhex(path) for path, _stamp in json.loads(zlib.decompress(raw))}
        with ground.ledger.transaction():
            for path in paths:
                entry = ground.paths.find(Where(job, path))
                if entry is not None:
                    ground.owing.may_have_landed(entry.ino)
        log.info("a bundle of %r may have arrived unheard", ground.tables.job_name(job))


class _Nothing:
    """For steps that ask for nothing but time."""


_NONE: Remote = _Nothing()  # type: ignore[assignment]
