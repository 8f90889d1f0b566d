// Timelines as bytes: the structure of both formats, every event once, flows that begin and end, text that is escaped.
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "small_jobs.hpp"
#include "trace/flows.hpp"
#include "trace/kineto.hpp"
#include "trace/perfetto.hpp"
#include "trace/text_writer.hpp"
#include "trace/wire.hpp"

namespace {

using namespace dts;

constexpr std::size_t kKinds = 20, kStreams = 8;

EventTable events_of(int pp, int zero) {
  const ModelSpec model = test::small_llama();
  const DeviceSpec device = test::paper_device();
  const test::WireNetwork network(4, 1e-6, 1e9);
  Strategy s;
  s.pp = pp, s.dp = 4 / pp, s.zero = zero, s.global_batch = 8;
  return simulate({model, device, network, s, test::bare_profile(), 64}).events;
}

std::vector<std::string> named(const char* prefix, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + part.size())) ++found;
  return found;
}

std::vector<TraceCounter> counters() {
  return {{0, "held \"bytes\"", "B", {0, 1e-3}, {1, 2}}, {kNetwork, "links", "", {0}, {0.5}}};
}

TEST(Trace, FlowsJoinATransferAndThePassThatReadsIt) {
  const EventTable events = events_of(4, 0);
  const EventFlows flows = flows_of(events);
  std::map<std::uint32_t, std::size_t> from;
  std::size_t arrived = 0;
  for (std::size_t i = 0; i < events.tasks.size(); ++i)
    if (flows.leaves[i] > 0) {
      EXPECT_EQ(events.tasks[i].kind, TaskKind::PipelineSend);
      EXPECT_TRUE(from.emplace(flows.leaves[i], i).second);
    }
  for (std::size_t i = 0; i < events.tasks.size(); ++i) {
    if (flows.arrives[i] == 0) continue;
    ++arrived;
    ASSERT_EQ(from.count(flows.arrives[i]), 1u);
    const std::size_t sent = from[flows.arrives[i]];
    EXPECT_EQ(events.tasks[sent].micro_batch, events.tasks[i].micro_batch);
    EXPECT_LE(events.end_s[sent], events.start_s[i] + 1e-12);
  }
  EXPECT_EQ(arrived, 2u * 3 * 8);  // three boundaries, both ways, eight micro-batches
  EXPECT_EQ(from.size(), arrived);
}

TEST(Trace, KinetoHoldsEveryEventOnceAndTheSameBytesEachTime) {
  const EventTable events = events_of(2, 0);
  const KinetoNames names{named("op", kKinds), named("kernel", kKinds), named("", kKinds), named("title", kKinds),
                          named("stream", kStreams)};
  const KinetoJob job{"a \"device\"\n", 80e9, 1.0, 4, false};
  const std::string text = kineto_trace(events, names, job, counters());
  EXPECT_EQ(text.front(), '{');
  EXPECT_EQ(count(text, "{"), count(text, "}"));
  EXPECT_EQ(count(text, "["), count(text, "]"));
  EXPECT_NE(text.find("a \\\"device\\\"\\u000a"), std::string::npos);
  EXPECT_NE(text.find("held \\\"bytes\\\""), std::string::npos);
  std::size_t kernels = 0;
  for (std::size_t k = 0; k < kKinds; ++k)
    kernels += count(text, "\"name\":\"kernel" + std::to_string(k) + "\"") +
               count(text, "\"name\": \"kernel" + std::to_string(k) + "\"");
  EXPECT_EQ(kernels, events.tasks.size());
  EXPECT_EQ(text, kineto_trace(events, names, job, counters()));
  KinetoJob alone = job;
  alone.one_rank = true;
  EXPECT_NE(text, kineto_trace(events, names, alone, counters()));
}

// Fields of a message at the top level: number and wire type, lengths respected to the last byte.
std::size_t packets(const std::string& bytes) {
  std::size_t at = 0, found = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(bytes.at(at++));
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.size()) {
    EXPECT_EQ(varint(), (1u << 3) | 2u);  // TracePacket
    at += varint();
    ++found;
  }
  EXPECT_EQ(at, bytes.size());
  return found;
}

TEST(Trace, PerfettoIsWholePacketsABeginAndAnEndPerEvent) {
  const EventTable events = events_of(4, 0);
  const TraceNames names{named("kind", kKinds), named("category", kKinds), named("stream", kStreams)};
  const std::string bytes = perfetto_trace(events, names);
  EXPECT_GE(packets(bytes), 2 * events.tasks.size());
  EXPECT_GT(packets(perfetto_trace(events, names, counters())), packets(bytes));
  EXPECT_EQ(bytes, perfetto_trace(events, names));
}

TEST(Trace, NoEventsGiveAnEmptyTimeline) {
  const TraceNames names{named("kind", kKinds), named("category", kKinds), named("stream", kStreams)};
  EXPECT_LT(packets(perfetto_trace({}, names)), 3u);
  const KinetoNames kineto{named("op", kKinds), named("kernel", kKinds), named("", kKinds), named("title", kKinds),
                           named("stream", kStreams)};
  EXPECT_EQ(count(kineto_trace({}, kineto, {"d", 0, 0, 1, false}), "kernel"), 0u);
}

TEST(TextWriter, WritesNumbersAndEscapes) {
  TextWriter writer;
  writer.raw("[").number(-12).raw(",").thousandths(-1005).raw(",").thousandths(42).raw(",").text("a\\\"\x01z").raw("]");
  EXPECT_EQ(std::move(writer).take(), "[-12,-1.005,0.042,\"a\\\\\\\"\\u0001z\"]");
}

}  // namespace
