// The memory model: tiers, ledger, plan estimates.
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <tuple>

#include "bindings/long_call.hpp"
#include "bindings/pickle.hpp"
#include "memory/plan_variants.hpp"
#include "memory/saved_bytes.hpp"
#include "memory/transformer_layer.hpp"
#include "memory_model.hpp"
#include "workload/model.hpp"

namespace py = pybind11;
using namespace pybind11::literals;
using namespace dts;
using Release = py::call_guard<LongCall>;

namespace {

void bind_enums(py::module_& m) {
  py::native_enum<MemoryTier>(m, "MemoryTier", "enum.Enum", "Where bytes can be kept, nearest to the device first.")
      .value("HBM", MemoryTier::HBM)
      .value("CPU", MemoryTier::CPU)
      .value("DISK", MemoryTier::DISK)
      .value("REMOTE", MemoryTier::REMOTE)
      .finalize();
  py::native_enum<GradientStorage>(m, "GradientStorage", "enum.Enum")
      .value("WORKING", GradientStorage::Working)
      .value("FP32", GradientStorage::Fp32)
      .value("BOTH", GradientStorage::Both)
      .finalize();
}

auto pickled_ledger() {
  return py::pickle(
      [](const MemoryModel& model) {
        return py::make_tuple(model.num_devices(), model.devices_per_node(), model.tiers(), model.next_handle(),
                              model.allocations(), model.peaks());
      },
      [](const py::tuple& state) {
        check_state(state, 6);
        return MemoryModel::restored(state[0].cast<int>(), state[1].cast<int>(), state[2].cast<Tiers>(),
                                     state[3].cast<std::int64_t>(), state[4].cast<std::vector<Allocation>>(),
                                     state[5].cast<std::vector<PoolPeak>>());
      });
}

void bind_ledger(py::module_& m) {
  py::class_<TierSpec>(m, "MemoryTierSpec")
      .def(py::init<double, double, double>(), "capacity_bytes"_a, "bandwidth_Bps"_a, "latency_s"_a)
      .def_readonly("capacity_bytes", &TierSpec::capacity_bytes)
      .def_readonly("bandwidth_Bps", &TierSpec::bandwidth_Bps)
      .def_readonly("latency_s", &TierSpec::latency_s)
      .def(pickled(&TierSpec::capacity_bytes, &TierSpec::bandwidth_Bps, &TierSpec::latency_s));
  m.def("default_memory_tiers", &default_tiers);
  py::class_<Allocation>(m, "Allocation")
      .def_readonly("handle", &Allocation::handle)
      .def_readonly("device", &Allocation::device)
      .def_readonly("tier", &Allocation::tier)
      .def_readonly("bytes", &Allocation::bytes)
      .def_readonly("name", &Allocation::name)
      .def_readonly("category", &Allocation::category)
      .def(pickled(&Allocation::handle, &Allocation::device, &Allocation::tier, &Allocation::bytes, &Allocation::name,
                   &Allocation::category));
  py::class_<PoolUsage>(m, "PoolUsage")
      .def_readonly("capacity_bytes", &PoolUsage::capacity_bytes)
      .def_readonly("used_bytes", &PoolUsage::used_bytes)
      .def_readonly("peak_bytes", &PoolUsage::peak_bytes)
      .def_readonly("by_category", &PoolUsage::by_category)
      .def_readonly("peak_by_category", &PoolUsage::peak_by_category)
      .def_property_readonly("free_bytes", &PoolUsage::free_bytes)
      .def(pickled(&PoolUsage::capacity_bytes, &PoolUsage::used_bytes, &PoolUsage::peak_bytes, &PoolUsage::by_category,
                   &PoolUsage::peak_by_category));
  py::class_<PoolPeak>(m, "PoolPeak").def(pickled(&PoolPeak::pool, &PoolPeak::bytes, &PoolPeak::by_category));
  // A ledger is one mutable object: its calls keep the GIL.
  py::class_<MemoryModel>(m, "MemoryModel")
      .def(py::init<int, int, const Tiers&>(), "num_devices"_a, "devices_per_node"_a, "tiers"_a)
      .def(
          "__deepcopy__", [](const MemoryModel& model, const py::dict&) { return model; }, "memo"_a)
      .def(pickled_ledger())
      .def("allocate", &MemoryModel::allocate, "device"_a, "bytes"_a, "tier"_a, "name"_a, "category"_a)
      .def("free", &MemoryModel::free, "handle"_a)
      .def("transfer", &MemoryModel::transfer, "handle"_a, "to"_a)
      .def("transfer_time", &MemoryModel::transfer_time, "bytes"_a, "source"_a, "to"_a)
      .def("allocation", &MemoryModel::allocation, "handle"_a, py::return_value_policy::copy)
      .def("allocations", &MemoryModel::allocations)
      .def("usage", &MemoryModel::usage, "device"_a, "tier"_a, py::return_value_policy::copy)
      .def("reset_peaks", &MemoryModel::reset_peaks)
      .def_property_readonly("tiers", &MemoryModel::tiers);
}

void bind_plan(py::module_& m) {
  py::class_<BlockShares>(m, "BlockShares")
      .def(py::init<double, double, double, double>(), "blocks"_a, "input_share"_a, "score_share"_a,
           "score_flops_share"_a)
      .def_readonly("blocks", &BlockShares::blocks)
      .def_readonly("input_share", &BlockShares::input_share)
      .def_readonly("score_share", &BlockShares::score_share)
      .def_readonly("score_flops_share", &BlockShares::score_flops_share);
  py::class_<MemoryPlan>(m, "MemoryPlan")
      .def(py::init<>())
      .def_readwrite("parameters", &MemoryPlan::parameters)
      .def_readwrite("activations_per_sample", &MemoryPlan::activations_per_sample)
      .def_readwrite("samples_per_device", &MemoryPlan::samples_per_device)
      .def_readwrite("accumulation_steps", &MemoryPlan::accumulation_steps)
      .def_readwrite("devices", &MemoryPlan::devices)
      .def_readwrite("zero", &MemoryPlan::zero)
      .def_readwrite("precision", &MemoryPlan::precision)
      .def_readwrite("optimizer", &MemoryPlan::optimizer)
      .def_readwrite("gradients", &MemoryPlan::gradients)
      .def_readwrite("recompute", &MemoryPlan::recompute)
      .def_readwrite("optimizer_tier", &MemoryPlan::optimizer_tier)
      .def_readwrite("parameter_tier", &MemoryPlan::parameter_tier)
      .def_readwrite("activation_tier", &MemoryPlan::activation_tier)
      .def_readwrite("blocks", &MemoryPlan::blocks);
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
  bind_enums(m);
  bind_ledger(m);
  bind_plan(m);
  m.def("memory_estimate", &estimate, "plan"_a, "tiers"_a, Release());
  m.def("memory_missing_bytes", &missing_bytes, "estimate"_a, "tiers"_a, "devices"_a, "devices_per_node"_a, Release());
  m.def("memory_strategy_table", &strategy_table, "plan"_a, "tiers"_a, Release());
  m.def(
      "transformer_layer_bytes",
      [](double seq_len, double micro_batch, double hidden, double heads, int tp, bool sequence_parallel,
         Recompute recompute) {
        return transformer_layer_bytes({seq_len, micro_batch, hidden, heads, tp, sequence_parallel}, recompute);
      },
      "seq_len"_a, "micro_batch"_a, "hidden"_a, "heads"_a, "tp"_a, "sequence_parallel"_a, "recompute"_a, Release());
  m.def(
      "saved_tensors",
      [](const Block& block, double seq_len, bool flash_attention, bool eager_norm, bool eager_gate) {
        SavedContext context;
        context.seq_len = seq_len;
        context.flash_attention = flash_attention, context.eager_norm = eager_norm, context.eager_gate = eager_gate;
        std::vector<std::tuple<std::string, std::string, double>> list;  // op, tensor, bytes per token
        for (const SavedTensor& t : saved_tensors(block.ops, context))
          list.emplace_back(t.op, t.tensor, t.bytes_per_token);
        return list;
      },
      "block"_a, "seq_len"_a, "flash_attention"_a, "eager_norm"_a, "eager_gate"_a, Release());
  m.def("transformer_block_shares", &transformer_block_shares, "layers"_a, "seq_len"_a, "hidden"_a, "heads"_a,
        "flash_attention"_a, Release());
}
