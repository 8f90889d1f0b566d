// Speeds of collectives that share links. A collective moves on all of its links at one speed, from 0 to 1 of what it
// reaches alone: a ring, tree or exchange is held back by its slowest hop everywhere. Speeds are max-min fair: on a
// full link each takes the same part of its own NIC or port, and none can gain without a slower or equal one losing
// (weighted max-min fairness, solved by progressive filling; Bertsekas, Gallager, Data Networks, 1992, section 6.5.2).
//
// A change spreads only over links that are asked for more than they have, so that most comings and goings cost
// nothing, and only to collectives not slower than the slowest that came or left: filling is the same up to that level.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dts {

struct LinkLoad {
  std::uint32_t link = 0;
  double rate_Bps = 0;  // at speed 1
};

class CoupledShare {
 public:
  using Id = std::uint32_t;

  explicit CoupledShare(std::vector<double> capacity_Bps);

  // `loads`: each link once, above 0, and unchanged until `remove`. `weight`: the part of its own NIC or port that it
  // takes at speed 1, above 0.
  Id add(const LinkLoad* loads, std::size_t count, double weight);
  void remove(Id id);
  void set_capacity(std::size_t link, double capacity_Bps);

  // Whose speed has changed since the last call, new ones included; valid until the next call.
  const std::vector<Id>& solve();
  double speed(Id id) const noexcept { return members_[id].speed; }
  std::uint64_t solved() const noexcept { return solved_; }  // speeds computed

 private:
  struct Member {
    const LinkLoad* loads = nullptr;
    std::vector<std::uint32_t> place;  // in the users of each of its links
    double weight = 1, speed = 0, next = 0;
    std::uint32_t count = 0, mark = 0;
    bool fixed = false, present = false, is_new = false;
  };
  struct User {
    Id id;
    std::uint32_t index;  // of the link among the member's
  };
  struct Shared {
    double capacity_Bps = 0, asked_Bps = 0;  // the second: by all users at speed 1
    double asked_slope = 0;                  // the same per level
    std::vector<User> users;
    bool was_full = false, dirty = false;
    std::uint32_t mark = 0;
    double fixed_Bps = 0, slope = 0;  // while filling: taken by fixed users, and per level by the others
  };
  struct Candidate {
    double level;
    std::uint32_t link;
  };

  bool full(const Shared& link) const noexcept;
  double level(const Member& m) const noexcept { return m.speed * m.weight; }
  void lower_level();
  void touch(std::uint32_t link);
  void take(Id id);
  void gather();
  void fill();
  void fix(Id id, double speed);
  double level_of(const Shared& link) const noexcept;
  void push(std::uint32_t link);

  std::vector<Shared> links_;
  std::vector<Member> members_;
  std::vector<Id> free_, added_, set_, changed_;
  std::vector<std::uint32_t> dirty_, full_links_;
  std::vector<Candidate> heap_;
  double unchanged_below_ = 0;  // members at lower levels keep their speeds
  std::uint32_t epoch_ = 0;
  std::uint64_t solved_ = 0;
};

}  // namespace dts
