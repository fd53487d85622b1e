/*
 * Loads shared libraries the way a program does, by name, and says what came of it.
 *
 *   probe SONAME...   dlopen each, each in a process of its own
 *   probe --cuinit    dlopen libcuda.so.1 and call cuInit(0)
 *   probe --nvmlinit  dlopen libnvidia-ml.so.1 and call nvmlInit_v2()
 *
 * One line of JSON a library:
 *
 *   {"name": "libcuda.so.1", "ok": true, "error": null, "path": "/usr/lib64/libcuda.so.1", "result": 100}
 *
 * `path` is the loader's own answer (the link map), `result` is null unless a function was called. Exit
 * status: 0 all were loaded, 1 one was not, 2 usage. What the function returned does not count: without a
 * GPU, "no device" is the right answer.
 *
 * A process for each library: what one has loaded must not satisfy the next one's needs, and a constructor
 * that crashes ends only its own line. Linked dynamically, because a static dlopen is another loader.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void put_string(const char *text)
{
    if (text == NULL) {
        fputs("null", stdout);
        return;
    }
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

static void put_line(const char *name, const char *error, const char *path, const int *result)
{
    fputs("{\"name\": ", stdout);
    put_string(name);
    printf(", \"ok\": %s, \"error\": ", error == NULL ? "true" : "false");
    put_string(error);
    fputs(", \"path\": ", stdout);
    put_string(path);
    fputs(", \"result\": ", stdout);
    if (result == NULL)
        fputs("null}\n", stdout);
    else
        printf("%d}\n", *result);
    fflush(stdout);
}

/* Returns 0 when the library was loaded and, if one was named, its function was called. */
static int load(const char *name, const char *function)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        put_line(name, dlerror(), NULL, NULL);
        return 1;
    }
    struct link_map *map = NULL;
    const char *path = dlinfo(library, RTLD_DI_LINKMAP, &map) == 0 ? map->l_name : NULL;
    if (function == NULL) {
        put_line(name, NULL, path, NULL);
        return 0;
    }
    /* int (unsigned) serves both: nvmlInit_v2 takes nothing and leaves the argument register alone. */
    int (*call)(unsigned) = NULL;
    *(void **)&call = dlsym(library, function);
    if (call == NULL) {
        put_line(name, dlerror(), path, NULL);
        return 1;
    }
    int result = call(0);
    put_line(name, NULL, path, &result);
    return 0;
}

static int load_in_child(const char *name, const char *function)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(load(name, function)); /* put_line has flushed; no destructor of the library's is run */
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        put_line(name, "the probe could not start a process", NULL, NULL);
        return 1;
    }
    if (WIFSIGNALED(status)) {
        char reason[64];
        snprintf(reason, sizeof reason, "killed by signal %d", WTERMSIG(status));
        put_line(name, reason, NULL, NULL);
        return 1;
    }
    return WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--cuinit") == 0)
        return load_in_child("libcuda.so.1", "cuInit");
    if (argc == 2 && strcmp(argv[1], "--nvmlinit") == 0)
        return load_in_child("libnvidia-ml.so.1", "nvmlInit_v2");
    if (argc < 2 || argv[1][0] == '-') {
        fputs("usage: probe SONAME... | --cuinit | --nvmlinit\n", stderr);
        return 2;
    }
    int failed = 0;
    for (int i = 1; i < argc; i++)
        failed |= load_in_child(argv[i], NULL);
    return failed;
}
