#include "comm/span.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "error.hpp"

namespace {

using dts::GroupSpan;

dts::ClusterSpec cluster(int devices, int nodes, int domain = 0) {
  dts::ClusterSpec c;
  c.node.devices = devices;
  c.nodes = nodes;
  c.node.scale_up.domain_devices = domain;
  return c;
}

std::vector<int> members(int size, int stride, int first) {
  std::vector<int> ranks;
  for (int i = 0; i < size; ++i) ranks.push_back(first + i * stride);
  return ranks;
}

void expect_span(const GroupSpan& got, int ranks, int per_domain, int domains) {
  EXPECT_EQ(got.ranks, ranks);
  EXPECT_EQ(got.ranks_per_domain, per_domain);
  EXPECT_EQ(got.domains, domains);
}

TEST(Span, MegatronGroupsOnEightGpuNodes) {
  const auto c = cluster(8, 16);
  expect_span(span_of(c, 8), 8, 8, 1);           // tensor parallel
  expect_span(span_of(c, 16, 8), 16, 1, 16);     // data parallel with tp = 8
  expect_span(span_of(c, 64, 2, 1), 64, 4, 16);  // data parallel with tp = 2
  expect_span(span_of(c, 2, 32), 2, 1, 2);       // pipeline neighbours
  expect_span(span_of(c, 1, 1, 127), 1, 1, 1);
}

TEST(Span, RackScaleDomainHoldsManyNodes) {
  const auto c = cluster(4, 36, 72);
  expect_span(span_of(c, 72), 72, 72, 1);
  expect_span(span_of(c, 144), 144, 72, 2);
  expect_span(span_of(c, 2, 72), 2, 1, 2);
}

TEST(Span, UnevenGroupCountsItsSmallestDomain) {
  const auto c = cluster(8, 4);
  expect_span(span_of(c, 10), 10, 2, 2);
  expect_span(span_of(c, {0, 1, 2, 9}), 4, 1, 2);
}

TEST(Span, StrideIsZeroForIrregularMembers) {
  const auto c = cluster(8, 2);
  EXPECT_EQ(span_of(c, {0, 2, 4, 6}).stride, 2);
  EXPECT_EQ(span_of(c, {6, 0, 4, 2}).stride, 2);
  EXPECT_EQ(span_of(c, {0, 1, 3}).stride, 0);
  EXPECT_EQ(span_of(c, {0, 8}).stride, 1);
  EXPECT_EQ(span_of(c, {0, 2, 8, 10}).stride, 2);  // gaps inside each node, not from one to the next
  EXPECT_EQ(span_of(c, {0, 3, 8, 10}).stride, 0);
}

TEST(Span, StridedFormAgreesWithCounting) {
  for (const int domain : {1, 4, 6, 8}) {
    const auto c = cluster(domain, 48 / domain);
    for (int stride = 1; stride <= 12; ++stride) {
      for (int first = 0; first < 9; ++first) {
        for (int size = 1; first + (size - 1) * stride < 48; ++size) {
          std::map<int, int> counts;
          for (const int rank : members(size, stride, first)) ++counts[rank / domain];
          int fewest = size;
          for (const auto& entry : counts) fewest = std::min(fewest, entry.second);
          const GroupSpan strided = span_of(c, size, stride, first);
          expect_span(strided, size, fewest, static_cast<int>(counts.size()));
          const GroupSpan listed = span_of(c, members(size, stride, first));
          expect_span(listed, size, fewest, static_cast<int>(counts.size()));
        }
      }
    }
  }
}

// Four NICs for eight devices: neighbours share one, which a rank has for itself where its neighbour is of no group.
TEST(Span, NicsOfAGroupWithoutSiblings) {
  auto c = cluster(8, 3);
  c.node.nics = 4;
  const auto alone = [&](const std::vector<int>& ranks) { return nics_alone(c, ranks, span_of(c, ranks)); };
  EXPECT_EQ(alone({0, 1, 8, 9}), 1);
  EXPECT_EQ(alone({0, 2, 8, 10}), 2);
  EXPECT_EQ(alone({10, 0, 8, 2}), 2);
  EXPECT_EQ(alone({0, 8}), 2);
  EXPECT_EQ(alone({0, 2, 8, 9}), 1);                  // the second node's share one
  EXPECT_EQ(alone({0, 1, 8, 10}), 1);                 // so do the first's
  EXPECT_EQ(alone({0, 1, 2, 3, 8, 10, 12, 14}), 1);   // two NICs of four ranks
  EXPECT_EQ(alone({0, 1, 2, 4, 8, 9, 10, 12}), 1.5);  // three
  EXPECT_EQ(alone({0, 1, 2, 4, 8, 16, 17, 20}), 2);   // of one rank, one
  EXPECT_EQ(alone({1, 2, 9, 10}), 2);                 // neighbours that share none
  c.node.nics = 8;
  EXPECT_EQ(alone({0, 2, 8, 10}), 1);
}

TEST(Span, NamesEveryProblemOfAGroup) {
  const auto c = cluster(8, 2);
  EXPECT_THROW(span_of(c, 0), dts::ConfigError);
  EXPECT_THROW(span_of(c, 17), dts::ConfigError);
  EXPECT_THROW(span_of(c, 2, 2000000000, 2000000000), dts::ConfigError);
  EXPECT_THROW(span_of(c, std::vector<int>{}), dts::ConfigError);
  EXPECT_THROW(span_of(c, {1, 1}), dts::ConfigError);
  try {
    span_of(c, {-1, 3, 3});
    FAIL() << "did not throw";
  } catch (const dts::ConfigError& e) {
    EXPECT_EQ(e.violations().size(), 2u);
  }
}

}  // namespace

TEST(Domains, NodesThatFillNoWholeDomainsStandInEqualSegments) {
  const auto domain = [](int nodes) { return dts::domain_devices(cluster(4, nodes, 72)); };
  EXPECT_EQ(domain(4), 72);   // a part of one
  EXPECT_EQ(domain(36), 72);  // two whole ones
  EXPECT_EQ(domain(64), 64);  // 16 of 18 nodes
  EXPECT_EQ(domain(20), 40);  // ten and ten
  EXPECT_EQ(domain(38), 72);  // two of 76 devices do not fit, 19 of eight are no domains
  EXPECT_EQ(dts::domain_devices(cluster(8, 5)), 8);
  EXPECT_EQ(dts::domain_devices(cluster(8, 5, 2)), 2);  // pairs within a node
}
