// Many strategies as columns: each row is a base strategy in which the columns replace some fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/strategy.hpp"

namespace dts {

// A field that may be a column; enums by their number.
struct StrategyField {
  const char* name;
  double (*get)(const Strategy&);
  void (*set)(Strategy&, double);
};
const std::vector<StrategyField>& strategy_fields();
const StrategyField& strategy_field(const std::string& name);  // throws ConfigError

struct StrategyColumn {
  const StrategyField* field = nullptr;
  std::vector<double> values;
};

struct StrategyTable {
  std::size_t rows = 0;
  std::vector<Strategy> bases;
  std::vector<std::int32_t> base_of;  // per row; empty = all the first
  std::vector<StrategyColumn> columns;

  void read(std::size_t row, Strategy& into) const;  // reuses what `into` holds
  Strategy at(std::size_t row) const;
};

// Throws ConfigError unless every column has a value per row and every row a base.
void check_table(const StrategyTable& table);

}  // namespace dts
