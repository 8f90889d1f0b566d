#include "network/flow_engine.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "interrupt.hpp"
#include "network/fused_ring.hpp"

namespace dts {

namespace {

// Moments closer than this, relatively, are one: rounding must not split what happens together.
constexpr double kSameTime = 1e-12;

std::vector<double> capacities(const FlowNetwork& network) {
  std::vector<double> result;
  for (const Link& link : network.topology().links()) result.push_back(link.rate.bandwidth_Bps);
  for (const BackgroundFlow& flow : network.options().background) result.push_back(flow.demand_Bps);
  return result;
}

}  // namespace

FlowEngine::FlowEngine(const FlowNetwork& network, const FlowProgram& program, const FlowRunOptions& options)
    : network_(network), program_(program), waiting_(program), paths_(network.topology(), network.options().paths),
      share_(capacities(network)), log_(network.topology().links().size(), options.intervals, options.pairs),
      unfinished_(program.tasks().size()) {
  load_ = [this](int link) { return share_.flows_on(link) / share_.capacity_Bps(link); };
  constexpr double never = std::numeric_limits<double>::quiet_NaN();
  result_.start_s.assign(unfinished_, never);
  result_.finish_s.assign(unfinished_, never);
}

Path FlowEngine::path(int from, int to) { return paths_.find(from, to, load_); }

// Each background flow has a link of its own, as wide as its demand.
void FlowEngine::add_background() {
  const std::vector<BackgroundFlow>& flows = network_.options().background;
  int demand_link = static_cast<int>(network_.topology().links().size());
  std::vector<int> links;
  for (const BackgroundFlow& flow : flows) {
    const Path path = this->path(flow.from, flow.to);
    links.assign(path.links, path.links + path.count);
    links.push_back(demand_link++);
    share_.add(links.data(), links.size());
  }
  background_ = static_cast<std::uint32_t>(flows.size());
  active_.resize(background_);
}

FlowResult FlowEngine::run() {
  add_background();
  for (FlowTaskId task = 0; task < program_.tasks().size(); ++task) {
    if (waiting_.free(task)) release(task);
  }
  settle();
  std::vector<FlowEvent> events;
  while (!queue_.empty()) {
    poll_interrupt(64);
    now_s_ = std::max(now_s_, queue_.next_time_s());
    while (!queue_.empty() && queue_.next_time_s() <= now_s_ * (1 + kSameTime)) {
      events.clear();
      queue_.pop(events);
      for (const FlowEvent& event : events) handle(event);
    }
    settle();
  }
  if (unfinished_ > 0) waiting_.report_stuck(result_.finish_s);
  for (double time_s : result_.finish_s) result_.end_s = std::max(result_.end_s, time_s);
  result_.link_bytes = log_.link_bytes();
  result_.pair_bytes = log_.pair_bytes();
  if (log_.follows_time()) result_.bytes_over_time = log_.bytes_over_time(result_.end_s, result_.intervals);
  result_.interval_s = log_.follows_time() ? log_.interval_s() : 0;
  result_.flows_solved = share_.flows_solved();
  return std::move(result_);
}

void FlowEngine::handle(const FlowEvent& event) {
  ++result_.events;
  poll_interrupt(16);
  switch (event.kind) {
    case FlowEvent::SendEnds:
      active_[event.id].version == event.version ? send_ends(event.id) : void(--void_events_);
      break;
    case FlowEvent::Arrives: arrives(event.id); break;
    case FlowEvent::TaskEnds: finish(event.id); break;
    case FlowEvent::TaskReleased: start(event.id); break;
  }
}

// ---- tasks
// -----------------------------------------------------------------------------------------------------------

void FlowEngine::release(FlowTaskId task) {
  const double release_s = program_.tasks()[task].release_s;
  if (release_s > now_s_) {
    queue_.push(release_s, {FlowEvent::TaskReleased, task, 0});
  } else {
    start(task);
  }
}

void FlowEngine::start(FlowTaskId id) {
  const FlowProgram::Task& task = program_.tasks()[id];
  result_.start_s[id] = now_s_;
  if (task.pattern == FlowProgram::kCompute) {
    queue_.push(now_s_ + task.duration_s, {FlowEvent::TaskEnds, id, 0});
    return;
  }
  if (free_runs_.empty()) {
    free_runs_.push_back(static_cast<std::uint32_t>(runs_.size()));
    runs_.push_back(std::make_unique<Run>());
  }
  current_ = free_runs_.back();
  free_runs_.pop_back();
  Run& run = *runs_[current_];
  run.task = id;
  run.progress.begin(program_.patterns()[task.pattern], *this);
  if (run.progress.done()) {  // nothing to send
    free_runs_.push_back(current_);
    queue_.push(now_s_, {FlowEvent::TaskEnds, id, 0});
  }
}

void FlowEngine::finish(FlowTaskId task) {
  result_.finish_s[task] = now_s_;
  --unfinished_;
  waiting_.ended(task, [this](FlowTaskId next) { release(next); });
}

// ---- flows
// -----------------------------------------------------------------------------------------------------------

void FlowEngine::send(std::uint32_t round, std::uint32_t index, double bytes, double reduced_bytes, std::uint32_t tag) {
  const FlowProgram::Task& task = program_.tasks()[runs_[current_]->task];
  const PatternRound& pattern_round = program_.patterns()[task.pattern].rounds[round];
  const PatternSend& message = pattern_round.sends[index];
  const std::vector<int>& ranks = program_.groups()[task.group];
  const int from = ranks[static_cast<std::size_t>(message.from)], to = ranks[static_cast<std::size_t>(message.to)];
  const Path path = this->path(from, to);
  double latency_s = path.latency_s + reduced_bytes * network_.options().reduce_s_per_byte;
  const FairShare::FlowId id = share_.add(path.links, bytes > 0 ? path.count : 0);
  if (pattern_round.fused_steps > 0) latency_s = fused_latency_s(round, index);
  if (id >= active_.size()) active_.resize(id + 1);
  Active& flow = active_[id];
  flow = {bytes, bytes, 0, now_s_, latency_s, current_, tag, flow.version + 1, message.from, message.to};
  log_.add_pair(from, to, bytes);
  if (!(bytes > 0)) queue_.push(now_s_, {FlowEvent::SendEnds, id, flow.version});
}

double FlowEngine::fused_latency_s(std::uint32_t round, std::uint32_t index) {
  const FlowProgram::Task& task = program_.tasks()[runs_[current_]->task];
  const std::uint64_t key = (static_cast<std::uint64_t>(task.pattern) << 40) ^
                            (static_cast<std::uint64_t>(task.group) << 8) ^ (round & 0xFFu);
  std::vector<double>& known = fused_s_[key];
  if (known.empty()) {
    known = ring_latencies_s(program_.patterns()[task.pattern].rounds[round], program_.groups()[task.group]);
  }
  return known[index];
}

std::vector<double> FlowEngine::ring_latencies_s(const PatternRound& round, const std::vector<int>& ranks) {
  std::vector<RingHop> hops;
  for (const PatternSend& send : round.sends) {
    const Path path = this->path(ranks[static_cast<std::size_t>(send.from)], ranks[static_cast<std::size_t>(send.to)]);
    double narrowest_Bps = std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < path.count; ++i) {
      narrowest_Bps = std::min(narrowest_Bps, share_.capacity_Bps(path.links[i]));
    }
    const double reduction_s = send.reduced_bytes * network_.options().reduce_s_per_byte;
    hops.push_back({static_cast<int>(round.first[static_cast<std::size_t>(send.to)]),
                    path.latency_s + reduction_s / round.fused_steps, send.bytes / narrowest_Bps / round.fused_steps});
  }
  return fused_delays_s(hops, round.fused_steps);
}

