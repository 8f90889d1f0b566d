#include "step/links/step_flows.hpp"

#include <algorithm>

#include "error.hpp"
#include "interrupt.hpp"

namespace dts {

StepFlows::StepFlows(const Job& job, const RankGrid& grid, const RankView& view, Clos& clos,
                     const std::vector<BackgroundFlow>& background)
    : job_(job), grid_(grid), view_(view), clos_(clos), asked_(background), prices_(job.network, grid, job.kinds),
      place_of_(static_cast<std::size_t>(grid.world())), rate_(clos.size(), 0.0), payload_(clos.size(), 0.0) {
  for (std::uint32_t place = 0; place < view.first_stage.size(); ++place) {
    for (int stage = 0; stage < grid.size(Axis::PP); ++stage)
      place_of_[static_cast<std::size_t>(view.rank(place, stage))] = place;
  }
  Checker check;
  const auto devices = static_cast<int>(device_count(clos.cluster()));
  for (std::size_t i = 0; i < asked_.size() && check.violations().size() < 20; ++i) {
    const std::string where = "background[" + std::to_string(i) + "]";
    const bool known = std::min(asked_[i].from, asked_[i].to) >= 0 && std::max(asked_[i].from, asked_[i].to) < devices;
    check.require(known && asked_[i].from != asked_[i].to, where,
                  std::to_string(asked_[i].from) + " -> " + std::to_string(asked_[i].to),
                  "two different ranks from 0 to " + std::to_string(devices - 1));
    check.positive(where + ".demand", asked_[i].demand_Bps);
  }
  check.throw_if_any();
}

std::uint32_t StepFlows::instances(Space space) const noexcept {
  return static_cast<std::uint32_t>(space == Space::Lane ? view_.lanes.size() : view_.units.size());
}

std::size_t StepFlows::known(FlowSource source) {
  const auto key = std::make_tuple(source.space, source.stream, source.rank, source.to, source.pair_kind,
                                   source.pair_bytes, source.calls);
  const auto [at, is_new] = ids_.try_emplace(key, sources_.size());
  if (is_new) sources_.push_back(std::move(source));
  return at->second;
}

std::size_t StepFlows::between_stages(StreamKind stream, CollectiveKind kind, int rank, int to, double bytes) {
  FlowSource source;
  source.stream = stream, source.rank = rank, source.to = to, source.pair_kind = kind, source.pair_bytes = bytes;
  if (const auto at = ids_.find(std::make_tuple(source.space, stream, rank, to, kind, bytes, source.calls));
      at != ids_.end())
    return at->second;
  double slowest_s = -1;
  GroupSpan last;
  for (std::uint32_t place = 0; place < view_.first_stage.size(); ++place) {
    const RankGroup pair = job_.network.group({view_.rank(place, rank), view_.rank(place, to)});
    if (slowest_s >= 0 && pair.span.domains == last.domains && pair.span.stride == last.stride) continue;
    last = pair.span;
    const CollectiveCost cost = job_.network.cost(kind, bytes, pair);
    if (cost.time_s > slowest_s) slowest_s = cost.time_s, source.transfer_s = cost.transfer_s;
  }
  return known(std::move(source));
}

std::size_t StepFlows::calls(Space space, StreamKind stream, int rank, const std::vector<CollectiveCall>& calls,
                             double share) {
  FlowSource source;
  source.space = space, source.stream = stream, source.rank = rank, source.calls = calls;
  for (CollectiveCall& call : source.calls) call.bytes *= share;
  const auto at =
      ids_.find(std::make_tuple(space, stream, rank, source.to, source.pair_kind, source.pair_bytes, source.calls));
  if (at != ids_.end()) return at->second;
  for (const CollectiveCall& call : calls) source.transfer_s += share * prices_.price(call).transfer_s;
  return known(std::move(source));
}

// Groups of an axis by the pipeline rank and the unit or lane that their first member belongs to.
const StepFlows::Groups& StepFlows::groups(Axis axis, Space space) const {
  const auto [at, is_new] = groups_.try_emplace({axis, space});
  if (!is_new) return at->second;
  const std::size_t count = instances(space);
  at->second.resize(count * static_cast<std::size_t>(grid_.size(Axis::PP)));
  for (std::vector<int>& ranks : grid_.groups(axis)) {
    if (ranks.size() < 2) continue;
    const std::uint32_t place = place_of_[static_cast<std::size_t>(ranks.front())];
    const std::size_t instance = space == Space::Lane ? view_.lane_of[place] : view_.unit_of[place];
    const auto rank = static_cast<std::size_t>(grid_.coordinate(ranks.front(), Axis::PP));
    at->second[rank * count + instance].push_back(job_.network.group(std::move(ranks)));
  }
  return at->second;
}

std::vector<PairStream> StepFlows::streams(const FlowSource& source, std::uint32_t instance) const {
  std::vector<PairStream> all;
  const auto add = [&](const StreamedCall& call, const RankGroup& group) {
    const CollectiveCost cost = call.copies.deduplicated() ? job_.network.exchange(call.bytes, call.copies, group)
                                                           : job_.network.cost(call.kind, call.bytes, group);
    const std::vector<PairStream> streams = pair_streams(clos_.cluster(), call, group, cost);
    all.insert(all.end(), streams.begin(), streams.end());
  };
  if (source.to >= 0) {
    for (std::uint32_t place : view_.units[instance]) {
      add({source.pair_kind, source.pair_bytes},
          job_.network.group({view_.rank(place, source.rank), view_.rank(place, source.to)}));
    }
    return all;
  }
  const std::size_t at = static_cast<std::size_t>(source.rank) * instances(source.space) + instance;
  for (const CollectiveCall& call : source.calls) {
    const StreamedCall streamed{call.kind, call.bytes * call.load, call.copies};
    for (const RankGroup& group : groups(call.axis, source.space)[at]) {
      if (call.kind != CollectiveKind::SendRecv) {
        add(streamed, group);
        continue;
      }
      for (std::size_t i = 0; i < group.ranks.size(); ++i) {  // a ring step: every member sends to the next
        RankGroup pair = group;
        pair.ranks = {group.ranks[i], group.ranks[(i + 1) % group.ranks.size()]};
        add(streamed, pair);
      }
    }
  }
  return all;
}

StepFootprint StepFlows::footprint(const FlowSource& source, std::uint32_t instance) const {
  StepFootprint result;
  if (source.transfer_s <= 0) return result;
  poll_interrupt(1024);
  std::vector<LinkPart> path;
  std::vector<std::uint32_t> touched;
  for (const PairStream& stream : streams(source, instance)) {
    clos_.route(stream.from, stream.to, path);
    for (const LinkPart& p : path) {
      if (payload_[p.link] == 0) touched.push_back(p.link);
      payload_[p.link] += p.part * stream.bytes / source.transfer_s;
      rate_[p.link] += p.part * stream.link_bytes / source.transfer_s;
    }
  }
  double nic = 0, port = 0;
  for (std::uint32_t link : touched) {
    const bool edge = clos_.is_nic(link) || clos_.is_port(link);
    // No one collective takes more of its own NIC or port than there is.
    const double rate = edge ? std::min(rate_[link], clos_.capacity_Bps(link)) : rate_[link];
    result.loads.push_back({link, rate});
    result.payload_Bps.push_back(payload_[link]);
    if (clos_.is_nic(link)) nic = std::max(nic, rate / clos_.capacity_Bps(link));
    if (clos_.is_port(link)) port = std::max(port, rate / clos_.capacity_Bps(link));
    rate_[link] = payload_[link] = 0;
  }
  result.weight = nic > 0 ? nic : port > 0 ? port : 1;
  return result;
}

void StepFlows::lay_background() {
  background_.clear();
  std::vector<LinkPart> path;
  for (const BackgroundFlow& flow : asked_) {
    clos_.route(flow.from, flow.to, path);
    Footprint print;
    for (const LinkPart& p : path) {
      print.loads.push_back({p.link, p.part * flow.demand_Bps});
      if (!clos_.is_port(p.link) && !clos_.is_nic(p.link)) continue;
      print.weight = std::max(print.loads.size() == 1 ? 0 : print.weight, flow.demand_Bps / clos_.capacity_Bps(p.link));
    }
    print.binding = print.loads.size();
    background_.push_back(std::move(print));
  }
}

// What a link can be asked for at once: a stream runs one source after another, so the most of each counts.
std::vector<double> StepFlows::asked_at_most() const {
  std::vector<double> asked(clos_.size(), 0.0), most(clos_.size(), 0.0);
  std::map<std::tuple<StreamKind, int, Space>, std::vector<const FlowSource*>> by_stream;
  for (const FlowSource& source : sources_) by_stream[{source.stream, source.rank, source.space}].push_back(&source);
  std::vector<std::uint32_t> touched;
  for (const auto& [stream, sources] : by_stream) {
    for (std::uint32_t i = 0; i < instances(std::get<Space>(stream)); ++i) {
      for (const FlowSource* source : sources) {
        for (const LinkLoad& load : source->of[i].loads) {
          if (most[load.link] == 0) touched.push_back(load.link);
          most[load.link] = std::max(most[load.link], load.rate_Bps);
        }
      }
      for (std::uint32_t link : touched) asked[link] += most[link], most[link] = 0;
      touched.clear();
    }
  }
  for (const Footprint& flow : background_) {
    for (const LinkLoad& load : flow.loads) asked[load.link] += load.rate_Bps;
  }
  return asked;
}

// Where links change during the step, all of them: routes and rates are not known beforehand.
std::vector<bool> StepFlows::binding_links() const {
  if (!clos_.change_times_s().empty()) return std::vector<bool>(clos_.size(), true);
  const std::vector<double> asked = asked_at_most();
  std::vector<bool> binding(clos_.size());
  for (std::size_t link = 0; link < binding.size(); ++link)
    binding[link] = asked[link] > clos_.left_Bps(link) * (1 + 1e-9);
  return binding;
}

void StepFlows::sort_binding(StepFootprint& print, const std::vector<bool>& binding) const {
  print.binding = 0;
  for (std::size_t i = 0; i < print.loads.size(); ++i) {
    if (!binding[print.loads[i].link]) continue;
    std::swap(print.loads[i], print.loads[print.binding]);
    std::swap(print.payload_Bps[i], print.payload_Bps[print.binding]);
    ++print.binding;
  }
}

void StepFlows::lay() {
  route_again();
  const std::vector<bool> binding = binding_links();
  for (FlowSource& source : sources_) {
    for (StepFootprint& print : source.of) sort_binding(print, binding);
  }
}

void StepFlows::route_again() {
  lay_background();
  for (FlowSource& source : sources_) {
    source.of.resize(instances(source.space));
    for (std::uint32_t i = 0; i < source.of.size(); ++i) {
      source.of[i] = footprint(source, i);
      source.of[i].binding = source.of[i].loads.size();
    }
  }
}

bool StepFlows::binds(std::size_t id) const {
  const std::vector<StepFootprint>& of = sources_[id].of;
  return std::any_of(of.begin(), of.end(), [](const StepFootprint& print) { return print.binding > 0; });
}

}  // namespace dts
