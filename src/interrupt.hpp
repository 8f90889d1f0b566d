// A caller may stop a long computation: it installs a function for its thread, loops call it now and then, and what it
// throws ends the computation. Without one, nothing is ever called.
#pragma once

#include <cstdint>
#include <functional>

namespace dts {

using InterruptPoll = std::function<void()>;

namespace detail {
struct InterruptState {
  const InterruptPoll* poll = nullptr;
  std::int64_t left = 0;  // work until the next call
};
inline thread_local InterruptState interrupt_state;
inline constexpr std::int64_t kWorkBetweenPolls = 1 << 16;  // near a millisecond
void call_interrupt_poll();
}  // namespace detail

// `work`: elementary steps done since the last call, each of some 10 ns.
inline void poll_interrupt(std::int64_t work) {
  detail::InterruptState& state = detail::interrupt_state;
  state.left -= work;
  if (state.left < 0) detail::call_interrupt_poll();
}
inline void poll_interrupt() { poll_interrupt(detail::kWorkBetweenPolls); }  // after a millisecond or more

// The function asked on this thread while the scope lives; the one before comes back afterwards.
class InterruptScope {
 public:
  explicit InterruptScope(InterruptPoll poll);
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

 private:
  InterruptPoll poll_;
  const InterruptPoll* outer_;
};

}  // namespace dts
