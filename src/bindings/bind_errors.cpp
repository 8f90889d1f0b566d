// C++ errors become the Python family DtsError(ValueError).
#include <pybind11/pybind11.h>

#include "error.hpp"

namespace py = pybind11;

void bind_errors(py::module_& m) {
  static py::handle base = py::register_exception<dts::DtsError>(m, "DtsError", PyExc_ValueError);
  py::register_exception<dts::ConfigError>(m, "ConfigError", base);
  py::register_exception<dts::InfeasibleError>(m, "InfeasibleError", base);
  py::register_exception<dts::MissingDataError>(m, "MissingDataError", base);
  py::register_exception<dts::FormatError>(m, "FormatError", base);
}
