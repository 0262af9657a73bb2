/* Stands in for libnvidia-ml.so.1 in tests: two devices, written from NVML's public interface.
 *
 * Build: cc -shared -fPIC -Wl,-soname,libnvidia-ml.so.1 -o libnvidia-ml.so.1 nvml_stand_in.c [-D...]
 *   INIT_FAILS     the library is there, the kernel module is not
 *   OLD_DRIVER     only what drivers had for long: no power limit, no clocks, old names of the rest
 *   MIXED          two kinds of device
 *   LOSES_SECOND   the second device falls off the bus with its first reading of utilization
 *   SECOND_CLOSED  the second device may not be opened, as in a container
 *   CAPABILITY=9   CUDA's compute capability, which is not told without it
 *   POWER_CAPPED   both devices are held at their power limit, the second one is too hot besides
 *   COUNTS_SHUTDOWNS  prints "shutdown" to stderr when it is shut down
 * The variable STAND_IN_LOST names a file; as long as it is there, the second device is lost.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

typedef struct { unsigned number; } device;
typedef struct { unsigned long long total, free, used; } memory_v1;
typedef struct { unsigned version; unsigned long long total, reserved, free, used; } memory_v2;
typedef struct { unsigned gpu, memory; } utilization;

static device devices[2] = {{0}, {1}};
static const unsigned long long GIB = 1ULL << 30;
static const char *uuids[2] = {"GPU-aaaa0000-0000-0000-0000-000000000000", "GPU-bbbb1111-0000-0000-0000-000000000000"};

static int fallen_off = 0;

static int gone(unsigned number) {
    const char *file = getenv("STAND_IN_LOST");
    return number == 1 && (fallen_off || (file && access(file, F_OK) == 0));
}

static int text(char *to, unsigned size, const char *from) {
    strncpy(to, from, size);
    return OK;
}

#ifdef INIT_FAILS
int nvmlInitWithFlags(unsigned flags) { (void)flags; return DRIVER_NOT_LOADED; }
#else
int nvmlInitWithFlags(unsigned flags) { (void)flags; return OK; }
#endif

int nvmlShutdown(void) {
#ifdef COUNTS_SHUTDOWNS
    fprintf(stderr, "shutdown\n");
#endif
    return OK;
}

const char *nvmlErrorString(int code) {
    switch (code) {
    case NOT_SUPPORTED: return "Not Supported";
    case NO_PERMISSION: return "Insufficient Permissions";
    case DRIVER_NOT_LOADED: return "Driver Not Loaded";
    case GPU_IS_LOST: return "GPU is lost";
    default: return "Unknown Error";
    }
}

int nvmlSystemGetDriverVersion(char *to, unsigned size) { return text(to, size, "999.10"); }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return OK; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, device **handle) {
#ifdef SECOND_CLOSED
    if (index == 1) return NO_PERMISSION;
#endif
    if (index > 1) return NOT_FOUND;
    if (gone(index)) return GPU_IS_LOST;
    *handle = &devices[index];
    return OK;
}

int nvmlDeviceGetHandleByUUID(const char *uuid, device **handle) {
    if (strcmp(uuid, uuids[1]) != 0 && strcmp(uuid, "MIG-cccc2222") != 0) return NOT_FOUND;
    if (gone(1)) return GPU_IS_LOST;
    *handle = &devices[1];
    return OK;
}

#ifdef CAPABILITY
int nvmlDeviceGetCudaComputeCapability(device *d, int *major, int *minor) {
    (void)d;
    *major = CAPABILITY;
    *minor = 0;
    return OK;
}
#endif

int nvmlDeviceGetUUID(device *d, char *to, unsigned size) { return gone(d->number) ? GPU_IS_LOST : text(to, size, uuids[d->number]); }

int nvmlDeviceGetName(device *d, char *to, unsigned size) {
#ifdef MIXED
    if (d->number == 1) return text(to, size, "Stand-in 24");
#endif
    (void)d;
    return text(to, size, "Stand-in 80");
}

int nvmlDeviceGetUtilizationRates(device *d, utilization *u) {
    if (gone(d->number)) return GPU_IS_LOST;
#ifdef LOSES_SECOND
    fallen_off = d->number == 1;
#endif
    u->gpu = 41 + d->number;
    u->memory = 7;
    return OK;
}

int nvmlDeviceGetMemoryInfo(device *d, memory_v1 *m) {
    if (gone(d->number)) return GPU_IS_LOST;
    m->total = 80 * GIB;
    m->used = (2 + d->number) * GIB; /* 1 GiB of it reserved by the driver */
    m->free = m->total - m->used;
    return OK;
}

int nvmlDeviceGetTemperature(device *d, int sensor, unsigned *celsius) {
    if (gone(d->number)) return GPU_IS_LOST;
    (void)sensor;
    *celsius = 60 + d->number;
    return OK;
}

#ifdef OLD_DRIVER
int nvmlDeviceGetPowerUsage(device *d, unsigned *milliwatts) { (void)d; (void)milliwatts; return NOT_SUPPORTED; }
int nvmlDeviceGetCurrentClocksThrottleReasons(device *d, unsigned long long *reasons) {
    *reasons = d->number ? 0x1 : 0x2; /* idle; clocks set by somebody */
    return OK;
}
#else
int nvmlDeviceGetMemoryInfo_v2(device *d, memory_v2 *m) {
    if (gone(d->number)) return GPU_IS_LOST;
    if (m->version != (sizeof(memory_v2) | 2u << 24)) return 25; /* argument version mismatch */
    m->total = 80 * GIB;
    m->reserved = GIB;
    m->used = (1 + d->number) * GIB;
    m->free = m->total - m->reserved - m->used;
    return OK;
}
int nvmlDeviceGetPowerUsage(device *d, unsigned *milliwatts) { *milliwatts = 350500 + d->number; return gone(d->number) ? GPU_IS_LOST : OK; }
int nvmlDeviceGetEnforcedPowerLimit(device *d, unsigned *milliwatts) { (void)d; *milliwatts = 700000; return OK; }
int nvmlDeviceGetClockInfo(device *d, int kind, unsigned *mhz) { *mhz = (kind == 2 ? 2600 : 1900) + d->number; return OK; }
int nvmlDeviceGetCurrentClocksEventReasons(device *d, unsigned long long *reasons) {
    if (gone(d->number)) return GPU_IS_LOST;
#ifdef POWER_CAPPED
    *reasons = d->number ? 0x4 | 0x40 : 0x4;
#else
    *reasons = d->number ? 0x20 | 0x1 : 0x0; /* the second: too hot */
#endif
    return OK;
}
#endif
