/* Stands in for libcuda.so.1 in tests: one device of 139 GiB, written from CUDA's public driver interface.
 *
 * Build: cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o libcuda.so.1 libcuda_stand_in.c [-DNO_DEVICE] [-DNO_ATTRIBUTES]
 */
#include <stddef.h>
#include <string.h>

enum { OK = 0, NO_DEVICE_FOUND = 100 };

#ifdef NO_DEVICE
int cuInit(unsigned flags) { (void)flags; return NO_DEVICE_FOUND; }
#else
int cuInit(unsigned flags) { (void)flags; return OK; }
#endif
int cuDeviceGetCount(int *count) { *count = 1; return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return OK; }
int cuDeviceGetName(char *name, int length, int device) { (void)device; strncpy(name, "Stand-in 139", length); return OK; }
int cuDeviceGetAttribute(int *value, int name, int device) {
  (void)device;
#ifdef NO_ATTRIBUTES
  return NO_DEVICE_FOUND;
#endif
  *value = name == 75 ? 8 : name == 76 ? 7 : 0;
  return OK;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = (size_t)139 << 30; return OK; }
