#include "network/coupled_share.hpp"

#include <algorithm>
#include <limits>

namespace dts {

namespace {

constexpr double kTie = 1e-12;
constexpr double kSlowest = 1e-12;  // nobody stands still for ever

constexpr auto kLater = [](const auto& a, const auto& b) {
  return a.level != b.level ? a.level > b.level : a.link > b.link;
};

}  // namespace

CoupledShare::CoupledShare(std::vector<double> capacity_Bps)
    : links_(capacity_Bps.size()), unchanged_below_(std::numeric_limits<double>::infinity()) {
  for (std::size_t i = 0; i < links_.size(); ++i) links_[i].capacity_Bps = capacity_Bps[i];
}

bool CoupledShare::full(const Shared& link) const noexcept { return link.asked_Bps > link.capacity_Bps * (1 + 1e-9); }

void CoupledShare::touch(std::uint32_t id) {
  if (links_[id].dirty) return;
  links_[id].dirty = true;
  dirty_.push_back(id);
}

CoupledShare::Id CoupledShare::add(const LinkLoad* loads, std::size_t count, double weight) {
  Id id = static_cast<Id>(members_.size());
  if (free_.empty()) {
    members_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Member& m = members_[id];
  m.loads = loads, m.count = static_cast<std::uint32_t>(count), m.weight = weight;
  m.speed = 0, m.present = m.is_new = true;
  m.place.resize(count);
  for (std::uint32_t i = 0; i < m.count; ++i) {
    Shared& link = links_[loads[i].link];
    m.place[i] = static_cast<std::uint32_t>(link.users.size());
    link.users.push_back({id, i});
    link.asked_Bps += loads[i].rate_Bps;
    link.asked_slope += loads[i].rate_Bps / weight;
    touch(loads[i].link);
  }
  added_.push_back(id);
  return id;
}

void CoupledShare::remove(Id id) {
  Member& m = members_[id];
  for (std::uint32_t i = 0; i < m.count; ++i) {
    Shared& link = links_[m.loads[i].link];
    const User moved = link.users.back();
    link.users[m.place[i]] = moved;
    members_[moved.id].place[moved.index] = m.place[i];
    link.users.pop_back();
    link.asked_Bps = link.users.empty() ? 0 : link.asked_Bps - m.loads[i].rate_Bps;  // an empty link forgets rounding
    link.asked_slope = link.users.empty() ? 0 : link.asked_slope - m.loads[i].rate_Bps / m.weight;
    if (link.was_full) touch(m.loads[i].link);
  }
  if (!m.is_new) unchanged_below_ = std::min(unchanged_below_, level(m));
  m.present = false;
  free_.push_back(id);
}

void CoupledShare::set_capacity(std::size_t link, double capacity_Bps) {
  if (links_[link].capacity_Bps == capacity_Bps) return;
  links_[link].capacity_Bps = capacity_Bps;
  unchanged_below_ = 0;
  touch(static_cast<std::uint32_t>(link));
}

void CoupledShare::take(Id id) {
  Member& m = members_[id];
  if (!m.present || m.mark == epoch_ || (!m.is_new && level(m) < unchanged_below_)) return;
  m.mark = epoch_;
  m.fixed = false;
  set_.push_back(id);
}

// No link of a new member fills below its capacity over what all its users ask for per level.
void CoupledShare::lower_level() {
  for (Id id : added_) {
    const Member& m = members_[id];
    for (std::uint32_t k = 0; m.present && k < m.count; ++k) {
      const Shared& link = links_[m.loads[k].link];
      if (full(link)) unchanged_below_ = std::min(unchanged_below_, link.capacity_Bps / link.asked_slope);
    }
  }
  unchanged_below_ *= 1 - 1e-9;
}

// New members, users of links that are or were full, and whoever they meet on full links.
void CoupledShare::gather() {
  ++epoch_;
  set_.clear();
  full_links_.clear();
  for (Id id : added_) take(id);
  for (std::uint32_t id : dirty_) {
    if (!full(links_[id]) && !links_[id].was_full) continue;
    for (const User& user : links_[id].users) take(user.id);
  }
  for (std::size_t i = 0; i < set_.size(); ++i) {
    const Member& m = members_[set_[i]];
    for (std::uint32_t k = 0; k < m.count; ++k) {
      Shared& link = links_[m.loads[k].link];
      if (link.mark == epoch_ || !full(link)) continue;
      link.mark = epoch_;
      full_links_.push_back(m.loads[k].link);
      for (const User& user : link.users) take(user.id);
    }
  }
}

double CoupledShare::level_of(const Shared& link) const noexcept {
  return link.slope > 0 ? std::max(0.0, link.capacity_Bps - link.fixed_Bps) / link.slope
                        : std::numeric_limits<double>::infinity();
}

void CoupledShare::push(std::uint32_t id) {
  heap_.push_back({level_of(links_[id]), id});
  std::push_heap(heap_.begin(), heap_.end(), kLater);
}

void CoupledShare::fix(Id id, double speed) {
  Member& m = members_[id];
  m.fixed = true;
  m.next = std::max(speed, kSlowest);
  for (std::uint32_t k = 0; k < m.count; ++k) {
    Shared& link = links_[m.loads[k].link];
    if (link.mark != epoch_) continue;
    link.fixed_Bps += m.loads[k].rate_Bps * m.next;
    link.slope -= m.loads[k].rate_Bps / m.weight;
  }
}

// One level rises for all: a member goes at level / weight until it reaches 1 or a link of its is full.
void CoupledShare::fill() {
  for (std::uint32_t id : full_links_) {
    Shared& link = links_[id];
    link.fixed_Bps = link.slope = 0;
    for (const User& user : link.users) {
      const Member& m = members_[user.id];
      const double rate_Bps = m.loads[user.index].rate_Bps;
      m.mark == epoch_ ? link.slope += rate_Bps / m.weight : link.fixed_Bps += rate_Bps * m.speed;
    }
  }
  heap_.clear();
  for (std::uint32_t id : full_links_) push(id);
  std::sort(set_.begin(), set_.end(), [&](Id a, Id b) {
    return members_[a].weight != members_[b].weight ? members_[a].weight < members_[b].weight : a < b;
  });
  for (std::size_t next = 0; next < set_.size();) {
    const Member& lightest = members_[set_[next]];
    if (lightest.fixed) {
      ++next;
      continue;
    }
    while (!heap_.empty()) {  // levels only rise while others are fixed: a stale one is pushed again
      const Candidate top = heap_.front();
      const double now = level_of(links_[top.link]);
      if (now <= top.level * (1 + kTie)) break;
      std::pop_heap(heap_.begin(), heap_.end(), kLater);
      heap_.pop_back();
      if (now < std::numeric_limits<double>::infinity()) push(top.link);
    }
    if (heap_.empty() || lightest.weight <= heap_.front().level * (1 + kTie)) {
      fix(set_[next++], 1);
      continue;
    }
    const Candidate top = heap_.front();
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    heap_.pop_back();
    for (const User& user : links_[top.link].users) {
      if (members_[user.id].mark == epoch_ && !members_[user.id].fixed)
        fix(user.id, std::min(1.0, top.level / members_[user.id].weight));
    }
  }
}

const std::vector<CoupledShare::Id>& CoupledShare::solve() {
  changed_.clear();
  if (added_.empty() && dirty_.empty()) return changed_;
  lower_level();
  gather();
  fill();
  solved_ += set_.size();
  for (Id id : set_) {
    Member& m = members_[id];
    if (m.next != m.speed) changed_.push_back(id);
    m.speed = m.next;
    m.is_new = false;
  }
  unchanged_below_ = std::numeric_limits<double>::infinity();
  for (std::uint32_t id : dirty_) links_[id].dirty = false, links_[id].was_full = full(links_[id]);
  dirty_.clear();
  added_.clear();
  return changed_;
}

}  // namespace dts
