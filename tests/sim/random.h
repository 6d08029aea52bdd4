// A small random generator whose numbers depend on nothing but the seed, on every platform and compiler.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ralph::sim {

class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}

    std::uint64_t next() {
        state_ += 0x9e3779b97f4a7c15ULL;
        std::uint64_t mixed = state_;
        mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
        mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
        return mixed ^ (mixed >> 31U);
    }
    // 0 to limit - 1
    std::uint32_t below(std::size_t limit) { return static_cast<std::uint32_t>(next() % limit); }
    bool chance(std::uint32_t percent) { return below(100) < percent; }

  private:
    std::uint64_t state_;
};

}  // namespace ralph::sim
