#include "schedule/custom_order.hpp"

#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include "error.hpp"

namespace dts {

namespace {

std::optional<int> number(const std::string& text, std::size_t most_digits) {
  if (text.empty() || text.size() > most_digits || text.find_first_not_of("0123456789") != std::string::npos)
    return std::nullopt;
  return std::stoi(text);
}

std::optional<Pass> parse_pass(const std::string& word) {
  const std::size_t kind = word.empty() ? std::string::npos : std::string("FBW").find(word[0]);
  if (kind == std::string::npos) return std::nullopt;
  const std::size_t dot = word.find('.');
  const std::optional<int> micro_batch = number(word.substr(1, dot == std::string::npos ? dot : dot - 1), 8);
  const std::optional<int> chunk = dot == std::string::npos ? std::optional<int>(0) : number(word.substr(dot + 1), 4);
  if (!micro_batch || !chunk) return std::nullopt;
  static constexpr PassKind kKinds[] = {PassKind::Forward, PassKind::Backward, PassKind::BackwardWeight};
  return Pass{kKinds[kind], *chunk, *micro_batch};
}

// "F4+B3" is two passes, the first marked.
bool parse_word(const std::string& word, std::vector<Pass>& passes) {
  const std::size_t plus = word.find('+');
  std::optional<Pass> first = parse_pass(word.substr(0, plus));
  if (!first) return false;
  if (plus == std::string::npos) {
    passes.push_back(*first);
    return true;
  }
  const std::optional<Pass> second = parse_pass(word.substr(plus + 1));
  if (!second || first->kind != PassKind::Forward || second->kind != PassKind::Backward) return false;
  first->with_next = true;
  passes.push_back(*first), passes.push_back(*second);
  return true;
}

void split_backwards(std::vector<Pass>& passes) {
  std::set<std::pair<int, int>> apart;
  for (const Pass& pass : passes) {
    if (pass.kind == PassKind::BackwardWeight) apart.insert({pass.chunk, pass.micro_batch});
  }
  for (Pass& pass : passes) {
    if (pass.kind == PassKind::Backward && apart.count({pass.chunk, pass.micro_batch}))
      pass.kind = PassKind::BackwardInput;
  }
}

}  // namespace

PipelineOrder parse_order(const std::vector<std::string>& ranks) {
  Checker check;
  PipelineOrder order;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    std::vector<Pass> passes;
    std::istringstream words(ranks[rank]);
    for (std::string word; words >> word;) {
      if (!parse_word(word, passes)) {
        check.fail("strategy.custom_order[" + std::to_string(rank) + "]", word,
                   "F, B or W and a micro-batch, or F and B joined by +", "write F3, B3.1 (chunk 1), W3 or F4+B3");
      }
    }
    split_backwards(passes);
    order.push_back(std::move(passes));
  }
  check.throw_if_any();
  return order;
}

}  // namespace dts