void FlowEngine::send_ends(std::uint32_t id) {
  Active& flow = active_[id];
  account(id, flow);
  share_.for_links(id, [&](int link) { log_.add_bytes(link, flow.bytes); });
  ++flow.version;
  share_.leave(id);
  queue_.push(now_s_ + flow.latency_s, {FlowEvent::Arrives, id, 0});
  current_ = flow.run;
  const int from = flow.from;
  const std::uint32_t tag = flow.tag;
  runs_[current_]->progress.sent(from, tag, *this);
}

void FlowEngine::arrives(std::uint32_t id) {
  const Active flow = active_[id];
  share_.release(id);
  ++result_.flows;
  current_ = flow.run;
  Run& run = *runs_[current_];
  run.progress.arrived(flow.to, flow.tag, *this);
  if (run.progress.done()) {
    free_runs_.push_back(flow.run);
    finish(run.task);
  }
}

// Bytes sent at the rate so far.
void FlowEngine::account(std::uint32_t id, Active& flow) {
  if (log_.follows_time() && now_s_ > flow.since_s && std::isfinite(flow.rate_Bps)) {
    log_.reach(now_s_);
    share_.for_links(id, [&](int link) { log_.add_span(link, flow.since_s, now_s_, flow.rate_Bps); });
  }
  if (flow.rate_Bps > 0) flow.left_bytes = std::max(0.0, flow.left_bytes - flow.rate_Bps * (now_s_ - flow.since_s));
  flow.since_s = now_s_;
}

void FlowEngine::settle() {
  for (FairShare::FlowId id : share_.solve()) {
    if (id < background_) continue;
    Active& flow = active_[id];
    account(id, flow);
    void_events_ += flow.rate_Bps > 0;
    flow.rate_Bps = share_.rate_Bps(id);
    queue_.push(now_s_ + flow.left_bytes / flow.rate_Bps, {FlowEvent::SendEnds, id, ++flow.version});
  }
  sweep_if_stale();
}

// Every change of a rate leaves a void event behind; they must not outgrow what is alive.
void FlowEngine::sweep_if_stale() {
  if (void_events_ < 65536 || 2 * void_events_ < queue_.size()) return;
  void_events_ = 0;
  queue_.sweep([this](const FlowEvent& event) {
    return event.kind != FlowEvent::SendEnds || active_[event.id].version == event.version;
  });
}

}  // namespace dts
