#include "search/strategy_table.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "error.hpp"

namespace dts {

namespace {

template <auto Member>
constexpr StrategyField field(const char* name) {
  using Value = std::remove_reference_t<decltype(std::declval<Strategy&>().*Member)>;
  return {name, [](const Strategy& s) { return static_cast<double>(s.*Member); },
          [](Strategy& s, double value) {
            if constexpr (std::is_enum_v<Value>) {
              s.*Member = static_cast<Value>(static_cast<int>(value));
            } else if constexpr (std::is_same_v<Value, bool>) {
              s.*Member = value != 0;
            } else {
              s.*Member = static_cast<Value>(value);
            }
          }};
}

}  // namespace

const std::vector<StrategyField>& strategy_fields() {
  using S = Strategy;
  static const std::vector<StrategyField> all = {
      field<&S::dp>("dp"),
      field<&S::tp>("tp"),
      field<&S::pp>("pp"),
      field<&S::vpp>("vpp"),
      field<&S::cp>("cp"),
      field<&S::ep>("ep"),
      field<&S::etp>("etp"),
      field<&S::sequence_parallel>("sequence_parallel"),
      field<&S::zero>("zero"),
      field<&S::micro_batch>("micro_batch"),
      field<&S::global_batch>("global_batch"),
      field<&S::recompute>("recompute"),
      field<&S::schedule>("schedule"),
      field<&S::optimizer>("optimizer"),
      field<&S::precision>("precision"),
      field<&S::fp8_recipe>("fp8_recipe"),
      field<&S::cp_comm>("cp_comm"),
      field<&S::cp_a2a>("cp_a2a"),
      field<&S::overlap_grad_reduce>("overlap_grad_reduce"),
      field<&S::overlap_param_gather>("overlap_param_gather"),
      field<&S::dp_replicas>("dp_replicas"),
      field<&S::reshard_after_forward>("reshard_after_forward"),
      field<&S::grad_dtype>("grad_dtype"),
      field<&S::offload_optimizer>("offload_optimizer"),
      field<&S::offload_parameters>("offload_parameters"),
      field<&S::offload_activations>("offload_activations"),
      field<&S::activation_tier>("activation_tier"),
      field<&S::offload_update>("offload_update"),
      field<&S::moe_dispatcher>("moe_dispatcher"),
      field<&S::capacity_factor>("capacity_factor"),
      field<&S::overlap_moe_1f1b>("overlap_moe_1f1b"),
      field<&S::overlap_shared_experts>("overlap_shared_experts"),
      field<&S::delay_weight_grad>("delay_weight_grad"),
      field<&S::micro_batch_group>("micro_batch_group"),
  };
  return all;
}

const StrategyField& strategy_field(const std::string& name) {
  const auto& all = strategy_fields();
  const auto found = std::find_if(all.begin(), all.end(), [&](const StrategyField& f) { return name == f.name; });
  if (found != all.end()) return *found;
  std::string names;
  for (const StrategyField& f : all) names += std::string(names.empty() ? "" : ", ") + f.name;
  throw ConfigError({{"strategies", name, "columns named " + names, ""}});
}

void StrategyTable::read(std::size_t row, Strategy& into) const {
  into = bases[base_of.empty() ? 0 : static_cast<std::size_t>(base_of[row])];
  for (const StrategyColumn& column : columns) column.field->set(into, column.values[row]);
}

Strategy StrategyTable::at(std::size_t row) const {
  Strategy s;
  read(row, s);
  return s;
}

void check_table(const StrategyTable& table) {
  Checker check;
  check.require(!table.bases.empty(), "strategies", "no base", "a strategy that the columns complete");
  const auto length = [&](const char* name, std::size_t got) {
    check.require(got == table.rows, [&] {
      return Violation{std::string("strategies.") + name, std::to_string(got) + " values",
                       std::to_string(table.rows) + ", one per row", ""};
    });
  };
  if (!table.base_of.empty()) length("base", table.base_of.size());
  for (const StrategyColumn& column : table.columns) length(column.field->name, column.values.size());
  for (std::int32_t base : table.base_of) {
    if (!check.require(base >= 0 && static_cast<std::size_t>(base) < table.bases.size(),
                       [&] { return Violation{"strategies.base", std::to_string(base), "the place of a base", ""}; }))
      break;
  }
  check.throw_if_any();
}

}  // namespace dts
