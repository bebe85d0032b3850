/* The libc calls that change or sync files, each with the reason why it is here.
 *
 * Each family of calls (open, open64, openat, creat, …) ends in one system call, made here directly: so no
 * wrapper calls another by accident, and no symbol of the C library has to be looked up.
 *
 * close and dup need no wrapper: nothing is remembered per descriptor. The kernel is asked at each call which
 * file a descriptor stands for, so duplicates and files renamed after opening are right by themselves.
 *
 * Not seen: stores through a shared mapping (the mapping is noted, see mmap), stdio inside the C library
 * (fopen, fwrite), io_uring and bare system calls. powerloss.record() compares the replayed trace with the
 * real tree, so such a change is found there instead of being silently missing. */
#include "shim.h"
#include <stdarg.h>

#pragma GCC visibility push(default) /* the wrappers are seen by the program, nothing else of the shim is */

_Static_assert(sizeof(long) == 8, "offsets are passed to system calls as one register");

/* ---- contents --------------------------------------------------------------------------------------- */

/* Records what now stands in the file, read back through a descriptor of our own: right for every way of
 * writing, also where the bytes never were in this process (copy_file_range, sendfile, splice). */
static long finish_write(struct event *e, int fd, off_t position, long result, bool synced)
{
    char link[64], *data = NULL;
    if (result > 0 && *trace) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        int own = syscall(SYS_openat, AT_FDCWD, link, O_RDONLY | O_CLOEXEC, 0);
        data = malloc(result);
        if (own < 0 || !data || pread(own, data, result, position) != result)
            give_up("what was written cannot be read back");
        syscall(SYS_close, own);
        e->head.offset = position;
        record(e, data, result);
        free(data);
        if (synced) { /* O_SYNC, O_DSYNC, RWF_DSYNC: this write is its own fsync */
            e->head.kind = FSYNC;
            record(e, NULL, 0);
        }
    }
    return leave(e, result);
}

static int shortened(struct iovec *kept, const struct iovec *parts, int count, size_t bytes)
{
    int used = 0;
    for (; used < count && bytes; used++) {
        kept[used] = parts[used];
        if (kept[used].iov_len > bytes)
            kept[used].iov_len = bytes;
        bytes -= kept[used].iov_len;
    }
    return used;
}

/* `offset` -1: at the file position. */
static ssize_t write_parts(struct event *e, const char *call, int fd, const struct iovec *parts, int count,
                           off_t offset, int flags)
{
    struct iovec kept[IOV_MAX];
    struct stat status;
    size_t total = 0;
    begin(e, call, WRITE, fd);
    if (!permitted(e))
        return -1;
    if (e->doomed && die_how == TORN && count <= IOV_MAX) {
        for (int i = 0; i < count; i++)
            total += parts[i].iov_len;
        count = shortened(kept, parts, count, total / 2);
        parts = kept;
    }
    long result = syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
    int saved = errno, opened = fcntl(fd, F_GETFL);
    if (offset < 0)
        offset = lseek(fd, 0, SEEK_CUR) - result;
    else if ((opened & O_APPEND || flags & RWF_APPEND) && fstat(fd, &status) == 0)
        offset = status.st_size - result; /* Linux appends whatever offset pwrite names */
    errno = saved;
    return finish_write(e, fd, offset, result, opened & O_DSYNC || flags & (RWF_DSYNC | RWF_SYNC));
}

/* A write to $SHIM_ROOT/../marks says what the scenario holds for acknowledged at this point. */
static void mark_if_marks(int fd, const void *data, size_t bytes)
{
    struct event e;
    int saved = errno;
    if (*trace && path_of_fd(fd, e.path) && !strcmp(e.path, marks)) {
        begin(&e, "mark", MARK, fd);
        finish(&e, 0, data, bytes);
    }
    errno = saved;
}

/* The plain way to write. */
ssize_t write(int fd, const void *data, size_t bytes)
{
    struct event e;
    struct iovec part = {(void *)data, bytes};
    if (watched_fd(fd, &e))
        return write_parts(&e, "write", fd, &part, 1, -1, 0);
    mark_if_marks(fd, data, bytes);
    return syscall(SYS_write, fd, data, bytes);
}

/* How SQLite writes database and WAL, and our drafts at an offset. */
ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset)
{
    struct event e;
    struct iovec part = {(void *)data, bytes};
    if (offset < 0 || !watched_fd(fd, &e))
        return syscall(SYS_pwrite64, fd, data, bytes, offset);
    return write_parts(&e, "pwrite", fd, &part, 1, offset, 0);
}
ssize_t pwrite(int, const void *, size_t, off_t) __attribute__((alias("pwrite64")));

