#include "parallel/layout_check.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "error.hpp"
#include "memory_blocks.hpp"

namespace {

using namespace dts;

ModelSpec dense(int layers = 8) {  // 8 heads, 4 kv heads, 512 inner
  ModelSpec m;
  m.name = "small";
  m.hidden = 256;
  m.stem = {"stem", {test::make_op(OpKind::Embedding, "tokens", 1000, 256, Sharding::Vocab, false)}};
  m.layers = {{{"layer", test::llama_layer(256, 8, 4, 32, 512)}, layers}};
  m.head = {"head", {test::make_op(OpKind::Matmul, "lm_head", 256, 1000, Sharding::Column)}};
  return m;
}

ModelSpec routed() {
  ModelSpec m = dense();
  m.layers = {{{"moe", test::moe_feed_forward(256, 512, 8, 2)}, 8}};
  return m;
}

struct Case {
  const char* name;
  std::function<void(Strategy&)> spoil;
  const char* where;
  const char* text;  // expected rule or remedy, part of the message
};

Strategy legal() {  // 16 devices
  Strategy s;
  s.dp = 2, s.tp = 2, s.pp = 2, s.cp = 2, s.micro_batch = 2, s.global_batch = 16, s.sequence_parallel = true;
  s.etp = 2;
  return s;
}

std::string violations_of(const ModelSpec& m, const Strategy& s, long long devices, double seq_len,
                          std::size_t expected) {
  try {
    check_layout(m, s, devices, seq_len);
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.violations().size(), expected) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "an illegal layout passed";
  return "";
}

TEST(LayoutCheck, LegalLayoutsPass) {
  EXPECT_NO_THROW(check_layout(dense(), legal(), 16, 256));
  Strategy s = legal();
  s.ep = 2, s.etp = 1;
  EXPECT_NO_THROW(check_layout(routed(), s, 16, 256));
}

TEST(LayoutCheck, EachRuleAlone) {
  const Case cases[] = {
      {"tp zero", [](Strategy& s) { s.tp = 0; }, "strategy.tp", "an integer >= 1"},
      {"micro batch", [](Strategy& s) { s.micro_batch = 0; }, "strategy.micro_batch", "an integer >= 1"},
      {"zero", [](Strategy& s) { s.zero = 4; }, "strategy.zero", "0, 1, 2 or 3"},
      {"order", [](Strategy& s) { s.rank_order = "tp-dp"; }, "strategy.rank_order", "use tp-cp-ep-dp-pp"},
      {"world", [](Strategy& s) { s.dp = 4; }, "strategy.dp * tp * pp * cp", "use dp=2"},
      {"batch", [](Strategy& s) { s.global_batch = 18; }, "strategy.global_batch", "use global_batch 16 or 20"},
      {"batch below one replica", [](Strategy& s) { s.global_batch = 3; }, "strategy.global_batch",
       "use global_batch 4"},
      {"tp and kv heads", [](Strategy& s) { s.tp = 8, s.etp = 8, s.dp = 1, s.cp = 1, s.pp = 2; }, "strategy.tp",
       "tp to divide kv heads=4; use tp in {1, 2, 4}"},
      {"stages", [](Strategy& s) { s.layers_per_stage = {8}; }, "strategy.layers_per_stage", "pp * vpp = 2"},
      {"stage sum", [](Strategy& s) { s.layers_per_stage = {3, 4}; }, "strategy.layers_per_stage", "sum to 8 layers"},
      {"negative stage", [](Strategy& s) { s.layers_per_stage = {9, -1}; }, "strategy.layers_per_stage",
       "non-negative"},
      {"vpp and gpipe", [](Strategy& s) { s.vpp = 2, s.schedule = PipelineSchedule::GPipe; }, "strategy.vpp",
       "1 with gpipe"},
      {"vpp and batches", [](Strategy& s) { s.vpp = 2, s.global_batch = 12; }, "micro-batches", "use global_batch 16"},
      {"experts", [](Strategy& s) { s.ep = 2, s.etp = 1; }, "strategy.ep", "use ep=1"},
  };
  for (const Case& c : cases) {
    Strategy s = legal();
    c.spoil(s);
    const std::string text = violations_of(dense(), s, 16, 256, 1);
    EXPECT_NE(text.find(std::string(c.where) + ": got"), std::string::npos) << c.name << "\n" << text;
    EXPECT_NE(text.find(c.text), std::string::npos) << c.name << "\n" << text;
  }
}

TEST(LayoutCheck, PipelineLongerThanTheModel) {
  Strategy s = legal();
  s.pp = 8, s.dp = 1, s.tp = 1, s.etp = 1;
  EXPECT_NO_THROW(check_layout(dense(8), s, 16, 256));
  const std::string text = violations_of(dense(3), s, 16, 256, 1);
  EXPECT_NE(text.find("strategy.pp * vpp: got 8"), std::string::npos) << text;
}

TEST(LayoutCheck, SequenceRules) {
  Strategy s = legal();
  EXPECT_NE(violations_of(dense(), s, 16, 258, 2).find("2 * cp to divide seq_len=258"), std::string::npos);
  // 2 * cp divides 260, cp * tp = 8 does not.
  s.tp = 4, s.dp = 1, s.etp = 4;
  EXPECT_NE(violations_of(dense(), s, 16, 260, 1).find("under sequence parallelism"), std::string::npos);
  s.sequence_parallel = false;
  EXPECT_NO_THROW(check_layout(dense(), s, 16, 260));
  for (double bad : {0.0, -1.0, 1e10}) {
    EXPECT_NE(violations_of(dense(), legal(), 16, bad, 1).find("seq_len"), std::string::npos);
  }
}

TEST(LayoutCheck, NearestLegalValuesComeFirst) {
  Strategy s = legal();
  s.cp = 48, s.dp = 1, s.pp = 1, s.tp = 1, s.etp = 1, s.micro_batch = 1;
  // 2 * cp must divide 4096: the divisors of 2048 nearest to 48.
  const std::string text = violations_of(dense(), s, 48, 4096, 1);
  EXPECT_NE(text.find("use cp in {1, 2, 4, 8, 16, 32, 64, "), std::string::npos) << text;
}

TEST(LayoutCheck, ExpertRules) {
  Strategy s = legal();
  s.ep = 16, s.etp = 1, s.tp = 4, s.dp = 2, s.cp = 2, s.pp = 1;
  EXPECT_NE(violations_of(routed(), s, 16, 256, 1).find("ep to divide experts=8; use ep in {1, 2, 4, 8}"),
            std::string::npos);
  s = legal();
  s.ep = 3, s.etp = 1;
  EXPECT_NE(violations_of(routed(), s, 16, 256, 2).find("a divisor of tp * cp * dp = 8"), std::string::npos);
  s = legal();
  s.ep = 2, s.etp = 1, s.sequence_parallel = false;
  EXPECT_NE(violations_of(routed(), s, 16, 256, 1).find("use sequence_parallel=True"), std::string::npos);
  s.ep = 1, s.etp = 4;  // tokens of two tp groups, each held twice
  EXPECT_NE(violations_of(routed(), s, 16, 256, 1).find("strategy.etp: got 4"), std::string::npos);
}

TEST(LayoutCheck, EveryViolationAtOnce) {
  Strategy s = legal();
  s.tp = 3, s.cp = 3, s.etp = 3, s.global_batch = 7, s.rank_order = "x", s.layers_per_stage = {1};
  const std::string text = violations_of(dense(), s, 16, 256, 11);
  for (const char* part : {"rank_order", "dp * tp * pp * cp", "global_batch", "strategy.cp", "layers_per_stage",
                           "attention heads=8", "kv heads=4", "features of proj=256", "features of fc2=512"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(LayoutCheck, HugeDegreesAreRefusedNotOverflowed) {
  Strategy s = legal();
  s.dp = s.tp = s.pp = s.cp = 1 << 30;
  EXPECT_NE(violations_of(dense(), s, 16, 256, 1).find("at most 16777216 ranks"), std::string::npos);
  s = legal();
  s.ep = s.etp = 1 << 30;
  EXPECT_THROW(check_layout(routed(), s, 16, 256), ConfigError);
}

}  // namespace
