/*
 * Says what a container has, in one process and without a shell, then becomes `probe` for the libraries.
 *
 *   look MAJOR:MINOR... -- SONAME...
 *
 * One line of JSON a fact, and then the lines of `probe SONAME...`, whose exit status is the answer:
 *
 *   {"libc": "2.36", "path": "/lib64/libc.so.6", "uid": 0, "root": "writable"}    root: EROFS or the like if not
 *   {"env": "PATH=/usr/bin"}
 *   {"mount": "<the line of /proc/self/mountinfo>"}
 *   {"node": "/dev/nvidia0", "number": "195:0", "open": "ENXIO"}    character devices below /dev, opened to read and write
 *   {"made": "195:0", "mknod": "ok", "open": "EPERM"}    a node of that number, made here and opened: the device cgroup
 *   {"call": "cuInit", "result": 100}    and nvmlInit_v2; null where the library or the function is not found
 *
 * `ENXIO` and `ENODEV` are the kernel's answers where no driver has the number, after every check of
 * permissions; `EPERM` is the device cgroup's, `EACCES` that of the node's mode.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void put_string(const char *text)
{
    putchar('"');
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            printf("\\%c", *c);
        else if (*c < 0x20 || *c >= 0x7f)
            printf("\\u%04x", *c);
        else
            putchar(*c);
    }
    putchar('"');
}

static const char *name_of(int error)
{
    return error == 0 ? "ok" : strerrorname_np(error);
}

static int open_error(const char *path)
{
    int file = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (file < 0)
        return errno;
    close(file);
    return 0;
}

static void put_libc(void)
{
    struct link_map *map = NULL;
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    const char *path = libc != NULL && dlinfo(libc, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : "";
    printf("{\"libc\": \"%s\", \"path\": ", gnu_get_libc_version());
    put_string(path);
    int made = mkdir("/look", 0700) == 0 ? 0 : errno;
    if (made == 0)
        rmdir("/look");
    printf(", \"uid\": %u, \"root\": \"%s\"}\n", getuid(), made == 0 ? "writable" : name_of(made));
}

static void put_mounts(void)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    char *line = NULL;
    size_t size = 0;
    while (file != NULL && getline(&line, &size, file) > 0) {
        line[strcspn(line, "\n")] = '\0';
        fputs("{\"mount\": ", stdout);
        put_string(line);
        puts("}");
    }
    free(line);
    if (file != NULL)
        fclose(file);
}

static int put_node(const char *path, const struct stat *status, int kind, struct FTW *where)
{
    (void)kind;
    (void)where;
    if (!S_ISCHR(status->st_mode))
        return 0;
    fputs("{\"node\": ", stdout);
    put_string(path);
    printf(", \"number\": \"%u:%u\", \"open\": \"%s\"}\n", major(status->st_rdev), minor(status->st_rdev),
           name_of(open_error(path)));
    return 0;
}

static void put_made(const char *number)
{
    unsigned first = 0, second = 0;
    const char *path = "/dev/look";
    if (sscanf(number, "%u:%u", &first, &second) != 2)
        exit(2);
    int made = mknod(path, S_IFCHR | 0666, makedev(first, second)) == 0 ? 0 : errno;
    printf("{\"made\": \"%s\", \"mknod\": \"%s\", \"open\": ", number, name_of(made));
    if (made == 0)
        printf("\"%s\"}\n", name_of(open_error(path)));
    else
        puts("null}");
    unlink(path);
}

/* In a process of its own: what the library loads or breaks must not be here afterwards. */
static void put_call(const char *library, const char *function)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        int (*call)(unsigned) = NULL;
        void *loaded = dlopen(library, RTLD_NOW | RTLD_LOCAL);
        if (loaded != NULL)
            *(void **)&call = dlsym(loaded, function);
        printf("{\"call\": \"%s\", \"result\": ", function);
        if (call == NULL)
            puts("null}");
        else
            printf("%d}\n", call(0));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    umask(0);
    put_libc();
    for (char **entry = environ; *entry != NULL; entry++) {
        fputs("{\"env\": ", stdout);
        put_string(*entry);
        puts("}");
    }
    put_mounts();
    nftw("/dev", put_node, 16, FTW_PHYS);
    int i = 1;
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        put_made(argv[i]);
    put_call("libcuda.so.1", "cuInit");
    put_call("libnvidia-ml.so.1", "nvmlInit_v2");
    fflush(stdout);
    if (i + 1 >= argc)
        return 0;
    argv[i] = "probe";
    execv("/usr/bin/probe", argv + i);
    perror("look: /usr/bin/probe");
    return 3;
}