/* os.writev: a header and its payload in one call. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    struct event e;
    return watched_fd(fd, &e) ? write_parts(&e, "writev", fd, parts, count, -1, 0)
                              : syscall(SYS_writev, fd, parts, count);
}

/* os.pwritev is pwritev64v2 in CPython, also without flags. */
ssize_t pwritev64v2(int fd, const struct iovec *parts, int count, off_t offset, int flags)
{
    struct event e;
    return watched_fd(fd, &e) ? write_parts(&e, "pwritev2", fd, parts, count, offset, flags)
                              : syscall(SYS_pwritev2, fd, parts, count, offset, 0L, flags);
}
ssize_t pwritev2(int, const struct iovec *, int, off_t, int) __attribute__((alias("pwritev64v2")));

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    struct event e;
    return offset >= 0 && watched_fd(fd, &e) ? write_parts(&e, "pwritev", fd, parts, count, offset, 0)
                                             : syscall(SYS_pwritev, fd, parts, count, offset, 0L);
}
ssize_t pwritev(int, const struct iovec *, int, off_t) __attribute__((alias("pwritev64")));

/* The three below write without the bytes passing through the process; shutil.copyfile uses sendfile. */
static long copied(struct event *e, int fd, const off_t *offset, long result)
{
    int saved = errno, opened = fcntl(fd, F_GETFL);
    off_t position = (offset ? *offset : lseek(fd, 0, SEEK_CUR)) - result;
    errno = saved;
    return finish_write(e, fd, position, result, opened & O_DSYNC);
}

static size_t to_copy(const struct event *e, size_t bytes)
{
    return e->doomed && die_how == TORN ? bytes / 2 : bytes;
}

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t bytes, unsigned flags)
{
    struct event e;
    if (!watched_fd(out, &e))
        return syscall(SYS_copy_file_range, in, in_at, out, out_at, bytes, flags);
    begin(&e, "copy_file_range", WRITE, out);
    if (!permitted(&e))
        return -1;
    return copied(&e, out, out_at,
                  syscall(SYS_copy_file_range, in, in_at, out, out_at, to_copy(&e, bytes), flags));
}

ssize_t sendfile64(int out, int in, off_t *in_at, size_t bytes)
{
    struct event e;
    if (!watched_fd(out, &e))
        return syscall(SYS_sendfile, out, in, in_at, bytes);
    begin(&e, "sendfile", WRITE, out);
    if (!permitted(&e))
        return -1;
    return copied(&e, out, NULL, syscall(SYS_sendfile, out, in, in_at, to_copy(&e, bytes)));
}
ssize_t sendfile(int, int, off_t *, size_t) __attribute__((alias("sendfile64")));

ssize_t splice(int in, off_t *in_at, int out, off_t *out_at, size_t bytes, unsigned flags)
{
    struct event e;
    if (!watched_fd(out, &e))
        return syscall(SYS_splice, in, in_at, out, out_at, bytes, flags);
    begin(&e, "splice", WRITE, out);
    if (!permitted(&e))
        return -1;
    return copied(&e, out, out_at, syscall(SYS_splice, in, in_at, out, out_at, to_copy(&e, bytes), flags));
}

/* Truncation loses bytes, and SQLite cuts its WAL by it. */
int ftruncate64(int fd, off_t length)
{
    struct event e;
    if (!watched_fd(fd, &e))
        return syscall(SYS_ftruncate, fd, length);
    begin(&e, "ftruncate", TRUNCATE, fd);
    e.head.length = length;
    return permitted(&e) ? finish(&e, syscall(SYS_ftruncate, fd, length), NULL, 0) : -1;
}
int ftruncate(int, off_t) __attribute__((alias("ftruncate64")));

int truncate64(const char *name, off_t length)
{
    struct event e;
    if (!watched_path(AT_FDCWD, name, e.path))
        return syscall(SYS_truncate, name, length);
    begin(&e, "truncate", TRUNCATE, -1);
    e.head.length = length;
    return permitted(&e) ? finish(&e, syscall(SYS_truncate, name, length), NULL, 0) : -1;
}
int truncate(const char *, off_t) __attribute__((alias("truncate64")));

/* Allocation changes the size, and is where a store reserves its space. */
int fallocate64(int fd, int mode, off_t offset, off_t length)
{
    struct event e;
    if (!watched_fd(fd, &e))
        return syscall(SYS_fallocate, fd, mode, offset, length);
    begin(&e, "fallocate", ALLOCATE, fd);
    e.head.offset = offset;
    e.head.length = length;
    return permitted(&e) ? finish(&e, syscall(SYS_fallocate, fd, mode, offset, length), &mode, sizeof mode)
                         : -1;
}
int fallocate(int, int, off_t, off_t) __attribute__((alias("fallocate64")));

