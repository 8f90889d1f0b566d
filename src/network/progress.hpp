// How far one running collective is: per member its round and what it still waits for, per edge of a pipelined round
// its chunks. Memory is that of the members, whatever the number of rounds. Messages may come early: they are kept by
// round.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "network/pattern.hpp"

namespace dts {

// Where progress puts the sends that may start now. `tag` comes back with the message.
class SendSink {
 public:
  virtual ~SendSink() = default;
  virtual void send(std::uint32_t round, std::uint32_t index, double bytes, double reduced_bytes,
                    std::uint32_t tag) = 0;
};

class Progress {
 public:
  void begin(const Pattern& pattern, SendSink& sink);
  void sent(int member, std::uint32_t tag, SendSink& sink);     // the last byte has left
  void arrived(int member, std::uint32_t tag, SendSink& sink);  // ... and has come
  bool done() const noexcept { return pending_ == 0; }

 private:
  struct Member {
    std::uint32_t round = 0, repetition = 0, tag = 0;  // tag: rounds passed, repeats counted
    std::uint32_t waiting = 0;
  };
  struct Edge {
    std::uint32_t sent = 0, arrived = 0;
    bool busy = false;
  };

  void enter(int member, SendSink& sink);
  void pass(int member, SendSink& sink);
  void begin_chunks(SendSink& sink);
  void try_chunk(std::uint32_t edge, SendSink& sink);
  bool ready(std::uint32_t edge, std::uint32_t chunk) const;
  void chunk_arrived(std::uint32_t edge, SendSink& sink);

  const Pattern* pattern_ = nullptr;
  std::size_t pending_ = 0;  // members, or chunks still to arrive
  std::vector<Member> members_;
  std::unordered_map<std::uint64_t, std::uint32_t> early_;  // member and tag -> messages
  std::vector<Edge> edges_;
  std::vector<std::vector<std::uint32_t>> into_, out_of_;  // edges by member
};

}  // namespace dts
