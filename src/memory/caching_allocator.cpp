#include "memory/caching_allocator.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "error.hpp"
#include "units.hpp"

namespace dts {

namespace {

constexpr double kRounding = 512;
constexpr double kSmallRequest = kMiB, kSmallSegment = 2 * kMiB;
constexpr double kMediumRequest = 10 * kMiB, kMediumSegment = 20 * kMiB, kLargeRounding = 2 * kMiB;

double rounded(double bytes, double unit) { return std::max(1.0, std::ceil(bytes / unit)) * unit; }

double segment_bytes(double request) {
  if (request <= kSmallRequest) return kSmallSegment;
  return request < kMediumRequest ? kMediumSegment : rounded(request, kLargeRounding);
}

}  // namespace

CachingAllocator::CachingAllocator(const Options& options) : options_(options) {
  Checker check;
  check.non_negative("capacity_bytes", options.capacity_bytes);
  check.throw_if_any();
}

int CachingAllocator::new_piece(const Piece& piece) {
  if (unused_.empty()) {
    pieces_.push_back(piece);
    return static_cast<int>(pieces_.size()) - 1;
  }
  const int id = unused_.back();
  unused_.pop_back();
  pieces_[static_cast<std::size_t>(id)] = piece;
  return id;
}

bool CachingAllocator::map(double bytes) {
  if (options_.capacity_bytes > 0 && reserved_ + bytes > options_.capacity_bytes) {
    release_cached();
    if (reserved_ + bytes > options_.capacity_bytes) return false;
  }
  reserved_ += bytes;
  peak_reserved_ = std::max(peak_reserved_, reserved_);
  return true;
}

bool CachingAllocator::add_segment(double bytes, bool small) {
  if (!map(bytes)) return false;
  pool(small).insert({bytes, new_piece({bytes, -1, -1, segments_++, false, small})});
  return true;
}

// The pool's one segment gets longer by what its free tail lacks.
bool CachingAllocator::grow(double bytes, bool small) {
  int& tail = small ? small_tail_ : large_tail_;
  const double unit = small ? kSmallSegment : kMediumSegment;
  const bool joins = tail >= 0 && !pieces_[static_cast<std::size_t>(tail)].in_use;
  const double more = rounded(bytes - (joins ? pieces_[static_cast<std::size_t>(tail)].bytes : 0), unit);
  if (!map(more)) return false;
  if (joins) {
    Piece& last = pieces_[static_cast<std::size_t>(tail)];
    pool(small).erase({last.bytes, tail});
    last.bytes += more;
    pool(small).insert({last.bytes, tail});
    return true;
  }
  const int added = new_piece({more, tail, -1, small ? 0 : 1, false, small});
  if (tail >= 0) pieces_[static_cast<std::size_t>(tail)].after = added;
  tail = added;
  pool(small).insert({more, added});
  return true;
}

void CachingAllocator::release_cached() {
  ++retries_;
  if (!waiting_.empty()) advance(waiting_.rbegin()->first);
  for (Pool* each : {&small_, &large_}) {
    for (auto it = each->begin(); it != each->end();) {
      const Piece& piece = pieces_[static_cast<std::size_t>(it->second)];
      const bool whole = piece.before < 0 && piece.after < 0 && !options_.expandable_segments;
      if (!whole) {
        ++it;
        continue;
      }
      reserved_ -= piece.bytes;
      unused_.push_back(it->second);
      it = each->erase(it);
    }
  }
}

bool CachingAllocator::allocate(std::int64_t id, double bytes) {
  if (held_.count(id) != 0) throw ConfigError({{"id", std::to_string(id), "an allocation that is not live", ""}});
  const double request = rounded(bytes, kRounding);
  const bool small = request <= kSmallRequest;
  const auto fits = [&] { return pool(small).lower_bound({request, std::numeric_limits<int>::min()}); };
  auto found = fits();
  if (found == pool(small).end()) {
    if (!(options_.expandable_segments ? grow(request, small) : add_segment(segment_bytes(request), small)))
      return false;
    found = fits();
  }
  const int piece = found->second;
  pool(small).erase(found);
  use(piece, request);
  held_[id] = piece;
  allocated_ += pieces_[static_cast<std::size_t>(piece)].bytes;
  peak_allocated_ = std::max(peak_allocated_, allocated_);
  return true;
}

void CachingAllocator::use(int id, double bytes) {
  const Piece whole = pieces_[static_cast<std::size_t>(id)];
  pieces_[static_cast<std::size_t>(id)].in_use = true;
  const double rest = whole.bytes - bytes;
  const bool splits = whole.small || options_.expandable_segments ? rest >= kRounding : rest > kSmallRequest;
  if (!splits) return;
  const int remainder = new_piece({rest, id, whole.after, whole.segment, false, whole.small});
  Piece& used = pieces_[static_cast<std::size_t>(id)];
  used.bytes = bytes;
  used.after = remainder;
  if (whole.after >= 0) pieces_[static_cast<std::size_t>(whole.after)].before = remainder;
  int& tail = whole.small ? small_tail_ : large_tail_;
  if (tail == id) tail = remainder;
  pool(whole.small).insert({rest, remainder});
}

void CachingAllocator::advance(double now) {
  now_ = std::max(now_, now);
  const auto end = waiting_.upper_bound(now_);
  for (auto it = waiting_.begin(); it != end; it = waiting_.erase(it)) put_back(it->second);
}

void CachingAllocator::free(std::int64_t id, double usable_from) {
  const auto found = held_.find(id);
  if (found == held_.end()) throw ConfigError({{"id", std::to_string(id), "a live allocation", ""}});
  const int piece = found->second;
  held_.erase(found);
  allocated_ -= pieces_[static_cast<std::size_t>(piece)].bytes;
  if (usable_from > now_) {
    waiting_.emplace(usable_from, piece);
  } else {
    put_back(piece);
  }
}

void CachingAllocator::put_back(int piece) {
  Piece& freed = pieces_[static_cast<std::size_t>(piece)];
  freed.in_use = false;
  for (const int other : {freed.before, freed.after}) {
    if (other >= 0 && !pieces_[static_cast<std::size_t>(other)].in_use) join(piece, other);
  }
  pool(freed.small).insert({pieces_[static_cast<std::size_t>(piece)].bytes, piece});
}

void CachingAllocator::join(int piece, int other) {
  Piece& kept = pieces_[static_cast<std::size_t>(piece)];
  const Piece gone = pieces_[static_cast<std::size_t>(other)];
  pool(gone.small).erase({gone.bytes, other});
  kept.bytes += gone.bytes;
  const bool was_before = kept.before == other;
  (was_before ? kept.before : kept.after) = was_before ? gone.before : gone.after;
  const int neighbour = was_before ? gone.before : gone.after;
  if (neighbour >= 0) {
    Piece& next = pieces_[static_cast<std::size_t>(neighbour)];
    (was_before ? next.after : next.before) = piece;
  }
  int& tail = gone.small ? small_tail_ : large_tail_;
  if (tail == other) tail = piece;
  unused_.push_back(other);
}

}  // namespace dts
