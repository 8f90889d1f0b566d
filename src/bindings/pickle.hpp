// Pickling of plain structs: the state is the tuple of the named members, in the order given.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstddef>
#include <type_traits>

inline void check_state(const pybind11::tuple& state, std::size_t members) {
  if (state.size() != members) throw pybind11::value_error("state of another version");
}

template <class T, class... Member>
auto pickled(Member T::*... members) {
  namespace py = pybind11;
  return py::pickle([members...](const T& value) { return py::make_tuple((value.*members)...); },
                    [members...](const py::tuple& state) {
                      check_state(state, sizeof...(Member));
                      T value;
                      std::size_t i = 0;
                      ((value.*members = state[i++].cast<Member>()), ...);
                      return value;
                    });
}
