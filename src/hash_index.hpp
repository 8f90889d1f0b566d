// Finds the place of an entry in a list of the caller's by its hash: open addressing, nothing allocated per entry.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

namespace dts {

inline std::uint64_t mixed_hash(std::uint64_t hash, std::uint64_t value) noexcept {
  hash = (hash ^ value) * 0x9e3779b97f4a7c15u;
  return hash ^ hash >> 32;
}
inline std::uint64_t mixed_hash(std::uint64_t hash, double value) noexcept {
  std::uint64_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return mixed_hash(hash, bits);
}

class HashIndex {
 public:
  static constexpr std::uint32_t kNone = static_cast<std::uint32_t>(-1);

  // `same(place)`: whether the entry there is the one that is looked for.
  template <class Same>
  std::uint32_t find(std::uint64_t hash, Same same) const {
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Slot& slot = slots_[at];
      if (slot.place == kNone || (slot.hash == hash && same(slot.place))) return slot.place;
    }
  }
  // An entry that is not there yet.
  void add(std::uint64_t hash, std::uint32_t place) {
    if (2 * ++count_ > slots_.size()) grow();
    put({hash, place});
  }

 private:
  struct Slot {
    std::uint64_t hash = 0;
    std::uint32_t place = kNone;
  };
  std::size_t mask() const noexcept { return slots_.size() - 1; }
  void put(const Slot& slot) {
    std::size_t at = slot.hash & mask();
    while (slots_[at].place != kNone) at = (at + 1) & mask();
    slots_[at] = slot;
  }
  void grow() {
    std::vector<Slot> before(2 * slots_.size());
    before.swap(slots_);
    for (const Slot& slot : before) {
      if (slot.place != kNone) put(slot);
    }
  }

  std::vector<Slot> slots_ = std::vector<Slot>(64);
  std::size_t count_ = 0;
};

}  // namespace dts
