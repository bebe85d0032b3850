"""Policies and looks at the clocks as JSON has them: between a daemon and a command, and in the catalog's notes."""

from collections.abc import Mapping

from mountfs.retention.brakes import Moment
from mountfs.retention.policy import Policy

Plain = Mapping[str, object]


def plain_policy(policy: Policy) -> dict[str, object]:
    return {
        "enabled": policy.enabled,
        "default_ttl_days": policy.default_ttl_days,
        "types": dict(policy.types),
        "keep_latest_n": policy.keep_latest_n,
        "group_by": list(policy.group_by),
    }


def policy_of(said: Plain) -> Policy:
    """Inverse of `plain_policy`."""
    types, group_by = said["types"], said["group_by"]
    assert isinstance(types, Mapping)
    assert isinstance(group_by, list)
    return Policy(
        bool(said["enabled"]),
        _whole(said["default_ttl_days"]),
        {str(slug): _whole(days) for slug, days in types.items()},
        _whole(said["keep_latest_n"]),
        tuple(map(str, group_by)),
    )


def plain_moment(moment: Moment) -> dict[str, object]:
    return {
        "wall_ns": moment.wall_ns,
        "monotonic_ns": moment.monotonic_ns,
        "boot": moment.boot,
        "server_ns": moment.server_ns,
    }


def moment_of(said: Plain) -> Moment:
    """Inverse of `plain_moment`."""
    monotonic, server = said["monotonic_ns"], said["server_ns"]
    return Moment(
        _whole(said["wall_ns"]),
        None if monotonic is None else _whole(monotonic),
        str(said["boot"]),
        None if server is None else _whole(server),
    )


def _whole(value: object) -> int:
    return int(str(value))
