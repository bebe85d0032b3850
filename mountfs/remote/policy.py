"""What a bucket's owner sets up: who may do what there, and what the bucket does by itself. Pure.

What it keeps true: a role gets no more than mountfs asks for as that role, a runner no delete; and the lifecycle that
we set ends uploads that nobody goes on with, and never touches an object: what is dead is known by maintenance alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeAlias, get_args

from mountfs.config.schema import S3
from mountfs.objects import FEED, GONE, HEADS, JOBS, LEASE, MOUNTFS_JSON

Role = Literal["runner", "reader", "maintainer"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
Rule: TypeAlias = Mapping[str, object]
"""One rule of a lifecycle, as S3 has it."""

CHECK_JSON: Final = "check.json"
"""What `mountfs remote check` writes, to see whether it may."""

RULE_ID: Final = "mountfs: unfinished uploads"
DAY_MS: Final = 86_400_000
_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_WRITTEN: Final = (JOBS, FEED, HEADS, GONE)


# -- who may do what ----------------------------------------------------------------------------------------------


def policy(settings: S3, role: Role) -> dict[str, object]:
    """The smallest IAM policy for a role: readers look, runners add, maintainers merge and drop."""
    statements = [_listing(settings), _objects(settings, "Read", ["s3:GetObject"], [""])]
    if role != "reader":
        statements.append(_objects(settings, "Write", ["s3:PutObject"], [*_trees(), CHECK_JSON]))
        uploads = ["s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"]
        statements.append(_objects(settings, "GoOnWithUploads", uploads, [f"{JOBS}*"]))
    if role == "maintainer":
        statements.append(_objects(settings, "Maintain", ["s3:PutObject"], [MOUNTFS_JSON, LEASE]))
        statements.append(_objects(settings, "Drop", ["s3:DeleteObject"], [*_trees(), LEASE, CHECK_JSON]))
        statements.append(_on_bucket(settings, "FindUnfinishedUploads", ["s3:ListBucketMultipartUploads"]))
    if settings.sse is not None and settings.sse.startswith("aws:kms"):
        statements.append(_keys(settings, role))
    return {"Version": "2012-10-17", "Statement": statements}


def _trees() -> list[str]:
    return [f"{tree}*" for tree in _WRITTEN]


def _bucket(settings: S3) -> str:
    return f"arn:aws:s3:::{settings.bucket}"


def _objects(settings: S3, sid: str, actions: list[str], names: Sequence[str]) -> dict[str, object]:
    under = f"{_bucket(settings)}/{settings.prefix}"
    return _statement(sid, actions, [under + (name or "*") for name in names])


def _on_bucket(settings: S3, sid: str, actions: list[str]) -> dict[str, object]:
    return _statement(sid, actions, [_bucket(settings)])


def _listing(settings: S3) -> dict[str, object]:
    """`IfExists`: a HEAD has no prefix, and who may not list hears 403 for a missing object instead of 404."""
    found = _on_bucket(settings, "List", ["s3:ListBucket"])
    if settings.prefix:
        found["Condition"] = {"StringLikeIfExists": {"s3:prefix": f"{settings.prefix}*"}}
    return found


def _keys(settings: S3, role: Role) -> dict[str, object]:
    actions = ["kms:Decrypt", *([] if role == "reader" else ["kms:GenerateDataKey"])]
    found = _statement("UseTheKeyThroughS3", actions, ["*"])
    found["Condition"] = {"StringEquals": {"kms:ViaService": f"s3.{settings.region}.amazonaws.com"}}
    return found


def _statement(sid: str, actions: list[str], resources: list[str]) -> dict[str, object]:
    return {"Sid": sid, "Effect": "Allow", "Action": _one_or_many(actions), "Resource": _one_or_many(resources)}


def _one_or_many(values: list[str]) -> object:
    return values[0] if len(values) == 1 else values


# -- what the bucket does by itself -------------------------------------------------------------------------------


def lifecycle_rule(prefix: str, *, grace_ms: int) -> dict[str, object]:
    """Unfinished uploads end after the grace: until then one is gone on with after a restart."""
    return {
        "ID": f"{RULE_ID} {prefix}".strip(),
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": max(1, -(-grace_ms // DAY_MS))},
    }


def with_rule(existing: Iterable[Rule], ours: Rule) -> list[Rule]:
    """A whole lifecycle is set at once: the rules of others stay, ours takes the place of the one we had set."""
    return [*(rule for rule in existing if rule.get("ID") != ours["ID"]), ours]


def dangers(rules: Iterable[Rule], prefix: str) -> list[str]:
    """Rules that would take objects from under us, or make them unreadable."""
    return [
        f"the rule {rule.get('ID') or 'without a name'!r} {does}"
        for rule in rules
        if rule.get("Status") == "Enabled" and (does := _harm(rule)) and _concerns(rule, prefix)
    ]


def _harm(rule: Rule) -> str:
    expiration = rule.get("Expiration")
    if isinstance(expiration, Mapping) and expiration.keys() & {"Days", "Date"}:
        return "deletes objects by their age, whether anything refers to them or not"
    transitions = rule.get("Transitions")
    for transition in transitions if isinstance(transitions, list) else []:
        if isinstance(transition, Mapping) and transition.get("StorageClass") in _ARCHIVES:
            return f"moves objects to {transition['StorageClass']}, where they cannot be read"
    return ""


def _concerns(rule: Rule, prefix: str) -> bool:
    chosen = rule.get("Filter")
    chosen = chosen if isinstance(chosen, Mapping) else {}
    both = chosen.get("And")
    both = both if isinstance(both, Mapping) else chosen
    if both.get("Tag") or both.get("Tags"):
        return False  # our objects have no tags
    theirs = str(both.get("Prefix", rule.get("Prefix", "")) or "")
    return theirs.startswith(prefix) or prefix.startswith(theirs)
