#include "trace/kineto.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "trace/flows.hpp"
#include "trace/text_writer.hpp"
#include "trace/titles.hpp"

namespace dts {

namespace {

constexpr std::int64_t kHost = 100000;  // process and thread of a rank's host: this and the rank
constexpr std::int64_t kNetworkPid = 0x7fffffff;
constexpr int kFirstStream = 7;  // PyTorch's default stream
constexpr std::size_t kBytesPerEvent = 640;
// As torch.distributed names them.
constexpr const char *kAllGather = "_allgather_base", *kReduceScatter = "_reduce_scatter_base";

std::int64_t nanoseconds(double seconds) { return std::llround(seconds * 1e9); }

bool is_copy(const TaskInfo& t) { return is_host_copy(t.stream); }

class KinetoWriter {
 public:
  KinetoWriter(const EventTable& events, const KinetoNames& names, const KinetoJob& job,
               const std::vector<TraceCounter>& counters)
      : events_(events), names_(names), job_(job), counters_(counters) {
    for (const TaskInfo& t : events.tasks) ranks_.push_back(t.rank);
    std::sort(ranks_.begin(), ranks_.end());
    ranks_.erase(std::unique(ranks_.begin(), ranks_.end()), ranks_.end());
    if (!job.one_rank) flows_ = flows_of(events);
  }

  std::string write() && {
    out_.reserve(events_.tasks.size() * kBytesPerEvent + 4096);
    head();
    for (std::int32_t rank : ranks_) describe(rank);
    for (std::size_t i = 0; i < events_.tasks.size(); ++i) {
      describe_stream(events_.tasks[i]);
      host(i);
      kernel(i);
      if (!job_.one_rank) flow(i);
    }
    const bool network =
        std::any_of(counters_.begin(), counters_.end(), [](const TraceCounter& c) { return c.rank == kNetwork; });
    if (network) describe_process(kNetworkPid, 0, "process_name", "network");
    for (const TraceCounter& c : counters_) count(c);
    out_.raw("\n]}\n");
    return std::move(out_).take();
  }

 private:
  std::int64_t device_of(std::int32_t rank) const {
    if (rank == kNetwork) return kNetworkPid;
    return job_.one_rank ? 0 : rank;
  }

  // Readers look for the rank line by line.
  void head() {
    out_.raw("{\"schemaVersion\": 1,\n\"deviceProperties\": [");
    for (std::size_t i = 0; i < ranks_.size(); ++i) {
      out_.raw(i == 0 ? "{\"id\": " : ", {\"id\": ").number(device_of(ranks_[i])).raw(", \"name\": ").text(job_.device);
      if (job_.device_bytes > 0) out_.raw(", \"totalGlobalMem\": ").number(std::llround(job_.device_bytes));
      out_.raw("}");
    }
    out_.raw("],\n\"distributedInfo\": {\"backend\": \"nccl\", \"rank\": ").number(ranks_.empty() ? 0 : ranks_.front());
    out_.raw(", \"world_size\": ").number(job_.devices).raw("},\n\"displayTimeUnit\": \"ms\",\n\"traceEvents\": [");
  }

  TextWriter& begin(const char* rest) {
    out_.raw(first_ ? "\n{" : ",\n{").raw(rest);
    first_ = false;
    return out_;
  }

  TextWriter& place(std::int64_t pid, std::int64_t tid, std::int64_t time_ns) {
    return out_.raw("\"pid\":").number(pid).raw(",\"tid\":").number(tid).raw(",\"ts\":").thousandths(time_ns);
  }

  void describe_process(std::int64_t pid, std::int64_t tid, const char* what, const std::string& text) {
    begin("\"ph\":\"M\",\"name\":").text(what).raw(",");
    place(pid, tid, 0).raw(",\"args\":{\"name\":").text(text).raw("}}");
  }

  void describe(std::int32_t rank) {
    const std::string rank_name = job_.row + " " + std::to_string(rank);
    describe_process(device_of(rank), 0, "process_name", rank_name + " GPU");
    describe_process(kHost + rank, 0, "process_name", rank_name + " host");
    describe_process(kHost + rank, kHost + rank, "thread_name", "launches");
    begin("\"ph\":\"X\",\"cat\":\"user_annotation\",\"name\":\"ProfilerStep#0\",");
    place(kHost + rank, kHost + rank, 0).raw(",\"dur\":").thousandths(nanoseconds(job_.step_time_s)).raw("}");
  }

  static std::int64_t stream_of(const TaskInfo& t) { return kFirstStream + static_cast<int>(t.stream); }
  static std::uint64_t key_of(const TaskInfo& t) {
    return static_cast<std::uint64_t>(static_cast<std::uint32_t>(t.rank)) << 8 | static_cast<std::uint64_t>(t.stream);
  }

  void describe_stream(const TaskInfo& t) {
    const auto [known, is_new] = launched_ns_.try_emplace(key_of(t), 0);
    if (!is_new) return;
    begin("\"ph\":\"M\",\"name\":\"thread_name\",");
    place(device_of(t.rank), stream_of(t), 0)
        .raw(",\"args\":{\"name\":")
        .text(names_.streams[static_cast<std::size_t>(t.stream)])
        .raw("}}");
  }

