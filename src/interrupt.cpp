#include "interrupt.hpp"

#include <utility>

namespace dts {

namespace detail {

void call_interrupt_poll() {
  interrupt_state.left = kWorkBetweenPolls;
  if (interrupt_state.poll != nullptr) (*interrupt_state.poll)();
}

}  // namespace detail

InterruptScope::InterruptScope(InterruptPoll poll) : poll_(std::move(poll)), outer_(detail::interrupt_state.poll) {
  detail::interrupt_state.poll = &poll_;
}

InterruptScope::~InterruptScope() { detail::interrupt_state.poll = outer_; }

}  // namespace dts
