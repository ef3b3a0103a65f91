/* The instruction sets that ONNX Runtime's CPU kernels (MLAS) are chosen by, by the names that
 * Linux has for them in /proc/cpuinfo.
 *
 * On x86 the CPU is asked itself: /proc/cpuinfo lacks avx_vnni_int8 and avx_ne_convert, and a
 * chroot may lack /proc. A set counts only if the system saves its registers (XCR0). */
#ifndef ORTMMAP_CPU_FEATURES_H
#define ORTMMAP_CPU_FEATURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { ORTMMAP_CPU_FEATURES_SIZE = 512 }; /* of the text, in bytes; all names take less */

/* Append a name, after a space. */
static inline void ortmmap_cpu_add(char *names, const char *name) {
  size_t length = strlen(names);
  snprintf(names + length, ORTMMAP_CPU_FEATURES_SIZE - length, " %s", name);
}

#if defined(__x86_64__) || defined(__i386__) || defined(_M_X64) || defined(_M_IX86)

#ifdef _MSC_VER
#include <intrin.h>
#else
#include <cpuid.h>
#endif

enum { ORTMMAP_CPU_SSE = 0, ORTMMAP_CPU_AVX = 0x6, ORTMMAP_CPU_AVX512 = 0xe6 };
enum { ORTMMAP_CPU_TILES = 0x60000 }; /* the bits of XCR0 for the registers of AMX */
enum { ORTMMAP_CPU_OSXSAVE = 1 << 27 };

typedef enum {
  ORTMMAP_CPU_1_ECX,
  ORTMMAP_CPU_7_EBX,
  ORTMMAP_CPU_7_ECX,
  ORTMMAP_CPU_7_EDX,
  ORTMMAP_CPU_71_EAX,
  ORTMMAP_CPU_71_EDX,
  ORTMMAP_CPU_WORDS
} ortmmap_cpu_word;

typedef struct ortmmap_cpu_bit {
  const char *name;
  ortmmap_cpu_word word;
  int bit;
  uint32_t registers; /* that the system must save: bits of XCR0 */
} ortmmap_cpu_bit;

static const ortmmap_cpu_bit ortmmap_cpu_bits[] = {
    {"sse4_1", ORTMMAP_CPU_1_ECX, 19, ORTMMAP_CPU_SSE},
    {"fma", ORTMMAP_CPU_1_ECX, 12, ORTMMAP_CPU_AVX},
    {"avx", ORTMMAP_CPU_1_ECX, 28, ORTMMAP_CPU_AVX},
    {"avx2", ORTMMAP_CPU_7_EBX, 5, ORTMMAP_CPU_AVX},
    {"avx512f", ORTMMAP_CPU_7_EBX, 16, ORTMMAP_CPU_AVX512},
    {"avx512dq", ORTMMAP_CPU_7_EBX, 17, ORTMMAP_CPU_AVX512},
    {"avx512bw", ORTMMAP_CPU_7_EBX, 30, ORTMMAP_CPU_AVX512},
    {"avx512vl", ORTMMAP_CPU_7_EBX, 31, ORTMMAP_CPU_AVX512},
    {"avx512_vnni", ORTMMAP_CPU_7_ECX, 11, ORTMMAP_CPU_AVX512},
    {"amx_tile", ORTMMAP_CPU_7_EDX, 24, ORTMMAP_CPU_TILES},
    {"amx_int8", ORTMMAP_CPU_7_EDX, 25, ORTMMAP_CPU_TILES},
    {"avx_vnni", ORTMMAP_CPU_71_EAX, 4, ORTMMAP_CPU_AVX},
    {"avx_vnni_int8", ORTMMAP_CPU_71_EDX, 4, ORTMMAP_CPU_AVX},
    {"avx_ne_convert", ORTMMAP_CPU_71_EDX, 5, ORTMMAP_CPU_AVX},
};

/* CPUID: eax, ebx, ecx and edx of a leaf that the CPU has. A hypervisor takes 5 us for each. */
static inline void ortmmap_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t found[4]) {
#ifdef _MSC_VER
  __cpuidex((int *)found, (int)leaf, (int)subleaf);
#else
  __cpuid_count(leaf, subleaf, found[0], found[1], found[2], found[3]);
#endif
}

/* XCR0: the registers that the system saves. The CPU must have OSXSAVE. */
static inline uint32_t ortmmap_xcr0(void) {
#ifdef _MSC_VER
  return (uint32_t)_xgetbv(0);
#else
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  (void)high;
  return low;
#endif
}

