#include "network/progress.hpp"

namespace dts {

namespace {

std::uint64_t early_key(int member, std::uint32_t tag) noexcept {
  return static_cast<std::uint64_t>(static_cast<std::uint32_t>(member)) << 32 | tag;
}

}  // namespace

void Progress::begin(const Pattern& pattern, SendSink& sink) {
  pattern_ = &pattern;
  early_.clear();
  if (pattern.chunks > 0) return begin_chunks(sink);
  pending_ = static_cast<std::size_t>(pattern.members);
  members_.assign(pending_, Member{});
  for (int member = 0; member < pattern.members; ++member) enter(member, sink);
}

// Starts the sends of the member's round; rounds in which it has nothing to do are passed at once.
void Progress::enter(int member, SendSink& sink) {
  Member& me = members_[static_cast<std::size_t>(member)];
  while (me.round < pattern_->rounds.size()) {
    const PatternRound& round = pattern_->rounds[me.round];
    const auto m = static_cast<std::size_t>(member);
    me.waiting = round.first[m + 1] - round.first[m] + round.arrivals[m];
    if (!early_.empty()) {
      if (const auto at = early_.find(early_key(member, me.tag)); at != early_.end()) {
        me.waiting -= at->second;
        early_.erase(at);
      }
    }
    for (std::uint32_t i = round.first[m]; i < round.first[m + 1]; ++i) {
      sink.send(me.round, i, round.sends[i].bytes, round.sends[i].reduced_bytes, me.tag);
    }
    if (me.waiting > 0) return;
    if (round.first[m] == round.first[m + 1] && round.arrivals[m] == 0) {  // idle in every repeat
      me.tag += round.repeat - me.repetition;
      me.repetition = 0;
      ++me.round;
      continue;
    }
    ++me.tag;
    if (++me.repetition == round.repeat) me.repetition = 0, ++me.round;
  }
  --pending_;
}

void Progress::pass(int member, SendSink& sink) {
  Member& me = members_[static_cast<std::size_t>(member)];
  if (--me.waiting > 0) return;
  ++me.tag;
  if (++me.repetition == pattern_->rounds[me.round].repeat) me.repetition = 0, ++me.round;
  enter(member, sink);
}

void Progress::sent(int member, std::uint32_t tag, SendSink& sink) {
  if (pattern_->chunks == 0) return pass(member, sink);
  edges_[tag].busy = false;
  try_chunk(tag, sink);
}

void Progress::arrived(int member, std::uint32_t tag, SendSink& sink) {
  if (pattern_->chunks > 0) return chunk_arrived(tag, sink);
  if (members_[static_cast<std::size_t>(member)].tag == tag) return pass(member, sink);
  ++early_[early_key(member, tag)];
}

// ---- pipelined rounds
// ------------------------------------------------------------------------------------------------

void Progress::begin_chunks(SendSink& sink) {
  const std::vector<PatternSend>& sends = pattern_->rounds[0].sends;
  const auto members = static_cast<std::size_t>(pattern_->members);
  edges_.assign(sends.size(), Edge{});
  into_.assign(members, {});
  out_of_.assign(members, {});
  for (std::uint32_t edge = 0; edge < sends.size(); ++edge) {
    into_[static_cast<std::size_t>(sends[edge].to)].push_back(edge);
    out_of_[static_cast<std::size_t>(sends[edge].from)].push_back(edge);
  }
  pending_ = sends.size() * static_cast<std::size_t>(pattern_->chunks);
  for (std::uint32_t edge = 0; edge < edges_.size(); ++edge) try_chunk(edge, sink);
}

void Progress::try_chunk(std::uint32_t edge, SendSink& sink) {
  Edge& state = edges_[edge];
  const auto chunks = static_cast<std::uint32_t>(pattern_->chunks);
  if (state.busy || state.sent == chunks || !ready(edge, state.sent)) return;
  ++state.sent;
  state.busy = true;
  const PatternSend& send = pattern_->rounds[0].sends[edge];
  sink.send(0, edge, send.bytes / chunks, send.reduced_bytes / chunks, edge);
}

// A partial sum needs the sums of all children; a copy needs the parent's copy, or at the root all sums.
bool Progress::ready(std::uint32_t edge, std::uint32_t chunk) const {
  const std::vector<PatternSend>& sends = pattern_->rounds[0].sends;
  const PatternSend& mine = sends[edge];
  bool sums = true, copies = true, any_copy = false;
  for (std::uint32_t in : into_[static_cast<std::size_t>(mine.from)]) {
    if (sends[in].lane != mine.lane) continue;
    const bool has = edges_[in].arrived > chunk, copy = !sends[in].reduces;
    any_copy = any_copy || copy;
    (copy ? copies : sums) &= has;
  }
  return mine.reduces || !any_copy ? sums : copies;
}

void Progress::chunk_arrived(std::uint32_t edge, SendSink& sink) {
  ++edges_[edge].arrived;
  --pending_;
  for (std::uint32_t out : out_of_[static_cast<std::size_t>(pattern_->rounds[0].sends[edge].to)]) try_chunk(out, sink);
}

}  // namespace dts
