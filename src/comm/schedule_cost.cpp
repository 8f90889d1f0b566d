#include "comm/schedule_cost.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace dts {

namespace {

struct SendTime {
  double latency_s = 0, transfer_s = 0;
  int link = -1;  // busiest of the route
};

class RoundTimer {
 public:
  RoundTimer(const std::vector<int>& ranks, Router& router, const Topology& topology)
      : ranks_(ranks), router_(router), topology_(topology), load_bytes_(topology.links().size(), 0.0) {}

  // Of each send, the time with every other send of the round on its way; nothing if a link takes over `give_up_s`.
  std::vector<SendTime> times(const Round& round, double give_up_s) {
    std::vector<SendTime> result;
    if (load_links(round, give_up_s)) {
      result.reserve(round.sends.size());
      for (const Send& send : round.sends) result.push_back(time_of(send));
    }
    for (int id : loaded_) load_bytes_[static_cast<std::size_t>(id)] = 0;
    loaded_.clear();
    return result;
  }

 private:
  bool load_links(const Round& round, double give_up_s) {
    for (const Send& send : round.sends) {
      for (int id : route(send)) {
        double& load = load_bytes_[static_cast<std::size_t>(id)];
        if (load == 0) loaded_.push_back(id);
        load += send.bytes;
        if (load > give_up_s * topology_.links()[static_cast<std::size_t>(id)].rate.bandwidth_Bps) return false;
      }
    }
    return true;
  }

  const std::vector<int>& route(const Send& send) {
    return router_.route(ranks_[static_cast<std::size_t>(send.from)], ranks_[static_cast<std::size_t>(send.to)]);
  }

  SendTime time_of(const Send& send) {
    SendTime time;
    for (int id : route(send)) {
      const LinkRate& rate = topology_.links()[static_cast<std::size_t>(id)].rate;
      const double transfer_s = load_bytes_[static_cast<std::size_t>(id)] / rate.bandwidth_Bps;
      time.latency_s += rate.latency_s;
      if (time.link < 0 || transfer_s > time.transfer_s) time.link = id;
      time.transfer_s = std::max(time.transfer_s, transfer_s);
    }
    return time;
  }

  const std::vector<int>& ranks_;
  Router& router_;
  const Topology& topology_;
  std::vector<double> load_bytes_;
  std::vector<int> loaded_;  // links with a load
};

// The slowest send when each message is cut into `chunks`.
const SendTime& slowest(const std::vector<SendTime>& times, double chunks) {
  return *std::max_element(times.begin(), times.end(), [chunks](const SendTime& a, const SendTime& b) {
    return a.latency_s + a.transfer_s / chunks < b.latency_s + b.transfer_s / chunks;
  });
}

double reduced_bytes(const Round& round, std::size_t members) {
  std::vector<double> received(members, 0.0);
  for (const Send& s : round.sends) {
    if (s.reduces) received[static_cast<std::size_t>(s.to)] += s.bytes;
  }
  return *std::max_element(received.begin(), received.end());
}

double round_time_s(const std::vector<SendTime>& times, double reduce_s, int stages, double chunks) {
  const SendTime& worst = slowest(times, chunks);
  return pipelined_rounds(stages, chunks) * (worst.latency_s + (worst.transfer_s + reduce_s) / chunks);
}

// The time is convex in the number of chunks (a maximum of convex functions), so a ternary search finds its least
// value.
int best_chunks(const std::vector<SendTime>& times, double reduce_s, int stages) {
  int low = 1, high = kMaxChunks;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (round_time_s(times, reduce_s, stages, middle) <= round_time_s(times, reduce_s, stages, middle + 1)) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

bool same_traffic(const Round& a, const Round& b) {
  return std::equal(a.sends.begin(), a.sends.end(), b.sends.begin(), b.sends.end(), [](const Send& x, const Send& y) {
    return x.from == y.from && x.to == y.to && x.bytes == y.bytes;
  });
}

double most_sent_bytes(const Schedule& schedule, std::size_t members) {
  std::vector<double> sent(members, 0.0);
  for (const Round& round : schedule) {
    for (const Send& s : round.sends) sent[static_cast<std::size_t>(s.from)] += s.bytes * round.repeat;
  }
  return *std::max_element(sent.begin(), sent.end());
}

}  // namespace

ScheduleCost schedule_cost(const Schedule& schedule, const std::vector<int>& ranks, Router& router,
                           const Topology& topology, const ScheduleOptions& options) {
  ScheduleCost cost;
  std::map<int, double> waited_s;  // per link
  RoundTimer timer(ranks, router, topology);
  std::vector<SendTime> times;
  const Round* before = nullptr;
  for (const Round& round : schedule) {
    if (before == nullptr || !same_traffic(*before, round)) times = timer.times(round, options.give_up_s);
    before = &round;
    if (times.empty()) {
      cost.time_s = std::numeric_limits<double>::infinity();
      return cost;
    }
    const double reduce_s =
        options.reduce_s_per_byte > 0 ? options.reduce_s_per_byte * reduced_bytes(round, ranks.size()) : 0.0;
    double chunks = 1, rounds = round.repeat;
    if (round.stages > 0) {
      chunks = options.chunks > 0 ? options.chunks : best_chunks(times, reduce_s, round.stages);
      rounds = pipelined_rounds(round.stages, chunks);
      cost.chunks = static_cast<int>(chunks);
    }
    const SendTime& worst = slowest(times, chunks);
    cost.latency_s += rounds * worst.latency_s;
    cost.transfer_s += rounds * worst.transfer_s / chunks;
    cost.reduce_s += rounds * reduce_s / chunks;
    waited_s[worst.link] += rounds * worst.transfer_s / chunks;
  }
  cost.time_s = cost.latency_s + cost.transfer_s + cost.reduce_s;
  cost.busiest_link = std::max_element(waited_s.begin(), waited_s.end(), [](const auto& a, const auto& b) {
                        return a.second < b.second;
                      })->first;
  cost.sent_bytes_per_rank = most_sent_bytes(schedule, ranks.size());
  return cost;
}

std::vector<double> link_traffic(const Schedule& schedule, const std::vector<int>& ranks, Router& router,
                                 const Topology& topology) {
  std::vector<double> bytes(topology.links().size(), 0.0);
  for (const Round& round : schedule) {
    for (const Send& s : round.sends) {
      const auto from = static_cast<std::size_t>(s.from), to = static_cast<std::size_t>(s.to);
      for (int id : router.route(ranks[from], ranks[to])) bytes[static_cast<std::size_t>(id)] += s.bytes * round.repeat;
    }
  }
  return bytes;
}

std::vector<double> pair_traffic(const Schedule& schedule, const std::vector<int>& ranks, int devices) {
  const auto n = static_cast<std::size_t>(devices);
  std::vector<double> bytes(n * n, 0.0);
  for (const Round& round : schedule) {
    for (const Send& s : round.sends) {
      const auto from = static_cast<std::size_t>(ranks[static_cast<std::size_t>(s.from)]);
      const auto to = static_cast<std::size_t>(ranks[static_cast<std::size_t>(s.to)]);
      bytes[from * n + to] += s.bytes * round.repeat;
    }
  }
  return bytes;
}

}  // namespace dts
