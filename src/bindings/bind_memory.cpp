// The memory model: tiers, ledger, plan estimates.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "memory/strategy_table.hpp"
#include "memory/transformer_layer.hpp"
#include "memory_model.hpp"

namespace py = pybind11;
using namespace dts;

namespace {

using Release = py::call_guard<py::gil_scoped_release>;

// Enums that other topics own cross as their position.
template <typename Plan, typename Enum>
void def_position(py::class_<Plan>& cls, const char* name, Enum Plan::*field) {
  cls.def_property(
      name, [field](const Plan& p) { return static_cast<int>(p.*field); },
      [field](Plan& p, int position) { p.*field = static_cast<Enum>(position); });
}

void bind_ledger(py::module_& m) {
  py::class_<TierSpec>(m, "MemoryTierSpec")
      .def(py::init<double, double, double>())
      .def_readonly("capacity_bytes", &TierSpec::capacity_bytes)
      .def_readonly("bandwidth_Bps", &TierSpec::bandwidth_Bps)
      .def_readonly("latency_s", &TierSpec::latency_s);
  m.def("default_memory_tiers", &default_tiers);
  py::class_<Allocation>(m, "Allocation")
      .def_readonly("handle", &Allocation::handle)
      .def_readonly("device", &Allocation::device)
      .def_readonly("tier", &Allocation::tier)
      .def_readonly("bytes", &Allocation::bytes)
      .def_readonly("name", &Allocation::name)
      .def_readonly("category", &Allocation::category);
  py::class_<PoolUsage>(m, "PoolUsage")
      .def_readonly("capacity_bytes", &PoolUsage::capacity_bytes)
      .def_readonly("used_bytes", &PoolUsage::used_bytes)
      .def_readonly("peak_bytes", &PoolUsage::peak_bytes)
      .def_readonly("by_category", &PoolUsage::by_category)
      .def_readonly("peak_by_category", &PoolUsage::peak_by_category)
      .def_property_readonly("free_bytes", &PoolUsage::free_bytes);
  // A ledger is one mutable object: its calls keep the GIL.
  py::class_<MemoryModel>(m, "MemoryModel")
      .def(py::init<int, int, const Tiers&>())
      .def("allocate", &MemoryModel::allocate)
      .def("free", &MemoryModel::free)
      .def("transfer", &MemoryModel::transfer)
      .def("transfer_time", &MemoryModel::transfer_time)
      .def("allocation", &MemoryModel::allocation, py::return_value_policy::copy)
      .def("allocations", &MemoryModel::allocations)
      .def("usage", &MemoryModel::usage, py::return_value_policy::copy)
      .def("reset_peaks", &MemoryModel::reset_peaks)
      .def_property_readonly("tiers", &MemoryModel::tiers);
}

void bind_plan(py::module_& m) {
  py::class_<BlockShares>(m, "BlockShares")
      .def(py::init<double, double, double, double>())
      .def_readonly("blocks", &BlockShares::blocks)
      .def_readonly("input_share", &BlockShares::input_share)
      .def_readonly("score_share", &BlockShares::score_share)
      .def_readonly("score_flops_share", &BlockShares::score_flops_share);
  auto plan = py::class_<MemoryPlan>(m, "MemoryPlan")
                  .def(py::init<>())
                  .def_readwrite("parameters", &MemoryPlan::parameters)
                  .def_readwrite("activations_per_sample", &MemoryPlan::activations_per_sample)
                  .def_readwrite("samples_per_device", &MemoryPlan::samples_per_device)
                  .def_readwrite("accumulation_steps", &MemoryPlan::accumulation_steps)
                  .def_readwrite("devices", &MemoryPlan::devices)
                  .def_readwrite("zero", &MemoryPlan::zero)
                  .def_readwrite("optimizer_tier", &MemoryPlan::optimizer_tier)
                  .def_readwrite("parameter_tier", &MemoryPlan::parameter_tier)
                  .def_readwrite("activation_tier", &MemoryPlan::activation_tier)
                  .def_readwrite("blocks", &MemoryPlan::blocks);
  def_position(plan, "precision", &MemoryPlan::precision);
  def_position(plan, "optimizer", &MemoryPlan::optimizer);
  def_position(plan, "gradients", &MemoryPlan::gradients);
  def_position(plan, "recompute", &MemoryPlan::recompute);
  py::class_<MemoryEstimate>(m, "MemoryEstimate")
      .def_readonly("weights", &MemoryEstimate::weights)
      .def_readonly("gradients", &MemoryEstimate::gradients)
      .def_readonly("optimizer", &MemoryEstimate::optimizer)
      .def_readonly("activations", &MemoryEstimate::activations)
      .def_readonly("gathered_parameters", &MemoryEstimate::gathered_parameters)
      .def_readonly("tier_bytes", &MemoryEstimate::tier_bytes)
      .def_readonly("extra_flops_fraction", &MemoryEstimate::extra_flops_fraction)
      .def_readonly("communication_bytes", &MemoryEstimate::communication_bytes)
      .def_readonly("transfer_bytes", &MemoryEstimate::transfer_bytes)
      .def_readonly("transfer_s", &MemoryEstimate::transfer_s);
  py::class_<StrategyRow>(m, "StrategyRow")
      .def_readonly("name", &StrategyRow::name)
      .def_readonly("source", &StrategyRow::source)
      .def_readonly("plan", &StrategyRow::plan)
      .def_readonly("estimate", &StrategyRow::estimate)
      .def_readonly("saved_bytes", &StrategyRow::saved_bytes)
      .def_readonly("extra_flops_fraction", &StrategyRow::extra_flops_fraction)
      .def_readonly("extra_communication_bytes", &StrategyRow::extra_communication_bytes)
      .def_readonly("extra_transfer_s", &StrategyRow::extra_transfer_s);
}

}  // namespace

void bind_memory(py::module_& m) {
  py::native_enum<MemoryTier>(m, "MemoryTier", "enum.Enum", "Where bytes can be kept, nearest to the device first.")
      .value("HBM", MemoryTier::HBM)
      .value("CPU", MemoryTier::CPU)
      .value("DISK", MemoryTier::DISK)
      .value("REMOTE", MemoryTier::REMOTE)
      .finalize();
  bind_ledger(m);
  bind_plan(m);
  m.def("memory_estimate", &estimate, Release());
  m.def("memory_missing_bytes", &missing_bytes, Release());
  m.def("memory_strategy_table", &strategy_table, Release());
  m.def(
      "transformer_layer_bytes",
      [](double seq_len, double micro_batch, double hidden, double heads, int tp, bool sequence_parallel, int recompute) {
        return transformer_layer_bytes({seq_len, micro_batch, hidden, heads, tp, sequence_parallel},
                                       static_cast<Recompute>(recompute));
      },
      Release());
  m.def("transformer_block_shares", &transformer_block_shares, Release());
}
