// Uses the installed library from a foreign project: checks a layout and prints every rule it breaks.
#include <dts/error.hpp>
#include <dts/version.hpp>
#include <iostream>
#include <string>

int main() {
  std::cout << "dist_training_sim " << dts::kVersion << '\n';
  const int kv_heads = 8, tp = 16;
  dts::Checker checker;
  checker.at_least("strategy.micro_batch", 0, 1);
  checker.require(kv_heads % tp == 0, "strategy.tp", std::to_string(tp), "a divisor of kv_heads=8", "use 1, 2, 4 or 8");
  try {
    checker.throw_if_any();
  } catch (const dts::ConfigError& error) {
    std::cout << error.what() << '\n';
    return error.violations().size() == 2 ? 0 : 1;
  }
  return 1;
}