  // The call that launches an event, and the launch inside it; both of no length.
  void host(std::size_t i) {
    const TaskInfo& t = events_.tasks[i];
    std::int64_t& at_ns = launched_ns_[key_of(t)];
    const std::string& op = names_.ops[static_cast<std::size_t>(t.kind)];
    const auto number = static_cast<std::int64_t>(i) + 1;
    begin("\"ph\":\"X\",\"cat\":\"cpu_op\",\"name\":").text(op.empty() ? title_of(names_.titles, t) : op).raw(",");
    place(kHost + t.rank, kHost + t.rank, at_ns).raw(",\"dur\":0,\"args\":{\"External id\":").number(number);
    const Message& m = events_.messages[i];
    if (m.ranks > 0) out_.raw(",\"Input Dims\":[[").number(sent(t, m)).raw("]],\"Input type\":[\"unsigned char\"]");
    out_.raw("}}");
    begin("\"ph\":\"X\",\"cat\":\"cuda_runtime\",\"name\":")
        .text(is_copy(t) ? "cudaMemcpyAsync" : "cudaLaunchKernel")
        .raw(",");
    place(kHost + t.rank, kHost + t.rank, at_ns).raw(",\"dur\":0,\"args\":{\"External id\":").number(number);
    out_.raw(",\"correlation\":").number(number).raw("}}");
    at_ns = nanoseconds(events_.start_s[i]);
  }

  void kernel(std::size_t i) {
    const TaskInfo& t = events_.tasks[i];
    const auto number = static_cast<std::int64_t>(i) + 1;
    const std::int64_t start_ns = nanoseconds(events_.start_s[i]);
    begin(is_copy(t) ? "\"ph\":\"X\",\"cat\":\"gpu_memcpy\",\"name\":" : "\"ph\":\"X\",\"cat\":\"kernel\",\"name\":")
        .text(names_.kernels[static_cast<std::size_t>(t.kind)])
        .raw(",");
    place(device_of(t.rank), stream_of(t), start_ns)
        .raw(",\"dur\":")
        .thousandths(nanoseconds(events_.end_s[i]) - start_ns);
    out_.raw(",\"args\":{\"External id\":").number(number).raw(",\"correlation\":").number(number);
    out_.raw(",\"device\":").number(device_of(t.rank)).raw(",\"stream\":").number(stream_of(t));
    out_.raw(",\"virtual stage\":").number(t.stage).raw(",\"micro batch\":").number(t.micro_batch);
    if (t.piece >= 0) out_.raw(",\"piece\":").number(t.piece);
    if (events_.messages[i].ranks > 0) collective(t, events_.messages[i]);
    out_.raw("}}");
  }

  // Bytes of a rank's own buffers: of an all-gather it sends its part, of a reduce-scatter it receives it.
  const std::string& collective_of(const TaskInfo& t) const {
    return names_.collectives[static_cast<std::size_t>(t.kind)];
  }
  std::int64_t sent(const TaskInfo& t, const Message& m) const {
    return std::llround(collective_of(t) == kAllGather ? m.bytes / m.ranks : m.bytes);
  }
  std::int64_t received(const TaskInfo& t, const Message& m) const {
    return std::llround(collective_of(t) == kReduceScatter ? m.bytes / m.ranks : m.bytes);
  }

  void collective(const TaskInfo& t, const Message& m) {
    const std::int64_t in = sent(t, m), out = received(t, m);
    out_.raw(",\"Collective name\":").text(collective_of(t)).raw(",\"dtype\":\"Byte\"");
    out_.raw(",\"In msg nelems\":").number(in).raw(",\"Out msg nelems\":").number(out);
    out_.raw(",\"In msg size\":")
        .number(in)
        .raw(",\"Out msg size\":")
        .number(out)
        .raw(",\"Group size\":")
        .number(m.ranks);
  }

  // Arrows from a transfer to the pass that reads it.
  void flow(std::size_t i) {
    const TaskInfo& t = events_.tasks[i];
    const auto arrow = [&](const char* end, std::uint32_t number) {
      if (number == 0) return;
      begin(end).raw("\"cat\":\"transfer\",\"name\":\"transfer\",\"id\":").number(number).raw(",");
      place(device_of(t.rank), stream_of(t), nanoseconds(events_.start_s[i])).raw("}");
    };
    arrow("\"ph\":\"s\",", flows_.leaves[i]);
    arrow("\"ph\":\"f\",\"bp\":\"e\",", flows_.arrives[i]);
  }

  void count(const TraceCounter& c) {
    for (std::size_t i = 0; i < c.time_s.size(); ++i) {
      begin("\"ph\":\"C\",\"name\":").text(c.name).raw(",");
      place(device_of(c.rank), 0, nanoseconds(c.time_s[i]))
          .raw(",\"args\":{")
          .text(c.unit)
          .raw(":")
          .number(std::llround(c.value[i]))
          .raw("}}");
    }
  }

  const EventTable& events_;
  const KinetoNames& names_;
  const KinetoJob& job_;
  const std::vector<TraceCounter>& counters_;
  EventFlows flows_;
  std::vector<std::int32_t> ranks_;
  std::unordered_map<std::uint64_t, std::int64_t> launched_ns_;  // per stream: start of its last kernel
  TextWriter out_;
  bool first_ = true;
};

}  // namespace

std::string kineto_trace(const EventTable& events, const KinetoNames& names, const KinetoJob& job,
                         const std::vector<TraceCounter>& counters) {
  return KinetoWriter(events, names, job, counters).write();
}

}  // namespace dts
