// Runs CUDA C on a CPU: what emitted kernels use of the language, for tests of their results.
// The threads of a block are fibers that run one at a time, from one meeting point to the next, in
// ascending or descending order: a missing barrier shows as a difference between the two.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <ucontext.h>
#include <vector>

#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(threads)
// One block runs at a time.
#define __shared__ static
#define __syncthreads() cuda_on_cpu::meet(__LINE__)

struct Place {
  unsigned int x = 0;
};
static Place threadIdx, blockIdx;

namespace cuda_on_cpu {

enum class State { ready, at_barrier, in_warp, finished };

struct Fiber {
  ucontext_t context;
  std::unique_ptr<char[]> stack;
  State state = State::ready;
  int line = 0;               // of the barrier it waits at
  unsigned int partners = 0;  // lanes of its warp that it exchanges with
  unsigned int exchanges = 0;
  char slots[2][8];  // what it offers to its warp, in this exchange and in the last
};

static const size_t stack_bytes = 64 << 10;
static const unsigned int warp = 32;
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned int current;
static const std::function<void()>* body;

[[noreturn]] inline void fail(const char* reason, int line) {
  std::fprintf(stderr, "block %u, thread %u, line %d: %s\n", blockIdx.x, current, line, reason);
  std::abort();
}

inline void wait(State state) {
  fibers[current].state = state;
  swapcontext(&fibers[current].context, &scheduler);
}

// All threads of the block wait for each other.
inline void meet(int line) {
  fibers[current].line = line;
  wait(State::at_barrier);
}

// The value of the lane `distance` above in the warp, its own where there is none.
template <typename T>
T exchange(unsigned int mask, T value, unsigned int distance) {
  Fiber& fiber = fibers[current];
  const unsigned int first = current / warp * warp, lane = current - first;
  if (!(mask >> lane & 1)) fail("shuffles outside its mask", 0);
  const unsigned int parity = fiber.exchanges++ % 2;
  static_assert(sizeof(T) <= sizeof(fiber.slots[0]), "a shuffled value has at most 8 bytes");
  std::memcpy(fiber.slots[parity], &value, sizeof(T));
  fiber.partners = mask;
  wait(State::in_warp);
  const unsigned int other = lane + distance;
  if (other < warp && (mask >> other & 1)) {
    std::memcpy(&value, fibers[first + other].slots[parity], sizeof(T));
  }
  return value;
}

inline void run_fiber() {
  (*body)();
  wait(State::finished);
}

inline void start(unsigned int number) {
  Fiber& fiber = fibers[number];
  if (!fiber.stack) fiber.stack.reset(new char[stack_bytes]);
  fiber.state = State::ready;
  fiber.exchanges = 0;
  getcontext(&fiber.context);
  fiber.context.uc_stack.ss_sp = fiber.stack.get();
  fiber.context.uc_stack.ss_size = stack_bytes;
  fiber.context.uc_link = nullptr;
  makecontext(&fiber.context, run_fiber, 0);
}

// Lets warps go on whose exchange is complete; whether there was one.
inline bool release_warps(unsigned int threads) {
  bool any = false;
  for (unsigned int first = 0; first < threads; first += warp) {
    unsigned int waiting = 0, wanted = 0;
    for (unsigned int lane = 0; lane < warp && first + lane < threads; ++lane) {
      if (fibers[first + lane].state != State::in_warp) continue;
      waiting |= 1u << lane;
      wanted |= fibers[first + lane].partners;
    }
    if (!waiting || waiting != wanted) continue;
    any = true;
    for (unsigned int lane = 0; lane < warp; ++lane) {
      if (waiting >> lane & 1) fibers[first + lane].state = State::ready;
    }
  }
  return any;
}

// Lets all threads go on from one barrier; false where all have finished.
inline bool release_block(unsigned int threads) {
  unsigned int finished = 0;
  for (current = 0; current < threads; ++current) {
    finished += fibers[current].state == State::finished;
  }
  if (finished == threads) return false;
  for (current = 0; current < threads; ++current) {
    Fiber& fiber = fibers[current];
    if (fiber.state != State::at_barrier) fail("does not reach the barrier that others wait at", 0);
    if (fiber.line != fibers[0].line) fail("waits at another barrier than thread 0", fiber.line);
    fiber.state = State::ready;
  }
  return true;
}

inline void run_block(unsigned int threads, bool descending) {
  for (unsigned int number = 0; number < threads; ++number) start(number);
  do {
    for (unsigned int nth = 0; nth < threads; ++nth) {
      current = descending ? threads - 1 - nth : nth;
      if (fibers[current].state != State::ready) continue;
      threadIdx.x = current;
      swapcontext(&scheduler, &fibers[current].context);
    }
  } while (release_warps(threads) || release_block(threads));
}

inline void launch(int blocks, int threads, int descending, const std::function<void()>& kernel) {
  if (fibers.size() < static_cast<size_t>(threads)) fibers = std::vector<Fiber>(threads);
  body = &kernel;
  for (int nth = 0; nth < blocks; ++nth) {
    blockIdx.x = descending ? blocks - 1 - nth : nth;
    run_block(threads, descending != 0);
  }
}

template <typename To, typename From>
To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To result;
  std::memcpy(&result, &value, sizeof(To));
  return result;
}

}  // namespace cuda_on_cpu

template <typename T>
T __shfl_down_sync(unsigned int mask, T value, unsigned int distance) {
  return cuda_on_cpu::exchange(mask, value, distance);
}

inline unsigned int __umulhi(unsigned int x, unsigned int y) {
  return static_cast<unsigned int>(static_cast<std::uint64_t>(x) * y >> 32);
}
inline int __float_as_int(float x) { return cuda_on_cpu::same_bits<int>(x); }
inline unsigned int __float_as_uint(float x) { return cuda_on_cpu::same_bits<unsigned int>(x); }
inline float __int_as_float(int x) { return cuda_on_cpu::same_bits<float>(x); }
inline float __uint_as_float(unsigned int x) { return cuda_on_cpu::same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return cuda_on_cpu::same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return cuda_on_cpu::same_bits<double>(x); }

// Half precision is only stored and converted; the bits are those of IEEE 754.
struct __half {
  std::uint16_t bits;
};
inline short __half_as_short(__half x) { return static_cast<short>(x.bits); }
inline __half __short_as_half(short x) { return {static_cast<std::uint16_t>(x)}; }
inline float __half2float(__half x) {
  const int exponent = x.bits >> 10 & 31, mantissa = x.bits & 1023;
  float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
               : exponent     ? std::ldexp(1024.0f + mantissa, exponent - 25)
                              : std::ldexp(static_cast<float>(mantissa), -24);
  return x.bits >> 15 ? -size : size;
}
inline __half __double2half(double x) {
  const std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double size = std::fabs(x);
  if (std::isnan(x)) return {0x7fff};
  if (size == 0.0) return {sign};
  if (size >= 65520.0) return {static_cast<std::uint16_t>(sign | 0x7c00)};
  int exponent;
  std::frexp(size, &exponent);
  // The last place of a number this large; subnormals have that of the least normal one.
  const int last = exponent - 11 < -24 ? -24 : exponent - 11;
  const int places = static_cast<int>(std::nearbyint(std::ldexp(size, -last)));
  // A carry into the next exponent comes out right by itself.
  return {static_cast<std::uint16_t>(sign | (((last + 24) << 10) + places))};
}
inline __half __float2half_rn(float x) { return __double2half(x); }
