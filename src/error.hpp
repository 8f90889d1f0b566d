// One exception family. A user error names, for each problem: what is wrong, where, what was given, what was
// expected and how to mend it. Checks collect every violation before they throw.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dts {

struct Violation {
  std::string where;     // the field or place, e.g. "strategy.tp"
  std::string got;       // the offending value, as text
  std::string expected;  // the rule it breaks
  std::string fix;       // how to mend it, may be empty
};

// "where: got X, expected Y; fix", one line per violation.
std::string describe(const std::vector<Violation>& violations);

class DtsError : public std::runtime_error {
 public:
  explicit DtsError(const std::string& message) : std::runtime_error(message) {}
  explicit DtsError(std::vector<Violation> list) : std::runtime_error(describe(list)), violations_(std::move(list)) {}
  const std::vector<Violation>& violations() const noexcept { return violations_; }

 private:
  std::vector<Violation> violations_;
};

class ConfigError : public DtsError {
  using DtsError::DtsError;
};  // an illegal description or layout
class InfeasibleError : public DtsError {
  using DtsError::DtsError;
};  // legal, but cannot run (memory, capacity)
class MissingDataError : public DtsError {
  using DtsError::DtsError;
};  // a constant that is needed is not known
class FormatError : public DtsError {
  using DtsError::DtsError;
};  // a file that cannot be read

// Collects violations; `throw_if_any` reports all of them at once. Without texts it only finds out whether there are
// any: for searches, which ask that of millions of layouts.
class Checker {
 public:
  enum class Texts { Keep, None };
  explicit Checker(Texts texts = Texts::Keep) : keeps_(texts == Texts::Keep) {}

  void fail(std::string where, std::string got, std::string expected, std::string fix = "");
  // Each returns whether the check held, so that dependent checks can be skipped.
  bool positive(std::string_view where, double value);      // finite and > 0
  bool non_negative(std::string_view where, double value);  // finite and >= 0
  bool at_least(std::string_view where, long long value, long long minimum);
  bool require(bool ok, std::string_view where, std::string_view got, std::string_view expected,
               std::string_view fix = "");
  // `describe()` gives the Violation; it is asked only where the check fails.
  template <class Describe>
  bool require(bool ok, Describe describe) {
    if (ok) return true;
    ok_ = false;
    if (keeps_) violations_.push_back(describe());
    return false;
  }
  bool ok() const noexcept { return ok_; }
  bool keeps_texts() const noexcept { return keeps_; }
  const std::vector<Violation>& violations() const noexcept { return violations_; }
  void throw_if_any() const;  // throws ConfigError

 private:
  bool keeps_, ok_ = true;
  std::vector<Violation> violations_;
};

// Shortest text of a number, as a user would write it.
std::string number_text(double value);

}  // namespace dts
