"""What people do on a machine, as far as its kernel would let them."""

from mountfs.model import Kind
from tests.bucket.protocol.host import Host
from tests.bucket.protocol.names import CONTENTS, DIGESTS


def carry_out(host: Host, action: tuple[object, ...]) -> bool:
    """Whether it could be done."""
    match action:
        case ("write" | "restore", str(job), str(path), _) | ("rename", str(job), _, str(path)):
            if not _may_be_made(host, f"{job}/{path}", is_file=action[0] == "write"):
                return False
        case ("move", _, _, str(job), str(path)) if not _may_be_made(host, f"{job}/{path}"):
            return False
    match action:
        case ("write", str(job), str(path), int(content)):
            host.write(f"{job}/{path}", CONTENTS[content])
        case ("chmod", str(job), str(path), int(mode)) if host.has(f"{job}/{path}"):
            host.chmod(f"{job}/{path}", 0o600 + mode)
        case ("tag", str(job), str(path), int(value)) if host.has(f"{job}/{path}"):
            host.tag(f"{job}/{path}", **{f"t{value % 2}": str(value)})
        case ("unlink", str(job), str(path)) if host.has(f"{job}/{path}"):
            host.unlink(f"{job}/{path}")
        case ("rename", str(job), str(old), str(new)) if host.has(f"{job}/{old}") and old != new:
            host.rename(f"{job}/{old}", f"{job}/{new}")
        case ("move", str(job), str(old), str(other), str(new)) if host.has(f"{job}/{old}") and job != other:
            if not _is_here(host, f"{job}/{old}"):
                return False  # such a rename answers EXDEV
            if not host.has(other):
                host.mkdir(other)
            host.rename(f"{job}/{old}", f"{other}/{new}")
        case ("exchange", str(job), str(a), str(b)) if host.has(f"{job}/{a}") and host.has(f"{job}/{b}") and a != b:
            host.exchange(f"{job}/{a}", f"{job}/{b}")
        case ("hold", str(job), str(path), int(content)) if host.has(f"{job}/{path}"):
            key = f"{job}/{path}"
            if key in host.held or host.entry(key).kind != Kind.FILE:
                return False
            host.hold(key, CONTENTS[content])
        case ("let go", str(job), str(path)) if f"{job}/{path}" in host.held:
            host.let_go(f"{job}/{path}")
        case ("rmdir", str(job), str(path)) if host.has(f"{job}/{path}"):
            host.rmdir(f"{job}/{path}")
        case ("restore", str(job), str(path), int(content)) if not host.has(f"{job}/{path}"):
            return host.restore(f"{job}/{path}", DIGESTS[content])
        case ("evict", int(content)):
            return host.evict(DIGESTS[content])
        case ("expire", str(job)) if host.has(job):
            host.expire(job)
        case _:
            return False
    return True


def _may_be_made(host: Host, key: str, *, is_file: bool = False) -> bool:
    """Whether a kernel would let somebody make that: everything above it is a directory, or can be one."""
    parts = key.split("/")
    above = ["/".join(parts[:n]) for n in range(1, len(parts))]
    if any(host.has(parent) and host.entry(parent).kind != Kind.DIRECTORY for parent in above):
        return False
    return not (is_file and host.has(key) and host.entry(key).kind == Kind.DIRECTORY)


def _is_here(host: Host, key: str) -> bool:
    """Whether all of it, or of what is below it, is on this machine."""
    host.store.ledger.drain()
    stack = [host.entry(key)]
    while stack:
        entry = stack.pop()
        stack += host.store.catalog.children(entry.ino, limit=1000)
        content = host.store.ledger.content(entry.content or 0)
        if content is not None and content.digest is not None and not host.holds(content.digest.hex()):
            return False
    return True