int posix_fallocate64(int fd, off_t offset, off_t length)
{
    return fallocate64(fd, 0, offset, length) < 0 ? errno : 0;
}
int posix_fallocate(int, off_t, off_t) __attribute__((alias("posix_fallocate64")));

/* ---- names ------------------------------------------------------------------------------------------ */

/* Opening changes something when it makes the file or cuts it; which is known under the lock only. */
static int open_at(int dir, const char *name, int flags, mode_t mode)
{
    struct event e;
    struct stat status;
    bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
    if (!(flags & (O_CREAT | O_TRUNC) || nameless) || !watched_path(dir, name, e.path))
        return syscall(SYS_openat, dir, name, flags, mode);
    begin(&e, "open", CREATE, -1);
    bool there = fstatat(dir, name, &status, 0) == 0;
    bool creates = nameless || (flags & O_CREAT && !there);
    bool cuts = flags & O_TRUNC && there && S_ISREG(status.st_mode) && status.st_size > 0;
    if (!creates && !cuts) { /* under the lock too: O_TRUNC could cut what another thread writes meanwhile */
        int fd = syscall(SYS_openat, dir, name, flags, mode);
        unlock();
        return fd;
    }
    e.head.kind = creates ? CREATE : TRUNCATE;
    if (!permitted(&e))
        return -1;
    int fd = syscall(SYS_openat, dir, name, flags, mode);
    if (fd >= 0 && path_of_fd(fd, e.path) && fstat(fd, &status) == 0) {
        identify(&e, &status);
        e.head.length = creates ? status.st_mode & 07777 : 0;
        if (nameless)
            *e.path = 0; /* it gets its name by linkat */
    }
    return finish(&e, fd, NULL, 0);
}

#define MODE_OF(flags) ({ va_list rest; mode_t mode = 0; va_start(rest, flags); \
    if ((flags) & O_CREAT || ((flags) & O_TMPFILE) == O_TMPFILE) mode = va_arg(rest, mode_t); \
    va_end(rest); mode; })

int open64(const char *name, int flags, ...) { return open_at(AT_FDCWD, name, flags, MODE_OF(flags)); }
int openat64(int dir, const char *name, int flags, ...) { return open_at(dir, name, flags, MODE_OF(flags)); }
int open(const char *, int, ...) __attribute__((alias("open64")));
int openat(int, const char *, int, ...) __attribute__((alias("openat64")));
/* What a program built with _FORTIFY_SOURCE calls when it gives no mode; O_TRUNC is still possible. */
int __open64_2(const char *name, int flags) { return open_at(AT_FDCWD, name, flags, 0); }
int __openat64_2(int dir, const char *name, int flags) { return open_at(dir, name, flags, 0); }
int __open_2(const char *, int) __attribute__((alias("__open64_2")));
int __openat_2(int, const char *, int) __attribute__((alias("__openat64_2")));

