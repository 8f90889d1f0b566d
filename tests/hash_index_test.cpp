#include "hash_index.hpp"

#include <gtest/gtest.h>

namespace {

using dts::HashIndex;

TEST(HashIndex, FindsEveryEntryAfterGrowing) {
  std::vector<int> list;
  HashIndex index;
  for (int i = 0; i < 5000; ++i) {
    index.add(dts::mixed_hash(1, static_cast<double>(i)), static_cast<std::uint32_t>(list.size()));
    list.push_back(i);
  }
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(index.find(dts::mixed_hash(1, static_cast<double>(i)), [&](std::uint32_t at) { return list[at] == i; }),
              static_cast<std::uint32_t>(i));
  }
  EXPECT_EQ(index.find(dts::mixed_hash(1, 5000.0), [&](std::uint32_t at) { return list[at] == 5000; }),
            HashIndex::kNone);
}

TEST(HashIndex, EntriesOfOneHashAreToldApart) {
  const std::vector<int> list{7, 8, 9};
  HashIndex index;
  for (std::uint32_t i = 0; i < 3; ++i) index.add(42, i);
  for (std::uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(index.find(42, [&](std::uint32_t at) { return list[at] == list[i]; }), i);
  }
  EXPECT_EQ(index.find(42, [&](std::uint32_t at) { return list[at] == 6; }), HashIndex::kNone);
}

}  // namespace