static inline void ortmmap_cpu_names(char *names) {
  uint32_t words[ORTMMAP_CPU_WORDS] = {0}, found[4], highest, saved;
  size_t index;
  ortmmap_cpuid(0, 0, found);
  highest = found[0];
  ortmmap_cpuid(1, 0, found);
  words[ORTMMAP_CPU_1_ECX] = found[2];
  saved = found[2] & ORTMMAP_CPU_OSXSAVE ? ortmmap_xcr0() : 0;
  if (highest >= 7) {
    ortmmap_cpuid(7, 0, found);
    words[ORTMMAP_CPU_7_EBX] = found[1];
    words[ORTMMAP_CPU_7_ECX] = found[2];
    words[ORTMMAP_CPU_7_EDX] = found[3];
    if (found[0] >= 1) { /* the number of the highest subleaf */
      ortmmap_cpuid(7, 1, found);
      words[ORTMMAP_CPU_71_EAX] = found[0];
      words[ORTMMAP_CPU_71_EDX] = found[3];
    }
  }
  for (index = 0; index < sizeof ortmmap_cpu_bits / sizeof ortmmap_cpu_bits[0]; index++) {
    const ortmmap_cpu_bit *bit = &ortmmap_cpu_bits[index];
    if (words[bit->word] >> bit->bit & 1 && (saved & bit->registers) == bit->registers)
      ortmmap_cpu_add(names, bit->name);
  }
}

#elif defined(__linux__)

#include <sys/auxv.h>
#include <sys/prctl.h>

#ifdef __aarch64__

enum { ORTMMAP_PR_SVE_GET_VL = 51, ORTMMAP_PR_SME_GET_VL = 64, ORTMMAP_VL_MASK = 0xffff };

/* Append a vector's length in bits, such as `sve:256`: kernels of KleidiAI pack by that of SME. */
static inline void ortmmap_cpu_add_length(char *names, const char *name, int request) {
  char text[32];
  int length = prctl(request, 0, 0, 0, 0);
  if (length < 0)
    return;
  snprintf(text, sizeof text, "%s:%d", name, (length & ORTMMAP_VL_MASK) * 8);
  ortmmap_cpu_add(names, text);
}

static inline void ortmmap_cpu_names(char *names) {
  static const struct {
    const char *name;
    int bit;
    bool second; /* a bit of AT_HWCAP2 */
  } bits[] = {
      {"fphp", 9, false}, {"asimdhp", 10, false}, {"asimddp", 20, false}, {"sve", 22, false},
      {"i8mm", 13, true}, {"bf16", 14, true},     {"sme", 23, true},      {"sme2", 37, true},
  };
  uint64_t words[2] = {getauxval(AT_HWCAP), getauxval(AT_HWCAP2)};
  size_t index;
  for (index = 0; index < sizeof bits / sizeof bits[0]; index++)
    if (words[bits[index].second] >> bits[index].bit & 1)
      ortmmap_cpu_add(names, bits[index].name);
  if (words[0] >> 22 & 1)
    ortmmap_cpu_add_length(names, "sve", ORTMMAP_PR_SVE_GET_VL);
  if (words[1] >> 23 & 1)
    ortmmap_cpu_add_length(names, "sme", ORTMMAP_PR_SME_GET_VL);
}

#else /* another architecture: the bits that the kernel reports, as numbers */

static inline void ortmmap_cpu_names(char *names) {
  char text[64];
  snprintf(text, sizeof text, "hwcap:%lx hwcap2:%lx", getauxval(AT_HWCAP), getauxval(AT_HWCAP2));
  ortmmap_cpu_add(names, text);
}

#endif

#elif defined(__APPLE__) && defined(__aarch64__)

#include <sys/sysctl.h>

static inline void ortmmap_cpu_names(char *names) {
  static const char *const features[][2] = {
      {"hw.optional.arm.FEAT_FP16", "fphp asimdhp"}, {"hw.optional.arm.FEAT_DotProd", "asimddp"},
      {"hw.optional.arm.FEAT_I8MM", "i8mm"},         {"hw.optional.arm.FEAT_BF16", "bf16"},
      {"hw.optional.arm.FEAT_SME", "sme"},           {"hw.optional.arm.FEAT_SME2", "sme2"},
  };
  char text[32];
  int value;
  size_t index, size;
  for (index = 0; index < sizeof features / sizeof features[0]; index++) {
    value = 0, size = sizeof value;
    if (sysctlbyname(features[index][0], &value, &size, NULL, 0) == 0 && value)
      ortmmap_cpu_add(names, features[index][1]);
  }
  value = 0, size = sizeof value;
  if (sysctlbyname("hw.optional.arm.sme_max_svl_b", &value, &size, NULL, 0) == 0 && value) {
    snprintf(text, sizeof text, "sme:%d", value * 8);
    ortmmap_cpu_add(names, text);
  }
}

#else /* no way to ask */

static inline void ortmmap_cpu_names(char *names) { (void)names; }

#endif

/* Write the names, separated by spaces; nothing if the CPU cannot be asked. */
static inline void ortmmap_cpu_features(char names[ORTMMAP_CPU_FEATURES_SIZE]) {
  names[0] = '\0';
  ortmmap_cpu_names(names);
}

#endif /* ORTMMAP_CPU_FEATURES_H */
