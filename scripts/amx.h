// Read before llama.cpp's AMX kernels (llama.cmake), in place of two intrinsics of gcc.
//
// gcc before 12.4 and 13.3 takes ldtilecfg to read, and sttilecfg to write, 8 bytes of a
// configuration's 64 (its bug 114098). So it leaves out that the others are written, and the first
// matrix that is multiplied is a general protection fault.
#if defined(__AMX_TILE__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>

#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg\t%0" ::"m"(*(const char(*)[64])(config)))
#define _tile_storeconfig(config) __asm__ volatile("sttilecfg\t%0" : "=m"(*(char(*)[64])(config)))
#endif