int creat64(const char *name, mode_t mode)
{
    return open_at(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
int creat(const char *, mode_t) __attribute__((alias("creat64")));

/* The atomic step of every save; also across directories, with RENAME_EXCHANGE or RENAME_NOREPLACE. */
static int rename_at(int from, const char *old, int to, const char *new, unsigned flags)
{
    struct event e;
    struct stat status;
    bool old_watched = watched_path(from, old, e.path), new_watched = watched_path(to, new, e.other_path);
    if (!old_watched && !new_watched)
        return syscall(SYS_renameat2, from, old, to, new, flags);
    begin(&e, "rename", RENAME, -1);
    e.head.offset = flags;
    e.head.length = lstat(e.other_path, &status) == 0 ? (int64_t)status.st_ino : 0;
    return permitted(&e) ? finish(&e, syscall(SYS_renameat2, from, old, to, new, flags), NULL, 0) : -1;
}

int rename(const char *old, const char *new) { return rename_at(AT_FDCWD, old, AT_FDCWD, new, 0); }
int renameat(int from, const char *old, int to, const char *new) { return rename_at(from, old, to, new, 0); }
int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    return rename_at(from, old, to, new, flags);
}

/* A second name, or the first name of an O_TMPFILE; so the inode is asked of the new name afterwards. */
int linkat(int from, const char *old, int to, const char *new, int flags)
{
    struct event e;
    struct stat status;
    if (!watched_path(to, new, e.other_path))
        return syscall(SYS_linkat, from, old, to, new, flags);
    if (!watched_path(from, old, e.path))
        *e.path = 0;
    begin(&e, "link", LINK, -1);
    if (!permitted(&e))
        return -1;
    int result = syscall(SYS_linkat, from, old, to, new, flags);
    if (result == 0 && lstat(e.other_path, &status) == 0)
        identify(&e, &status);
    return finish(&e, result, NULL, 0);
}
int link(const char *old, const char *new) { return linkat(AT_FDCWD, old, AT_FDCWD, new, 0); }

/* An unlinked file may come back after a power loss, and a removed name must not be pointed at. */
int unlinkat(int dir, const char *name, int flags)
{
    struct event e;
    bool directory = flags & AT_REMOVEDIR;
    if (!watched_path(dir, name, e.path))
        return syscall(SYS_unlinkat, dir, name, flags);
    begin(&e, directory ? "rmdir" : "unlink", directory ? RMDIR : UNLINK, -1);
    return permitted(&e) ? finish(&e, syscall(SYS_unlinkat, dir, name, flags), NULL, 0) : -1;
}
int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

/* A new directory is lost with all in it until its parent is synced. */
int mkdirat(int dir, const char *name, mode_t mode)
{
    struct event e;
    struct stat status;
    if (!watched_path(dir, name, e.path))
        return syscall(SYS_mkdirat, dir, name, mode);
    begin(&e, "mkdir", MKDIR, -1);
    if (!permitted(&e))
        return -1;
    int result = syscall(SYS_mkdirat, dir, name, mode);
    if (result == 0 && lstat(e.path, &status) == 0) {
        identify(&e, &status);
        e.head.length = status.st_mode & 07777;
    }
    return finish(&e, result, NULL, 0);
}
int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

/* Names like any other; the target is data that comes with the name. */
int symlinkat(const char *target, int dir, const char *name)
{
    struct event e;
    if (!watched_path(dir, name, e.path))
        return syscall(SYS_symlinkat, target, dir, name);
    begin(&e, "symlink", SYMLINK, -1);
    e.head.inode = 0;
    return permitted(&e) ? finish(&e, syscall(SYS_symlinkat, target, dir, name), target, strlen(target)) : -1;
}
int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

/* ---- syncs ------------------------------------------------------------------------------------------ */

/* What dies or is recorded here never meets the machine's own disk; SHIM_FAKE_SYNC saves its time. */
static int sync_fd(const char *call, enum kind kind, long number, int fd)
{
    struct event e;
    if (!watched_fd(fd, &e))
        return syscall(number, fd);
    wait_for_slow_disk();
    begin(&e, call, kind, fd);
    return permitted(&e) ? finish(&e, fake_sync ? 0 : syscall(number, fd), NULL, 0) : -1;
}

/* The moments at which something becomes durable; fdatasync is what SQLite calls, for directories too. */
int fsync(int fd) { return sync_fd("fsync", FSYNC, SYS_fsync, fd); }
int fdatasync(int fd) { return sync_fd("fdatasync", FSYNC, SYS_fdatasync, fd); }
int syncfs(int fd) { return sync_fd("syncfs", SYNCFS, SYS_syncfs, fd); }

void sync(void)
{
    struct event e;
    if (root_bytes) {
        wait_for_slow_disk();
        memcpy(e.path, root, root_bytes + 1);
        begin(&e, "sync", SYNCFS, -1);
        finish(&e, 0, NULL, 0);
    }
    if (!fake_sync)
        syscall(SYS_sync);
}

/* Looks like a sync and is none: it neither syncs the size nor flushes the disk's cache. */
int sync_file_range(int fd, off_t offset, off_t length, unsigned flags)
{
    struct event e;
    if (!watched_fd(fd, &e))
        return syscall(SYS_sync_file_range, fd, offset, length, flags);
    begin(&e, "sync_file_range", SYNC_RANGE, fd);
    return finish(&e, syscall(SYS_sync_file_range, fd, offset, length, flags), NULL, 0);
}

/* Stores through a shared mapping cannot be seen; noting it lets a test say that its trace is not whole. */
void *mmap64(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    struct event e;
    bool writable = fd >= 0 && flags & MAP_SHARED && protection & PROT_WRITE;
    if (writable && *trace && watched_fd(fd, &e)) {
        begin(&e, "mmap", MAP, fd);
        finish(&e, 0, NULL, 0);
    }
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, fd, offset);
}
void *mmap(void *, size_t, int, int, int, off_t) __attribute__((alias("mmap64")));
