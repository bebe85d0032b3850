/* What calls.c (one wrapper for each libc call) and shim.c (which file, which fault, what record) share. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The same numbers as trace.Kind. Kinds up to SYMLINK change something and are counted. */
enum kind { CREATE = 1, TRUNCATE, WRITE, ALLOCATE, RENAME, LINK, UNLINK, MKDIR, RMDIR, SYMLINK,
            FSYNC, SYNCFS, SYNC_RANGE, MAP, MARK };
enum how { BEFORE, AFTER, TORN };

struct header { /* of one record in the trace; the paths and the data follow. trace.HEADER */
    uint32_t magic, kind, path_bytes, other_path_bytes;
    uint64_t device, inode, data_bytes;
    int64_t offset, length; /* length: a mode (CREATE, MKDIR) or the replaced inode (RENAME; offset: flags) */
};

struct event {
    struct header head;
    const char *call;
    bool doomed;
    char path[PATH_MAX], other_path[PATH_MAX];
};

extern char root[PATH_MAX], marks[PATH_MAX], trace[PATH_MAX];
extern size_t root_bytes;
extern enum how die_how;
extern bool fake_sync;

_Noreturn void give_up(const char *why);

/* Is this one of ours? Then its path is in the event, and the wrapper goes on with begin(). */
bool path_of_fd(int fd, char *out);
bool watched_fd(int fd, struct event *e);
bool watched_path(int dir, const char *name, char *out);

/* Every watched call: begin, then permitted (it may fail or die there), then the call itself, then finish. */
void begin(struct event *e, const char *call, enum kind kind, int fd);
void identify(struct event *e, const struct stat *status);
bool permitted(struct event *e);
long leave(struct event *e, long result); /* like finish, where the wrapper has recorded by itself */
long finish(struct event *e, long result, const void *data, size_t data_bytes);
void unlock(void);
void record(struct event *e, const void *data, size_t data_bytes);
void wait_for_slow_disk(void);
