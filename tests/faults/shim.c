/* Sees every libc call that changes or syncs a file below $SHIM_ROOT, and can slow it down, fail it, end the
 * process at it, or record it. Loaded with LD_PRELOAD; tests/faults/shim.py sets the variables. The wrappers
 * are in calls.c; here is what they have in common. */
#include "shim.h"
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

/* The count file, mapped shared: right even after SIGKILL, and one count for all processes of a scenario. */
struct shared {
    _Atomic uint64_t loaded, count, failed, died;
    char last[PATH_MAX]; /* the call at which the process died, for people */
};

#define MAGIC 0x4d494853u
#define CONTROL_BYTES 64
char root[PATH_MAX], marks[PATH_MAX], trace[PATH_MAX];
size_t root_bytes;
enum how die_how;
bool fake_sync;
static const char *control;
static struct shared private_page, *page = &private_page;
static uint64_t die_at;
static long slow_fsync_ms;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int trace_fd = -1;

/* ---- start ------------------------------------------------------------------------------------------ */

_Noreturn void give_up(const char *why)
{
    fprintf(stderr, "shim: %s: %s\n", why, strerror(errno));
    abort();
}

static void *map_file(const char *path, size_t bytes, int protection)
{
    int flags = protection & PROT_WRITE ? O_RDWR : O_RDONLY;
    int fd = syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
    void *address = (void *)syscall(SYS_mmap, NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (fd < 0 || address == MAP_FAILED)
        give_up(path);
    close(fd);
    return address;
}

/* A fork while another thread is inside a call would leave the child a mutex nobody unlocks. */
static void before_fork(void) { pthread_mutex_lock(&mutex); }
static void after_fork(void) { pthread_mutex_unlock(&mutex); }

static long number(const char *name) { return getenv(name) ? atol(getenv(name)) : 0; }

__attribute__((constructor)) static void start(void)
{
    const char *how = getenv("SHIM_DIE_HOW"), *text;
    if (!(text = getenv("SHIM_ROOT")))
        return;
    if (!realpath(text, root))
        give_up(text);
    root_bytes = strlen(root);
    if (snprintf(marks, sizeof marks, "%.*s/marks", (int)(strrchr(root, '/') - root), root) >= PATH_MAX)
        give_up("the root's name is too long");
    if ((text = getenv("SHIM_TRACE")))
        snprintf(trace, sizeof trace, "%s", text);
    if ((text = getenv("SHIM_CONTROL")))
        control = map_file(text, CONTROL_BYTES, PROT_READ);
    if ((text = getenv("SHIM_COUNT_FILE")))
        page = map_file(text, sizeof *page, PROT_READ | PROT_WRITE);
    die_at = number("SHIM_DIE_AT");
    die_how = how && !strcmp(how, "torn") ? TORN : how && !strcmp(how, "after") ? AFTER : BEFORE;
    slow_fsync_ms = number("SHIM_SLOW_FSYNC_MS");
    fake_sync = number("SHIM_FAKE_SYNC");
    pthread_atfork(before_fork, after_fork, after_fork);
    page->loaded = 1;
}

/* ---- which file is meant ---------------------------------------------------------------------------- */

/* SQLite's -shm is an index in shared memory, rebuilt after every crash: never part of what must survive. */
static bool below_root(const char *path)
{
    size_t bytes = strlen(path);
    return root_bytes && !strncmp(path, root, root_bytes) && (!path[root_bytes] || path[root_bytes] == '/')
        && !(bytes > 4 && !strcmp(path + bytes - 4, "-shm"));
}

bool path_of_fd(int fd, char *out)
{
    static const char gone[] = " (deleted)";
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t bytes = readlink(link, out, PATH_MAX - 1);
    if (bytes <= 0)
        return false;
    out[bytes] = 0;
    ssize_t kept = bytes - (ssize_t)(sizeof gone - 1);
    if (kept > 0 && !strcmp(out + kept, gone))
        out[kept] = 0;
    return true;
}

bool watched_fd(int fd, struct event *e)
{
    int saved = errno;
    bool watched = root_bytes && path_of_fd(fd, e->path) && below_root(e->path);
    errno = saved;
    return watched;
}

/* The path of an entry with the symlinks in front of its last part resolved; the last part is the entry. */
static bool resolve(int dir, const char *name, char *out)
{
    char joined[2 * PATH_MAX] = "";
    *out = 0;
    if (!name || !*name || strlen(name) >= PATH_MAX)
        return false;
    if (*name != '/' && !(dir == AT_FDCWD ? getcwd(joined, PATH_MAX) != NULL : path_of_fd(dir, joined)))
        return false;
    strcat(strcat(joined, "/"), name);
    for (size_t end = strlen(joined); end > 1 && joined[end - 1] == '/'; end--)
        joined[end - 1] = 0;
    char *last = strrchr(joined, '/');
    *last++ = 0;
    if (!realpath(*joined ? joined : "/", out) || strlen(out) + strlen(last) + 2 > PATH_MAX)
        return false;
    strcat(strcat(out, "/"), last);
    return true;
}

bool watched_path(int dir, const char *name, char *out)
{
    int saved = errno;
    bool watched = root_bytes && resolve(dir, name, out) && below_root(out);
    errno = saved;
    return watched;
}

/* ---- before and after each call --------------------------------------------------------------------- */

/* Order of records = order of effects: the call itself happens between lock and unlock. The mutex orders the
 * threads, the POSIX lock the processes. The trace is opened for each call, because a daemon may close
 * descriptors it does not know. In the modes without order (slow, fail) nothing is locked. */
static void lock(void)
{
    struct flock whole = {.l_type = F_WRLCK};
    if (!*trace && !die_at)
        return;
    pthread_mutex_lock(&mutex);
    if (!*trace)
        return;
    trace_fd = syscall(SYS_openat, AT_FDCWD, trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (trace_fd < 0 || fcntl(trace_fd, F_SETLKW, &whole) < 0)
        give_up(trace);
}

void unlock(void)
{
    if (trace_fd >= 0)
        syscall(SYS_close, trace_fd);
    trace_fd = -1;
    if (*trace || die_at)
        pthread_mutex_unlock(&mutex);
}

static const char *relative(const char *path)
{
    return below_root(path) ? path + root_bytes + (path[root_bytes] == '/') : path;
}

void record(struct event *e, const void *data, size_t data_bytes)
{
    const char *path = relative(e->path), *other = relative(e->other_path);
    if (!*trace)
        return;
    e->head.magic = MAGIC;
    e->head.path_bytes = strlen(path);
    e->head.other_path_bytes = strlen(other);
    e->head.data_bytes = data_bytes;
    struct iovec parts[] = {{&e->head, sizeof e->head}, {(void *)path, e->head.path_bytes},
                            {(void *)other, e->head.other_path_bytes}, {(void *)data, data_bytes}};
    ssize_t bytes = sizeof e->head + e->head.path_bytes + e->head.other_path_bytes + data_bytes;
    if (syscall(SYS_writev, trace_fd, parts, 4) != bytes)
        give_up("the trace cannot be written");
}

static _Noreturn void die(const struct event *e)
{
    if (!atomic_exchange(&page->died, 1))
        snprintf(page->last, sizeof page->last, "%s %.3000s", e->call, e->path);
    for (;;)
        syscall(SYS_exit_group, 137);
}

/* The value after `key=` in the control file, which a test rewrites while we run. */
static bool setting(const char *key, char *value)
{
    char text[CONTROL_BYTES + 1] = "";
    if (!control)
        return false;
    memcpy(text, control, CONTROL_BYTES);
    char *at = strstr(text, key);
    if (!at)
        return false;
    at += strlen(key);
    size_t bytes = strcspn(at, " \n");
    memcpy(value, at, bytes);
    value[bytes] = 0;
    return true;
}

static int errno_named(const char *name)
{
    static const struct { const char *name; int number; } known[] = {
        {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO}, {"EROFS", EROFS}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(name, known[i].name))
            return known[i].number;
    errno = EINVAL;
    give_up("the control file names an errno the shim does not know");
}

/* A full disk refuses what needs room; removing and renaming go on, as they do on a real one. */
static int injected_errno(const struct event *e)
{
    char value[CONTROL_BYTES + 1], only[CONTROL_BYTES + 1];
    enum kind kind = e->head.kind;
    bool sync = kind == FSYNC || kind == SYNCFS;
    if (kind == RENAME || kind == UNLINK || kind == RMDIR || kind > SYNCFS || !setting("fail=", value))
        return 0;
    char *suffix = strstr(value, "-fsync");
    if ((suffix != NULL) != sync || (setting("only=", only) && !strstr(relative(e->path), only)))
        return 0;
    if (suffix)
        *suffix = 0;
    return errno_named(value);
}

void identify(struct event *e, const struct stat *status)
{
    e->head.device = status->st_dev;
    e->head.inode = status->st_ino;
}

/* Starts a call on the file behind `fd`, or behind e->path when there is no descriptor. */
void begin(struct event *e, const char *call, enum kind kind, int fd)
{
    struct stat status;
    lock();
    memset(&e->head, 0, sizeof e->head);
    if (kind != RENAME && kind != LINK)
        *e->other_path = 0;
    e->head.kind = kind;
    e->call = call;
    e->doomed = false;
    if ((fd >= 0 ? fstat(fd, &status) : lstat(e->path, &status)) == 0)
        identify(e, &status);
}

/* Says whether the call may happen; false with errno set when a failure is injected. May not return.
 * Where only writes can be torn, only writes are counted. */
bool permitted(struct event *e)
{
    int error = injected_errno(e);
    if (error) {
        page->failed++;
        unlock();
        errno = error;
        return false;
    }
    if (e->head.kind <= SYMLINK && (die_how != TORN || e->head.kind == WRITE)) {
        e->doomed = atomic_fetch_add(&page->count, 1) + 1 == die_at;
        if (die_at && (page->died || (e->doomed && die_how == BEFORE)))
            die(e);
    }
    return true;
}

long leave(struct event *e, long result)
{
    if (e->doomed)
        die(e);
    unlock();
    return result;
}

long finish(struct event *e, long result, const void *data, size_t data_bytes)
{
    if (result >= 0)
        record(e, data, data_bytes);
    return leave(e, result);
}

/* Sleeps outside the lock: a slow disk makes one caller wait, not the others. */
void wait_for_slow_disk(void)
{
    char value[CONTROL_BYTES + 1];
    long ms = setting("slow_fsync_ms=", value) ? atol(value) : slow_fsync_ms;
    struct timespec pause = {ms / 1000, ms % 1000 * 1000000};
    while (ms > 0 && nanosleep(&pause, &pause) < 0 && errno == EINTR)
        ;
}
