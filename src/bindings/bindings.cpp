// Table of contents of the private module `_core`: one bind_<topic>.cpp per core header.
#include <pybind11/pybind11.h>

#include "version.hpp"

namespace py = pybind11;

void bind_errors(py::module_& m);
void bind_device(py::module_& m);
void bind_cluster(py::module_& m);
void bind_workload(py::module_& m);
void bind_strategy(py::module_& m);
void bind_parallel(py::module_& m);
void bind_communication(py::module_& m);
void bind_network(py::module_& m);
void bind_compute(py::module_& m);
void bind_memory(py::module_& m);
void bind_flow_step(py::module_& m);
void bind_simulator(py::module_& m);
void bind_memory_timeline(py::module_& m);
void bind_step_ops(py::module_& m);
void bind_search(py::module_& m);
void bind_trace(py::module_& m);

// No py::mod_gil_not_used(): descriptions and models are mutable objects without locks of their own, so a free-threaded
// interpreter has to keep its GIL. Work that runs long releases it; what it reads must not be changed meanwhile.
PYBIND11_MODULE(_core, m) {
  m.attr("__version__") = dts::kVersion;
  bind_errors(m);
  bind_device(m);
  bind_cluster(m);
  bind_workload(m);
  bind_strategy(m);
  bind_parallel(m);
  bind_communication(m);
  bind_network(m);
  bind_compute(m);
  bind_memory(m);
  bind_flow_step(m);
  bind_simulator(m);
  bind_memory_timeline(m);
  bind_step_ops(m);
  bind_search(m);
  bind_trace(m);
}
